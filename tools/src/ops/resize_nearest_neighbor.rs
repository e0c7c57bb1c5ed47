//! Resizing by the nearest element.

use super::{Operator, moves};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::resize_nearest_neighbor::ResizeNearestNeighborParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator =
    Operator { integer: Some(moves::same_quant), ..Operator::new(OpCode::ResizeNearestNeighbor, reference) };

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let half = i64::from(node.params::<ResizeNearestNeighborParams>().half_pixel_centers);
    let (from, to) = (graph.dims(node.inputs[0]), graph.dims(node.output));
    [1, 2].into_iter().try_fold(inputs[0], |x, axis| {
        let (from, to) = (i64::from(from[axis]), i64::from(to[axis]));
        r.gather(axis, (0..to).map(|i| (2 * i + half) * from / (2 * to)), x)
    })
}
