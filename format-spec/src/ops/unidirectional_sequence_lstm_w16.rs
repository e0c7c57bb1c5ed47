//! Long short-term memory over a sequence, with weights of binary16: see
//! [`super::unidirectional_sequence_lstm`].

use crate::op::OpRule;
use crate::tensor::DType;

pub use super::unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams;

/// See the module.
pub const RULE: OpRule = OpRule {
    output: |params, inputs| super::unidirectional_sequence_lstm::output(params, inputs, DType::F16),
    ..super::unidirectional_sequence_lstm::RULE
};
