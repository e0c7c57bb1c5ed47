//! 3-D convolution: x `[N, D, H, W, C]`, w `[O, KD, KH, KW, C / groups]`, bias `[O]` (may be
//! absent) → y `[N, OD, OH, OW, O]`.

use super::{Clamp, PLAIN, check_bias, f32_inputs_and_bias, read, window_positions};
use crate::op::{Misfit, OpRule};
use crate::shape::Shape;
use crate::tensor::{Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `conv_3d`: 60 bytes. Triples are depth, height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct Conv3dParams {
    /// Input positions between neighbouring outputs, at least 1.
    pub stride: [u32; 3],
    /// Input positions between neighbouring taps, at least 1.
    pub dilation: [u32; 3],
    /// Zeros before the first and after the last position of each axis.
    pub pad: [[u32; 2]; 3],
    /// Input channels and outputs are split into this many independent convolutions.
    pub groups: u32,
    /// Bounds on y.
    pub clamp: Clamp,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<Conv3dParams>() as u32, output, macs, packed, ..PLAIN };

/// Only weights of one group are packed.
fn packed(params: &[u8]) -> &'static [Layout] {
    match read::<Conv3dParams>(params) {
        Ok(p) if p.groups == 1 => &[Layout::Panel16],
        _ => &[],
    }
}

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<Conv3dParams>(params)?;
    p.clamp.valid()?;
    let ([x, w], bias) = f32_inputs_and_bias(inputs)?;
    let (&[n, d, h, width, c], &[o, kd, kh, kw, depth]) = (x.dims(), w.dims()) else {
        return Err(Misfit::Rank(if x.rank() == 5 { 1 } else { 0 }));
    };
    if depth.checked_mul(p.groups) != Some(c) || o.checked_rem(p.groups) != Some(0) || depth == 0 {
        return Err(Misfit::Shape(1));
    }
    check_bias(bias, o, 2)?;
    let [sd, sh, sw] = p.stride;
    let [dd, dh, dw] = p.dilation;
    let [pad_d, pad_h, pad_w] = p.pad;
    let od = window_positions(d, kd, sd, dd, pad_d)?;
    let oh = window_positions(h, kh, sh, dh, pad_h)?;
    let ow = window_positions(width, kw, sw, dw, pad_w)?;
    Shape::new(&[n, od, oh, ow, o]).map(TensorType::f32).ok_or(Misfit::Overflow)
}

fn macs(_: &[u8], inputs: &[TensorType], y: &TensorType) -> u64 {
    let depth = inputs.get(1).and_then(|w| w.shape.around(0)).map_or(0, |(_, _, depth)| depth);
    u64::from(y.shape.len().unwrap_or(0)) * u64::from(depth)
}
