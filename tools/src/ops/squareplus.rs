//! Squareplus.

use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::squareplus::SquareplusParams;
use tract_core::ops::math::{add, mul, sqrt, square};

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Squareplus,
    |r, _, node, inputs| {
        let b: f64 = node.params::<SquareplusParams>().b.into();
        r.in_f64(inputs[0], |r, x| {
            let squares = r.wire(square(), &[x])?;
            let sum = r.with_scalar(add(), squares, b)?;
            let root = r.wire(sqrt(), &[sum])?;
            let double = r.binary(add(), &[x, root])?;
            r.with_scalar(mul(), double, 0.5)
        })
    },
    integer,
);

fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let b = f64::from(node.params::<SquareplusParams>().b);
    lookup::of_reals(graph, node, |x| (x + libm::sqrt(x * x + b)) / 2.0)
}
