//! The greater of two.

use super::{Operator, OutputScale, binary};
use flatpack_format::OpCode;
use tract_core::ops::math::max;

/// The operator.
pub const OPERATOR: Operator = Operator {
    scale: OutputScale::OfInputs,
    ..binary::operator(OpCode::Maximum, |r, _, node, inputs| binary::clamped(r, node, max(), inputs))
};
