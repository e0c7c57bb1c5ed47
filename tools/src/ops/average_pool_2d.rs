//! 2-D average pooling.

use super::{Operator, OutputScale, average_pool_2d_i8, moment, part};
use crate::graph::Node;
use crate::reference::{Reference, Windows};
use flatpack_format::OpCode;
use flatpack_format::ops::average_pool_2d::Pool2dParams;
use std::mem::offset_of;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;
use tract_core::ops::cnn::{PoolSpec, SumPool};

/// The operator.
pub const OPERATOR: Operator = Operator {
    moment: Some(moment::of_samples),
    window: Some(moment::of_pool),
    part: Some(part::windows::<{ offset_of!(Pool2dParams, pad_h) }>),
    clamp: Some(offset_of!(Pool2dParams, clamp)),
    integer: Some(average_pool_2d_i8::from_reals),
    scale: OutputScale::OfInputs,
    ..Operator::new(OpCode::AveragePool2d, |r, _, node, inputs| {
        let pool_spec = pool_spec(r, node, inputs[0])?;
        let mean = r.wire(SumPool { pool_spec, count_include_pad: false, normalize: true }, inputs)?;
        r.clamp(node.params::<Pool2dParams>().clamp, mean)
    })
};

/// The windows of a pool, in tract's terms.
pub(crate) fn pool_spec(r: &Reference, node: &Node, x: OutletId) -> TractResult<PoolSpec> {
    let p: Pool2dParams = node.params();
    let windows = Windows { stride: &p.stride, dilation: &[1, 1], pad: &[p.pad_h, p.pad_w] };
    r.pool_spec(x, &p.window.map(|len| len as usize), windows)
}
