//! Product.

use super::{Operator, binary, mul_i8};
use flatpack_format::OpCode;
use tract_core::ops::math::mul;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(mul_i8::from_reals),
    ..binary::operator(OpCode::Mul, |r, _, node, inputs| binary::clamped(r, node, mul(), inputs))
};
