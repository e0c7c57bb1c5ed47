//! Continuously differentiable exponential linear unit.

use super::{Operator, unary};
use flatpack_format::OpCode;
use flatpack_format::ops::celu::CeluParams;
use tract_core::ops::math::{add, div, exp, max, min, mul, sub};

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Celu, |r, _, node, inputs| {
    let alpha: f64 = node.params::<CeluParams>().alpha.into();
    r.in_f64(inputs[0], |r, x| {
        let quotient = r.with_scalar(div(), x, alpha)?;
        let power = r.wire(exp(), &[quotient])?;
        let difference = r.with_scalar(sub(), power, 1.0)?;
        let scaled = r.with_scalar(mul(), difference, alpha)?;
        let below = r.with_scalar(min(), scaled, 0.0)?;
        let above = r.with_scalar(max(), x, 0.0)?;
        r.binary(add(), &[above, below])
    })
});
