//! Continuously differentiable exponential linear unit.

use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::celu::CeluParams;
use tract_core::ops::math::{add, div, exp, max, min, mul, sub};

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Celu,
    |r, _, node, inputs| {
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
    },
    integer,
);

fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let alpha = f64::from(node.params::<CeluParams>().alpha);
    lookup::of_reals(graph, node, |x| x.max(0.0) + (alpha * libm::expm1(x / alpha)).min(0.0))
}
