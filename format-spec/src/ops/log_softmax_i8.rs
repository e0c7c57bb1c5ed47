//! Logarithm of softmax of 8-bit integers along one axis, in fixed point. The output has zero point 127
//! and scale 1/16.

use super::{Multiplier, PLAIN, inputs_of, read};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `log_softmax_i8`: 24 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct LogSoftmaxI8Params {
    /// The axis that is normalised.
    pub axis: u32,
    /// What a difference from the largest element is multiplied by to be a number with 26 bits after
    /// the point.
    pub multiplier: Multiplier,
    /// The reverse: what such a number is multiplied by to be a difference.
    pub reverse: Multiplier,
    /// The least difference from the largest element, 0 or negative, whose exponential counts.
    pub diff_min: i32,
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<LogSoftmaxI8Params>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let LogSoftmaxI8Params { axis, multiplier, reverse, diff_min } = read(params)?;
    let [&x] = inputs_of(inputs, [DType::I8])?;
    let (_, len, _) = x.around(axis as usize).ok_or(Misfit::Params)?;
    if !multiplier.valid() || !reverse.valid() || diff_min > 0 {
        return Err(Misfit::Params);
    }
    if len == 0 {
        return Err(Misfit::Shape(0));
    }
    Ok(TensorType { dtype: DType::I8, shape: x })
}
