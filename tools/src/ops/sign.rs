//! Sign: −1, 0 or 1.

use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::sign;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Sign,
    |r, _, _, inputs| r.wire(sign(), inputs),
    |graph, node| lookup::of_reals(graph, node, |x| if x == 0.0 { 0.0 } else { x.signum() }),
);
