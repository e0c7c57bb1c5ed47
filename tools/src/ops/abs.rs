//! Magnitude.

use super::weighted_i8::multiplied;
use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use tract_core::ops::math::abs;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Abs, |r, _, _, inputs| r.wire(abs(), inputs), integer);

/// As TensorFlow Lite's kernel.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let [x, y] = lookup::quants(graph, node)?;
    let by = lookup::multiplier(x.real_scale() / y.real_scale())?;
    lookup::of_steps(graph, node, |steps| multiplied(steps.abs(), by))
}
