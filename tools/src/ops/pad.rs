//! Padding.

use super::{Operator, OutputScale, moves};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::pad::PadParams;
use std::sync::Arc;
use tract_core::ops::array::{Pad, PadMode};

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(integer),
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
