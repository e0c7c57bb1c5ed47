//! Long short-term memory over a sequence.

use super::recurrence::{self, Cell};
use super::{FewerBytes, Operator, Packs, unidirectional_sequence_lstm_i8};
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams;

/// The operator.
pub const OPERATOR: Operator = Operator {
    packs: Some(Packs::Gates),
    integer: Some(unidirectional_sequence_lstm_i8::from_reals),
    fewer_bytes: Some(FewerBytes::of_gates(
        OpCode::UnidirectionalSequenceLstmW8,
        OpCode::UnidirectionalSequenceLstmW16,
    )),
    ..Operator::new(OpCode::UnidirectionalSequenceLstm, |r, graph, node, inputs| {
        let p: UnidirectionalSequenceLstmParams = node.params();
        recurrence::reference(r, graph, node, p.walk, Cell::Lstm { clip: p.cell_clip.to_bits() }, inputs)
    })
};
