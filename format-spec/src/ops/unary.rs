//! Operators that map each element, without parameters: x → y.

use super::{f32_inputs, no_macs, no_rows};
use crate::op::{Misfit, OpRule};
use crate::tensor::TensorType;

/// One float32 input of any shape; the output has the same type.
pub const RULE: OpRule = OpRule { params_bytes: 0, output, macs: no_macs, rows: no_rows };

pub(crate) fn output(_: &[u8], inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    f32_inputs::<1>(inputs).map(|[x]| TensorType::f32(x))
}
