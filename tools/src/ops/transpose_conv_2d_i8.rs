//! Transposed 2-D convolution of 8-bit integers.

use super::Operator;
use super::weighted_i8::{operands, requantize};
use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::transpose_conv_2d::TransposeConv2dParams;
use flatpack_format::ops::transpose_conv_2d_i8::TransposeConv2dI8Params;

/// The operator.
pub const OPERATOR: Operator = Operator::on_integers(OpCode::TransposeConv2dI8, exact);

/// A transposed convolution of reals on quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let TransposeConv2dParams { stride, dilation, crop, output, clamp } = node.params();
    // Not all outputs are reached by the same taps, so that nothing of x can be in the bias.
    let made = operands(graph, node, clamp, false)?;
    let mut node = Node { op: OpCode::TransposeConv2dI8, inputs: made.inputs, ..node.clone() };
    node.set_params(TransposeConv2dI8Params {
        stride,
        dilation,
        crop,
        output,
        x_zero_point: made.x_zero_point,
        w_zero_point: made.w_zero_point,
        y: made.y,
    });
    Ok(node)
}

/// Every input adds its multiple of the weights to the sums that it reaches.
fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: TransposeConv2dI8Params = node.params();
    let (x, w, bias, requant) = (inputs[0], inputs[1], inputs[2], inputs[3].values.integers());
    let [batch, oh, ow, outputs] = [0, 1, 2, 3].map(|axis| dims[axis] as usize);
    let [h, width, channels] = [1, 2, 3].map(|axis| x.dims[axis] as usize);
    let [kh, kw] = [1, 2].map(|axis| w.dims[axis] as usize);
    let output = |position: usize, tap: usize, axis: usize, len: usize| {
        let at = position * p.stride[axis] as usize + tap * p.dilation[axis] as usize;
        at.checked_sub(p.crop[axis] as usize).filter(|&at| at < len)
    };
    let mut sums = vec![0i64; batch * oh * ow * outputs];
    for n in 0..batch {
        for (row, column) in (0..h).flat_map(|row| (0..width).map(move |column| (row, column))) {
            for (i, j) in (0..kh).flat_map(|i| (0..kw).map(move |j| (i, j))) {
                let (Some(y_row), Some(y_column)) = (output(row, i, 0, oh), output(column, j, 1, ow)) else {
                    continue;
                };
                for (o, c) in (0..outputs).flat_map(|o| (0..channels).map(move |c| (o, c))) {
                    let x = x.at(&[n, row, column, c]) - i64::from(p.x_zero_point);
                    let w = w.at(&[o, i, j, c]) - i64::from(p.w_zero_point);
                    sums[((n * oh + y_row) * ow + y_column) * outputs + o] += x * w;
                }
            }
        }
    }
    let element = |(index, sum): (usize, &i64)| {
        let o = index % outputs;
        requantize(sum + bias.at(&[o]), requant, o, &p.y)
    };
    Values::Integers(sums.iter().enumerate().map(element).collect())
}
