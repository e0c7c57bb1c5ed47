//! A recurrent layer without gates over a sequence, with weights of binary16.

use super::{Operator, Packs, unidirectional_sequence_rnn};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    packs: Some(Packs::Gates),
    ..Operator::new(OpCode::UnidirectionalSequenceRnnW16, unidirectional_sequence_rnn::OPERATOR.reference)
};
