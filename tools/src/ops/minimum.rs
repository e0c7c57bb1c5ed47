//! The lesser of two.

use super::{Operator, OutputScale, binary, minimum_i8};
use flatpack_format::OpCode;
use tract_core::ops::math::min;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(minimum_i8::from_reals),
    scale: OutputScale::OfInputs,
    ..binary::operator(OpCode::Minimum, |r, _, node, inputs| binary::clamped(r, node, min(), inputs))
};
