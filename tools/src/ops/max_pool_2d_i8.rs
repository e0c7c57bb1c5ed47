//! 2-D maximum pooling of 8-bit integers.

use super::pool_i8::{Window, pooled};
use super::{Operator, moves, part};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::max_pool_2d::Pool2dParams;
use flatpack_format::ops::max_pool_2d_i8::MaxPool2dI8Params;
use std::mem::offset_of;

/// The operator.
pub const OPERATOR: Operator = Operator {
    part: Some(part::windows::<{ offset_of!(MaxPool2dI8Params, pad_h) }>),
    ..Operator::on_integers(OpCode::MaxPool2dI8, exact)
};

/// A maximum of reals on quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let Pool2dParams { window, stride, pad_h, pad_w, clamp } = node.params();
    let mut pool = Node { op: OpCode::MaxPool2dI8, ..moves::same_quant(graph, node)? };
    let bounds = fixed::output(graph.quant(node.output).ok_or("the output is not quantised")?, clamp);
    let (min, max) = (bounds.min, bounds.max);
    pool.set_params(MaxPool2dI8Params { window, stride, pad_h, pad_w, min, max });
    Ok(pool)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: MaxPool2dI8Params = node.params();
    let window = Window { size: p.window, stride: p.stride, pad: [p.pad_h[0], p.pad_w[0]] };
    pooled(inputs[0], &window, dims, |covered| {
        covered.iter().copied().fold(i64::MIN, i64::max).clamp(p.min.into(), p.max.into())
    })
}
