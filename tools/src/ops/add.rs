//! Sum.

use super::{Operator, add_i8, binary};
use flatpack_format::OpCode;
use tract_core::ops::math::add;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(add_i8::from_reals),
    ..binary::operator(OpCode::Add, |r, _, node, inputs| binary::clamped(r, node, add(), inputs))
};
