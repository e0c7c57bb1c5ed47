//! Transposed 2-D convolution.

use super::conv_2d::{depth_of_output, input_of};
use super::{FewerBytes, Linear, Operator, Packs, transpose_conv_2d_i8};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::transpose_conv_2d::TransposeConv2dParams;
use std::mem::offset_of;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: Some(offset_of!(TransposeConv2dParams, clamp)),
    integer: Some(transpose_conv_2d_i8::from_reals),
    linear: Some(Linear {
        output_of: |graph, node, index| index / depth_of_output(graph, node),
        input_of: |graph, node, index| input_of(graph, node, 1, index),
        // Not all outputs are reached by the same taps.
        unpadded: |_, _| false,
    }),
    packs: Some(Packs::Reals(|_| true)),
    fewer_bytes: Some(FewerBytes::of_outputs(OpCode::TransposeConv2dW8, OpCode::TransposeConv2dW16, 0)),
    ..Operator::new(OpCode::TransposeConv2d, reference)
};

pub(super) fn reference(
    r: &mut Reference,
    _: &Graph,
    node: &Node,
    inputs: &[OutletId],
) -> TractResult<OutletId> {
    let p: TransposeConv2dParams = node.params();
    let sum = r.transpose_conv(inputs, &p.stride, &p.dilation, &p.crop, &p.output)?;
    r.clamp(p.clamp, sum)
}
