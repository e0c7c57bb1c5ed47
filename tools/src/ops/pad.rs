//! Padding.

use super::part::{Part, window};
use super::{Operator, OutputScale, moves};
use crate::graph::{Graph, Node};
use bytemuck::bytes_of;
use flatpack_format::OpCode;
use flatpack_format::ops::pad::PadParams;
use std::ops::Range;
use std::sync::Arc;
use tract_core::ops::array::{Pad, PadMode};

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(integer),
    part: Some(part),
    scale: OutputScale::OfInputs,
    ..Operator::new(OpCode::Pad, |r, graph, node, inputs| {
        let p: PadParams = node.params();
        let rank = graph.dims(node.output).len();
        let sides = p.before.iter().zip(&p.after).take(rank);
        let pads = sides.map(|(&before, &after)| (before as usize, after as usize)).collect();
        r.wire(Pad { pads, mode: PadMode::Constant(Arc::new(p.value.into())) }, inputs)
    })
};

/// The same pads, of the integer that stands for the value.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let mut padded = moves::same_quant(graph, node)?;
    let p: PadParams = node.params();
    if let Some(quant) = graph.quant(node.output) {
        padded.set_params(PadParams { value: quant.quantize(p.value) as f32, ..p });
    }
    Ok(padded)
}

/// The pads of rows at the edges are theirs; those inside have none above or below.
fn part(graph: &Graph, node: &Node, rows: Range<u32>) -> Option<Part> {
    let mut params: PadParams = node.params();
    let (read, pads) = window(graph.dims(node.inputs[0])[1], rows, [1, 1, params.before[1]])?;
    [params.before[1], params.after[1]] = pads;
    Some(Part { params: bytes_of(&params).to_vec(), reads: vec![Some(read)] })
}
