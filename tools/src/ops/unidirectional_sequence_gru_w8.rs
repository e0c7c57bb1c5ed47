//! Gated recurrent units over a sequence, with weights of 8-bit integers.

use super::{Operator, Packs, unidirectional_sequence_gru};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    packs: Some(Packs::Gates),
    ..Operator::new(OpCode::UnidirectionalSequenceGruW8, unidirectional_sequence_gru::OPERATOR.reference)
};
