//! Softmax of 8-bit integers along one axis, in fixed point: `yᵢ = 256 · exp(dᵢ) / Σⱼ exp(dⱼ) − 128`, where
//! `dᵢ = (xᵢ − max x) · multiplier`; elements whose difference from the maximum is less
//! than `diff_min` do not count and give −128. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape | layouts |
//! |---------|-------|-------|---------|
//! | x       | i8    | any   | rows    |
//! | y       | i8    | x's   | rows    |
//!
//! y may lie in the place of x. The rule proves the shapes, that the axis is one of x, and that the
//! parameters are in their domains.

use crate::arch::{Active, Arch, Loops};
use crate::fixed::{
    divide_by_power_of_two, doubling_high_multiply, exp_of_negative, multiply, one_over_one_plus,
};
use crate::kernel::{Kernel, Node};
use crate::lanes::{put_behind, put_beside};
use crate::operands::Operands;
use crate::pieces::{each_strided, pieces_mut};
use flatpack_format::OpCode;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::softmax_i8::{RULE, SoftmaxI8Params};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::SoftmaxI8, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let p: &SoftmaxI8Params = node.params()?;
    let x = node.input(0)?;
    let (_, len, inner) = x.shape().around(p.axis as usize)?;
    let (_, y) = operands.write_over::<i8>(x, node.output()?)?;
    let (len, inner) = (len as usize, inner as usize);
    if A::WIDE_TILES && y.len() >= MANY {
        let (table, macs) = (Table::of(p), COST * y.len());
        return node.threads().share(y, len * inner, macs, |_, y| {
            A::vectorize(ByTable { y, len, inner, table: &table, p });
            Some(())
        });
    }
    each_strided(y, len, inner, |y, stride| {
        let vector = Vector::of(y, stride, p);
        for y in y.iter_mut().step_by(stride.max(1)) {
            *y = vector.element(*y);
        }
    });
    Some(())
}

/// From this many elements on, every difference is worth to be looked up, where there is memory for all.
const MANY: usize = if cfg!(test) { 64 } else { 256 };

/// The longest vectors of which some are computed at once.
const SHORT: usize = 16;

/// How many of them: so many that a compiler does not unroll loops over them, but looks for vectors.
const LANES: usize = 64;

/// What an element is taken to cost, in multiply-accumulates.
const COST: usize = 16;

/// What there is of each difference from the largest element, for `max − x`.
struct Table {
    /// See [`exp_of_difference`]; 0 for one that does not count.
    exps: [i32; 256],
    /// What of them is added up.
    terms: [i32; 256],
}

/// Vectors along the middle axis of y, `[outer, len, inner]`.
struct ByTable<'a> {
    y: &'a mut [i8],
    len: usize,
    inner: usize,
    table: &'a Table,
    p: &'a SoftmaxI8Params,
}

impl Loops for ByTable<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(self) {
        let Self { y, len, inner, table, p } = self;
        if inner == 1 && len <= SHORT {
            let (mut beside, mut exps) = ([[0; LANES]; SHORT], [[0; LANES]; SHORT]);
            let beside = beside.get_mut(..len).unwrap_or_default();
            return y.chunks_mut((len * LANES).max(1)).for_each(|y| table.short(y, beside, &mut exps));
        }
        for block in pieces_mut(y, len * inner) {
            if inner == 1 {
                table.side_by_side(p, block);
            } else {
                (0..inner)
                    .for_each(|first| table.apart(p, block.get_mut(first..).unwrap_or_default(), inner));
            }
        }
    }
}

impl Table {
    fn of(p: &SoftmaxI8Params) -> Self {
        let mut table = Self { exps: [0; 256], terms: [0; 256] };
        for (difference, (exp, term)) in (0..).zip(table.exps.iter_mut().zip(&mut table.terms)) {
            *exp = exp_of_difference(i8::MIN, difference - 128, p.multiplier, p.diff_min).unwrap_or(0);
            *term = term_of(*exp);
        }
        table
    }

    /// What an element has in one of the tables.
    #[inline(always)]
    fn at(table: &[i32; 256], max: i8, x: i8) -> i32 {
        // No index of 8 bits is past the end.
        table.get(usize::from(max.wrapping_sub(x) as u8)).copied().unwrap_or_default()
    }

