//! Rectifier with threshold, slope and bound.

use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::thresholded_relu::ThresholdedReluParams;
use tract_core::ops::logic::comp_gt;
use tract_core::ops::math::{mul, sub};

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::ThresholdedRelu,
    |r, _, node, inputs| {
        let p: ThresholdedReluParams = node.params();
        let x = inputs[0];
        let distance = r.with_scalar(sub(), x, p.threshold.into())?;
        let below = r.with_scalar(mul(), distance, p.slope.into())?;
        let above = r.clamp(Clamp { min: f32::NEG_INFINITY, max: p.max }, x)?;
        let threshold = r.scalar_like(x, p.threshold.into())?;
        r.select(comp_gt(), [x, threshold], [above, below])
    },
    integer,
);

fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let p: ThresholdedReluParams = node.params();
    let (threshold, slope, max) = (f64::from(p.threshold), f64::from(p.slope), f64::from(p.max));
    lookup::of_reals(graph, node, |x| if x > threshold { x.min(max) } else { slope * (x - threshold) })
}
