//! Product.

use super::{Operator, binary};
use flatpack_format::OpCode;
use tract_core::ops::math::mul;

/// The operator.
pub const OPERATOR: Operator =
    binary::operator(OpCode::Mul, |r, _, node, inputs| binary::clamped(r, node, mul(), inputs));
