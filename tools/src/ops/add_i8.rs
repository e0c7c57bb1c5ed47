//! Sum of 8-bit integers.

use super::weighted_i8::{multiplied, requantized};
use super::{Operator, binary_i8};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_format::ops::binary::BinaryParams;

/// The operator.
pub const OPERATOR: Operator = Operator { in_place: 0b11, ..Operator::on_integers(OpCode::AddI8, exact) };

/// A sum of reals of quantised operands: both are brought to twice the larger scale.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let BinaryParams { clamp } = node.params();
    let made = binary_i8::operands(graph, node)?;
    let twice = 2.0 * f64::from(made.a.scale().max(made.b.scale()));
    let multiplier = |real| fixed::multiplier(real).ok_or("scales have no multiplier in 32 bits");
    let mut node = Node { op: OpCode::AddI8, inputs: made.inputs, ..node.clone() };
    node.set_params(AddI8Params {
        a_zero_point: made.a.zero_point(),
        b_zero_point: made.b.zero_point(),
        a_multiplier: multiplier(f64::from(made.a.scale()) / twice)?,
        b_multiplier: multiplier(f64::from(made.b.scale()) / twice)?,
        multiplier: multiplier(twice / (f64::from(1 << 20) * f64::from(made.y.scale())))?,
        y: fixed::output(&made.y, clamp),
    });
    Ok(node)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: AddI8Params = node.params();
    let scaled = |x: i64, zero_point: i32, by| multiplied((x - i64::from(zero_point)) << 20, by);
    binary_i8::broadcast(inputs, dims, |a, b| {
        let sum = scaled(a, p.a_zero_point, p.a_multiplier) + scaled(b, p.b_zero_point, p.b_multiplier);
        requantized(sum, p.multiplier, &p.y)
    })
}
