//! L2 normalisation of 8-bit integers along neighbouring axes.

use super::Operator;
use super::weighted_i8::{activation, multiplied};
use crate::exact::{Operand, Values};
use crate::fixed::functions;
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::l2_normalization::L2NormalizationParams;
use flatpack_format::ops::l2_normalization_i8::L2NormalizationI8Params;

/// The operator.
pub const OPERATOR: Operator = Operator::on_integers(OpCode::L2NormalizationI8, exact);

/// A normalisation of reals of quantised operands, for which `epsilon` is less than a step.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let L2NormalizationParams { axis, axis_count, .. } = node.params();
    let x_zero_point = activation(graph, node.inputs[0], "x")?.zero_point();
    let y = activation(graph, node.output, "y")?;
    if (y.scale(), y.zero_point()) != (1.0 / 128.0, 0) {
        let (scale, zero_point) = (y.scale(), y.zero_point());
        return Err(format!("y has scale {scale} and zero point {zero_point}, expected 1/128 and 0"));
    }
    let mut node = Node { op: OpCode::L2NormalizationI8, ..node.clone() };
    node.set_params(L2NormalizationI8Params { axis, axis_count, x_zero_point });
    Ok(node)
}

fn exact(node: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    let p: L2NormalizationI8Params = node.params();
    let axes = p.axis as usize..(p.axis + p.axis_count) as usize;
    Values::Integers(inputs[0].along(axes, |x| {
        let distances = x.iter().map(|x| i64::from(x - p.x_zero_point));
        // The kernel's sum keeps 32 bits.
        let sum: i64 = distances.clone().map(|d| d * d).sum();
        let inverse = functions::inverse_sqrt((sum as i32).into());
        let by = Multiplier { shift: inverse.shift + 7, ..inverse };
        distances.map(|d| multiplied(d, by).clamp(-128, 127) as i32).collect()
    }))
}

#[cfg(test)]
mod tests {
    use crate::build::{Options, build};
    use crate::graph::Graph;
    use crate::quant::Quant;
    use flatpack_format::ops::l2_normalization::L2NormalizationParams;
    use flatpack_format::{DType, OpCode, Shape};

    #[test]
    fn squares_that_leave_32_bits_give_what_the_kernel_gives() {
        // The mean square of distances is near 21,845: the sums of these are near 2³¹, beyond, and near 2³².
        for len in [98_000, 120_000, 196_000] {
            let mut graph = Graph::default();
            let x = graph.add_input("x", Shape::new(&[1, len]).unwrap());
            graph.tensors[x.0].quant = Some(Quant::per_tensor(DType::I8, 1.0, 127));
            let params = L2NormalizationParams { axis: 1, axis_count: 1, epsilon: 1e-12 };
            let y = graph.add_node("y", OpCode::L2Normalization, params, &[x]).unwrap();
            graph.tensors[y.0].quant = Some(Quant::per_tensor(DType::I8, 1.0 / 128.0, 0));
            graph.outputs.push(y);
            // The file meets its goldens, which the formula predicts.
            build(graph, &Options::default()).unwrap();
        }
    }
}
