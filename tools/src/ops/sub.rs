//! Difference.

use super::{Operator, binary};
use flatpack_format::OpCode;
use tract_core::ops::math::sub;

/// The operator.
pub const OPERATOR: Operator =
    binary::operator(OpCode::Sub, |r, _, node, inputs| binary::clamped(r, node, sub(), inputs));
