//! Bounds.

use super::{Operator, unary};
use flatpack_format::OpCode;
use flatpack_format::ops::clip::ClipParams;

/// The operator.
pub const OPERATOR: Operator = Operator {
    clamp: Some(0),
    ..unary::operator(OpCode::Clip, |r, _, node, inputs| {
        r.clamp(node, node.params::<ClipParams>().clamp, inputs[0])
    })
};
