//! Gated recurrent units over a sequence, with weights of binary16.

use super::{Operator, Packs, unidirectional_sequence_gru};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    packs: Some(Packs::Gates),
    ..Operator::new(OpCode::UnidirectionalSequenceGruW16, unidirectional_sequence_gru::OPERATOR.reference)
};
