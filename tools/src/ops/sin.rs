//! Sine.

use super::{Operator, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::sin;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Sin, |r, _, _, inputs| r.wire(sin(), inputs));
