//! 2-D convolution with weights of binary16.

use super::{Operator, conv_2d};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: conv_2d::OPERATOR.clamp,
    part: conv_2d::OPERATOR.part,
    packs: conv_2d::OPERATOR.packs,
    ..Operator::new(OpCode::Conv2dW16, conv_2d::reference)
};
