//! Logistic function: `1 / (1 + e⁻ˣ)`.

use super::{Operator, OutputScale, lookup, unary};
use crate::fixed::functions;
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;
use tract_core::ops::math::{add, exp, neg, recip};

/// The operator.
pub const OPERATOR: Operator = Operator {
    scale: OutputScale::Fixed { scale: 1.0 / 256.0, zero_point: -128 },
    ..unary::operator(OpCode::Logistic, |r, _, _, inputs| r.in_f64(inputs[0], logistic), integer)
};

/// As TensorFlow Lite's fixed-point kernel where the output has scale 1/256 and zero point −128.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    lookup::sigmoidal(graph, node, (1.0 / 256.0, -128), functions::logistic, logistic_of)
}

/// The formula.
pub(crate) fn logistic_of(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// The formula, in the type of `x`.
pub(crate) fn logistic(r: &mut Reference, x: OutletId) -> TractResult<OutletId> {
    let minus = r.wire(neg(), &[x])?;
    let power = r.wire(exp(), &[minus])?;
    let sum = r.with_scalar(add(), power, 1.0)?;
    r.wire(recip(), &[sum])
}
