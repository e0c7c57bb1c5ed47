//! 2-D average pooling of 8-bit integers.

use super::pool_i8::{Window, pooled};
use super::{Operator, moves, part};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::average_pool_2d::Pool2dParams;
use flatpack_format::ops::average_pool_2d_i8::AveragePool2dI8Params;
use std::mem::offset_of;

/// The operator.
pub const OPERATOR: Operator = Operator {
    part: Some(part::windows::<{ offset_of!(AveragePool2dI8Params, pad_h) }>),
    ..Operator::on_integers(OpCode::AveragePool2dI8, exact)
};

/// An average of reals on quantised operands. TensorFlow Lite rounds integers as they are, whatever
/// they stand for: halves away from zero, which for unsigned ones is up.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let Pool2dParams { window, stride, pad_h, pad_w, clamp } = node.params();
    let mut pool = Node { op: OpCode::AveragePool2dI8, ..moves::same_quant(graph, node)? };
    let quant = graph.quant(node.output).ok_or("the output is not quantised")?;
    let origin = if quant.unsigned { -128 } else { 0 };
    let bounds = fixed::output(quant, clamp);
    let (min, max) = (bounds.min, bounds.max);
    pool.set_params(AveragePool2dI8Params { window, stride, pad_h, pad_w, origin, min, max });
    Ok(pool)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: AveragePool2dI8Params = node.params();
    let window = Window { size: p.window, stride: p.stride, pad: [p.pad_h[0], p.pad_w[0]] };
    pooled(inputs[0], &window, dims, |covered| {
        let count = covered.len() as i64;
        let sum: i64 = covered.iter().map(|x| x - i64::from(p.origin)).sum();
        let magnitude = (2 * sum.abs() + count) / (2 * count);
        (sum.signum() * magnitude + i64::from(p.origin)).clamp(p.min.into(), p.max.into())
    })
}
