//! Another shape over the same elements.

use super::moment::Moment;
use super::part::Part;
use super::{Operator, OutputScale, moment, moves};
use crate::graph::{Graph, Node};
use crate::reference::sizes;
use bytemuck::bytes_of;
use flatpack_format::OpCode;
use flatpack_format::ops::reshape::ReshapeParams;
use std::ops::Range;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(moves::same_quant),
    part: Some(part),
    moment: Some(moment_of),
    scale: OutputScale::OfInputs,
    ..Operator::new(OpCode::Reshape, |r, graph, node, inputs| {
        r.reshape(&sizes(graph.dims(node.output)), inputs[0])
    })
};

/// The same rows, where the shapes of rows alone differ.
fn part(graph: &Graph, node: &Node, rows: Range<u32>) -> Option<Part> {
    let (x, y) = (graph.dims(node.inputs[0]), graph.dims(node.output));
    let mut params: ReshapeParams = node.params();
    params.dims[1] = rows.end - rows.start;
    let same = x.len() >= 2 && y.len() >= 2 && x[..2] == y[..2];
    same.then(|| Part { params: bytes_of(&params).to_vec(), reads: vec![Some(rows)] })
}

/// An axis of the same length with as many elements before it.
fn moment_of(graph: &Graph, node: &Node, axes: &[Option<usize>], count: u32) -> Option<Moment> {
    let (x, y, axis) = (graph.dims(node.inputs[0]), graph.dims(node.output), moment::first_alone(axes)?);
    let before = |dims: &[u32], axis: usize| dims[..axis].iter().product::<u32>();
    let same = |to: &usize| y[*to] == x[axis] && before(y, *to) == before(x, axis);
    let to = (0..y.len()).find(same)?;
    let mut params: ReshapeParams = node.params();
    params.dims[to] = count;
    Some(Moment { params: bytes_of(&params).to_vec(), axis: Some(to) })
}
