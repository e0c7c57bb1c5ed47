//! Negation.

use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::neg;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Neg,
    |r, _, _, inputs| r.wire(neg(), inputs),
    |graph, node| lookup::of_reals(graph, node, |x| -x),
);
