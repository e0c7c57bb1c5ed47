//! Gaussian error linear unit, exact and approximate.

use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use crate::reference::Erf;
use flatpack_format::OpCode;
use flatpack_format::ops::gelu::GeluParams;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};
use tract_core::ops::math::{add, mul, square, tanh};

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Gelu,
    |r, _, node, inputs| {
        let approximate = node.params::<GeluParams>().approximate == 1;
        r.in_f64(inputs[0], |r, x| {
            let bend = if approximate {
                // √(2/π) · x · (1 + 0.044715 x²)
                let squares = r.wire(square(), &[x])?;
                let scaled = r.with_scalar(mul(), squares, 0.044715)?;
                let sum = r.with_scalar(add(), scaled, 1.0)?;
                let product = r.binary(mul(), &[x, sum])?;
                let argument = r.with_scalar(mul(), product, FRAC_2_PI.sqrt())?;
                r.wire(tanh(), &[argument])?
            } else {
                let argument = r.with_scalar(mul(), x, FRAC_1_SQRT_2)?;
                r.wire(Erf, &[argument])?
            };
            let sum = r.with_scalar(add(), bend, 1.0)?;
            let double = r.binary(mul(), &[x, sum])?;
            r.with_scalar(mul(), double, 0.5)
        })
    },
    integer,
);

/// √(2/π).
const ROOT_2_OVER_PI: f32 = 0.797_884_6;

/// As TensorFlow Lite fills its table: with the complement of the error function, which does not cancel.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let approximate = node.params::<GeluParams>().approximate == 1;
    lookup::of_floats(graph, node, |x| {
        if approximate {
            let argument = ROOT_2_OVER_PI * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + lookup::float(libm::tanh, argument))
        } else {
            0.5 * x * lookup::float(libm::erfc, x * -std::f32::consts::FRAC_1_SQRT_2)
        }
    })
}
