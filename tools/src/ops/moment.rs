//! Some moments of an operator's output, where they are computed from the same moments of its inputs alone, or from
//! windows over them: what a stream asks of each operator between its recurrent ones.

use super::reduction;
use crate::graph::{Graph, Node};
use flatpack_format::ops::average_pool_2d::Pool2dParams;
use flatpack_format::ops::mean::ReduceParams;

/// An operator on one moment, with the results that it has for it where it computes all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its parameter record.
    pub params: Vec<u8>,
    /// The axis of the output that counts moments; `None` where it has but the last one.
    pub axis: Option<usize>,
}

/// The moments of a node. For each input: the axis that counts moments, if one does; at least one has one. Then, how
/// many moments there are at a time.
pub type MomentOf = fn(&Graph, &Node, &[Option<usize>], u32) -> Option<Moment>;

/// An operator that moves a window over the moments of its first input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its parameter record, without padding along the moments.
    pub params: Vec<u8>,
    /// Moments between neighbouring windows.
    pub stride: u32,
    /// Moments from the first that a window reads to the last, and that one.
    pub reach: u32,
    /// Zeros before the first and after the last moment.
    pub pads: [u32; 2],
}

/// The window of a node along an axis of its first input.
pub type WindowOf = fn(&Graph, &Node, usize) -> Option<Window>;

/// The record as it is.
pub(crate) fn same(node: &Node, axis: usize) -> Option<Moment> {
    Some(Moment { params: node.params.clone(), axis: Some(axis) })
}

/// Element by element, shapes being aligned at their last axes; inputs without moments have length 1 there.
pub(crate) fn of_elements(graph: &Graph, node: &Node, axes: &[Option<usize>], _: u32) -> Option<Moment> {
    let rank = graph.dims(node.output).len();
    let mut found = None;
    for (&input, axis) in node.inputs.iter().zip(axes) {
        let Some(axis) = axis else { continue };
        let axis = axis + rank - graph.dims(input).len();
        if found.replace(axis).is_some_and(|other| other != axis) {
            return None;
        }
    }
    let axis = found?;
    let repeats = node.inputs.iter().zip(axes).filter(|(_, axis)| axis.is_none()).all(|(&input, _)| {
        let dims = graph.dims(input);
        (axis + dims.len()).checked_sub(rank).is_none_or(|axis| dims[axis] == 1)
    });
    if repeats { same(node, axis) } else { None }
}

/// The first input alone has moments, along an axis before its `COUNT` last.
pub(crate) fn before_last<const COUNT: usize>(
    graph: &Graph,
    node: &Node,
    axes: &[Option<usize>],
    _: u32,
) -> Option<Moment> {
    let axis = first_alone(axes)?;
    if axis + COUNT < graph.dims(node.inputs[0]).len() { same(node, axis) } else { None }
}

/// The first input alone has moments, and they are the samples of a batch.
pub(crate) fn of_samples(_: &Graph, node: &Node, axes: &[Option<usize>], _: u32) -> Option<Moment> {
    if first_alone(axes)? == 0 { same(node, 0) } else { None }
}

/// Which side of images `[N, H, W, C]` an axis is: 0 for the height, 1 for the width.
pub(crate) fn side(axis: usize) -> Option<usize> {
    axis.checked_sub(1).filter(|&side| side < 2)
}

/// The window of a pool, which has no padding along the moments: what is outside does not count, and zeros would.
pub(crate) fn of_pool(_: &Graph, node: &Node, axis: usize) -> Option<Window> {
    let p: Pool2dParams = node.params();
    let side = side(axis)?;
    let pads = [p.pad_h, p.pad_w][side];
    let window =
        Window { params: node.params.clone(), stride: p.stride[side], reach: p.window[side], pads: [0, 0] };
    (pads == [0, 0]).then_some(window)
}

/// A reduction over other axes.
pub(crate) fn reduced(_: &Graph, node: &Node, axes: &[Option<usize>], _: u32) -> Option<Moment> {
    let (p, axis) = (node.params::<ReduceParams>(), first_alone(axes)?);
    let over = reduction::axes(p);
    if over.contains(&axis) {
        return None;
    }
    let before = if p.keep_dims == 1 { 0 } else { over.iter().filter(|&&other| other < axis).count() };
    same(node, axis - before)
}

/// The axis of the first input, if it is the only one with moments.
pub(crate) fn first_alone(axes: &[Option<usize>]) -> Option<usize> {
    match axes {
        [axis, rest @ ..] if rest.iter().all(Option::is_none) => *axis,
        _ => None,
    }
}
