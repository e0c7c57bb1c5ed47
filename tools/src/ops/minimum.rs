//! The lesser of two.

use super::{Operator, OutputScale, binary};
use flatpack_format::OpCode;
use tract_core::ops::math::min;

/// The operator.
pub const OPERATOR: Operator = Operator {
    scale: OutputScale::OfInputs,
    ..binary::operator(OpCode::Minimum, |r, _, node, inputs| binary::clamped(r, node, min(), inputs))
};
