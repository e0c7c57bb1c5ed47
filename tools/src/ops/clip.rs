//! Bounds.

use super::{Operator, unary};
use flatpack_format::OpCode;
use flatpack_format::ops::clip::ClipParams;
use std::mem::offset_of;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: Some(offset_of!(ClipParams, clamp)),
    ..unary::operator(OpCode::Clip, |r, _, node, inputs| {
        r.clamp(node.params::<ClipParams>().clamp, inputs[0])
    })
};
