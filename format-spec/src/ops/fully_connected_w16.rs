//! Fully connected with weights of binary16: x `[…, I]`, w `[O, I]`, bias `[O]` (may be absent) →
//! y `[…, O]`.

use crate::op::OpRule;
use crate::tensor::DType;

pub use super::fully_connected::FullyConnectedParams;

/// See the module.
pub const RULE: OpRule = OpRule {
    output: |params, inputs| super::fully_connected::output(params, inputs, DType::F16),
    ..super::fully_connected::RULE
};
