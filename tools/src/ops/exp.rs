//! Exponential.

use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use tract_core::ops::math::exp;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Exp, |r, _, _, inputs| r.wire(exp(), inputs), integer);

/// As TensorFlow Lite fills its table.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    lookup::of_floats(graph, node, |x| lookup::float(libm::exp, x))
}
