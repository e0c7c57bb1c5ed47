//! Hard swish: `x · min(max(x + 3, 0), 6) / 6`.

use super::{Operator, lookup, unary};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use tract_core::ops::math::{add, div, mul};

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::HardSwish,
    |r, _, _, inputs| {
        let line = r.with_scalar(add(), inputs[0], 3.0)?;
        let gate = r.clamp(Clamp { min: 0.0, max: 6.0 }, line)?;
        let product = r.binary(mul(), &[inputs[0], gate])?;
        r.with_scalar(div(), product, 6.0)
    },
    integer,
);

/// As TensorFlow Lite's kernel on 16 bits, which is made for outputs that are not much coarser than
/// inputs; where it is not, the nearest integer.
fn integer(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let [x, y] = lookup::quants(graph, node)?;
    // Steps of x are multiplied by 2⁷.
    let scale = x.real_scale() / 128.0;
    let output = lookup::multiplier(scale / y.real_scale())?;
    // The real 3 becomes 2¹⁵.
    let gate = lookup::multiplier(scale / (3.0 / 32768.0))?;
    if output.shift > 0 {
        return lookup::of_reals(graph, node, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0);
    }
    let [output_16, gate_16] = [output, gate].map(|by| ((i64::from(by.mantissa) + (1 << 15)) >> 16) as i32);
    let [output_16, gate_16] = [output_16, gate_16].map(|mantissa| mantissa.min(i16::MAX.into()));
    lookup::of_steps(graph, node, |steps| {
        let fine = steps as i32 * 128;
        let mut open = fine;
        // The last bit is shifted after the product, so that it alone saturates.
        if gate.shift > 0 {
            open = saturated(i64::from(open) << (gate.shift - 1));
        }
        open = product(open, gate_16);
        open = if gate.shift > 0 { saturated(i64::from(open) * 2) } else { quotient(open, -gate.shift) };
        let open = (open + (1 << 15)) >> 1;
        // Rounded towards zero.
        let swish = open * product(fine, output_16) / (1 << 15);
        quotient(swish, -output.shift).into()
    })
}

fn saturated(x: i64) -> i32 {
    x.clamp(i16::MIN.into(), i16::MAX.into()) as i32
}

/// `a · b / 2¹⁵`, rounded to the nearest, for integers of 16 bits.
fn product(a: i32, b: i32) -> i32 {
    saturated((i64::from(a) * i64::from(b) + (1 << 14)) >> 15)
}

/// `x / 2^bits`, rounded to the nearest, halves away from zero, for integers of 16 bits. From 16 bits on
/// the published function gives the sign.
fn quotient(x: i32, bits: i32) -> i32 {
    if bits > 15 {
        return if x < 0 { -1 } else { 1 };
    }
    let half = (1 << bits) >> 1;
    x.signum() * ((x.abs() + half) >> bits)
}
