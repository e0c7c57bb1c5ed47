//! Sum over axes.

use super::reduction::reduced;
use super::{Operator, moment, sum_i8};
use flatpack_format::OpCode;
use tract_core::ops::nn::Reducer;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(sum_i8::from_sum),
    moment: Some(moment::reduced),
    ..Operator::new(OpCode::Sum, |r, graph, node, inputs| {
        reduced(r, graph, node, inputs[0], |r, axes, x| r.in_f64(x, |r, x| r.reduce(Reducer::Sum, axes, x)))
    })
};
