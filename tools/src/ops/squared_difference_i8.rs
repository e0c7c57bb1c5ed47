//! Squared difference of 8-bit integers.

use super::add_i8::{at_common_scale, at_common_scale_from_reals};
use super::weighted_i8::requantized;
use super::{Operator, binary_i8, part};
use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::squared_difference_i8::SquaredDifferenceI8Params;

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::SquaredDifferenceI8, exact) };

/// Bits that a difference has more than its terms.
const BITS: u32 = 7;

/// A squared difference of reals of quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    at_common_scale_from_reals(graph, node, OpCode::SquaredDifferenceI8, |twice| {
        twice * twice / f64::from(1 << (2 * BITS))
    })
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: SquaredDifferenceI8Params = node.params();
    binary_i8::broadcast(inputs, dims, |a, b| {
        let a = at_common_scale(a, BITS, p.a_zero_point, p.a_multiplier);
        let b = at_common_scale(b, BITS, p.b_zero_point, p.b_multiplier);
        let difference = i64::from((a - b) as i32);
        requantized(difference * difference, p.multiplier, &p.y)
    })
}
