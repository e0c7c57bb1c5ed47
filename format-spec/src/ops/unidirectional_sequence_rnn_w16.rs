//! A recurrent layer without gates over a sequence, with weights of binary16: see
//! [`super::unidirectional_sequence_rnn`].

use crate::op::OpRule;
use crate::tensor::DType;

pub use super::unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams;

/// See the module.
pub const RULE: OpRule = OpRule {
    output: |params, inputs| super::unidirectional_sequence_rnn::output(params, inputs, DType::F16),
    ..super::unidirectional_sequence_rnn::RULE
};
