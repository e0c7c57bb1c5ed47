//! Product of 8-bit integers.

use super::weighted_i8::requantized;
use super::{Operator, binary_i8, lookup, part};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::ops::mul_i8::MulI8Params;
use flatpack_format::ops::reshape::ReshapeParams;

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::MulI8, exact) };

/// A product of reals of quantised operands. A product with a constant that is not quantised is the same
/// integers, if they stand for the product.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    if let Some(same) = scaled(graph, node) {
        return Ok(same);
    }
    let BinaryParams { clamp } = node.params();
    let made = binary_i8::operands(graph, node)?;
    let mut node = Node { op: OpCode::MulI8, inputs: made.inputs, ..node.clone() };
    node.set_params(MulI8Params {
        a_zero_point: made.a.zero_point(),
        b_zero_point: made.b.zero_point(),
        multiplier: lookup::multiplier(made.a.real_scale() * made.b.real_scale() / made.y.real_scale())?,
        y: fixed::output(&made.y, clamp),
    });
    Ok(node)
}

/// The integers of x, if they stand for its product with a constant in y.
fn scaled(graph: &Graph, node: &Node) -> Option<Node> {
    let [x, factor] = [node.inputs[0], node.inputs[1]];
    let (&[by], None) = (&**graph.data(factor)?, graph.quant(factor)) else { return None };
    let (x_quant, y_quant) = (graph.quant(x)?, graph.quant(node.output)?);
    let same = x_quant.is_per_tensor()
        && x_quant.dtype == y_quant.dtype
        && x_quant.zero_points == y_quant.zero_points
        && x_quant.scale() * by == y_quant.scale();
    let BinaryParams { clamp } = node.params();
    if !same || clamp != flatpack_format::ops::Clamp::NONE || graph.dims(x) != graph.dims(node.output) {
        return None;
    }
    let mut reshaped = Node { op: OpCode::Reshape, inputs: vec![x], ..node.clone() };
    reshaped.set_params(ReshapeParams::new(&graph.tensor(node.output).shape()));
    Some(reshaped)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: MulI8Params = node.params();
    let (a_zero_point, b_zero_point) = (i64::from(p.a_zero_point), i64::from(p.b_zero_point));
    binary_i8::broadcast(inputs, dims, |a, b| {
        requantized((a - a_zero_point) * (b - b_zero_point), p.multiplier, &p.y)
    })
}
