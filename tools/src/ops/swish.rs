//! Swish: `x · logistic(x)`.

use super::logistic::{logistic, logistic_of};
use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::mul;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Swish,
    |r, _, _, inputs| {
        r.in_f64(inputs[0], |r, x| {
            let gate = logistic(r, x)?;
            r.binary(mul(), &[x, gate])
        })
    },
    |graph, node| lookup::of_reals(graph, node, |x| x * logistic_of(x)),
);
