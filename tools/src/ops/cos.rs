//! Cosine.

use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::cos;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Cos,
    |r, _, _, inputs| r.wire(cos(), inputs),
    |graph, node| lookup::of_reals(graph, node, libm::cos),
);
