//! Depthwise 2-D convolution: x `[N, H, W, C]`, w `[KH, KW, O]`, bias `[O]` (may be absent)
//! → y `[N, OH, OW, O]`, where `O = C · multiplier` and output `o` reads channel `o / multiplier`.

use super::{Clamp, PLAIN, Weighted, read, window_positions};
use crate::op::{Misfit, OpRule};
use crate::rows::RowWise;
use crate::shape::Shape;
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `depthwise_conv_2d`: 40 bytes. Pairs are height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct DepthwiseConv2dParams {
    /// Input positions between neighbouring outputs, at least 1.
    pub stride: [u32; 2],
    /// Input positions between neighbouring taps, at least 1.
    pub dilation: [u32; 2],
    /// Zeros before the first and after the last row.
    pub pad_h: [u32; 2],
    /// Zeros before the first and after the last column.
    pub pad_w: [u32; 2],
    /// Bounds on y.
    pub clamp: Clamp,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<DepthwiseConv2dParams>() as u32,
    output: |params, inputs| output(params, inputs, DType::F32),
    macs,
    rows,
    ..PLAIN
};

/// The rule for weights of type `dtype`.
pub(crate) fn output(params: &[u8], inputs: &[TensorType], dtype: DType) -> Result<TensorType, Misfit> {
    let p = read::<DepthwiseConv2dParams>(params)?;
    p.clamp.valid()?;
    let weighted = Weighted::of(inputs, dtype)?;
    let (x, w) = (weighted.x, weighted.w);
    let (&[n, h, width, c], &[kh, kw, o]) = (x.dims(), w.dims()) else {
        return Err(Misfit::Rank(if x.rank() == 4 { 1 } else { 0 }));
    };
    if o.checked_rem(c) != Some(0) {
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
    let DepthwiseConv2dParams { stride: [stride, _], dilation: [dilation, _], pad_h: [pad, _], .. } =
        read(params).ok()?;
    let &[kh, _, _] = inputs.get(1)?.shape.dims() else { return None };
    RowWise::windows(inputs.first()?, y, kh, stride, dilation, pad)
}

fn macs(_: &[u8], inputs: &[TensorType], y: &TensorType) -> u64 {
    let taps = inputs.get(1).map_or(0, |w| u64::from(w.shape.dim(0)) * u64::from(w.shape.dim(1)));
    u64::from(y.shape.len().unwrap_or(0)).saturating_mul(taps)
}
