//! 2-D convolution with weights of 8-bit integers.

use super::{Operator, conv_2d};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: conv_2d::OPERATOR.clamp,
    part: conv_2d::OPERATOR.part,
    packs: conv_2d::OPERATOR.packs,
    ..Operator::new(OpCode::Conv2dW8, |r, graph, node, inputs| {
        let inputs = r.scaled_weights(0, inputs)?;
        conv_2d::reference(r, graph, node, &inputs)
    })
};
