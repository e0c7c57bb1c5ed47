//! Quotient.

use super::{Operator, binary, div_i8};
use flatpack_format::OpCode;
use tract_core::ops::math::div;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(div_i8::from_reals),
    ..binary::operator(OpCode::Div, |r, _, node, inputs| binary::clamped(r, node, div(), inputs))
};
