//! Reciprocal of the square root.

use super::weighted_i8::multiplied;
use super::{Operator, lookup, unary};
use crate::fixed::functions;
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::Multiplier;
use tract_core::ops::math::rsqrt;

/// The operator.
pub const OPERATOR: Operator =
    unary::operator(OpCode::Rsqrt, |r, _, _, inputs| r.wire(rsqrt(), inputs), integer);

/// As TensorFlow Lite's kernel; below zero, where that stops, as at zero: the largest integer.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    /// Bits after the point between the two products.
    const BITS: i32 = 20;
    let [x, y] = lookup::quants(graph, node)?;
    let by = lookup::multiplier(1.0 / (libm::sqrt(x.real_scale()) * y.real_scale()))?;
    lookup::of_steps(graph, node, |steps| {
        if steps <= 0 {
            return i64::from(u8::MAX);
        }
        let root = functions::inverse_sqrt(steps);
        let data = multiplied(1, Multiplier { shift: root.shift + BITS, ..root });
        multiplied(data, Multiplier { shift: by.shift - BITS, ..by })
    })
}
