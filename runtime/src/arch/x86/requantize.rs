//! How sums of integers are multiplied and rounded as reals, and yet give the elements of y that
//! [`fixed::requantize`](crate::fixed::requantize) gives, bit by bit.
//!
//! A plain multiplier ([`Multiplier::all_plain`]) is `m = mantissa · 2^(shift − 31)`, with r = −shift of at least 1. The
//! product of a sum is rounded twice: to a multiple of 2⁻ʳ, halves up, and to an integer, halves away from zero. Both are
//! `⌊m · sum + ½ + 2⁻ʳ⁻¹⌋` from zero on, and `⌊m · sum + ½ − 2⁻ʳ⁻¹⌋` below: the integer that is nearest to
//! `m · sum ± 2⁻ʳ⁻¹`, away from zero, where that does not lie half way between two.
//!
//! As a real of 24 bits it is not exact. sum, m, and their product with what is added are rounded, each by 2⁻²⁴ of it at
//! most: together by less than 2⁻¹³, up to 512. So what lies more than that from half way has the right integer nearest;
//! if some element does not, which for sums at random is one of 4096, all are computed as integers. Beyond 512 all are out
//! of y's bounds, and are with that error.

use super::binary_i8::Pairs;
use crate::arch::PANEL_LEN;
use crate::arch::wide::{Places, Sixteen};
use bytemuck::cast_ref;
use flatpack_format::ops::{Multiplier, OutputI8};

/// Reals that are made of integers, and rounded to integers.
pub(in crate::arch) trait Rounded: Sixteen {
    /// Of integers.
    fn of(x: [i8; 16]) -> Self;

    /// `self + other`.
    fn add(self, other: Self) -> Self;

    /// `self − other`.
    fn sub(self, other: Self) -> Self;

    /// How far it is from the nearest integer, given `rounded`, which is that above `integers`.
    #[inline(always)]
    fn fraction(self, rounded: Self, integers: Self) -> Self {
        self.sub(rounded.sub(integers))
    }

    /// With the signs of the others; `self` has none.
    fn with_signs_of(self, other: Self) -> Self;

    /// The larger of the two, without signs; `self` has none.
    fn larger(self, other: Self) -> Self;

    /// Whether none is larger, nor a NaN.
    fn are_within(self, most: f32) -> bool;

    /// The last bytes of their bits.
    fn last_bytes(self) -> [i8; 16];

    /// [`run`](super::binary_i8::run) in a function compiled for the instruction set.
    fn run(of: &impl Pairs<Self>, a: Option<&[i8]>, b: Option<&[i8]>, y: &mut [i8]) -> Option<()>;

    /// [`exactly`](super::binary_i8::exactly) in a function of its own, compiled for the instruction set: registers are for
    /// what nearly all elements need.
    fn exactly(of: &impl Pairs<Self>, a: &[[i8; 16]], b: &[[i8; 16]], y: &mut [[i8; 16]]);
}

/// Reals from here on are integers, which their last bits count.
const INTEGERS: f32 = 1.5 * (1 << 23) as f32;

/// How reals become elements of y.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Elements {
    /// The bounds, without the zero point.
    min: f32,
    max: f32,
    /// What is added, so that the last eight bits are the element.
    integers: f32,
    /// So far from its integer a real may be that is rounded.
    sure: f32,
}

impl Elements {
    /// Of reals with less than this error.
    pub(in crate::arch) fn of(y: &OutputI8, error: f32) -> Self {
        Self {
            min: (y.min - y.zero_point) as f32,
            max: (y.max - y.zero_point) as f32,
            integers: INTEGERS + y.zero_point as f32,
            sure: 0.5 - error,
        }
    }

    /// Of sums times multipliers: none is sure if those are not plain.
    pub(in crate::arch) fn of_sums(y: &OutputI8, plain: bool) -> Self {
        Self::of(y, if plain { 1.0 / 8192.0 } else { 1.0 })
    }

    /// Puts reals, rounded, in their places: whether all are sure.
    #[inline(always)]
    pub(in crate::arch) fn put<V: Rounded, const P: usize>(
        &self,
        reals: &[V; P],
        places: &mut Places<'_>,
    ) -> Option<bool> {
        let (min, max, integers) = (V::splat(self.min), V::splat(self.max), V::splat(self.integers));
        let mut furthest = V::splat(0.0);
        let (sixteen, mut some) = (places.take_sixteen::<P>(), [[0; PANEL_LEN]; P]);
        let mut y = places.sixteens(&mut some)?;
        // Each as it is rounded: what is moved as many takes longer than all else.
        for (p, real) in reals.iter().enumerate() {
            let real = real.max(min).min(max);
            let rounded = real.add(integers);
            furthest = furthest.larger(real.fraction(rounded, integers));
            y.put(p, rounded.last_bytes());
        }
        if !sixteen {
            places.put(&some)?;
        }
        Some(furthest.are_within(self.sure))
    }
}

/// [`Multiplier::all_plain`], eight at a time.
#[inline(always)]
pub(in crate::arch) fn all_plain(multipliers: &[Multiplier]) -> bool {
    let (eights, rest) = multipliers.as_chunks::<8>();
    // Of mantissas and shifts alike, as if they were one and the other.
    let (mut mantissas, mut shifts) = ([0u32; 16], [0u32; 16]);
    for eight in eights {
        let both: &[u32; 16] = cast_ref(eight);
        for ((mantissa, shift), one) in mantissas.iter_mut().zip(&mut shifts).zip(both) {
            *mantissa |= one ^ 1 << 30;
            *shift |= !one | (!one).wrapping_add(11);
        }
    }
    let mantissas = mantissas.iter().step_by(2).all(|bits| *bits < 1 << 30);
    mantissas && shifts.iter().skip(1).step_by(2).all(|bits| *bits < 32) && Multiplier::all_plain(rest)
}

/// A multiplier as a real.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Real {
    pub(in crate::arch) by: f32,
    /// What is added to a product, away from zero.
    pub(in crate::arch) away: f32,
}

impl Real {
    pub(in crate::arch) fn of(by: Multiplier) -> Self {
        Self { by: by.mantissa as f32 * power(by.shift - 31), away: power(by.shift - 1) }
    }
}

/// `2ⁿ` for an n of at least −126.
pub(in crate::arch) fn power(n: i32) -> f32 {
    f32::from_bits(((127 + n) << 23) as u32)
}
