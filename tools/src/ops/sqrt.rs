//! Square root.

use super::{Operator, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::sqrt;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Sqrt, |r, _, _, inputs| r.wire(sqrt(), inputs));
