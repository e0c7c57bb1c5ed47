//! Square root.

use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use tract_core::ops::math::sqrt;

/// The operator.
pub const OPERATOR: Operator =
    unary::operator(OpCode::Sqrt, |r, _, _, inputs| r.wire(sqrt(), inputs), integer);

/// As TensorFlow Lite's kernel, which rounds towards zero; below zero, where that stops, as at zero.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let [x, y] = lookup::quants(graph, node)?;
    lookup::of_steps(graph, node, |steps| {
        let real = x.scale() * steps.max(0) as f32;
        (libm::sqrtf(real) / y.scale()) as i64
    })
}
