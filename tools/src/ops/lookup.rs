//! Any function of one 8-bit integer, as a table.

use super::weighted_i8::{activation, multiplied};
use super::{Operator, part};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Data, Graph, Node};
use crate::quant::Quant;
use flatpack_format::ops::Multiplier;
use flatpack_format::{DType, OpCode};

/// The operator.
pub const OPERATOR: Operator =
    Operator { part: Some(part::same_rows), ..Operator::on_integers(OpCode::Lookup, exact) };

/// The node that computes `f` of each integer that `node` reads, by a table. `f` is given an integer
/// of the type of the input, and gives one of the type of the output.
pub(crate) fn node(graph: &mut Graph, node: &Node, f: impl Fn(i32) -> i32) -> Node {
    let [x, y] = [node.inputs[0], node.output].map(|id| graph.tensor(id).tensor_type.dtype);
    let table: Vec<u8> = elements(x).map(|x| f(x) as u8).collect();
    let data = match y {
        DType::U8 => Data::U8(table.into()),
        _ => Data::I8(table.into_iter().map(|v| v as i8).collect()),
    };
    let table = graph.add_raw(&format!("{} table", node.layer), &[256], data);
    Node { op: OpCode::Lookup, params: Vec::new(), inputs: vec![node.inputs[0], table], ..node.clone() }
}

/// The integers of a type of one byte, in the order of a table.
pub(crate) fn elements(dtype: DType) -> impl Iterator<Item = i32> {
    (0..=u8::MAX).map(move |byte| if dtype == DType::U8 { byte.into() } else { (byte as i8).into() })
}

/// How signed bytes stand for the input and the output.
pub(crate) fn quants(graph: &Graph, node: &Node) -> Result<[Quant; 2], String> {
    Ok([activation(graph, node.inputs[0], "x")?.clone(), activation(graph, node.output, "y")?.clone()])
}

/// The multiplier of a table's formula.
pub(crate) fn multiplier(real: f64) -> Result<Multiplier, String> {
    fixed::multiplier(real).ok_or_else(|| "scales have no multiplier in 32 bits".into())
}

/// The table of `f`, which makes a distance from the output's zero point of that from the input's.
pub(crate) fn of_steps(graph: &mut Graph, of: &Node, f: impl Fn(i64) -> i64) -> Result<Node, String> {
    let [x, y] = quants(graph, of)?;
    let (low, high) = y.range();
    Ok(node(graph, of, |q| {
        let steps = f(i64::from(q) - i64::from(x.zero_point()));
        steps.saturating_add(y.zero_point().into()).clamp(low.into(), high.into()) as i32
    }))
}

/// The table of the integers that are nearest to `f` of the reals, where there is no published kernel.
pub(crate) fn of_reals(graph: &mut Graph, of: &Node, f: impl Fn(f64) -> f64) -> Result<Node, String> {
    let [x, y] = quants(graph, of)?;
    of_steps(graph, of, |steps| {
        let real = f(x.real_scale() * steps as f64);
        // A NaN becomes zero.
        (real / y.real_scale()).round() as i64
    })
}

/// The table of `f` as TensorFlow Lite fills it, in float32 and by the inverse of the output's scale. A NaN,
/// such as zero times an infinite inverse, becomes the zero point.
pub(crate) fn of_floats(graph: &mut Graph, of: &Node, f: impl Fn(f32) -> f32) -> Result<Node, String> {
    let [x, y] = quants(graph, of)?;
    let inverse = 1.0 / y.scale();
    of_steps(graph, of, |steps| {
        let steps = (f(x.scale() * steps as f32) * inverse).round();
        if steps.is_nan() {
            return 0;
        }
        // The sum with the zero point is one of floats too.
        let zero_point = y.zero_point();
        (steps + zero_point as f32).clamp(-1e9, 1e9) as i64 - i64::from(zero_point)
    })
}

/// A function of floats, correctly rounded but for a few in a million.
pub(crate) fn float(f: fn(f64) -> f64, x: f32) -> f32 {
    f(x.into()) as f32
}

