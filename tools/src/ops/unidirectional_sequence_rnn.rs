//! A recurrent layer without gates over a sequence.

use super::recurrence::{self, Cell};
use super::{FewerBytes, Operator, Packs};
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams;

/// The operator.
pub const OPERATOR: Operator = Operator {
    packs: Some(Packs::Gates),
    fewer_bytes: Some(FewerBytes::of_gates(
        OpCode::UnidirectionalSequenceRnnW8,
        OpCode::UnidirectionalSequenceRnnW16,
    )),
    ..Operator::new(OpCode::UnidirectionalSequenceRnn, |r, graph, node, inputs| {
        let p: UnidirectionalSequenceRnnParams = node.params();
        recurrence::reference(r, graph, node, p.walk, Cell::Rnn, inputs)
    })
};
