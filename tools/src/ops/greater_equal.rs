//! Whether one is at least another: 1 or 0.

use super::{Operator, binary};
use flatpack_format::OpCode;
use tract_core::ops::logic::comp_gte;

/// The operator.
pub const OPERATOR: Operator = binary::operator(OpCode::GreaterEqual, |r, _, node, inputs| {
    binary::compared(r, node, comp_gte(), inputs)
});
