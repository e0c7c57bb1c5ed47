//! Transposed 2-D convolution with weights of 8-bit integers.

use super::{Operator, transpose_conv_2d};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: transpose_conv_2d::OPERATOR.clamp,
    packs: transpose_conv_2d::OPERATOR.packs,
    ..Operator::new(OpCode::TransposeConv2dW8, |r, graph, node, inputs| {
        let inputs = r.scaled_weights(0, inputs)?;
        transpose_conv_2d::reference(r, graph, node, &inputs)
    })
};
