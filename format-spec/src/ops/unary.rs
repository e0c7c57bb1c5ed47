//! Operators that map each element, without parameters: x → y.

use super::{PLAIN, f32_inputs};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;

/// One float32 input of any shape; the output has the same type.
pub const RULE: OpRule = OpRule { output, in_place: 0b1, ..PLAIN };

pub(crate) fn output(_: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    f32_inputs::<1>(inputs).map(|[x]| TensorType::f32(x))
}
