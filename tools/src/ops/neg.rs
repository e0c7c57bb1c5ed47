//! Negation.

use super::{Operator, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::neg;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Neg, |r, _, _, inputs| r.wire(neg(), inputs));
