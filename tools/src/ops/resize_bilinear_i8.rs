//! Resizing of 8-bit integers by bilinear interpolation.

use super::weighted_i8::activation;
use super::{Operator, moves};
use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::resize_bilinear::ResizeBilinearParams;
use flatpack_format::ops::resize_bilinear_i8::ResizeBilinearI8Params;
use flatpack_format::ops::resize_nearest_neighbor::{ALIGN_CORNERS, HALF_PIXEL_CENTERS};

/// The operator.
pub const OPERATOR: Operator = Operator::on_integers(OpCode::ResizeBilinearI8, exact);

/// A resizing of reals of quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let ResizeBilinearParams { size, grid } = node.params();
    activation(graph, node.output, "y")?;
    let mut node = Node { op: OpCode::ResizeBilinearI8, ..moves::same_quant(graph, node)? };
    let from = graph.dims(node.inputs[0]);
    // With 10 bits after the point, to the nearest.
    let step = [0, 1].map(|axis| {
        let (inputs, outputs) = (u64::from(from[axis + 1]), u64::from(size[axis]));
        let (inputs, outputs) =
            if grid == ALIGN_CORNERS && outputs > 1 { (inputs - 1, outputs - 1) } else { (inputs, outputs) };
        i32::try_from(((inputs << 10) + outputs / 2) / outputs)
    });
    let [Ok(row), Ok(column)] = step else { return Err("positions do not fit 32 bits".into()) };
    let first = |step| if grid == HALF_PIXEL_CENTERS { step / 2 - (1 << 9) } else { 0 };
    let (step, first) = ([row, column], [first(row), first(column)]);
    node.set_params(ResizeBilinearI8Params { size, step, first });
    Ok(node)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: ResizeBilinearI8Params = node.params();
    let x = inputs[0];
    let [batch, oh, ow, channels] = [0, 1, 2, 3].map(|axis| dims[axis] as usize);
    // The neighbours of an output row or column, and their weights in 2⁻¹⁰.
    let around = |i: usize, axis: usize| {
        let last = i64::from(x.dims[axis + 1]) - 1;
        let v = (i as i64 * i64::from(p.step[axis]) + i64::from(p.first[axis])).clamp(0, last << 10);
        let lower = v >> 10;
        [(lower as usize, 1024 - v % 1024), ((lower + 1).min(last) as usize, v % 1024)]
    };
    let mut y = Vec::with_capacity(batch * oh * ow * channels);
    for n in 0..batch {
        for row in 0..oh {
            for column in 0..ow {
                for c in 0..channels {
                    let mut sum = 0;
                    for (h, h_weight) in around(row, 0) {
                        for (w, w_weight) in around(column, 1) {
                            sum += x.at(&[n, h, w, c]) * h_weight * w_weight;
                        }
                    }
                    let half = 1i64 << 19;
                    y.push((sum.signum() * ((sum.abs() + half) >> 20)) as i32);
                }
            }
        }
    }
    Values::Integers(y)
}
