//! Rows of a table of 8-bit integers: x `[…]`, table `[R, …]`, scales `[R]` or `[1]` →
//! y `[…, …]`.

use crate::op::OpRule;
use crate::tensor::DType;

pub use super::gather::GatherParams;

/// See the module.
pub const RULE: OpRule = OpRule {
    output: |params, inputs| super::gather::output(params, inputs, DType::I8),
    ..super::gather::RULE
};