/// The table of a function with bounds, as TensorFlow Lite's kernel computes it in fixed point: `function` is
/// given 4 bits before the point and gives none. For an output that is not quantised as that one wants,
/// the integers that are nearest to `real`.
pub(crate) fn sigmoidal(
    graph: &mut Graph,
    node: &Node,
    (y_scale, y_zero_point): (f32, i32),
    function: fn(i64) -> i64,
    real: fn(f64) -> f64,
) -> Result<Node, String> {
    const POINT: u32 = 27;
    let [x, y] = quants(graph, node)?;
    if (y.scale(), y.zero_point()) != (y_scale, y_zero_point) {
        return of_reals(graph, node, real);
    }
    let by = x.real_scale() * f64::from(1 << POINT);
    let (_, shift) = libm::frexp(by);
    if shift < 0 {
        return Err(format!("x has scale {}, expected at least 2^-28", x.scale()));
    }
    // From here on the function is at its bounds.
    let radius = (15i64 << POINT) >> shift.min(62);
    let by = fixed::multiplier(by);
    let places = 31 - y_scale.recip().log2() as u32;
    of_steps(graph, node, |steps| match by {
        _ if steps <= -radius => i64::from(i8::MIN) - i64::from(y_zero_point),
        Some(by) if steps < radius => {
            fixed::functions::quotient(function(multiplied(steps, by)).into(), places) as i64
        }
        _ => i64::from(i8::MAX) - i64::from(y_zero_point),
    })
}

fn exact(_: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    let table = inputs[1].values.integers();
    Values::Integers(inputs[0].values.integers().iter().map(|&x| table[usize::from(x as u8)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::Shape;

    /// The table that `make` gives an operator from bytes to bytes.
    fn table(
        [x, y]: [(f32, i32); 2],
        make: impl FnOnce(&mut Graph, &Node) -> Result<Node, String>,
    ) -> Result<Vec<i32>, String> {
        let mut graph = Graph::default();
        let input = graph.add_input("x", Shape::new(&[3]).unwrap());
        let output = graph.add_node("y", OpCode::Neg, [0u8; 0], &[input]).unwrap();
        for (id, (scale, zero_point)) in [(input, x), (output, y)] {
            graph.tensors[id.0].quant = Some(Quant::per_tensor(DType::I8, scale, zero_point));
            graph.tensors[id.0].tensor_type.dtype = DType::I8;
        }
        let node = graph.nodes[0].clone();
        let made = make(&mut graph, &node)?;
        Ok(graph.integers(made.inputs[1]).unwrap())
    }

    const SCALES: [f32; 8] = [f32::from_bits(1), 1e-40, 1e-38, 1e-9, 1.0, 1e9, 1e38, f32::MAX];

    fn quants() -> impl Iterator<Item = [(f32, i32); 2]> {
        let one = || SCALES.into_iter().flat_map(|scale| [-128, 0, 127].map(|zero| (scale, zero)));
        one().flat_map(move |x| one().map(move |y| [x, y]))
    }

    #[test]
    fn steps_beyond_all_integers_are_the_bounds() {
        for zero_point in [-128, 0, 127] {
            let of = |steps| table([(1.0, 5), (1.0, zero_point)], |g, n| of_steps(g, n, |_| steps)).unwrap();
            assert_eq!(of(i64::MAX), [127; 256]);
            assert_eq!(of(i64::MIN), [-128; 256]);
            assert_eq!(of(0), [zero_point; 256]);
        }
    }

    #[test]
    fn whatever_the_scales_the_table_of_a_line_rises_through_zero() {
        for quants in quants() {
            let [(x_scale, x_zero), (y_scale, y_zero)] = quants;
            let of_reals = table(quants, |graph, node| of_reals(graph, node, |x| x)).unwrap();
            let of_floats = table(quants, |graph, node| of_floats(graph, node, |x| x)).unwrap();
            for table in [&of_reals, &of_floats] {
                let signed = |q: i32| table[usize::from(q as u8)];
                assert!((-128..127).all(|q| signed(q) <= signed(q + 1)), "{quants:?}");
                assert_eq!(signed(x_zero), y_zero, "{quants:?}");
            }
            if x_scale == y_scale && x_zero == y_zero {
                let same: Vec<i32> = (0..=255u8).map(|byte| i32::from(byte as i8)).collect();
                assert_eq!(of_reals, same, "{quants:?}");
            }
        }
    }

    #[test]
    fn whatever_the_scales_a_function_with_bounds_rises_or_is_refused() {
        type Function = ((f32, i32), fn(i64) -> i64, fn(f64) -> f64);
        let functions: [Function; 2] = [
            ((1.0 / 256.0, -128), fixed::functions::logistic, |x| 1.0 / (1.0 + (-x).exp())),
            ((1.0 / 128.0, 0), fixed::functions::tanh, f64::tanh),
        ];
        for quants in quants() {
            for (published, function, real) in functions {
                for y in [published, quants[1]] {
                    let made = table([quants[0], y], |graph, node| {
                        sigmoidal(graph, node, published, function, real)
                    });
                    let Ok(table) = made else {
                        assert!(y == published && quants[0].0 < 1e-8, "{quants:?}");
                        continue;
                    };
                    let signed = |q: i32| table[usize::from(q as u8)];
                    assert!((-128..127).all(|q| signed(q) <= signed(q + 1)), "{quants:?}");
                }
            }
        }
    }
}
