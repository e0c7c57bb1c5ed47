//! Softmax of 8-bit integers along one axis.

use super::Operator;
use super::weighted_i8::{activation, multiplied};
use crate::exact::{Operand, Values};
use crate::fixed::{self, functions};
use crate::graph::{Graph, Node, TensorId};
use flatpack_format::ops::softmax::SoftmaxParams;
use flatpack_format::ops::softmax_i8::SoftmaxI8Params;
use flatpack_format::ops::{Clamp, Multiplier, binary::BinaryParams};
use flatpack_format::{DType, OpCode};

/// The operator.
pub const OPERATOR: Operator =
    Operator::on_integers(OpCode::SoftmaxI8, |node, inputs, _| shares(node, &inputs[0], 8));

/// Bits after the point of an exponent.
pub(crate) const POINT: u32 = 26;

/// A softmax of reals on quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let SoftmaxParams { axis } = node.params();
    activation(graph, node.inputs[0], "x")?;
    let words = graph.quant(node.output).filter(|quant| quant.dtype == DType::I16);
    // Of 16 bits, TensorFlow Lite takes scales that are nearly as they should be.
    let (y, op, steps, zero_point, within) = match words {
        Some(y) => (y, OpCode::SoftmaxI8I16, 65536.0f32, -32768, 0.001),
        None => (activation(graph, node.output, "y")?, OpCode::SoftmaxI8, 256.0, -128, 0.0),
    };
    if (y.scale() * steps - 1.0).abs() > within || y.zero_point() != zero_point {
        let found = format!("y has scale {} and zero point {}", y.scale(), y.zero_point());
        return Err(format!("{found}, expected 1/{steps} and {zero_point}"));
    }
    let Scaling { multiplier, diff_min, .. } = scaling(scale(graph, node.inputs[0]))?;
    let mut node = Node { op, ..node.clone() };
    node.set_params(SoftmaxI8Params { axis, multiplier, diff_min });
    Ok(node)
}

/// How differences of elements become exponents.
pub(crate) struct Scaling {
    /// Makes a number with [`POINT`] bits after the point of a difference.
    pub(crate) multiplier: Multiplier,
    /// The reverse of that.
    pub(crate) reverse: f64,
    /// The least difference that counts.
    pub(crate) diff_min: i32,
}

/// How differences of elements of this scale become exponents.
pub(crate) fn scaling(scale: f64) -> Result<Scaling, String> {
    let real = (scale * f64::from(1 << POINT)).min(f64::from(i32::MAX));
    if real <= 1.0 {
        return Err(format!("x has scale {scale}, expected more than 2^-26"));
    }
    match fixed::multiplier(real) {
        Some(multiplier) => Ok(Scaling {
            multiplier,
            reverse: f64::from(31 - multiplier.shift).exp2() / f64::from(multiplier.mantissa),
            diff_min: -((((1 << (31 - POINT)) - 1) << POINT) >> multiplier.shift),
        }),
        // The largest leave the maximum alone, whose difference is 0 however it is multiplied.
        None => Ok(Scaling {
            multiplier: Multiplier { mantissa: 0, shift: 0 },
            reverse: 1.0 / f64::from(i32::MAX),
            diff_min: 0,
        }),
    }
}

/// The scale of x; where x is a product with a constant, such as the `beta` of the published operator,
/// not rounded to a float.
fn scale(graph: &Graph, x: TensorId) -> f64 {
    let own = graph.quant(x).map_or(0.0, |quant| f64::from(quant.scale()));
    let product = graph.nodes.iter().find(|node| node.output == x && node.op == OpCode::Mul);
    let Some(product) = product else { return own };
    let clamp = product.params::<BinaryParams>().clamp;
    let [factor, of] = [1, 0].map(|input| product.inputs[input]);
    match (graph.data(factor).map(|values| &**values), graph.quant(factor), graph.quant(of)) {
        (Some(&[factor]), None, Some(of)) if clamp == Clamp::NONE => {
            f64::from(factor) * f64::from(of.scale())
        }
        _ => own,
    }
}

/// The largest element, and the sum of the exponentials of the differences from it, which counts at most
/// 32 bits, 19 of them after the point.
pub(crate) fn sum_of_exps(x: &[i32], by: Multiplier, diff_min: i32) -> (i32, i64) {
    let max = x.iter().copied().max().unwrap_or(0);
    let terms = x.iter().map(|x| functions::quotient(exp(x - max, by, diff_min).into(), 12) as i64);
    (max, terms.sum::<i64>().min(i32::MAX.into()))
}

/// The exponential of a difference; 0 if it does not count.
fn exp(difference: i32, by: Multiplier, diff_min: i32) -> i64 {
    if difference < diff_min { 0 } else { functions::exp(multiplied(difference.into(), by), POINT) }
}

/// The elements of y, of 8 or 16 bits.
pub(super) fn shares(node: &Node, x: &Operand<'_>, bits: u32) -> Values {
    let p: SoftmaxI8Params = node.params();
    let axis = p.axis as usize;
    let half = 1 << (bits - 1);
    Values::Integers(x.along(axis..axis + 1, |x| {
        let (max, sum) = sum_of_exps(x, p.multiplier, p.diff_min);
        // The sum is between 2^(log2 − 19) and twice as much.
        let log2 = sum.ilog2();
        let inverse = functions::inverse((sum << (31 - log2)) - (1 << 31)).into();
        let share = |x: &i32| {
            let product = functions::product(inverse, exp(x - max, p.multiplier, p.diff_min).into());
            (functions::quotient(product, log2 + 12 - bits) - half).min(half - 1) as i32
        };
        x.iter().map(share).collect()
    }))
}
