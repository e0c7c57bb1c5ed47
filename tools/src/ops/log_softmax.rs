//! Logarithm of softmax along one axis.

use super::{Operator, OutputScale, log_softmax_i8, moment};
use flatpack_format::OpCode;
use flatpack_format::ops::log_softmax::LogSoftmaxParams;
use tract_core::internal::tvec;
use tract_core::ops::nn::{Softmax, SoftmaxKind};

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(log_softmax_i8::from_reals),
    scale: OutputScale::Fixed { scale: 16.0 / 256.0, zero_point: 127 },
    moment: Some(|_, node, axes, _| {
        let axis = moment::first_alone(axes)?;
        if axis == node.params::<LogSoftmaxParams>().axis as usize { None } else { moment::same(node, axis) }
    }),
    ..Operator::new(OpCode::LogSoftmax, |r, _, node, inputs| {
        let axis = node.params::<LogSoftmaxParams>().axis as usize;
        let softmax = Softmax { axes: tvec![axis], quant_output_dt: None, kind: SoftmaxKind::LogSoftmax };
        r.in_f64(inputs[0], |r, x| r.wire(softmax, &[x]))
    })
};
