//! Exponential.

use super::{Operator, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::exp;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Exp, |r, _, _, inputs| r.wire(exp(), inputs));
