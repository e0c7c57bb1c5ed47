//! Another shape over the same elements.

use super::{Operator, OutputScale, moves};
use crate::reference::sizes;
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(moves::same_quant),
    scale: OutputScale::OfInputs,
    ..Operator::new(OpCode::Reshape, |r, graph, node, inputs| {
        r.reshape(&sizes(graph.dims(node.output)), inputs[0])
    })
};
