//! Sum.

use super::{Operator, binary};
use flatpack_format::OpCode;
use tract_core::ops::math::add;

/// The operator.
pub const OPERATOR: Operator =
    binary::operator(OpCode::Add, |r, _, node, inputs| binary::clamped(r, node, add(), inputs));
