//! Depthwise 2-D convolution: one group per input channel.

use super::moment::Window;
use super::{FewerBytes, Linear, Operator, depthwise_conv_2d_i8, moment, part};
use crate::graph::{Graph, Node};
use crate::reference::{Reference, Windows};
use bytemuck::bytes_of;
use flatpack_format::OpCode;
use flatpack_format::ops::depthwise_conv_2d::DepthwiseConv2dParams;
use std::mem::offset_of;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;
use tract_core::ops::change_axes::AxisOp;

/// The operator.
pub const OPERATOR: Operator = Operator {
    moment: Some(moment::of_samples),
    window: Some(|graph, node, axis| {
        let mut p: DepthwiseConv2dParams = node.params();
        let side = moment::side(axis)?;
        let taps = graph.dims(node.inputs[1])[side];
        let reach = (taps - 1) * p.dilation[side] + 1;
        let pads = std::mem::take(if side == 0 { &mut p.pad_h } else { &mut p.pad_w });
        Some(Window { params: bytes_of(&p).to_vec(), stride: p.stride[side], reach, pads })
    }),
    part: Some(part::windows::<{ offset_of!(DepthwiseConv2dParams, pad_h) }>),
    clamp: Some(offset_of!(DepthwiseConv2dParams, clamp)),
    integer: Some(depthwise_conv_2d_i8::from_reals),
    linear: Some(Linear {
        output_of: |graph, node, index| index % outputs(graph, node),
        input_of: |graph, node, index| {
            let outputs = outputs(graph, node);
            let multiplier = outputs / graph.dims(node.inputs[0])[3] as usize;
            index % outputs / multiplier
        },
        unpadded: |_, node| {
            let params: DepthwiseConv2dParams = node.params();
            params.pad_h == [0, 0] && params.pad_w == [0, 0]
        },
    }),
    fewer_bytes: Some(FewerBytes::of_outputs(OpCode::DepthwiseConv2dW8, OpCode::DepthwiseConv2dW16, 2)),
    ..Operator::new(OpCode::DepthwiseConv2d, reference)
};

fn outputs(graph: &Graph, node: &Node) -> usize {
    graph.dims(node.inputs[1])[2] as usize
}

pub(super) fn reference(
    r: &mut Reference,
    graph: &Graph,
    node: &Node,
    inputs: &[OutletId],
) -> TractResult<OutletId> {
    let p: DepthwiseConv2dParams = node.params();
    let windows = Windows { stride: &p.stride, dilation: &p.dilation, pad: &[p.pad_h, p.pad_w] };
    // [KH, KW, O] → [O, KH, KW, 1]
    let by_output = r.transpose(&[2, 0, 1], inputs[1])?;
    let mut inputs = inputs.to_vec();
    inputs[1] = r.wire(AxisOp::Add(3), &[by_output])?;
    let channels = graph.dims(node.inputs[0])[3] as usize;
    let sum = r.conv(&inputs, windows, channels)?;
    r.clamp(p.clamp, sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::Shape;
    use flatpack_format::ops::Clamp;

    #[test]
    fn weights_belong_to_their_output_and_to_the_channel_that_it_reads() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 1, 2, 3]).unwrap());
        let w = graph.add_constant("w", &[1, 2, 6], vec![0.0; 12]);
        let params = DepthwiseConv2dParams {
            stride: [1, 1],
            dilation: [1, 1],
            pad_h: [0, 0],
            pad_w: [0, 0],
            clamp: Clamp::NONE,
        };
        graph.add_node("conv", OpCode::DepthwiseConv2d, params, &[x, w]).unwrap();
        let linear = OPERATOR.linear.unwrap();
        let of = |index| {
            let node = &graph.nodes[0];
            ((linear.output_of)(&graph, node, index), (linear.input_of)(&graph, node, index))
        };
        assert_eq!([0, 1, 5, 6, 9, 11].map(of), [(0, 0), (1, 0), (5, 2), (0, 0), (3, 1), (5, 2)]);
        assert!((linear.unpadded)(&graph, &graph.nodes[0]));
    }
}
