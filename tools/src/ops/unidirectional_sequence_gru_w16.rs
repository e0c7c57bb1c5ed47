//! Gated recurrent units over a sequence, with weights of binary16.

use super::{Operator, unidirectional_sequence_gru};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator =
    Operator::new(OpCode::UnidirectionalSequenceGruW16, unidirectional_sequence_gru::OPERATOR.reference);
