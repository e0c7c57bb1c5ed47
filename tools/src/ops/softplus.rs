//! Softplus: `ln(1 + eˣ)`, as `max(x, 0) + ln(1 + e^−|x|)`.

use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::{abs, add, exp, ln, max, neg};

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Softplus,
    |r, _, _, inputs| {
        r.in_f64(inputs[0], |r, x| {
            let magnitude = r.wire(abs(), &[x])?;
            let minus = r.wire(neg(), &[magnitude])?;
            let power = r.wire(exp(), &[minus])?;
            let sum = r.with_scalar(add(), power, 1.0)?;
            let bend = r.wire(ln(), &[sum])?;
            let ramp = r.with_scalar(max(), x, 0.0)?;
            r.binary(add(), &[ramp, bend])
        })
    },
    |graph, node| lookup::of_reals(graph, node, softplus),
);

/// The formula.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}
