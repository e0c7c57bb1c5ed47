//! Power.

use super::{Operator, binary};
use flatpack_format::OpCode;
use tract_core::ops::math::pow;

/// The operator.
pub const OPERATOR: Operator =
    binary::operator(OpCode::Pow, |r, _, node, inputs| binary::clamped(r, node, pow(), inputs));
