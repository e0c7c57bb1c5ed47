//! Maximum of 8-bit integers.

use super::{Operator, binary_i8, part};
use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::maximum_i8::MaximumI8Params;

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::MaximumI8, exact) };

/// The maximum of reals that integers stand for alike.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let (inputs, y) = binary_i8::alike(graph, node)?;
    let mut node = Node { op: OpCode::MaximumI8, inputs, ..node.clone() };
    node.set_params(MaximumI8Params { min: y.min, max: y.max });
    Ok(node)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: MaximumI8Params = node.params();
    binary_i8::broadcast(inputs, dims, |a, b| a.max(b).clamp(p.min.into(), p.max.into()) as i32)
}
