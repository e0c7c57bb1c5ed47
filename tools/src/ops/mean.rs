//! Mean.

use super::Operator;
use super::reduction::reduced;
use flatpack_format::OpCode;

/// The operator.
pub const OPERATOR: Operator = Operator::new(OpCode::Mean, |r, graph, node, inputs| {
    reduced(r, graph, node, inputs[0], |r, axes, x| r.in_f64(x, |r, x| r.mean(axes, x)))
});
