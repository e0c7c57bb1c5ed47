//! Natural logarithm.

use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use tract_core::ops::math::ln;

/// The operator.
pub const OPERATOR: Operator = unary::operator(OpCode::Log, |r, _, _, inputs| r.wire(ln(), inputs), integer);

/// As TensorFlow Lite fills its table; of zero and less, the least integer.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    lookup::of_floats(graph, node, |x| if x > 0.0 { lookup::float(libm::log, x) } else { f32::NEG_INFINITY })
}
