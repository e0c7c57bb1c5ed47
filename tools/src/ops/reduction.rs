//! What the reductions have in common.

use crate::exact::{Operand, Values};
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

/// `f` of the integers along the axes, for each position around them.
pub(crate) fn reduced_exactly(x: Operand<'_>, axes: ReduceParams, f: impl Fn(&[i64]) -> i32) -> Values {
    let (axis, end) = (axes.axis as usize, (axes.axis + axes.axis_count) as usize);
    let len = |dims: &[u32]| dims.iter().map(|&dim| dim as usize).product::<usize>();
    let (count, inner) = (len(&x.dims[axis..end]), len(&x.dims[end..]));
    let mut y = Vec::new();
    for block in x.values.integers().chunks_exact(count * inner) {
        for at in 0..inner {
            let along: Vec<i64> = block.iter().skip(at).step_by(inner).map(|&x| x.into()).collect();
            y.push(f(&along));
        }
    }
    Values::Integers(y)
}

/// The reduced axes.
pub(crate) fn axes(p: ReduceParams) -> Vec<usize> {
    (p.axis..p.axis + p.axis_count).map(|axis| axis as usize).collect()
}
