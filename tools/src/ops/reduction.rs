//! What the reductions have in common.

use crate::graph::{Graph, Node};
use crate::reference::{Reference, sizes};
use flatpack_format::ops::mean::ReduceParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// Reduces the axes of the record by `formula`, which keeps each with length 1, and drops those that
/// the output does not have.
pub(crate) fn reduced(
    r: &mut Reference,
    graph: &Graph,
    node: &Node,
    x: OutletId,
    formula: impl FnOnce(&mut Reference, &[usize], OutletId) -> TractResult<OutletId>,
) -> TractResult<OutletId> {
    let p: ReduceParams = node.params();
    let y = formula(r, &axes(p), x)?;
    r.reshape(&sizes(graph.dims(node.output)), y)
}

/// The reduced axes.
pub(crate) fn axes(p: ReduceParams) -> Vec<usize> {
    (p.axis..p.axis + p.axis_count).map(|axis| axis as usize).collect()
}
