//! 2-D maximum pooling.

use super::average_pool_2d::pool_spec;
use super::{Operator, OutputScale, max_pool_2d_i8, moment, part};
use flatpack_format::OpCode;
use flatpack_format::ops::max_pool_2d::Pool2dParams;
use std::mem::offset_of;
use tract_core::ops::cnn::MaxPool;

/// The operator.
pub const OPERATOR: Operator = Operator {
    moment: Some(moment::of_samples),
    window: Some(moment::of_pool),
    part: Some(part::windows::<{ offset_of!(Pool2dParams, pad_h) }>),
    clamp: Some(offset_of!(Pool2dParams, clamp)),
    integer: Some(max_pool_2d_i8::from_reals),
    scale: OutputScale::OfInputs,
    ..Operator::new(OpCode::MaxPool2d, |r, _, node, inputs| {
        let pool_spec = pool_spec(r, node, inputs[0])?;
        let max = r.wire(MaxPool { pool_spec, with_index_outputs: None }, inputs)?;
        r.clamp(node.params::<Pool2dParams>().clamp, max)
    })
};
