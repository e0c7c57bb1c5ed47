//! Whether two are equal: 1 or 0.

use super::{Operator, binary};
use flatpack_format::OpCode;
use tract_core::ops::logic::comp_eq;

/// The operator.
pub const OPERATOR: Operator =
    binary::operator(OpCode::Equal, |r, _, node, inputs| binary::compared(r, node, comp_eq(), inputs));
