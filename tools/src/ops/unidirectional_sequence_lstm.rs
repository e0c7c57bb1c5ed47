//! Long short-term memory over a sequence.

use super::recurrence::{self, activate};
use super::{Operator, unidirectional_sequence_lstm_i8};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;
use tract_core::ops::math::{add, mul};

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(unidirectional_sequence_lstm_i8::from_reals),
    ..Operator::new(OpCode::UnidirectionalSequenceLstm, reference)
};

fn reference(r: &mut Reference, graph: &Graph, node: &Node, inputs: &[OutletId]) -> TractResult<OutletId> {
    let p: UnidirectionalSequenceLstmParams = node.params();
    let (gate, new) = (p.walk.gate_activation, p.walk.activation);
    recurrence::reference(r, graph, node, &p.walk, inputs, |r, sums| {
        let (hidden, cell) = (sums.states[0], sums.states[1]);
        let mut gates = Vec::new();
        for (at, function) in [gate, gate, new, gate].into_iter().enumerate() {
            let sum = sums.gate(r, at, hidden)?;
            gates.push(activate(r, function, sum)?);
        }
        let kept = r.wire(mul(), &[gates[1], cell])?;
        let added = r.wire(mul(), &[gates[0], gates[2]])?;
        let cell = r.wire(add(), &[kept, added])?;
        let cell = r.clamp(Clamp { min: -p.cell_clip, max: p.cell_clip }, cell)?;
        let bounded = activate(r, new, cell)?;
        Ok(vec![r.wire(mul(), &[gates[3], bounded])?, cell])
    })
}
