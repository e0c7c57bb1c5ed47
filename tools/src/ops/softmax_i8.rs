//! Softmax of 8-bit integers along one axis.

use super::Operator;
use super::weighted_i8::{activation, multiplied};
use crate::exact::{Operand, Values};
use crate::fixed::{self, functions};
use crate::graph::{Graph, Node, TensorId};
use flatpack_format::OpCode;
use flatpack_format::ops::softmax::SoftmaxParams;
use flatpack_format::ops::softmax_i8::SoftmaxI8Params;
use flatpack_format::ops::{Clamp, Multiplier, binary::BinaryParams};

/// The operator.
pub const OPERATOR: Operator = Operator { in_place: 1, ..Operator::on_integers(OpCode::SoftmaxI8, exact) };

/// Bits before the point of a difference from the largest element.
const INTEGER_BITS: u32 = 5;

/// A softmax of reals on quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let SoftmaxParams { axis } = node.params();
    activation(graph, node.inputs[0], "x")?;
    let y = activation(graph, node.output, "y")?;
    if (y.scale(), y.zero_point()) != (1.0 / 256.0, -128) {
        let (scale, zero_point) = (y.scale(), y.zero_point());
        return Err(format!("y has scale {scale} and zero point {zero_point}, expected 1/256 and -128"));
    }
    let (multiplier, diff_min) = scaling(scale(graph, node.inputs[0]))?;
    let mut node = Node { op: OpCode::SoftmaxI8, ..node.clone() };
    node.set_params(SoftmaxI8Params { axis, multiplier, diff_min });
    Ok(node)
}

/// How a difference of elements of this scale is multiplied, and the least one that counts.
pub(crate) fn scaling(scale: f64) -> Result<(Multiplier, i32), String> {
    let real = (scale * f64::from(1 << (31 - INTEGER_BITS))).min(f64::from(i32::MAX));
    if real <= 1.0 {
        return Err(format!("x has scale {scale}, expected more than 2^-26"));
    }
    // The largest multipliers leave the maximum alone, whose difference is 0 however it is multiplied.
    let alone = (Multiplier { mantissa: 0, shift: 0 }, 0);
    let Some(by) = fixed::multiplier(real) else { return Ok(alone) };
    Ok((by, -(((1 << INTEGER_BITS) - 1) << (31 - INTEGER_BITS) >> by.shift)))
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

fn exact(node: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    let p: SoftmaxI8Params = node.params();
    Values::Integers(along(&inputs[0], p.axis as usize, |x| {
        let max = x.iter().copied().max().unwrap_or(0);
        let exp = |x: &i32| -> i64 {
            let difference = x - max;
            if difference < p.diff_min {
                return 0;
            }
            functions::exp(multiplied(difference.into(), p.multiplier), 31 - INTEGER_BITS)
        };
        // Terms with 19 bits after the point, which are not negative.
        let sum: i64 = x.iter().map(|x| (exp(x) + (1 << 11)) >> 12).sum();
        let sum = sum.min(i32::MAX.into());
        let log2 = sum.ilog2();
        let inverse = i128::from(functions::inverse((sum << (31 - log2)) - (1 << 31)));
        let share = |x: &i32| {
            let product = (2 * inverse * i128::from(exp(x)) + (1 << 31)) >> 32;
            // The sum is between 2^(log2 − 19) and twice as much.
            let divisor = 1i128 << (log2 + 4);
            ((2 * product + divisor) / (2 * divisor) - 128).min(127) as i32
        };
        x.iter().map(share).collect()
    }))
}

/// `f` of each vector of x along an axis, in its place.
pub(crate) fn along(x: &Operand<'_>, axis: usize, f: impl Fn(&[i32]) -> Vec<i32>) -> Vec<i32> {
    let values = x.values.integers();
    let (len, inner) = (x.dims[axis] as usize, x.dims[axis + 1..].iter().product::<u32>() as usize);
    let mut y = vec![0; values.len()];
    for start in (0..values.len()).step_by(len * inner) {
        for first in start..start + inner {
            let places = (0..len).map(|i| first + i * inner);
            let vector: Vec<i32> = places.clone().map(|place| values[place]).collect();
            for (place, result) in places.zip(f(&vector)) {
                y[place] = result;
            }
        }
    }
    y
}
