//! Logarithm of softmax of 8-bit integers along one axis.

use super::softmax_i8::{POINT, scaling, sum_of_exps};
use super::weighted_i8::{activation, multiplied};
use super::{Operator, lookup};
use crate::exact::{Operand, Values};
use crate::fixed::functions;
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::log_softmax::LogSoftmaxParams;
use flatpack_format::ops::log_softmax_i8::LogSoftmaxI8Params;

/// The operator.
pub const OPERATOR: Operator = Operator::on_integers(OpCode::LogSoftmaxI8, exact);

/// The logarithm of a softmax of reals on quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let LogSoftmaxParams { axis } = node.params();
    let x = activation(graph, node.inputs[0], "x")?;
    let y = activation(graph, node.output, "y")?;
    if (y.scale(), y.zero_point()) != (1.0 / 16.0, 127) {
        let (scale, zero_point) = (y.scale(), y.zero_point());
        return Err(format!("y has scale {scale} and zero point {zero_point}, expected 1/16 and 127"));
    }
    let made = scaling(x.scale().into())?;
    let reverse = lookup::multiplier(made.reverse)?;
    let mut node = Node { op: OpCode::LogSoftmaxI8, ..node.clone() };
    node.set_params(LogSoftmaxI8Params {
        axis,
        multiplier: made.multiplier,
        reverse,
        diff_min: made.diff_min,
    });
    Ok(node)
}

fn exact(node: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    let p: LogSoftmaxI8Params = node.params();
    let axis = p.axis as usize;
    Values::Integers(inputs[0].along(axis..axis + 1, |x| {
        let (max, sum) = sum_of_exps(x, p.multiplier, p.diff_min);
        let log = functions::ln(sum);
        // Below, the logarithm would leave 32 bits.
        let least = multiplied(log - (1 << 31), p.reverse).max(i64::from(p.diff_min) - 1);
        let element = |x: &i32| {
            let difference = i64::from(x - max);
            if difference <= least {
                return -128;
            }
            let real = multiplied(difference, p.multiplier) - log;
            (functions::quotient(real.into(), POINT - 4) + 127).clamp(-128, 127) as i32
        };
        x.iter().map(element).collect()
    }))
}
