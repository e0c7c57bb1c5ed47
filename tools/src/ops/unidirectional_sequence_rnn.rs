//! A recurrent layer without gates over a sequence.

use super::Operator;
use super::recurrence::{self, activate};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;

/// The operator.
pub const OPERATOR: Operator = Operator::new(OpCode::UnidirectionalSequenceRnn, reference);

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let p: UnidirectionalSequenceRnnParams = node.params();
    recurrence::reference(r, graph, node, &p.walk, inputs, |r, sums| {
        let sum = sums.gate(r, 0, sums.states[0])?;
        Ok(vec![activate(r, p.walk.activation, sum)?])
    })
}