    /// Up to [`LANES`] vectors of as many elements as there are rows, one behind the other: put side by side, all are
    /// computed at once.
    #[inline(always)]
    fn short(&self, y: &mut [i8], beside: &mut [[i8; LANES]], exps: &mut [[i32; LANES]]) {
        let len = beside.len();
        put_beside(y, len, beside);
        let mut max = [i8::MIN; LANES];
        for x in &*beside {
            max.iter_mut().zip(x).for_each(|(max, x)| *max = (*max).max(*x));
        }
        // All of a vector have 24 bits.
        let mut sums = [0i32; LANES];
        for (exps, x) in exps.iter_mut().zip(&*beside) {
            for ((exp, max), x) in exps.iter_mut().zip(&max).zip(x) {
                *exp = Self::at(&self.exps, *max, *x);
            }
            sums.iter_mut().zip(&*exps).for_each(|(sum, exp)| *sum = sum.wrapping_add(term_of(*exp)));
        }
        let (mut inverses, mut places) = ([0; LANES], [0; LANES]);
        for ((inverse, places), sum) in inverses.iter_mut().zip(&mut places).zip(&sums) {
            let zeros = sum.leading_zeros();
            *inverse = inverse_of(*sum, zeros);
            *places = places_of(zeros, 8);
        }
        for (y, exps) in beside.iter_mut().zip(exps) {
            let of_exps = y.iter_mut().zip(exps).zip(inverses.iter().zip(&places));
            of_exps
                .for_each(|((y, exp), (inverse, places))| *y = element_of(share_of(*exp, *inverse, *places)));
        }
        put_behind(beside, len, y);
    }

    /// A vector whose elements lie side by side.
    #[inline(always)]
    fn side_by_side(&self, p: &SoftmaxI8Params, y: &mut [i8]) {
        let max = y.iter().fold(i8::MIN, |max, x| max.max(*x));
        let sum = y.iter().fold(0, |sum: i64, x| sum.wrapping_add(Self::at(&self.terms, max, *x).into()));
        let vector = Vector::with(p, max.into(), sum.min(i32::MAX.into()) as i32);
        let mut exps = [0; 64];
        for y in y.chunks_mut(exps.len()) {
            // First all are looked up, then all multiplied: so they are in registers.
            exps.iter_mut().zip(&*y).for_each(|(exp, x)| *exp = Self::at(&self.exps, max, *x));
            y.iter_mut().zip(&exps).for_each(|(y, exp)| *y = vector.of_exp(*exp));
        }
    }

    /// A vector of every `stride`-th element.
    #[inline(always)]
    fn apart(&self, p: &SoftmaxI8Params, y: &mut [i8], stride: usize) {
        let max = y.iter().step_by(stride).fold(i8::MIN, |max, x| max.max(*x));
        let terms = y.iter().step_by(stride).map(|x| i64::from(Self::at(&self.terms, max, *x)));
        let sum = terms.fold(0, i64::wrapping_add);
        let vector = Vector::with(p, max.into(), sum.min(i32::MAX.into()) as i32);
        for y in y.iter_mut().step_by(stride) {
            *y = vector.of_exp(Self::at(&self.exps, max, *y));
        }
    }
}

/// A vector along the axis, as far as it must be known to give an element's share of the whole.
pub(crate) struct Vector {
    multiplier: Multiplier,
    diff_min: i32,
    max: i32,
    /// Zeros before the first 1 of the sum of exponentials.
    zeros: u32,
    /// One over that sum, shifted to be between 1 and 2.
    inverse: i32,
}

impl Vector {
    /// Of every `stride`-th element.
    pub(crate) fn of(x: &[i8], stride: usize, p: &SoftmaxI8Params) -> Self {
        let (max, sum) = sum_of_exps(x, stride, p.multiplier, p.diff_min);
        Self::with(p, max, sum)
    }

    /// With this largest element, and this sum of exponentials of the differences from it.
    fn with(p: &SoftmaxI8Params, max: i32, sum: i32) -> Self {
        let zeros = sum.leading_zeros();
        let inverse = inverse_of(sum, zeros);
        Self { multiplier: p.multiplier, diff_min: p.diff_min, max, zeros, inverse }
    }

    /// An element of y.
    #[inline(always)]
    fn element(&self, x: i8) -> i8 {
        element_of(self.steps(x, 8))
    }

    /// [`element`](Self::element) of one with this exponential.
    #[inline(always)]
    fn of_exp(&self, exp: i32) -> i8 {
        element_of(self.steps_of(exp, 8))
    }

    /// The share of an element, in steps of `2^−bits`, for 8 or 16 bits.
    #[inline(always)]
    pub(crate) fn steps(&self, x: i8, bits: u32) -> i32 {
        self.steps_of(exp_of_difference(x, self.max, self.multiplier, self.diff_min).unwrap_or(0), bits)
    }

    #[inline(always)]
    fn steps_of(&self, exp: i32, bits: u32) -> i32 {
        share_of(exp, self.inverse, places_of(self.zeros, bits))
    }
}

/// One over a sum of exponentials, `2^(12 − zeros) · (1 + fraction)`: of what is between 1 and 2, shifted by the zeros before
/// its first 1.
#[inline(always)]
fn inverse_of(sum: i32, zeros: u32) -> i32 {
    one_over_one_plus(sum.wrapping_shl(zeros) & i32::MAX)
}

