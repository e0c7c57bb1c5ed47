//! 2-D convolution of 8-bit integers.

use super::weighted_i8::{operands, products, requantize};
use super::{Operator, Packs, part};
use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node};
use bytemuck::pod_read_unaligned;
use flatpack_format::ops::conv_2d::Conv2dParams;
use flatpack_format::ops::conv_2d_i8::Conv2dI8Params;
use flatpack_format::{OpCode, PANEL_GROUP};
use std::mem::offset_of;

/// The operator.
pub const OPERATOR: Operator = Operator {
    part: Some(part::windows::<{ offset_of!(Conv2dI8Params, pad_h) }>),
    packs: Some(Packs::Integers {
        pairs: |params| {
            let params: Conv2dI8Params = pod_read_unaligned(params);
            params.groups == 1 && params.w_zero_point == 0 && params.dilation == [1; 2]
        },
        panels: |params, weights| {
            let params: Conv2dI8Params = pod_read_unaligned(params);
            let taps: u32 = weights.iter().skip(1).take(2).product();
            // Taps with spaces between them are of whole groups, and the loops take so many.
            let in_groups = weights.last().is_some_and(|depth| depth % PANEL_GROUP == 0) && taps <= 16;
            params.groups == 1 && params.w_zero_point == 0 && (params.dilation == [1; 2] || in_groups)
        },
    }),
    ..Operator::on_integers(OpCode::Conv2dI8, exact)
};

/// A convolution of reals on quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let Conv2dParams { stride, dilation, pad_h, pad_w, groups, clamp } = node.params();
    let made = operands(graph, node, clamp, true)?;
    let mut node = Node { op: OpCode::Conv2dI8, inputs: made.inputs, ..node.clone() };
    node.set_params(Conv2dI8Params {
        stride,
        dilation,
        pad_h,
        pad_w,
        groups,
        x_zero_point: made.x_zero_point,
        w_zero_point: made.w_zero_point,
        y: made.y,
    });
    Ok(node)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: Conv2dI8Params = node.params();
    let (x, w, bias, requant) = (inputs[0], inputs[1], inputs[2], inputs[3].values.integers());
    let [batch, oh, ow, outputs] = [0, 1, 2, 3].map(|axis| dims[axis] as usize);
    let [kh, kw, depth] = [1, 2, 3].map(|axis| w.dims[axis] as usize);
    let group_outputs = outputs / p.groups as usize;
    let (zx, zw) = (i64::from(p.x_zero_point), p.w_zero_point);
    let input = |position: usize, tap: usize, axis: usize, pad: u32| {
        let at = position * p.stride[axis] as usize + tap * p.dilation[axis] as usize;
        at.checked_sub(pad as usize).filter(|&at| at < x.dims[axis + 1] as usize)
    };
    let mut y = Vec::with_capacity(batch * oh * ow * outputs);
    for n in 0..batch {
        for row in 0..oh {
            for column in 0..ow {
                for o in 0..outputs {
                    let first = o / group_outputs * depth;
                    let mut sum = bias.at(&[o]);
                    for i in 0..kh {
                        for j in 0..kw {
                            let w = w.row(&[o, i, j]);
                            // A tap beside the input sees zero; the bias holds −zx · w of it.
                            sum += match (input(row, i, 0, p.pad_h[0]), input(column, j, 1, p.pad_w[0])) {
                                (Some(h), Some(v)) => products(&x.row(&[n, h, v])[first..][..depth], w, zw),
                                _ => zx * w.iter().map(|&w| i64::from(w - zw)).sum::<i64>(),
                            };
                        }
                    }
                    y.push(requantize(sum, requant, o, &p.y));
                }
            }
        }
    }
    Values::Integers(y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::bytes_of;
    use flatpack_format::Layout;
    use flatpack_format::ops::OutputI8;

    /// How a gateway has weights of these dimensions.
    fn laid_out(dilation: [u32; 2], groups: u32, w_zero_point: i32, weights: [u32; 4]) -> Option<Layout> {
        let y = OutputI8 { zero_point: 0, min: -128, max: 127 };
        let params = Conv2dI8Params {
            stride: [1; 2],
            dilation,
            pad_h: [0; 2],
            pad_w: [0; 2],
            groups,
            x_zero_point: 0,
            w_zero_point,
            y,
        };
        OPERATOR.packs.unwrap().on_gateways(bytes_of(&params), &weights)
    }

    #[test]
    fn weights_are_in_panels_where_gateways_have_loops_for_them() {
        let panels = Some(Layout::Panel16x4);
        assert_eq!(laid_out([1, 1], 1, 0, [8, 7, 7, 3]), panels);
        assert_eq!(laid_out([1, 1], 2, 0, [8, 3, 3, 4]), None);
        assert_eq!(laid_out([1, 1], 1, 5, [8, 3, 3, 4]), None);
        // With spaces between taps, only up to sixteen of whole groups.
        assert_eq!(laid_out([1, 2], 1, 0, [8, 1, 3, 32]), panels);
        assert_eq!(laid_out([2, 2], 1, 0, [8, 4, 4, 4]), panels);
        assert_eq!(laid_out([2, 2], 1, 0, [8, 3, 3, 3]), None);
        assert_eq!(laid_out([2, 2], 1, 0, [8, 5, 5, 4]), None);
    }
}
