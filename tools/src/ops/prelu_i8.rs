//! Parametric rectifier of 8-bit integers.

use super::weighted_i8::requantized;
use super::{Operator, binary_i8, lookup, part};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Graph, Node};
use crate::quant::Quant;
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::prelu_i8::PreluI8Params;

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::PreluI8, exact) };

/// A parametric rectifier of reals of quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let made = binary_i8::operands(graph, node)?;
    let [x, alpha, y] = [&made.a, &made.b, &made.y].map(Quant::real_scale);
    let mut node = Node { op: OpCode::PreluI8, inputs: made.inputs, ..node.clone() };
    node.set_params(PreluI8Params {
        x_zero_point: made.a.zero_point(),
        alpha_zero_point: made.b.zero_point(),
        x_multiplier: lookup::multiplier(x / y)?,
        multiplier: lookup::multiplier(x * alpha / y)?,
        y: fixed::output(&made.y, Clamp::NONE),
    });
    Ok(node)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: PreluI8Params = node.params();
    binary_i8::broadcast(inputs, dims, |x, alpha| {
        let (x, alpha) = (x - i64::from(p.x_zero_point), alpha - i64::from(p.alpha_zero_point));
        if x < 0 { requantized(x * alpha, p.multiplier, &p.y) } else { requantized(x, p.x_multiplier, &p.y) }
    })
}
