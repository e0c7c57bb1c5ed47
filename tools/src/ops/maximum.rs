//! The greater of two.

use super::{Operator, binary};
use flatpack_format::OpCode;
use tract_core::ops::math::max;

/// The operator.
pub const OPERATOR: Operator =
    binary::operator(OpCode::Maximum, |r, _, node, inputs| binary::clamped(r, node, max(), inputs));
