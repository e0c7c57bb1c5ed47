//! Hyperbolic tangent.

use super::{Operator, OutputScale, lookup, unary};
use crate::fixed::functions;
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use tract_core::ops::math::tanh;

/// The operator.
pub const OPERATOR: Operator = Operator {
    scale: OutputScale::Fixed { scale: 1.0 / 128.0, zero_point: 0 },
    ..unary::operator(
        OpCode::Tanh,
        |r, _, _, inputs| r.in_f64(inputs[0], |r, x| r.wire(tanh(), &[x])),
        integer,
    )
};

/// As TensorFlow Lite's fixed-point kernel where the output has scale 1/128 and zero point 0.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    lookup::sigmoidal(graph, node, (1.0 / 128.0, 0), functions::tanh, libm::tanh)
}
