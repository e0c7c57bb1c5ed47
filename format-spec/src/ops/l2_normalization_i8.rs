//! L2 normalisation of 8-bit integers along neighbouring axes, in fixed point. The output has zero
//! point 0 and scale 1/128.

use super::mean::ReduceParams;
use super::{PLAIN, inputs_of, read, zero_point_valid};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// Parameters of `l2_normalization_i8`: 12 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct L2NormalizationI8Params {
    /// The first axis of the sum.
    pub axis: u32,
    /// Number of axes summed over, at least 1.
    pub axis_count: u32,
    /// The integer that stands for zero in x.
    pub x_zero_point: i32,
}

impl L2NormalizationI8Params {
    /// The sum of squares as a reduction.
    pub fn reduction(&self) -> ReduceParams {
        ReduceParams { axis: self.axis, axis_count: self.axis_count, keep_dims: 1 }
    }
}

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<L2NormalizationI8Params>() as u32, output, in_place: 0b1, ..PLAIN };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let p = read::<L2NormalizationI8Params>(params)?;
    zero_point_valid(p.x_zero_point)?;
    let [&x] = inputs_of(inputs, [DType::I8])?;
    if p.reduction().around(&x).is_none() || p.axis_count == 0 {
        return Err(Misfit::Params);
    }
    Ok(TensorType { dtype: DType::I8, shape: x })
}
