//! Exponential linear unit.

use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use crate::reference::Reference;
use flatpack_format::OpCode;
use flatpack_format::ops::elu::EluParams;
use tract_core::internal::TractResult;
use tract_core::model::OutletId;
use tract_core::ops::logic::comp_gt;
use tract_core::ops::math::{exp, mul, sub};

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Elu,
    |r, _, node, inputs| {
        let alpha = node.params::<EluParams>().alpha.into();
        r.in_f64(inputs[0], |r, x| elu(r, alpha, x))
    },
    integer,
);

/// As TensorFlow Lite fills its table, where `alpha` is 1.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let alpha = node.params::<EluParams>().alpha;
    lookup::of_floats(graph, node, |x| if x < 0.0 { alpha * (lookup::float(libm::exp, x) - 1.0) } else { x })
}

/// The formula, in the type of `x`.
pub(crate) fn elu(r: &mut Reference, alpha: f64, x: OutletId) -> TractResult<OutletId> {
    let power = r.wire(exp(), &[x])?;
    let difference = r.with_scalar(sub(), power, 1.0)?;
    let below = r.with_scalar(mul(), difference, alpha)?;
    let zero = r.scalar_like(x, 0.0)?;
    r.select(comp_gt(), [x, zero], [x, below])
}
