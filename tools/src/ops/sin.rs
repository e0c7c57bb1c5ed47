//! Sine.

use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::sin;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Sin,
    |r, _, _, inputs| r.wire(sin(), inputs),
    |graph, node| lookup::of_reals(graph, node, libm::sin),
);
