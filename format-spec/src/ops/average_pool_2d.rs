//! 2-D average pooling: x `[N, H, W, C]` → y `[N, OH, OW, C]`. Padding does not count: each output
//! is the mean of the elements that its window covers.

use super::{Clamp, PLAIN, f32_inputs, read, window_positions};
use crate::op::{Misfit, OpRule};
use crate::rows::RowWise;
use crate::shape::Shape;
use crate::tensor::TensorType;
use bytemuck::{Pod, Zeroable};

/// Parameters of the 2-D pools: 40 bytes. Pairs are height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct Pool2dParams {
    /// Size of the window, at least 1.
    pub window: [u32; 2],
    /// Input positions between neighbouring outputs, at least 1.
    pub stride: [u32; 2],
    /// Positions before the first and after the last row; fewer than the window has.
    pub pad_h: [u32; 2],
    /// Positions before the first and after the last column; fewer than the window has.
    pub pad_w: [u32; 2],
    /// Bounds on y.
    pub clamp: Clamp,
}

/// See the module.
pub const RULE: OpRule = OpRule { params_bytes: size_of::<Pool2dParams>() as u32, output, rows, ..PLAIN };

pub(crate) fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<Pool2dParams>(params)?;
    p.clamp.valid()?;
    let [x] = f32_inputs(inputs)?;
    pooled_shape(&x, p.window, p.stride, [p.pad_h, p.pad_w]).map(TensorType::f32)
}

/// The shape of the output of a pool.
pub(crate) fn pooled_shape(
    x: &Shape,
    [wh, ww]: [u32; 2],
    [sh, sw]: [u32; 2],
    [pad_h, pad_w]: [[u32; 2]; 2],
) -> Result<Shape, Misfit> {
    let &[n, h, w, c] = x.dims() else { return Err(Misfit::Rank(0)) };
    // Every window covers at least one element.
    if pad_h.iter().any(|&pad| pad >= wh) || pad_w.iter().any(|&pad| pad >= ww) || h == 0 || w == 0 {
        return Err(Misfit::Params);
    }
    let oh = window_positions(h, wh, sh, 1, pad_h)?;
    let ow = window_positions(w, ww, sw, 1, pad_w)?;
    Shape::new(&[n, oh, ow, c]).ok_or(Misfit::Overflow)
}

pub(crate) fn rows(params: &[u8], inputs: &[TensorType], y: &TensorType) -> Option<RowWise> {
    let Pool2dParams { window: [taps, _], stride: [stride, _], pad_h: [pad, _], .. } = read(params).ok()?;
    RowWise::windows(inputs.first()?, y, taps, stride, 1, pad)
}
