//! Minimum over axes.

use super::reduction::reduced;
use super::{Operator, OutputScale, moment, reduce_min_i8};
use flatpack_format::OpCode;
use tract_core::ops::nn::Reducer;

/// The operator.
pub const OPERATOR: Operator = Operator {
    integer: Some(reduce_min_i8::from_reals),
    scale: OutputScale::OfInputs,
    moment: Some(moment::reduced),
    ..Operator::new(OpCode::ReduceMin, |r, graph, node, inputs| {
        reduced(r, graph, node, inputs[0], |r, axes, x| r.reduce(Reducer::Min, axes, x))
    })
};
