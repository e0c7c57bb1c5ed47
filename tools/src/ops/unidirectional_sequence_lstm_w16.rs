//! Long short-term memory over a sequence, with weights of binary16.

use super::{Operator, Packs, unidirectional_sequence_lstm};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    packs: Some(Packs::Gates),
    ..Operator::new(OpCode::UnidirectionalSequenceLstmW16, unidirectional_sequence_lstm::OPERATOR.reference)
};
