//! Transposed 2-D convolution of 8-bit integers: x `[N, H, W, C]`, w `[O, KH, KW, C]`, bias `[O]`,
//! requant `[O or 1, 2]` → y `[N, OH, OW, O]`; see [`super::transpose_conv_2d`].

use super::transpose_conv_2d::check_transposed;
use super::{OutputI8, PLAIN, WEIGHTED_I8, check_requant, inputs_of, read, zero_point_valid};
use crate::op::{Misfit, OpRule};
use crate::shape::Shape;
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `transpose_conv_2d_i8`: 52 bytes. Pairs are height, width.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct TransposeConv2dI8Params {
    /// Output positions between neighbouring inputs, at least 1.
    pub stride: [u32; 2],
    /// Output positions between neighbouring taps, at least 1.
    pub dilation: [u32; 2],
    /// Rows and columns taken off before the first.
    pub crop: [u32; 2],
    /// Size of the output: any that is reached from there, or more.
    pub output: [u32; 2],
    /// The integer that stands for zero in x.
    pub x_zero_point: i32,
    /// The integer that stands for zero in w.
    pub w_zero_point: i32,
    /// What happens to a sum once it is multiplied.
    pub y: OutputI8,
}

/// See the module.
pub const RULE: OpRule = OpRule {
    params_bytes: size_of::<TransposeConv2dI8Params>() as u32,
    output,
    macs: |params, inputs, y| (super::transpose_conv_2d::RULE.macs)(params, inputs, y),
    multipliers: Some(3),
    ..PLAIN
};

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<TransposeConv2dI8Params>(params)?;
    p.y.valid()?;
    zero_point_valid(p.x_zero_point)?;
    zero_point_valid(p.w_zero_point)?;
    let [x, w, bias, requant] = inputs_of(inputs, WEIGHTED_I8)?;
    let (&[n, h, width, c], &[o, kh, kw, depth]) = (x.dims(), w.dims()) else {
        return Err(Misfit::Rank(if x.rank() == 4 { 1 } else { 0 }));
    };
    if depth != c {
        return Err(Misfit::Shape(1));
    }
    check_requant([bias, requant], o)?;
    let [sh, sw] = p.stride;
    let [dh, dw] = p.dilation;
    let [crop_h, crop_w] = p.crop;
    let [oh, ow] = p.output;
    check_transposed(h, kh, sh, dh, crop_h, oh)?;
    check_transposed(width, kw, sw, dw, crop_w, ow)?;
    let shape = Shape::new(&[n, oh, ow, o]).ok_or(Misfit::Overflow)?;
    Ok(TensorType { dtype: DType::I8, shape })
}
