//! Softmax of 8-bit integers along one axis, to 16 bits.

use super::Operator;
use super::softmax_i8;
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator =
    Operator::on_integers(OpCode::SoftmaxI8I16, |node, inputs, _| softmax_i8::shares(node, &inputs[0], 16));
