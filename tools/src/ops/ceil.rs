//! The next whole number above.

use super::{Operator, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::ceil;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Ceil, |r, _, _, inputs| r.wire(ceil(), inputs));
