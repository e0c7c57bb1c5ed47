//! The next whole number below.

use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::floor;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Floor,
    |r, _, _, inputs| r.wire(floor(), inputs),
    |graph, node| lookup::of_reals(graph, node, libm::floor),
);
