//! Mish: `x · tanh(ln(1 + eˣ))`.
//!
//! With `n = eˣ · (eˣ + 2)` the factor is `n / (n + 2)`; from x = 50 on it is 1 in float64.

use super::softplus::softplus;
use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::{add, div, exp, min, mul};

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Mish,
    |r, _, _, inputs| {
        r.in_f64(inputs[0], |r, x| {
            let bounded = r.with_scalar(min(), x, 50.0)?;
            let power = r.wire(exp(), &[bounded])?;
            let sum = r.with_scalar(add(), power, 2.0)?;
            let n = r.binary(mul(), &[power, sum])?;
            let n_plus_2 = r.with_scalar(add(), n, 2.0)?;
            let factor = r.binary(div(), &[n, n_plus_2])?;
            r.binary(mul(), &[x, factor])
        })
    },
    |graph, node| lookup::of_reals(graph, node, |x| x * libm::tanh(softplus(x))),
);
