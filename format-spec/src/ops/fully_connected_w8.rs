//! Fully connected with weights of 8-bit integers: x `[…, I]`, w `[O, I]`, scales `[O]` or `[1]`,
//! bias `[O]` (may be absent) → y `[…, O]`.

use crate::op::OpRule;
use crate::tensor::DType;

pub use super::fully_connected::FullyConnectedParams;

/// See the module.
pub const RULE: OpRule = OpRule {
    output: |params, inputs| super::fully_connected::output(params, inputs, DType::I8),
    ..super::fully_connected::RULE
};
