//! 2-D convolution.

use super::{Linear, Operator};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::conv_2d::Conv2dParams;
use std::mem::offset_of;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: Some(offset_of!(Conv2dParams, clamp)),
    linear: Some(Linear {
        output_of: |graph, node, index| {
            let [_, kh, kw, depth] = weights(graph, node);
            index / (kh * kw * depth)
        },
        input_of: |graph, node, index| {
            let [outputs, kh, kw, depth] = weights(graph, node);
            let group_outputs = outputs / node.params::<Conv2dParams>().groups as usize;
            let group = index / (kh * kw * depth) / group_outputs;
            group * depth + index % depth
        },
        unpadded: |_, node| {
            let params: Conv2dParams = node.params();
            params.pad_h == [0, 0] && params.pad_w == [0, 0]
        },
    }),
    packs: |node| node.params::<Conv2dParams>().groups == 1,
    ..Operator::new(OpCode::Conv2d, reference)
};

fn weights(graph: &Graph, node: &Node) -> [usize; 4] {
    let dims = graph.dims(node.inputs[1]);
    std::array::from_fn(|axis| dims[axis] as usize)
}

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let p: Conv2dParams = node.params();
    let sum = r.conv(graph, node, inputs, &[p.pad_h, p.pad_w], &p.stride, &p.dilation, p.groups as usize)?;
    r.clamp(node, p.clamp, sum)
}
