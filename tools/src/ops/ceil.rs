//! The next whole number above.

use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::ceil;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Ceil,
    |r, _, _, inputs| r.wire(ceil(), inputs),
    |graph, node| lookup::of_reals(graph, node, libm::ceil),
);
