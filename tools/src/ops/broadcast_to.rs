//! Repetition along axes of length 1.

use super::Operator;
use crate::reference::sizes;
use flatpack_format::OpCode;
use tract_core::internal::ShapeFact;
use tract_core::ops::array::MultiBroadcastTo;

/// The operator.
pub const OPERATOR: Operator = Operator::new(OpCode::BroadcastTo, |r, graph, node, inputs| {
    let shape = ShapeFact::from_dims(sizes(graph.dims(node.output)));
    r.wire(MultiBroadcastTo { shape }, inputs)
});
