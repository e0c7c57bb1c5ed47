//! Natural logarithm.

use super::{Operator, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::ln;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Log, |r, _, _, inputs| r.wire(ln(), inputs));
