//! Batched product of matrices of 8-bit integers.

use super::Operator;
use super::binary_i8::signed;
use super::weighted_i8::{activation, requantized};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::batch_matmul::BatchMatmulParams;
use flatpack_format::ops::batch_matmul_i8::BatchMatmulI8Params;

/// The operator.
pub const OPERATOR: Operator = Operator::on_integers(OpCode::BatchMatmulI8, exact);

/// A product of reals on quantised operands; one of them may be constant.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let BatchMatmulParams { transpose_b } = node.params();
    let (a_id, a) = signed(graph, node.inputs[0], "a")?;
    let (b_id, b) = signed(graph, node.inputs[1], "b")?;
    let y = activation(graph, node.output, "y")?;
    let multiplier = fixed::multiplier(a.real_scale() * b.real_scale() / y.real_scale());
    let multiplier = multiplier.ok_or("scales have no multiplier in 32 bits")?;
    let mut product = Node { op: OpCode::BatchMatmulI8, inputs: vec![a_id, b_id], ..node.clone() };
    product.set_params(BatchMatmulI8Params {
        transpose_b,
        a_zero_point: a.zero_point(),
        b_zero_point: b.zero_point(),
        multiplier,
        y: fixed::output(y, Clamp::NONE),
    });
    Ok(product)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: BatchMatmulI8Params = node.params();
    let [m, n] = [2, 1].map(|from_last| dims[dims.len() - from_last] as usize);
    let k = *inputs[0].dims.last().unwrap_or(&0) as usize;
    let [a, b] = [0, 1].map(|input| inputs[input].values.integers());
    let element = |index: usize| {
        let (row, column, batch) = (index / n, index % n, index / n / m);
        let sum = (0..k).map(|i| {
            let b_at = if p.transpose_b == 1 { column * k + i } else { i * n + column };
            let (a, b) = (i64::from(a[row * k + i]), i64::from(b[batch * k * n + b_at]));
            (a - i64::from(p.a_zero_point)) * (b - i64::from(p.b_zero_point))
        });
        requantized(sum.sum(), p.multiplier, &p.y)
    };
    Values::Integers((0..dims.iter().map(|&d| d as usize).product()).map(element).collect())
}
