//! Fully connected.

use super::conv_2d::{depth_of_output, input_of};
use super::{FewerBytes, Linear, Operator, Packs, fully_connected_i8, moment};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::fully_connected::FullyConnectedParams;
use std::mem::offset_of;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: Some(offset_of!(FullyConnectedParams, clamp)),
    integer: Some(fully_connected_i8::from_reals),
    linear: Some(Linear {
        output_of: |graph, node, index| index / depth_of_output(graph, node),
        input_of: |graph, node, index| input_of(graph, node, 1, index),
        unpadded: |_, _| true,
    }),
    moment: Some(moment::before_last::<1>),
    packs: Some(Packs::Reals(|_| true)),
    fewer_bytes: Some(FewerBytes::of_outputs(OpCode::FullyConnectedW8, OpCode::FullyConnectedW16, 0)),
    ..Operator::new(OpCode::FullyConnected, reference)
};

pub(super) fn reference(
    r: &mut Reference,
    graph: &Graph,
    node: &Node,
    inputs: &[OutletId],
) -> TractResult<OutletId> {
    let axes: String = ('a'..'y').take(graph.dims(node.inputs[0]).len() - 1).collect();
    let product = r.einsum(&format!("{axes}y,zy->{axes}z"), &inputs[..2])?;
    let sum = r.bias(product, inputs.get(2).copied())?;
    r.clamp(node.params::<FullyConnectedParams>().clamp, sum)
}
