//! Integers of one width and scale to those of another.

use super::weighted_i8::multiplied;
use super::{Operator, part};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::Node;
use crate::quant::Quant;
use flatpack_format::OpCode;
use flatpack_format::ops::requantize::RequantizeParams;

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::Requantize, exact) };

/// The node that makes integers which stand for reals as `y` says of those which `node` reads.
pub(crate) fn node(node: &Node, x: &Quant, y: &Quant) -> Result<Node, String> {
    let multiplier = fixed::multiplier(f64::from(x.scale()) / f64::from(y.scale()));
    let mut made = Node { op: OpCode::Requantize, ..node.clone() };
    made.set_params(RequantizeParams {
        x_zero_point: x.zero_point(),
        multiplier: multiplier.ok_or("scales have no multiplier in 32 bits")?,
        y_zero_point: y.zero_point(),
        dtype: u32::from(y.dtype as u8),
    });
    Ok(made)
}

fn exact(node: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    let p: RequantizeParams = node.params();
    let (low, high) = match p.dtype {
        1 => (i8::MIN.into(), i8::MAX.into()),
        4 => (i16::MIN.into(), i16::MAX.into()),
        _ => (i32::MIN, i32::MAX),
    };
    let element = |&x: &i32| {
        // Differences and sums keep 32 bits.
        let steps = multiplied(x.wrapping_sub(p.x_zero_point).into(), p.multiplier) as i32;
        steps.wrapping_add(p.y_zero_point).clamp(low, high)
    };
    Values::Integers(inputs[0].values.integers().iter().map(element).collect())
}
