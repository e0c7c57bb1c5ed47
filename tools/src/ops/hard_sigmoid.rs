//! Piecewise linear sigmoid.

use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::hard_sigmoid::HardSigmoidParams;
use tract_core::ops::math::{add, mul};

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::HardSigmoid,
    |r, _, node, inputs| {
        let p: HardSigmoidParams = node.params();
        let scaled = r.with_scalar(mul(), inputs[0], p.slope.into())?;
        let line = r.with_scalar(add(), scaled, p.offset.into())?;
        r.clamp(Clamp { min: 0.0, max: 1.0 }, line)
    },
    integer,
);

fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let HardSigmoidParams { slope, offset } = node.params();
    lookup::of_reals(graph, node, |x| (f64::from(slope) * x + f64::from(offset)).clamp(0.0, 1.0))
}
