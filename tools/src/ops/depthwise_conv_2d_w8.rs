//! Depthwise 2-D convolution with weights of 8-bit integers.

use super::{Operator, depthwise_conv_2d};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: depthwise_conv_2d::OPERATOR.clamp,
    part: depthwise_conv_2d::OPERATOR.part,
    ..Operator::new(OpCode::DepthwiseConv2dW8, |r, graph, node, inputs| {
        let inputs = r.scaled_weights(2, inputs)?;
        depthwise_conv_2d::reference(r, graph, node, &inputs)
    })
};
