//! Resizing by the nearest element: x `[N, H, W, C]` → y `[N, OH, OW, C]`.

use super::{PLAIN, f32_or_byte, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// [`ResizeNearestNeighborParams::grid`]: the first pixels of input and output have the same corner.
pub const CORNERS: u32 = 0;

/// Pixels are the cells of one area: input and output have the same outer edges.
pub const HALF_PIXEL_CENTERS: u32 = 1;

/// The centres of the outermost pixels of input and output are the same points.
pub const ALIGN_CORNERS: u32 = 2;

/// Parameters of `resize_nearest_neighbor`: 12 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct ResizeNearestNeighborParams {
    /// Size of the output: height, width.
    pub size: [u32; 2],
    /// How pixels of input and output lie on each other: [`CORNERS`], output row `i` is input row
    /// `⌊i · H / OH⌋`; [`HALF_PIXEL_CENTERS`], it is `⌊(i + ½) · H / OH⌋`, as in `tf.image.resize`;
    /// [`ALIGN_CORNERS`], it is `⌊i · (H − 1) / (OH − 1) + ½⌋`, or 0 if there is one. Likewise columns.
    pub grid: u32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<ResizeNearestNeighborParams>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let ResizeNearestNeighborParams { size: [oh, ow], grid } = read(params)?;
    if grid > ALIGN_CORNERS {
        return Err(Misfit::Params);
    }
    resized(f32_or_byte(inputs)?, oh, ow)
}

/// The type of a `[N, H, W, C]` input with another height and width.
pub(crate) fn resized(input: TensorType, oh: u32, ow: u32) -> Result<TensorType, Misfit> {
    let x = input.shape;
    if x.rank() != 4 {
        return Err(Misfit::Rank(0));
    }
    // Kernels compute positions in i32, as fractions over 2 · OH.
    let fits = |output: u32, input: u32| output.checked_mul(input).is_some_and(|p| p < 1 << 29);
    if oh == 0 || ow == 0 || !fits(oh, x.dim(1)) || !fits(ow, x.dim(2)) {
        return Err(Misfit::Params);
    }
    Ok(TensorType { shape: x.with_dim(1, oh).with_dim(2, ow), ..input })
}
