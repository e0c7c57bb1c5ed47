//! A recurrent layer without gates over a sequence, with weights of 8-bit integers: see
//! [`super::unidirectional_sequence_rnn`]. Behind the rows of the bias are 2 of scales, those of w and then
//! those of recurrent, one for each unit of each gate.

use crate::op::OpRule;
use crate::tensor::DType;

pub use super::unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams;

/// See the module.
pub const RULE: OpRule = OpRule {
    output: |params, inputs| super::unidirectional_sequence_rnn::output(params, inputs, DType::I8),
    ..super::unidirectional_sequence_rnn::RULE
};
