//! Rows of a table of binary16: x `[…]`, table `[R, …]` → y `[…, …]`.

use crate::op::OpRule;
use crate::tensor::DType;

pub use super::gather::GatherParams;

/// See the module.
pub const RULE: OpRule = OpRule {
    output: |params, inputs| super::gather::output(params, inputs, DType::F16),
    ..super::gather::RULE
};
