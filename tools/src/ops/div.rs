//! Quotient.

use super::{Operator, binary};
use flatpack_format::OpCode;
use tract_core::ops::math::div;

/// The operator.
pub const OPERATOR: Operator =
    binary::operator(OpCode::Div, |r, _, node, inputs| binary::clamped(r, node, div(), inputs));
