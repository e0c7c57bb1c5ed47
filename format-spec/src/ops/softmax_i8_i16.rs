//! Softmax of 8-bit integers along one axis, in fixed point, to 16 bits. The output has zero point −32768
//! and scale 1/65536. The parameters are those of `softmax_i8`.

use super::softmax_i8::{self, SoftmaxI8Params};
use crate::op::{Misfit, OpRule};
use crate::tensor::{DType, TensorType};

/// See the module.
pub const RULE: OpRule =
    OpRule { params_bytes: size_of::<SoftmaxI8Params>() as u32, output, in_place: 0, ..softmax_i8::RULE };

fn output(params: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    Ok(TensorType { dtype: DType::I16, ..(softmax_i8::RULE.output)(params, inputs)? })
}
