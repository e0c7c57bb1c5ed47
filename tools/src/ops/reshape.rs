//! Another shape over the same elements.

use super::Operator;
use crate::reference::sizes;
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    in_place: 1,
    ..Operator::new(OpCode::Reshape, |r, graph, node, inputs| {
        r.reshape(&sizes(graph.dims(node.output)), inputs[0])
    })
};
