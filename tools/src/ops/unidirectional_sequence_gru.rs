//! Gated recurrent units over a sequence.

use super::recurrence::{self, Cell};
use super::{FewerBytes, Operator, Packs};
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_gru::UnidirectionalSequenceGruParams;

/// The operator.
pub const OPERATOR: Operator = Operator {
    packs: Some(Packs::Gates),
    fewer_bytes: Some(FewerBytes::of_gates(
        OpCode::UnidirectionalSequenceGruW8,
        OpCode::UnidirectionalSequenceGruW16,
    )),
    ..Operator::new(OpCode::UnidirectionalSequenceGru, |r, graph, node, inputs| {
        let p: UnidirectionalSequenceGruParams = node.params();
        recurrence::reference(r, graph, node, p.walk, Cell::Gru { reset_after: p.reset_after == 1 }, inputs)
    })
};
