//! Gauss' error function.

use super::{Operator, lookup, unary};
use crate::reference::Erf;
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Erf,
    |r, _, _, inputs| r.in_f64(inputs[0], |r, x| r.wire(Erf, &[x])),
    |graph, node| lookup::of_reals(graph, node, libm::erf),
);
