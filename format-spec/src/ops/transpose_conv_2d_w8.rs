//! Transposed 2-D convolution with weights of 8-bit integers: x `[N, H, W, C]`, w `[O, KH, KW,
//! C]`, scales `[O]` or `[1]`, bias `[O]` (may be absent) → y `[N, OH, OW, O]`.

use crate::op::OpRule;
use crate::tensor::DType;

pub use super::transpose_conv_2d::TransposeConv2dParams;

/// See the module.
pub const RULE: OpRule = OpRule {
    output: |params, inputs| super::transpose_conv_2d::output(params, inputs, DType::I8),
    ..super::transpose_conv_2d::RULE
};
