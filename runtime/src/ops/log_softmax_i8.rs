//! Logarithm of softmax of 8-bit integers along one axis, in fixed point: `yᵢ = 16 · (dᵢ − ln Σⱼ exp(dⱼ)) +
//! 127`, where `dᵢ = (xᵢ − max x) · multiplier`; elements whose difference from the maximum is less than
//! `diff_min` do not count, and give −128, as do those whose y would leave the range of the fixed point. As
//! TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape | layouts |
//! |---------|-------|-------|---------|
//! | x       | i8    | any   | rows    |
//! | y       | i8    | x's   | rows    |
//!
//! y may lie in the place of x. The rule proves the shapes, that the axis is one of x, and that the
//! parameters are in their domains.

use super::softmax_i8::sum_of_exps;
use crate::fixed::{divide_by_power_of_two, ln, multiply};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::each_strided;
use flatpack_format::OpCode;
use flatpack_format::ops::log_softmax_i8::{LogSoftmaxI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::LogSoftmaxI8, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let p: &LogSoftmaxI8Params = node.params()?;
    let x = node.input(0)?;
    let (_, len, inner) = x.shape().around(p.axis as usize)?;
    let (_, y) = operands.write_over::<i8>(x, node.output()?)?;
    each_strided(y, len as usize, inner as usize, |y, stride| {
        let (max, sum) = sum_of_exps(y, stride, p.multiplier, p.diff_min);
        let log = ln(sum);
        let least = multiply(log.wrapping_add(i32::MIN), p.reverse);
        let least = least.max(p.diff_min.saturating_sub(1));
        for y in y.iter_mut().step_by(stride.max(1)) {
            let difference = i32::from(*y).wrapping_sub(max);
            let real = multiply(difference, p.multiplier).wrapping_sub(log);
            let steps = divide_by_power_of_two(real, 22).wrapping_add(127);
            *y = if difference > least { steps.clamp(-128, 127) as i8 } else { -128 };
        }
    });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        along, i8s, refusal, refuses_other_operands, run as run_step, run_in_place, shape_and_axis,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use flatpack_format::ops::Multiplier;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::LogSoftmaxI8;

    /// For a scale of `mantissa · 2^(shift − 57)`.
    fn params(axis: usize, mantissa: i32, shift: i32) -> LogSoftmaxI8Params {
        let reverse = f64::from(31 - shift).exp2() / f64::from(mantissa);
        let reverse_shift = reverse.log2().floor() as i32 + 1;
        LogSoftmaxI8Params {
            axis: axis as u32,
            multiplier: Multiplier { mantissa, shift },
            reverse: Multiplier {
                mantissa: (reverse * f64::from(31 - reverse_shift).exp2()) as i32,
                shift: reverse_shift,
            },
            diff_min: -(31 << 26 >> shift),
        }
    }

    proptest! {
        #[test]
        fn it_is_next_to_the_formula_in_place_and_apart(
            (dims, axis) in shape_and_axis(), seed: u32, mantissa in 1 << 30..=i32::MAX, shift in 18i32..28,
        ) {
            let x = i8s(&dims, seed);
            let params = params(axis, mantissa, shift);
            let scale = f64::from(mantissa) * f64::from(shift - 57).exp2();
            let formula = |x: &[f64]| -> Vec<f64> {
                let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                // Differences below the least one do not count.
                let counts = |x: f64| x - max >= f64::from(params.diff_min);
                let sum: f64 = x.iter().filter(|x| counts(**x)).map(|x| ((x - max) * scale).exp()).sum();
                let y = |x: f64| (16.0 * ((x - max) * scale - sum.ln()) + 127.0).max(-128.0);
                x.iter().map(|&x| if counts(x) { y(x) } else { -128.0 }).collect()
            };
            let want = along(&x, axis..axis + 1, formula);
            let got = run_step(OP, bytes_of(&params), core::slice::from_ref(&x));
            for (got, want) in got.iter().zip(want) {
                prop_assert!((got - want).abs() < 0.501, "{got} is not {want}");
            }
            prop_assert_eq!(run_in_place(OP, bytes_of(&params), &[x], 0), got);
        }
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        let good = params(1, 1 << 30, 20);
        let bad = Multiplier { mantissa: -1, shift: 0 };
        let of = |params: LogSoftmaxI8Params| refusal(OP, bytes_of(&params), &[i8s(&[2, 3], 1)], None);
        assert_eq!(of(LogSoftmaxI8Params { axis: 2, ..good }), Misfit::Params);
        assert_eq!(of(LogSoftmaxI8Params { multiplier: bad, ..good }), Misfit::Params);
        assert_eq!(of(LogSoftmaxI8Params { reverse: bad, ..good }), Misfit::Params);
        assert_eq!(of(LogSoftmaxI8Params { diff_min: 1, ..good }), Misfit::Params);
    }

    #[test]
    fn other_operands_are_refused() {
        let params = params(1, 1 << 30, 20);
        refuses_other_operands(OP, bytes_of(&params), &[i8s(&[2, 3], 1)], false, 1);
    }
}
