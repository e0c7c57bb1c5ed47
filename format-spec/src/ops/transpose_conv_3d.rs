//! Transposed 3-D convolution: x `[N, D, H, W, C]`, w `[O, KD, KH, KW, C]`, bias `[O]` (may be
//! absent) → y `[N, OD, OH, OW, O]`. See [`super::transpose_conv_2d`] for sizes.

use super::transpose_conv_2d::check_transposed;
use super::{Clamp, PLAIN, check_bias, f32_inputs_and_bias, read};
use crate::op::{Misfit, OpRule};
use crate::shape::Shape;
use crate::tensor::{Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `transpose_conv_3d`: 56 bytes. Triples are depth, height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct TransposeConv3dParams {
    /// Output positions between neighbouring inputs, at least 1.
    pub stride: [u32; 3],
    /// Output positions between neighbouring taps, at least 1.
    pub dilation: [u32; 3],
    /// Positions taken off before the first of each axis.
    pub crop: [u32; 3],
    /// Size of the output.
    pub output: [u32; 3],
    /// Bounds on y.
    pub clamp: Clamp,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<TransposeConv3dParams>() as u32,
    output,
    macs,
    packed: |_| &[Layout::Panel16],
    ..PLAIN
};

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<TransposeConv3dParams>(params)?;
    p.clamp.valid()?;
    let ([x, w], bias) = f32_inputs_and_bias(inputs)?;
    let (&[n, d, h, width, c], &[o, kd, kh, kw, depth]) = (x.dims(), w.dims()) else {
        return Err(Misfit::Rank(if x.rank() == 5 { 1 } else { 0 }));
    };
    if depth != c {
        return Err(Misfit::Shape(1));
    }
    check_bias(bias, o, 2)?;
    let axes = [(d, kd), (h, kh), (width, kw)];
    let sizes = p.stride.iter().zip(&p.dilation).zip(&p.crop).zip(&p.output);
    for ((input, window), (((stride, dilation), crop), output)) in axes.into_iter().zip(sizes) {
        check_transposed(input, window, *stride, *dilation, *crop, *output)?;
    }
    let [od, oh, ow] = p.output;
    Shape::new(&[n, od, oh, ow, o]).map(TensorType::f32).ok_or(Misfit::Overflow)
}

fn macs(_: &[u8], inputs: &[TensorType], _: &TensorType) -> u64 {
    let [x, w, ..] = inputs else { return 0 };
    let per_channel = w.shape.around(4).map_or(0, |(outputs_and_taps, _, _)| outputs_and_taps);
    u64::from(x.shape.len().unwrap_or(0)) * u64::from(per_channel)
}
