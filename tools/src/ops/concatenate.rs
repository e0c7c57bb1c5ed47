//! Concatenation.

use super::part::{self, Part};
use super::{Operator, OutputScale, moves};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::concatenate::ConcatenateParams;
use std::ops::Range;
use tract_core::ops::array::TypedConcat;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(moves::same_quant),
    part: Some(part),
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
