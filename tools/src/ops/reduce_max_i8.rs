//! Maximum of 8-bit integers over axes.

use super::reduction::reduced_exactly;
use super::{Operator, moves};
use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator::on_integers(OpCode::ReduceMaxI8, exact);

/// A maximum of reals on quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    Ok(Node { op: OpCode::ReduceMaxI8, ..moves::same_quant(graph, node)? })
}

fn exact(node: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    reduced_exactly(inputs[0], node.params(), |x| x.iter().copied().fold(i64::MIN, i64::max) as i32)
}
