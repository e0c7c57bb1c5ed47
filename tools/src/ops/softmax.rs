//! Softmax along one axis.

use super::{Operator, OutputScale, moment, softmax_i8};
use flatpack_format::OpCode;
use flatpack_format::ops::softmax::SoftmaxParams;
use tract_core::internal::tvec;
use tract_core::ops::nn::{Softmax, SoftmaxKind};

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(softmax_i8::from_reals),
    scale: OutputScale::Fixed { scale: 1.0 / 256.0, zero_point: -128 },
    moment: Some(|_, node, axes, _| {
        let axis = moment::first_alone(axes)?;
        if axis == node.params::<SoftmaxParams>().axis as usize { None } else { moment::same(node, axis) }
    }),
    ..Operator::new(OpCode::Softmax, |r, _, node, inputs| {
        let axis = node.params::<SoftmaxParams>().axis as usize;
        let softmax = Softmax { axes: tvec![axis], quant_output_dt: None, kind: SoftmaxKind::Softmax };
        r.in_f64(inputs[0], |r, x| r.wire(softmax, &[x]))
    })
};
