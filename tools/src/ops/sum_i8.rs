//! Sum and mean of 8-bit integers over axes.

use super::Operator;
use super::reduction::reduced_exactly;
use super::weighted_i8::{activation, requantized};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::mean::ReduceParams;
use flatpack_format::ops::sum_i8::SumI8Params;
use flatpack_format::ops::{Clamp, Multiplier};

/// The operator.
pub const OPERATOR: Operator = Operator::on_integers(OpCode::SumI8, exact);

/// A sum of reals on quantised operands.
pub(crate) fn from_sum(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    of_reals(graph, node, |by, _| by)
}

/// A mean of reals on quantised operands.
pub(crate) fn from_mean(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    of_reals(graph, node, divided)
}

fn of_reals(
    graph: &mut Graph,
    node: &Node,
    multiplier: impl Fn(Multiplier, u32) -> Multiplier,
) -> Result<Node, String> {
    let axes: ReduceParams = node.params();
    let (x, y) = (activation(graph, node.inputs[0], "x")?, activation(graph, node.output, "y")?);
    let by = fixed::multiplier(f64::from(x.scale()) / f64::from(y.scale()));
    let by = by.ok_or("scales have no multiplier in 32 bits")?;
    let (_, count, _) = axes.around(&graph.tensor(node.inputs[0]).shape()).ok_or("axes that x has not")?;
    let mut sum = Node { op: OpCode::SumI8, ..node.clone() };
    sum.set_params(SumI8Params {
        axis: axes.axis,
        axis_count: axes.axis_count,
        keep_dims: axes.keep_dims,
        x_zero_point: x.zero_point(),
        multiplier: multiplier(by, count),
        y: fixed::output(y, Clamp::NONE),
    });
    Ok(sum)
}

/// `by / count` as TensorFlow Lite's `MEAN` makes it: the mantissa is shifted left so that the quotient,
/// which is rounded down, keeps its bits.
fn divided(by: Multiplier, count: u32) -> Multiplier {
    let shift = count.max(1).ilog2().min(31u32.saturating_add_signed(by.shift));
    let mantissa = (i64::from(by.mantissa) << shift) / i64::from(count.max(1));
    Multiplier { mantissa: mantissa as i32, shift: by.shift - shift as i32 }
}

fn exact(node: &Node, inputs: &[Operand<'_>], _: &[u32]) -> Values {
    let p: SumI8Params = node.params();
    reduced_exactly(inputs[0], p.axes(), |x| {
        let sum = x.iter().map(|x| x - i64::from(p.x_zero_point)).sum();
        requantized(sum, p.multiplier, &p.y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_few_or_many_has_a_multiplier_in_its_domain() {
        for (real, count) in [(1.0, 1), (0.7, 3), (0.99, 49), (1e-9, 7), (1e3, u32::MAX), (0.5, 1 << 20)] {
            let made = divided(fixed::multiplier(real).unwrap(), count);
            assert!(made.valid(), "{made:?}");
            let value = f64::from(made.mantissa) * 2f64.powi(made.shift - 31);
            assert!((value * f64::from(count) / real - 1.0).abs() < 1e-8, "{real} / {count}: {made:?}");
        }
        assert_eq!(divided(Multiplier { mantissa: 0, shift: 0 }, 5), Multiplier { mantissa: 0, shift: -2 });
    }

    #[test]
    fn where_the_shift_ends_the_quotient_loses_bits() {
        // 31 + shift leaves 1 bit of the 2 that a count of 4 has.
        let made = divided(Multiplier { mantissa: (1 << 30) + 3, shift: -30 }, 4);
        assert_eq!(made, Multiplier { mantissa: (1 << 29) + 1, shift: -31 });
    }
}
