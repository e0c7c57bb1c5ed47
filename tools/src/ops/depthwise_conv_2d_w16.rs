//! Depthwise 2-D convolution with weights of binary16.

use super::{Operator, depthwise_conv_2d};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: depthwise_conv_2d::OPERATOR.clamp,
    part: depthwise_conv_2d::OPERATOR.part,
    ..Operator::new(OpCode::DepthwiseConv2dW16, depthwise_conv_2d::reference)
};
