//! Whether two differ: 1 or 0.

use super::{Operator, binary};
use flatpack_format::OpCode;
use tract_core::ops::logic::comp_ne;

/// The operator.
pub const OPERATOR: Operator =
    binary::operator(OpCode::NotEqual, |r, _, node, inputs| binary::compared(r, node, comp_ne(), inputs));
