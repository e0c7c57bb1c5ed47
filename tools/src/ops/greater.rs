//! Whether one is greater than another: 1 or 0.

use super::{Operator, binary};
use flatpack_format::OpCode;
use tract_core::ops::logic::comp_gt;

/// The operator.
pub const OPERATOR: Operator =
    binary::operator(OpCode::Greater, |r, _, node, inputs| binary::compared(r, node, comp_gt(), inputs));
