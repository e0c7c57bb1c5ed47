//! Product over axes.

use super::Operator;
use super::reduction::reduced;
use flatpack_format::OpCode;
use tract_core::ops::nn::Reducer;

/// The operator.
pub const OPERATOR: Operator = Operator::new(OpCode::ReduceProd, |r, graph, node, inputs| {
    reduced(r, graph, node, inputs[0], |r, axes, x| r.in_f64(x, |r, x| r.reduce(Reducer::Prod, axes, x)))
});
