//! Integers of 8 or 16 bits to reals.

use super::{Operator, part};
use crate::exact::{Operand, Values};
use crate::graph::Node;
use crate::quant::Quant;
use flatpack_format::OpCode;
use flatpack_format::ops::dequantize::DequantizeParams;

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::Dequantize, exact) };

/// The node that makes reals of the integers which `node` reads.
pub(crate) fn node(node: &Node, x: &Quant) -> Node {
    let mut made = Node { op: OpCode::Dequantize, ..node.clone() };
    made.set_params(DequantizeParams { scale: x.scale(), zero_point: x.zero_point() });
    made
}

fn exact(node: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    let p: DequantizeParams = node.params();
    let real = |&x: &i32| p.scale * (x - p.zero_point) as f32;
    Values::Reals(inputs[0].values.integers().iter().map(real).collect())
}
