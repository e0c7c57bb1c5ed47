//! Square.

use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::square;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Square,
    |r, _, _, inputs| r.wire(square(), inputs),
    |graph, node| lookup::of_reals(graph, node, |x| x * x),
);
