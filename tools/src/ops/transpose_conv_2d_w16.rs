//! Transposed 2-D convolution with weights of binary16.

use super::{Operator, transpose_conv_2d};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: transpose_conv_2d::OPERATOR.clamp,
    packs: transpose_conv_2d::OPERATOR.packs,
    ..Operator::new(OpCode::TransposeConv2dW16, transpose_conv_2d::reference)
};
