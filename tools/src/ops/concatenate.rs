//! Concatenation.

use super::moment::Moment;
use super::part::{self, Part};
use super::{Operator, OutputScale, moment, moves};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::concatenate::ConcatenateParams;
use std::ops::Range;
use tract_core::ops::array::TypedConcat;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(moves::same_quant),
    part: Some(part),
    moment: Some(moment_of),
    scale: OutputScale::OfInputs,
    ..Operator::new(OpCode::Concatenate, |r, _, node, inputs| {
        r.wire(TypedConcat { axis: node.params::<ConcatenateParams>().axis as usize }, inputs)
    })
};

/// Of several inputs side by side, the same rows.
fn part(graph: &Graph, node: &Node, rows: Range<u32>) -> Option<Part> {
    let beside = node.params::<ConcatenateParams>().axis > 1;
    if beside { part::same_rows(graph, node, rows) } else { None }
}

/// All have moments along one axis, which is not that of the concatenation.
fn moment_of(_: &Graph, node: &Node, axes: &[Option<usize>], _: u32) -> Option<Moment> {
    let axis = (*axes.first()?)?;
    let beside = axes.iter().all(|other| *other == Some(axis));
    let along = node.params::<ConcatenateParams>().axis as usize;
    if beside && along != axis { moment::same(node, axis) } else { None }
}
