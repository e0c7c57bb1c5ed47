//! The greater of two.

use super::{Operator, OutputScale, binary, maximum_i8};
use flatpack_format::OpCode;
use tract_core::ops::math::max;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(maximum_i8::from_reals),
    scale: OutputScale::OfInputs,
    ..binary::operator(OpCode::Maximum, |r, _, node, inputs| binary::clamped(r, node, max(), inputs))
};
