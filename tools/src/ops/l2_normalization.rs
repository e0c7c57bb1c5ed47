//! L2 normalisation along neighbouring axes.

use super::reduction::axes;
use super::{Operator, OutputScale, l2_normalization_i8};
use flatpack_format::OpCode;
use flatpack_format::ops::l2_normalization::L2NormalizationParams;
use tract_core::ops::math::{div, max, sqrt, square};
use tract_core::ops::nn::Reducer;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(l2_normalization_i8::from_reals),
    scale: OutputScale::Fixed { scale: 1.0 / 128.0, zero_point: 0 },
    ..Operator::new(OpCode::L2Normalization, |r, _, node, inputs| {
        let p: L2NormalizationParams = node.params();
        r.in_f64(inputs[0], |r, x| {
            let squares = r.wire(square(), &[x])?;
            let sum = r.reduce(Reducer::Sum, &axes(p.reduction()), squares)?;
            let bounded = r.with_scalar(max(), sum, p.epsilon.into())?;
            let norm = r.wire(sqrt(), &[bounded])?;
            r.binary(div(), &[x, norm])
        })
    })
};
