//! Hyperbolic tangent.

use super::{Operator, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::tanh;

/// The operator.
pub const OPERATOR: Operator =
    unary::operator(OpCode::Tanh, |r, _, _, inputs| r.in_f64(inputs[0], |r, x| r.wire(tanh(), &[x])));
