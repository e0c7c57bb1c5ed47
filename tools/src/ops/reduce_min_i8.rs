//! Minimum of 8-bit integers over axes.

use super::reduction::reduced_exactly;
use super::{Operator, moves};
use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator::on_integers(OpCode::ReduceMinI8, exact);

/// A minimum of reals on quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    Ok(Node { op: OpCode::ReduceMinI8, ..moves::same_quant(graph, node)? })
}

fn exact(node: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    reduced_exactly(inputs[0], node.params(), |x| x.iter().copied().fold(i64::MAX, i64::min) as i32)
}
