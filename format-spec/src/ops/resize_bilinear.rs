//! Resizing by bilinear interpolation: x `[N, H, W, C]` → y `[N, OH, OW, C]`.
//!
//! With half-pixel centres, output row `i` lies at input row `(i + ½) · H / OH − ½`, clamped to the
//! input; columns likewise. This is what TensorFlow 2 and Keras do.

use super::resize_nearest_neighbor::{ALIGN_CORNERS, resized};
use super::{PLAIN, f32_inputs, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `resize_bilinear`: 12 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct ResizeBilinearParams {
    /// Size of the output: height, width.
    pub size: [u32; 2],
    /// How pixels of input and output lie on each other: 0, output row `i` lies at input row
    /// `i · H / OH`; 1, with half-pixel centres; 2, at `i · (H − 1) / (OH − 1)`, or 0 if there is one.
    pub grid: u32,
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<ResizeBilinearParams>() as u32, output, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let ResizeBilinearParams { size: [oh, ow], grid } = read(params)?;
    if grid > ALIGN_CORNERS {
        return Err(Misfit::Params);
    }
    let [x] = f32_inputs(inputs)?;
    resized(TensorType::f32(x), oh, ow)
}
