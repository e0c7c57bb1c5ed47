//! 2-D maximum pooling of 8-bit integers: x `[N, H, W, C]` → y `[N, OH, OW, C]`; see
//! [`super::average_pool_2d`].

use super::average_pool_2d::pooled_shape;
use super::{OutputI8, PLAIN, inputs_of, read};
use crate::op::{Misfit, OpRule};
use crate::rows::RowWise;
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `max_pool_2d_i8`: 40 bytes. Pairs are height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct MaxPool2dI8Params {
    /// Size of the window, at least 1; at most 2²² elements.
    pub window: [u32; 2],
    /// Input positions between neighbouring outputs, at least 1.
    pub stride: [u32; 2],
    /// Positions before the first and after the last row; fewer than the window has.
    pub pad_h: [u32; 2],
    /// Positions before the first and after the last column; fewer than the window has.
    pub pad_w: [u32; 2],
    /// Lower bound on y.
    pub min: i32,
    /// Upper bound on y.
    pub max: i32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<MaxPool2dI8Params>() as u32, output, rows, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<MaxPool2dI8Params>(params)?;
    pooled(inputs, p.window, p.stride, [p.pad_h, p.pad_w], [p.min, p.max])
}

/// The output of a pool of 8-bit integers.
pub(crate) fn pooled(
    inputs: &[TensorType],
    window: [u32; 2],
    stride: [u32; 2],
    pad: [[u32; 2]; 2],
    [min, max]: [i32; 2],
) -> Result<TensorType, Misfit> {
    OutputI8 { zero_point: 0, min, max }.valid()?;
    let [x] = inputs_of(inputs, [DType::I8])?;
    let [h, w] = window;
    // Sums of that many differences of bytes fit 32 bits.
    if u64::from(h) * u64::from(w) > 1 << 22 {
        return Err(Misfit::Params);
    }
    Ok(TensorType { dtype: DType::I8, shape: pooled_shape(x, window, stride, pad)? })
}

fn rows(params: &[u8], inputs: &[TensorType], y: &TensorType) -> Option<RowWise> {
    let MaxPool2dI8Params { window: [taps, _], stride: [stride, _], pad_h: [pad, _], .. } =
        read(params).ok()?;
    RowWise::windows(inputs.first()?, y, taps, stride, 1, pad)
}