/// Places after the point, more than `bits`, of a product with that.
#[inline(always)]
fn places_of(zeros: u32, bits: u32) -> u32 {
    43u32.wrapping_sub(bits).wrapping_sub(zeros)
}

/// What the share of an exponential is without these places.
#[inline(always)]
fn share_of(exp: i32, inverse: i32, places: u32) -> i32 {
    let share = doubling_high_multiply(inverse, exp);
    // Past 31 places, less than half is left.
    if places > 31 { 0 } else { divide_by_power_of_two(share, places) }
}

/// An element of y, of which 256 steps are one.
#[inline(always)]
fn element_of(steps: i32) -> i8 {
    steps.wrapping_sub(128).clamp(-128, 127) as i8
}

/// The largest of every `stride`-th element, and the sum of the exponentials of the differences from
/// it, with 19 bits after the point.
pub(crate) fn sum_of_exps(x: &[i8], stride: usize, by: Multiplier, diff_min: i32) -> (i32, i32) {
    let max = i32::from(x.iter().step_by(stride.max(1)).fold(i8::MIN, |max, x| max.max(*x)));
    let terms = x.iter().step_by(stride.max(1)).filter_map(|x| exp_of_difference(*x, max, by, diff_min));
    (max, terms.fold(0, |sum: i32, exp| sum.saturating_add(term_of(exp))))
}

/// What of an exponential is added up: 19 bits after the point.
#[inline(always)]
fn term_of(exp: i32) -> i32 {
    divide_by_power_of_two(exp, 12)
}

/// The exponential of the difference from the largest element, with 31 bits after the point; `None` if it
/// does not count.
#[inline(never)]
fn exp_of_difference(x: i8, max: i32, by: Multiplier, diff_min: i32) -> Option<i32> {
    let difference = i32::from(x).wrapping_sub(max);
    (difference >= diff_min).then(|| exp_of_negative(multiply(difference, by)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::one_step::{
        along, i8s, refusal, refuses_other_operands, run as run_step, run_in_place, shape_and_axis, words,
    };
    use bytemuck::bytes_of;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const OP: OpCode = OpCode::SoftmaxI8;

    /// For a scale of `2^(shift − 27)`, or up to twice as much.
    pub(crate) fn params(axis: usize, mantissa: i32, shift: i32) -> SoftmaxI8Params {
        let diff_min = -(31 << 26 >> shift);
        SoftmaxI8Params { axis: axis as u32, multiplier: Multiplier { mantissa, shift }, diff_min }
    }

    proptest! {
        #[test]
        fn it_is_next_to_the_formula_in_place_and_apart(
            (dims, axis) in prop_oneof![
                shape_and_axis(),
                (1u32..200, 1u32..20).prop_map(|(vectors, len)| (vec![vectors, len], 1)),
            ],
            seed: u32, mantissa in 1 << 30..=i32::MAX, shift in 18i32..28,
        ) {
            let x = i8s(&dims, seed);
            let params = params(axis, mantissa, shift);
            let scale = f64::from(mantissa) * f64::from(shift - 57).exp2();
            let formula = |x: &[f64]| -> Vec<f64> {
                let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let exps: Vec<f64> = x.iter().map(|x| ((x - max) * scale).exp()).collect();
                let sum: f64 = exps.iter().sum();
                exps.iter().map(|exp| (256.0 * exp / sum - 128.0).min(127.0)).collect()
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
    fn shares_below_half_a_step_are_nothing() {
        // Of 4096 and more, the sum leaves 32 bits, and of 8200 it would begin again.
        for len in [511, 512, 513, 4095, 4096, 5000, 8200] {
            let x = words(&[len], &vec![7; len as usize], DType::I8);
            let want = if len < 512 { -127.0 } else { -128.0 };
            assert!(run_step(OP, bytes_of(&params(0, 1 << 30, 20)), &[x]).iter().all(|&y| y == want));
        }
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        let good = params(1, 1 << 30, 20);
        let of = |params: SoftmaxI8Params| refusal(OP, bytes_of(&params), &[i8s(&[2, 3], 1)], None);
        assert_eq!(of(SoftmaxI8Params { axis: 2, ..good }), Misfit::Params);
        assert_eq!(
            of(SoftmaxI8Params { multiplier: Multiplier { mantissa: -1, shift: 0 }, ..good }),
            Misfit::Params
        );
        assert_eq!(of(SoftmaxI8Params { diff_min: 1, ..good }), Misfit::Params);
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&params(1, 1 << 30, 20)), &[i8s(&[2, 3], 1)], false, 1);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let (x, output) = (i8s(&[2, 3], 1), i8s(&[3, 2], 0).tensor_type());
        assert_eq!(refusal(OP, bytes_of(&params(0, 1 << 30, 20)), &[x], Some(output)), Misfit::Shape(1));
    }
}
