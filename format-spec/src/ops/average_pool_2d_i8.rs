//! 2-D average pooling of 8-bit integers: x `[N, H, W, C]` → y `[N, OH, OW, C]`; see
//! [`super::average_pool_2d`].

use super::max_pool_2d_i8::pooled;
use super::{PLAIN, read, zero_point_valid};
use crate::op::{Misfit, OpRule};
use crate::rows::RowWise;
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of `average_pool_2d_i8`: 44 bytes. Pairs are height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct AveragePool2dI8Params {
    /// Size of the window, at least 1; at most 2²² elements.
    pub window: [u32; 2],
    /// Input positions between neighbouring outputs, at least 1.
    pub stride: [u32; 2],
    /// Positions before the first and after the last row; fewer than the window has.
    pub pad_h: [u32; 2],
    /// Positions before the first and after the last column; fewer than the window has.
    pub pad_w: [u32; 2],
    /// The integer from which halves are rounded away: 0, or −128 where the integers are what was
    /// rounded as unsigned.
    pub origin: i32,
    /// Lower bound on y.
    pub min: i32,
    /// Upper bound on y.
    pub max: i32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<AveragePool2dI8Params>() as u32, output, rows, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<AveragePool2dI8Params>(params)?;
    zero_point_valid(p.origin)?;
    pooled(inputs, p.window, p.stride, [p.pad_h, p.pad_w], [p.min, p.max])
}

fn rows(params: &[u8], inputs: &[TensorType], y: &TensorType) -> Option<RowWise> {
    let AveragePool2dI8Params { window: [taps, _], stride: [stride, _], pad_h: [pad, _], .. } =
        read(params).ok()?;
    RowWise::windows(inputs.first()?, y, taps, stride, 1, pad)
}
