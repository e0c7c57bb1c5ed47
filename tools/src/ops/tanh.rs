//! Hyperbolic tangent.

use super::{Operator, OutputScale, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::tanh;

/// The operator.
pub const OPERATOR: Operator = Operator {
    scale: OutputScale::Fixed { scale: 1.0 / 128.0, zero_point: 0 },
    ..unary::operator(OpCode::Tanh, |r, _, _, inputs| r.in_f64(inputs[0], |r, x| r.wire(tanh(), &[x])))
};
