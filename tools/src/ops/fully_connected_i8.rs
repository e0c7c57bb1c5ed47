//! Fully connected layer of 8-bit integers.

use super::weighted_i8::{operands, products, requantize};
use super::{Operator, Packs};
use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node};
use bytemuck::pod_read_unaligned;
use flatpack_format::OpCode;
use flatpack_format::ops::fully_connected::FullyConnectedParams;
use flatpack_format::ops::fully_connected_i8::FullyConnectedI8Params;

/// The operator.
pub const OPERATOR: Operator = Operator {
    packs: Some(Packs::Integers { pairs: are_symmetric, panels: |params, _| are_symmetric(params) }),
    ..Operator::on_integers(OpCode::FullyConnectedI8, exact)
};

/// Whether the weights have no zero point.
fn are_symmetric(params: &[u8]) -> bool {
    pod_read_unaligned::<FullyConnectedI8Params>(params).w_zero_point == 0
}

/// A fully connected layer of reals on quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let FullyConnectedParams { clamp } = node.params();
    let made = operands(graph, node, clamp, true)?;
    let mut node = Node { op: OpCode::FullyConnectedI8, inputs: made.inputs, ..node.clone() };
    node.set_params(FullyConnectedI8Params {
        x_zero_point: made.x_zero_point,
        w_zero_point: made.w_zero_point,
        y: made.y,
    });
    Ok(node)
}

fn exact(node: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    let p: FullyConnectedI8Params = node.params();
    let [x, w, bias, requant] = [0, 1, 2, 3].map(|input| inputs[input].values.integers());
    let depth = inputs[1].dims[1] as usize;
    let row = |x: &[i32]| -> Vec<i32> {
        let output = |(o, (w, &bias)): (usize, (&[i32], &i32))| {
            // The offset of x is in the bias.
            requantize(i64::from(bias) + products(x, w, p.w_zero_point), requant, o, &p.y)
        };
        w.chunks_exact(depth).zip(bias).enumerate().map(output).collect()
    };
    Values::Integers(x.chunks_exact(depth).flat_map(row).collect())
}
