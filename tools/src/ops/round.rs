//! The nearest whole number; the even one of two.

use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::round_half_to_even;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Round,
    |r, _, _, inputs| r.wire(round_half_to_even(), inputs),
    |graph, node| lookup::of_reals(graph, node, libm::rint),
);
