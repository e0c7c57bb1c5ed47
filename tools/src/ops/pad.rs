//! Padding.

use super::Operator;
use flatpack_format::OpCode;
use flatpack_format::ops::pad::PadParams;
use std::sync::Arc;
use tract_core::ops::array::{Pad, PadMode};

/// The operator.
pub const OPERATOR: Operator = Operator::new(OpCode::Pad, |r, graph, node, inputs| {
    let p: PadParams = node.params();
    let rank = graph.dims(node.output).len();
    let sides = p.before.iter().zip(&p.after).take(rank);
    let pads = sides.map(|(&before, &after)| (before as usize, after as usize)).collect();
    r.wire(Pad { pads, mode: PadMode::Constant(Arc::new(p.value.into())) }, inputs)
});
