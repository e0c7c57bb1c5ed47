//! Difference.

use super::{Operator, binary, sub_i8};
use flatpack_format::OpCode;
use tract_core::ops::math::sub;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(sub_i8::from_reals),
    ..binary::operator(OpCode::Sub, |r, _, node, inputs| binary::clamped(r, node, sub(), inputs))
};
