//! How sums of integers are multiplied and rounded as reals, and yet give the elements of y that
//! [`fixed::requantize`](crate::fixed::requantize) gives, bit by bit.
//!
//! A plain multiplier ([`Multiplier::all_plain`]) is `m = mantissa · 2^(shift − 31)`, with r = −shift of at least 1. The
//! product of a sum is rounded twice: to a multiple of 2⁻ʳ, halves up, and to an integer, halves away from zero. Both are
//! `⌊m · sum + ½ + 2⁻ʳ⁻¹⌋` from zero on, and `⌊m · sum + ½ − 2⁻ʳ⁻¹⌋` below.
//!
//! As a real of 24 bits that is not exact: sum, m, what is added, and what they are together are rounded. So it is counted
//! in 2⁻¹⁶, as an integer, together with the zero point: its upper half is the element of y.
//! All roundings together are less than [`ERROR`] of these, up to where y's bounds can be: two of 257 · 2⁻²⁴ each, two of
//! 128 · 2⁻²⁴, and that to an integer. What has a lower half further from both its ends has the right upper half; if some
//! element does not, which for sums at random is one of 8192, all are computed as integers. Beyond, all are out of y's
//! bounds, and are with that error; and what no integer of 32 bits counts becomes one with a lower half of zero.

use super::binary_i8::Pairs;
use crate::arch::PANEL_LEN;
use crate::arch::wide::{Places, Sixteen};
use bytemuck::cast_ref;
use flatpack_format::ops::{Multiplier, OutputI8};

/// Reals that are made of integers, and rounded to integers.
pub(in crate::arch) trait Rounded: Sixteen {
    /// Sixteen integers of 32 bits in registers.
    type Integers: Copy;

    /// Of integers.
    fn of(x: [i8; 16]) -> Self;

    /// `self − other`.
    fn sub(self, other: Self) -> Self;

    /// `self`, or `below` where the other one has a sign.
    fn or_below_zero(self, below: Self, other: Self) -> Self;

    /// The nearest integers; −2³¹ where that has more than 32 bits.
    fn nearest(self) -> Self::Integers;

    /// The smaller lower halves of the two, as integers without signs. Upper halves are of no use.
    fn lower_halves(a: Self::Integers, b: Self::Integers) -> Self::Integers;

    /// Whether no lower half is at most this.
    fn are_above(lower_halves: Self::Integers, most: u16) -> bool;

    /// The upper halves, within these bounds.
    fn upper_halves(of: Self::Integers, min: i8, max: i8) -> [i8; 16];

    /// [`run`](super::binary_i8::run) in a function compiled for the instruction set.
    fn run(of: &impl Pairs<Self>, a: Option<&[i8]>, b: Option<&[i8]>, y: &mut [i8]) -> Option<()>;

    /// [`exactly`](super::binary_i8::exactly) in a function of its own, compiled for the instruction set: registers are for
    /// what nearly all elements need.
    fn exactly(of: &impl Pairs<Self>, a: &[[i8; 16]], b: &[[i8; 16]], y: &mut [[i8; 16]]);
}

/// How many of what is counted are one.
pub(in crate::arch) const ONE: f32 = (1 << 16) as f32;

/// A bound of the error of sums times plain multipliers, of which [`ONE`] are one.
const ERROR: f64 = 3.9;

/// How reals become elements of y.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Elements {
    /// What reals have in them besides sums: the zero point, a half, and the error, so that lower halves which are not sure
    /// are the first ones.
    pub(in crate::arch) offset: f32,
    /// Lower halves that are not sure, from zero on.
    unsure: u16,
    min: i8,
    max: i8,
}

impl Elements {
    /// Of reals, [`ONE`] of which are one, with less than this error.
    pub(in crate::arch) fn of(y: &OutputI8, error: f64) -> Self {
        // An integer above it.
        let error = (error as u32).saturating_add(1).min(1 << 15);
        let half = (2 * y.zero_point + 1) << 15;
        Self {
            offset: (half + error as i32) as f32,
            unsure: (2 * error - 1) as u16,
            min: y.min as i8,
            max: y.max as i8,
        }
    }

    /// Of sums times multipliers: none is sure if those are not plain.
    pub(in crate::arch) fn of_sums(y: &OutputI8, plain: bool) -> Self {
        Self::of(y, if plain { ERROR } else { f64::from(ONE) })
    }

    /// Puts reals, rounded, in their places: whether all are sure.
    #[inline(always)]
    pub(in crate::arch) fn put<V: Rounded, const P: usize>(
        &self,
        reals: &[V; P],
        places: &mut Places<'_>,
    ) -> Option<bool> {
        let (sixteen, mut some) = (places.take_sixteen::<P>(), [[0; PANEL_LEN]; P]);
        let mut y = places.sixteens(&mut some)?;
        let mut lower = V::splat(-1.0).nearest();
        // Each as it is rounded: what is moved as many takes longer than all else.
        for (p, real) in reals.iter().enumerate() {
            let integers = real.nearest();
            lower = V::lower_halves(lower, integers);
            y.put(p, V::upper_halves(integers, self.min, self.max));
        }
        if !sixteen {
            places.put(&some)?;
        }
        Some(V::are_above(lower, self.unsure))
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
    // Of every second one, mantissas or shifts.
    let mut beyond = false;
    for (two, both) in mantissas.as_chunks::<2>().0.iter().zip(shifts.as_chunks::<2>().0) {
        let ([mantissa, _], [_, shift]) = (two, both);
        beyond |= (*mantissa >= 1 << 30) | (*shift >= 32);
    }
    !beyond && Multiplier::all_plain(rest)
}

/// A multiplier as a real, of which [`ONE`] are one.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Real {
    pub(in crate::arch) by: f32,
    /// What is added to a product, away from zero.
    pub(in crate::arch) away: f32,
}

impl Real {
    pub(in crate::arch) fn of(by: Multiplier) -> Self {
        Self { by: by.mantissa as f32 * power(by.shift - 15), away: power(by.shift + 15) }
    }
}

/// `2ⁿ` for an n of at least −126.
pub(in crate::arch) fn power(n: i32) -> f32 {
    f32::from_bits(((127 + n) << 23) as u32)
}
