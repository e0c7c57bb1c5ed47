//! 2-D convolution of 8-bit integers: x `[N, H, W, C]`, w `[O, KH, KW, C / groups]`, bias `[O]`,
//! requant `[O or 1, 2]` → y `[N, OH, OW, O]`.

use super::{
    OutputI8, PLAIN, WEIGHTED_I8, check_requant, inputs_of, read, window_positions, zero_point_valid,
};
use crate::op::{Misfit, OpRule};
use crate::rows::RowWise;
use crate::shape::Shape;
use crate::tensor::{DType, Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `conv_2d_i8`: 56 bytes. Pairs are height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct Conv2dI8Params {
    /// Input positions between neighbouring outputs, at least 1.
    pub stride: [u32; 2],
    /// Input positions between neighbouring taps, at least 1.
    pub dilation: [u32; 2],
    /// Positions before the first and after the last row.
    pub pad_h: [u32; 2],
    /// Positions before the first and after the last column.
    pub pad_w: [u32; 2],
    /// Input channels and outputs are split into this many independent convolutions.
    pub groups: u32,
    /// The integer that stands for zero in x.
    pub x_zero_point: i32,
    /// The integer that stands for zero in w.
    pub w_zero_point: i32,
    /// What happens to a sum once it is multiplied.
    pub y: OutputI8,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<Conv2dI8Params>() as u32,
    output,
    macs: |params, inputs, y| (super::conv_2d::RULE.macs)(params, inputs, y),
    rows,
    packed,
    multipliers: Some(3),
    ..PLAIN
};

/// Only weights of one group are packed.
fn packed(params: &[u8]) -> &'static [Layout] {
    match read::<Conv2dI8Params>(params) {
        Ok(p) if p.groups == 1 => &[Layout::Pairs, Layout::Panel16x4],
        _ => &[],
    }
}

fn rows(params: &[u8], inputs: &[TensorType], y: &TensorType) -> Option<RowWise> {
    let Conv2dI8Params { stride, dilation, pad_h, pad_w, groups, .. } = read(params).ok()?;
    super::conv_2d::rows_of(inputs, y, stride, dilation, [pad_h, pad_w], groups)
}

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<Conv2dI8Params>(params)?;
    p.y.valid()?;
    zero_point_valid(p.x_zero_point)?;
    zero_point_valid(p.w_zero_point)?;
    let [x, w, bias, requant] = inputs_of(inputs, WEIGHTED_I8)?;
    let (&[n, h, width, c], &[o, kh, kw, depth]) = (x.dims(), w.dims()) else {
        return Err(Misfit::Rank(if x.rank() == 4 { 1 } else { 0 }));
    };
    if depth.checked_mul(p.groups) != Some(c) || o.checked_rem(p.groups) != Some(0) || depth == 0 {
        return Err(Misfit::Shape(1));
    }
    check_requant([bias, requant], o)?;
    let [sh, sw] = p.stride;
    let [dh, dw] = p.dilation;
    let oh = window_positions(h, kh, sh, dh, p.pad_h)?;
    let ow = window_positions(width, kw, sw, dw, p.pad_w)?;
    let shape = Shape::new(&[n, oh, ow, o]).ok_or(Misfit::Overflow)?;
    Ok(TensorType { dtype: DType::I8, shape })
}
