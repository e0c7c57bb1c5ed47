//! Mean.

use super::reduction::reduced;
use super::{Operator, moment, sum_i8};
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(sum_i8::from_mean),
    moment: Some(moment::reduced),
    ..Operator::new(OpCode::Mean, |r, graph, node, inputs| {
        reduced(r, graph, node, inputs[0], |r, axes, x| r.in_f64(x, |r, x| r.mean(axes, x)))
    })
};
