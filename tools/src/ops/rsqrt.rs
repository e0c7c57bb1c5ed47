//! Reciprocal of the square root.

use super::{Operator, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::rsqrt;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Rsqrt, |r, _, _, inputs| r.wire(rsqrt(), inputs));
