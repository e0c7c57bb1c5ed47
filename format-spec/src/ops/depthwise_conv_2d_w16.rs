//! Depthwise 2-D convolution with weights of binary16: x `[N, H, W, C]`, w `[KH, KW, O]`, bias
//! `[O]` (may be absent) → y `[N, OH, OW, O]`.

use crate::op::OpRule;
use crate::tensor::DType;

pub use super::depthwise_conv_2d::DepthwiseConv2dParams;

/// See the module.
pub const RULE: OpRule = OpRule {
    output: |params, inputs| super::depthwise_conv_2d::output(params, inputs, DType::F16),
    ..super::depthwise_conv_2d::RULE
};
