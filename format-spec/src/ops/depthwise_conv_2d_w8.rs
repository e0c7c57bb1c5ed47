//! Depthwise 2-D convolution with weights of 8-bit integers: x `[N, H, W, C]`, w `[KH, KW, O]`,
//! scales `[O]` or `[1]`, bias `[O]` (may be absent) → y `[N, OH, OW, O]`.

use crate::op::OpRule;
use crate::tensor::DType;

pub use super::depthwise_conv_2d::DepthwiseConv2dParams;

/// See the module.
pub const RULE: OpRule = OpRule {
    output: |params, inputs| super::depthwise_conv_2d::output(params, inputs, DType::I8),
    ..super::depthwise_conv_2d::RULE
};
