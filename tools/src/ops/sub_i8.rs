//! Difference of 8-bit integers.

use super::add_i8::{self, BITS, at_common_scale};
use super::weighted_i8::requantized;
use super::{Operator, binary_i8, part};
use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::sub_i8::SubI8Params;

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::SubI8, exact) };

/// A difference of reals of quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    add_i8::sum_from_reals(graph, node, OpCode::SubI8)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: SubI8Params = node.params();
    binary_i8::broadcast(inputs, dims, |a, b| {
        let a = at_common_scale(a, BITS, p.a_zero_point, p.a_multiplier);
        let b = at_common_scale(b, BITS, p.b_zero_point, p.b_multiplier);
        requantized(a - b, p.multiplier, &p.y)
    })
}
