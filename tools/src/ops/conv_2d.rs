//! 2-D convolution.

use super::moment::Window;
use super::{FewerBytes, Linear, Operator, Packs, conv_2d_i8, moment, part};
use crate::graph::{Graph, Node};
use crate::reference::{Reference, Windows};
use bytemuck::bytes_of;
use bytemuck::pod_read_unaligned;
use flatpack_format::OpCode;
use flatpack_format::ops::conv_2d::Conv2dParams;
use std::mem::offset_of;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator = Operator {
    moment: Some(moment::of_samples),
    window: Some(|graph, node, axis| {
        let mut p: Conv2dParams = node.params();
        let side = moment::side(axis)?;
        let taps = graph.dims(node.inputs[1])[axis];
        let reach = (taps - 1) * p.dilation[side] + 1;
        let pads = std::mem::take(if side == 0 { &mut p.pad_h } else { &mut p.pad_w });
        Some(Window { params: bytes_of(&p).to_vec(), stride: p.stride[side], reach, pads })
    }),
    part: Some(part::windows::<{ offset_of!(Conv2dParams, pad_h) }>),
    clamp: Some(offset_of!(Conv2dParams, clamp)),
    integer: Some(conv_2d_i8::from_reals),
    linear: Some(Linear {
        output_of: |graph, node, index| index / depth_of_output(graph, node),
        input_of: |graph, node, index| {
            input_of(graph, node, node.params::<Conv2dParams>().groups as usize, index)
        },
        unpadded: |_, node| {
            let params: Conv2dParams = node.params();
            params.pad_h == [0, 0] && params.pad_w == [0, 0]
        },
    }),
    packs: Some(Packs::Reals(|params| pod_read_unaligned::<Conv2dParams>(params).groups == 1)),
    fewer_bytes: Some(FewerBytes::of_outputs(OpCode::Conv2dW8, OpCode::Conv2dW16, 0)),
    ..Operator::new(OpCode::Conv2d, reference)
};

/// Weights of one output, where `[O, …]` are all.
pub(crate) fn depth_of_output(graph: &Graph, node: &Node) -> usize {
    graph.dims(node.inputs[1])[1..].iter().map(|&dim| dim as usize).product()
}

/// Input channel of a weight in `[O, …, C / groups]`.
pub(crate) fn input_of(graph: &Graph, node: &Node, groups: usize, index: usize) -> usize {
    let dims = graph.dims(node.inputs[1]);
    let (outputs, channels) = (dims[0] as usize, dims[dims.len() - 1] as usize);
    let group = index / depth_of_output(graph, node) / (outputs / groups);
    group * channels + index % channels
}

pub(super) fn reference(
    r: &mut Reference,
    _: &Graph,
    node: &Node,
    inputs: &[OutletId],
) -> TractResult<OutletId> {
    let p: Conv2dParams = node.params();
    let windows = Windows { stride: &p.stride, dilation: &p.dilation, pad: &[p.pad_h, p.pad_w] };
    let sum = r.conv(inputs, windows, p.groups as usize)?;
    r.clamp(p.clamp, sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::Shape;
    use flatpack_format::ops::Clamp;

    #[test]
    fn weights_of_a_group_belong_to_its_outputs_and_channels() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 1, 1, 6]).unwrap());
        // 4 outputs in 2 groups, each of 3 channels
        let w = graph.add_constant("w", &[4, 1, 2, 3], vec![0.0; 24]);
        let params = Conv2dParams {
            stride: [1, 1],
            dilation: [1, 1],
            pad_h: [0, 0],
            pad_w: [1, 0],
            groups: 2,
            clamp: Clamp::NONE,
        };
        graph.add_node("conv", OpCode::Conv2d, params, &[x, w]).unwrap();
        let linear = OPERATOR.linear.unwrap();
        let of = |index| {
            let node = &graph.nodes[0];
            ((linear.output_of)(&graph, node, index), (linear.input_of)(&graph, node, index))
        };
        assert_eq!([0, 5, 11, 12, 23].map(of), [(0, 0), (0, 2), (1, 2), (2, 3), (3, 5)]);
        assert!(!(linear.unpadded)(&graph, &graph.nodes[0]));
    }
}
