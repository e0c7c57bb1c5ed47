//! 3-D convolution.

use super::conv_2d::{depth_of_output, input_of};
use super::{Linear, Operator, Packs};
use crate::graph::{Graph, Node};
use crate::reference::{Reference, Windows};
use bytemuck::pod_read_unaligned;
use flatpack_format::OpCode;
use flatpack_format::ops::conv_3d::Conv3dParams;
use std::mem::offset_of;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: Some(offset_of!(Conv3dParams, clamp)),
    linear: Some(Linear {
        output_of: |graph, node, index| index / depth_of_output(graph, node),
        input_of: |graph, node, index| {
            input_of(graph, node, node.params::<Conv3dParams>().groups as usize, index)
        },
        unpadded: |_, node| node.params::<Conv3dParams>().pad == [[0, 0]; 3],
    }),
    packs: Some(Packs::Reals(|params| pod_read_unaligned::<Conv3dParams>(params).groups == 1)),
    ..Operator::new(OpCode::Conv3d, reference)
};

fn reference(r: &mut Reference, _: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let p: Conv3dParams = node.params();
    let windows = Windows { stride: &p.stride, dilation: &p.dilation, pad: &p.pad };
    let sum = r.conv(inputs, windows, p.groups as usize)?;
    r.clamp(p.clamp, sum)
}
