//! Sum of 8-bit integers.

use super::weighted_i8::{multiplied, requantized};
use super::{Operator, binary_i8, lookup, part};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Graph, Node};
use crate::quant::Quant;
use flatpack_format::OpCode;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_format::ops::binary::BinaryParams;

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::AddI8, exact) };

/// A sum of reals of quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    sum_from_reals(graph, node, OpCode::AddI8)
}

/// A sum or difference of reals of quantised operands.
pub(crate) fn sum_from_reals(graph: &mut Graph, node: &Node, op: OpCode) -> Result<Node, String> {
    at_common_scale_from_reals(graph, node, op, |twice| twice / f64::from(1 << BITS))
}

/// An operator of reals of quantised operands, both of which are brought to twice the larger scale.
/// `unit` says of that scale what the result stands for that y is made of.
pub(crate) fn at_common_scale_from_reals(
    graph: &mut Graph,
    node: &Node,
    op: OpCode,
    unit: impl Fn(f64) -> f64,
) -> Result<Node, String> {
    let BinaryParams { clamp } = node.params();
    let made = binary_i8::operands(graph, node)?;
    let [a, b, y] = [&made.a, &made.b, &made.y].map(Quant::real_scale);
    let twice = 2.0 * a.max(b);
    let mut node = Node { op, inputs: made.inputs, ..node.clone() };
    node.set_params(AddI8Params {
        a_zero_point: made.a.zero_point(),
        b_zero_point: made.b.zero_point(),
        a_multiplier: lookup::multiplier(a / twice)?,
        b_multiplier: lookup::multiplier(b / twice)?,
        multiplier: lookup::multiplier(unit(twice) / y)?,
        y: fixed::output(&made.y, clamp),
    });
    Ok(node)
}

/// Bits that a sum has more than its terms.
pub(crate) const BITS: u32 = 20;

/// An element at the scale of the sum, with so many bits more.
pub(crate) fn at_common_scale(x: i64, bits: u32, zero_point: i32, by: Multiplier) -> i64 {
    multiplied((x - i64::from(zero_point)) << bits, by)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: AddI8Params = node.params();
    binary_i8::broadcast(inputs, dims, |a, b| {
        let a = at_common_scale(a, BITS, p.a_zero_point, p.a_multiplier);
        let b = at_common_scale(b, BITS, p.b_zero_point, p.b_multiplier);
        requantized(a + b, p.multiplier, &p.y)
    })
}
