//! Quotient of 8-bit integers.

use super::{Operator, binary_i8, lookup, part};
use crate::exact::{Operand, Values};
use crate::fixed::{self, functions};
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::ops::div_i8::DivI8Params;

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::DivI8, exact) };

/// A quotient of reals of quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let BinaryParams { clamp } = node.params();
    let made = binary_i8::operands(graph, node)?;
    let mut node = Node { op: OpCode::DivI8, inputs: made.inputs, ..node.clone() };
    node.set_params(DivI8Params {
        a_zero_point: made.a.zero_point(),
        b_zero_point: made.b.zero_point(),
        multiplier: lookup::multiplier(made.a.real_scale() / (made.b.real_scale() * made.y.real_scale()))?,
        y: fixed::output(&made.y, clamp),
    });
    Ok(node)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: DivI8Params = node.params();
    let (zero_point, min, max) = (i64::from(p.y.zero_point), p.y.min.into(), p.y.max.into());
    binary_i8::broadcast(inputs, dims, |a, b| {
        let (a, b) = (a - i64::from(p.a_zero_point), b - i64::from(p.b_zero_point));
        if b == 0 {
            return (if a == 0 { zero_point } else { a.signum() * 128 }).clamp(min, max) as i32;
        }
        let (a, b) = (a * b.signum(), b.abs());
        // b is 2^bits · (1 + fraction); a is brought to 32 bits, its sign among them.
        let bits = b.ilog2();
        let inverse = functions::inverse((b << (31 - bits)) - (1 << 31));
        let significant =
            if a < 0 { a + 1 } else { a }.unsigned_abs().checked_ilog2().map_or(0, |bits| bits + 1);
        let room = 31 - significant;
        let product = functions::product(
            functions::product((a << room).into(), inverse.into()),
            p.multiplier.mantissa.into(),
        );
        let places = (i64::from(bits + room) - i64::from(p.multiplier.shift)).rem_euclid(64);
        // What the published kernel makes of shifts that C++ does not define.
        let steps = match u32::try_from(places) {
            Ok(places @ 0..32) => functions::quotient(product, places),
            _ => product.div_euclid(1 << (places - 32)) + i128::from(product >= 0),
        };
        (steps as i64 + zero_point).clamp(min, max) as i32
    })
}
