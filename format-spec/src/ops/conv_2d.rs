//! 2-D convolution: x `[N, H, W, C]`, w `[O, KH, KW, C / groups]`, bias `[O]` (may be absent)
//! → y `[N, OH, OW, O]`.

use super::{Clamp, PLAIN, Weighted, read, window_positions};
use crate::op::{Misfit, OpRule};
use crate::rows::RowWise;
use crate::shape::Shape;
use crate::tensor::{DType, Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `conv_2d`: 44 bytes. Pairs are height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct Conv2dParams {
    /// Input positions between neighbouring outputs, at least 1.
    pub stride: [u32; 2],
    /// Input positions between neighbouring taps, at least 1.
    pub dilation: [u32; 2],
    /// Zeros before the first and after the last row.
    pub pad_h: [u32; 2],
    /// Zeros before the first and after the last column.
    pub pad_w: [u32; 2],
    /// Input channels and outputs are split into this many independent convolutions.
    pub groups: u32,
    /// Bounds on y.
    pub clamp: Clamp,
}

impl Conv2dParams {
    /// Windows of one tap, one for each pixel.
    pub const POINTS: Self = Self {
        stride: [1; 2],
        dilation: [1; 2],
        pad_h: [0; 2],
        pad_w: [0; 2],
        groups: 1,
        clamp: Clamp::NONE,
    };
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<Conv2dParams>() as u32,
    output: |params, inputs| output(params, inputs, DType::F32),
    macs,
    rows,
    packed,
    ..PLAIN
};

/// Only weights of one group are packed.
fn packed(params: &[u8]) -> &'static [Layout] {
    match read::<Conv2dParams>(params) {
        Ok(p) if p.groups == 1 => &[Layout::Panel16],
        _ => &[],
    }
}

/// The rule for weights of type `dtype`.
pub(crate) fn output(params: &[u8], inputs: &[TensorType], dtype: DType) -> Result<TensorType, Misfit> {
    let p = read::<Conv2dParams>(params)?;
    p.clamp.valid()?;
    let weighted = Weighted::of(inputs, dtype)?;
    let (x, w) = (weighted.x, weighted.w);
    let (&[n, h, width, c], &[o, kh, kw, depth]) = (x.dims(), w.dims()) else {
        return Err(Misfit::Rank(if x.rank() == 4 { 1 } else { 0 }));
    };
    if depth.checked_mul(p.groups) != Some(c) || o.checked_rem(p.groups) != Some(0) || depth == 0 {
        return Err(Misfit::Shape(1));
    }
    weighted.check_outputs(o)?;
    let [sh, sw] = p.stride;
    let [dh, dw] = p.dilation;
    let oh = window_positions(h, kh, sh, dh, p.pad_h)?;
    let ow = window_positions(width, kw, sw, dw, p.pad_w)?;
    Shape::new(&[n, oh, ow, o]).map(TensorType::f32).ok_or(Misfit::Overflow)
}

fn rows(params: &[u8], inputs: &[TensorType], y: &TensorType) -> Option<RowWise> {
    let Conv2dParams { stride, dilation, pad_h, pad_w, groups, .. } = read(params).ok()?;
    rows_of(inputs, y, stride, dilation, [pad_h, pad_w], groups)
}

/// Where the window is one tap, it is each pixel by itself.
pub(crate) fn rows_of(
    inputs: &[TensorType],
    y: &TensorType,
    stride: [u32; 2],
    dilation: [u32; 2],
    pad: [[u32; 2]; 2],
    groups: u32,
) -> Option<RowWise> {
    let (x, w) = (inputs.first()?, inputs.get(1)?);
    let &[_, kh, kw, _] = w.shape.dims() else { return None };
    if ([kh, kw], stride, pad, groups) == ([1; 2], [1; 2], [[0; 2]; 2], 1) {
        return RowWise::points(x, y);
    }
    let ([stride, _], [dilation, _], [[pad, _], _]) = (stride, dilation, pad);
    RowWise::windows(x, y, kh, stride, dilation, pad)
}

fn macs(_: &[u8], inputs: &[TensorType], y: &TensorType) -> u64 {
    let depth = inputs.get(1).and_then(|w| w.shape.around(0)).map_or(0, |(_, _, depth)| depth);
    u64::from(y.shape.len().unwrap_or(0)) * u64::from(depth)
}
