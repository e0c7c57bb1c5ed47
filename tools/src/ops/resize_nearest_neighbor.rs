//! Resizing by the nearest element.

use super::{Operator, OutputScale, moves};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::resize_nearest_neighbor::{
    ALIGN_CORNERS, HALF_PIXEL_CENTERS, ResizeNearestNeighborParams,
};
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator = Operator {
    scale: OutputScale::OfInputs,
    integer: Some(moves::same_quant),
    ..Operator::new(OpCode::ResizeNearestNeighbor, reference)
};

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let grid = node.params::<ResizeNearestNeighborParams>().grid;
    let (from, to) = (graph.dims(node.inputs[0]), graph.dims(node.output));
    [1, 2].into_iter().try_fold(inputs[0], |x, axis| {
        let (from, to) = (i64::from(from[axis]), i64::from(to[axis]));
        let source = |i: i64| match grid {
            ALIGN_CORNERS => (2 * i * (from - 1) + (to - 1).max(1)) / (2 * (to - 1).max(1)),
            HALF_PIXEL_CENTERS => (2 * i + 1) * from / (2 * to),
            _ => i * from / to,
        };
        r.gather(axis, (0..to).map(source), x)
    })
}
