//! Transposed 2-D convolution: x `[N, H, W, C]`, w `[O, KH, KW, C]`, bias `[O]` (may be absent)
//! → y `[N, OH, OW, O]`.
//!
//! Every input element adds its multiple of the filter to the output, `stride` apart; `crop`
//! takes rows and columns off the result, `extend` adds some that only the bias reaches:
//! `OH = (H − 1) · stride + (KH − 1) · dilation + 1 − crop + extend`.

use super::{Clamp, PLAIN, Weighted, read};
use crate::op::{Misfit, OpRule};
use crate::shape::Shape;
use crate::tensor::{DType, Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `transpose_conv_2d`: 40 bytes. Pairs are height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct TransposeConv2dParams {
    /// Output positions between neighbouring inputs, at least 1.
    pub stride: [u32; 2],
    /// Output positions between neighbouring taps, at least 1.
    pub dilation: [u32; 2],
    /// Rows and columns taken off before the first.
    pub crop: [u32; 2],
    /// Size of the output: any that is reached from there, or more.
    pub output: [u32; 2],
    /// Bounds on y.
    pub clamp: Clamp,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<TransposeConv2dParams>() as u32,
    output: |params, inputs| output(params, inputs, DType::F32),
    macs,
    packed: |_| &[Layout::Panel16],
    ..PLAIN
};

/// The rule for weights of type `dtype`.
pub(crate) fn output(params: &[u8], inputs: &[TensorType], dtype: DType) -> Result<TensorType, Misfit> {
    let p = read::<TransposeConv2dParams>(params)?;
    p.clamp.valid()?;
    let weighted = Weighted::of(inputs, dtype)?;
    let (x, w) = (weighted.x, weighted.w);
    let (&[n, h, width, c], &[o, kh, kw, depth]) = (x.dims(), w.dims()) else {
        return Err(Misfit::Rank(if x.rank() == 4 { 1 } else { 0 }));
    };
    if depth != c {
        return Err(Misfit::Shape(1));
    }
    weighted.check_outputs(o)?;
    let [sh, sw] = p.stride;
    let [dh, dw] = p.dilation;
    let [crop_h, crop_w] = p.crop;
    let [oh, ow] = p.output;
    check_transposed(h, kh, sh, dh, crop_h, oh)?;
    check_transposed(width, kw, sw, dw, crop_w, ow)?;
    Shape::new(&[n, oh, ow, o]).map(TensorType::f32).ok_or(Misfit::Overflow)
}

/// One axis of a transposed convolution: all its positions are counted in i32 by the kernels.
pub(crate) fn check_transposed(
    input: u32,
    window: u32,
    stride: u32,
    dilation: u32,
    crop: u32,
    output: u32,
) -> Result<(), Misfit> {
    const LIMIT: u64 = i32::MAX as u64 / 4;
    if stride == 0 || dilation == 0 || window == 0 || input == 0 || output == 0 {
        return Err(Misfit::Params);
    }
    let last_input = u64::from(input - 1) * u64::from(stride);
    let last_tap = u64::from(window - 1) * u64::from(dilation);
    let full = last_input.saturating_add(last_tap).saturating_add(1);
    if full > LIMIT || u64::from(crop) > LIMIT || u64::from(output) > LIMIT {
        return Err(Misfit::Overflow);
    }
    Ok(())
}

fn macs(_: &[u8], inputs: &[TensorType], _: &TensorType) -> u64 {
    let [x, w, ..] = inputs else { return 0 };
    let per_channel = w.shape.around(3).map_or(0, |(outputs_and_taps, _, _)| outputs_and_taps);
    u64::from(x.shape.len().unwrap_or(0)) * u64::from(per_channel)
}
