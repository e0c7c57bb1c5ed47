//! Leaky rectifier.

use super::weighted_i8::multiplied;
use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::leaky_relu::LeakyReluParams;
use tract_core::ops::logic::comp_gte;
use tract_core::ops::math::mul;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::LeakyRelu,
    |r, _, node, inputs| {
        let x = inputs[0];
        let below = r.with_scalar(mul(), x, node.params::<LeakyReluParams>().alpha.into())?;
        let zero = r.scalar_like(x, 0.0)?;
        r.select(comp_gte(), [x, zero], [x, below])
    },
    integer,
);

/// As TensorFlow Lite's kernel.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let LeakyReluParams { alpha } = node.params();
    let [x, y] = lookup::quants(graph, node)?;
    let identity = lookup::multiplier(x.real_scale() / y.real_scale())?;
    let below = x.real_scale() * f64::from(alpha) / y.real_scale();
    let sign = if below < 0.0 { -1 } else { 1 };
    let below = lookup::multiplier(below.abs())?;
    lookup::of_steps(graph, node, |steps| {
        if steps >= 0 { multiplied(steps, identity) } else { sign * multiplied(steps, below) }
    })
}
