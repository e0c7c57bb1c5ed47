//! Magnitude.

use super::{Operator, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::abs;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Abs, |r, _, _, inputs| r.wire(abs(), inputs));
