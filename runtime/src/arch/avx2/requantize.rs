//! Sums of sixteen outputs as elements of y, bit by bit as [`fixed::requantize`](crate::fixed::requantize) rounds.

use super::reals::{Reals, packed};
use crate::arch::wide::{Places, Rounding, Sixteen, multipliers, sixteen_of};
use crate::arch::x86::requantize::{Elements, Rounded};
use crate::arch::{OutputsI8, PANEL_LEN};
use bytemuck::cast;
use core::arch::x86_64::*;
use flatpack_format::ops::OutputI8;

/// How sums of sixteen outputs become elements of y.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Multipliers {
    mantissas: [__m256i; 2],
    shifts: [__m256i; 2],
    /// Both as reals, of which [`ONE`](crate::arch::x86::requantize::ONE) are one, and what is added to products from zero
    /// on, and below zero.
    reals: Reals,
    above: Reals,
    below: Reals,
    elements: Elements,
    y: OutputI8,
}

impl Rounding for Multipliers {
    type Sums = [__m256i; 2];

    #[inline(always)]
    fn of(outputs: &OutputsI8<'_>, first: usize) -> Self {
        let by = multipliers(outputs.requant, first);
        let (mantissas, shifts) = (cast(by.map(|by| by.mantissa)), cast(by.map(|by| by.shift)));
        let elements = Elements::of_sums(&outputs.y, outputs.plain);
        // SAFETY: the processor has AVX2 and FMA.
        let [reals, above, below] = unsafe { as_reals(mantissas, shifts, elements.offset) };
        Self { mantissas, shifts, reals, above, below, elements, y: outputs.y }
    }

    #[inline(always)]
    fn put<const P: usize>(&self, sums: &[[__m256i; 2]; P], mut places: Places<'_>) -> Option<()> {
        let mut reals = [self.reals; P];
        for (reals, sums) in reals.iter_mut().zip(sums) {
            // SAFETY: the processor has AVX2 and FMA.
            let sums = Reals(unsafe { reals_of(sums) });
            *reals = self.above.or_below_zero(self.below, sums).add_product(sums, *reals);
        }
        if !self.elements.put(&reals, &mut places)? {
            // SAFETY: the processor has AVX2 and FMA.
            unsafe { self.put_as_integers(sums, places) }?;
        }
        Some(())
    }
}

/// What becomes of the sums of sixteen outputs, without what they begin with.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Outputs {
    start: [__m256i; 2],
    by: Multipliers,
}

impl Rounding for Outputs {
    type Sums = [__m256i; 2];

    #[inline(always)]
    fn of(outputs: &OutputsI8<'_>, first: usize) -> Self {
        Self { start: cast(sixteen_of(outputs.bias, first)), by: Multipliers::of(outputs, first) }
    }

    #[inline(always)]
    fn put<const P: usize>(&self, sums: &[[__m256i; 2]; P], places: Places<'_>) -> Option<()> {
        let mut all = *sums;
        for sums in &mut all {
            // SAFETY: the processor has AVX2 and FMA.
            *sums = unsafe { add(sums, &self.start) };
        }
        self.by.put(&all, places)
    }
}

impl Multipliers {
    /// By any multipliers.
    // Not inlined: registers are for what nearly all sums need.
    #[target_feature(enable = "avx2,fma")]
    #[cold]
    #[inline(never)]
    fn put_as_integers<const P: usize>(
        &self,
        sums: &[[__m256i; 2]; P],
        mut places: Places<'_>,
    ) -> Option<()> {
        let &Self { y: OutputI8 { zero_point, min, max }, .. } = self;
        let (min, max) = (_mm_set1_epi8(min as i8), _mm_set1_epi8(max as i8));
        let mut elements = [[0; PANEL_LEN]; P];
        for (elements, sums) in elements.iter_mut().zip(sums) {
            let mut y = *sums;
            for (y, (mantissas, shifts)) in y.iter_mut().zip(self.mantissas.iter().zip(self.shifts)) {
                *y = _mm256_add_epi32(multiply(*y, *mantissas, shifts), _mm256_set1_epi32(zero_point));
            }
            *elements = cast(packed(y, min, max));
        }
        places.put(&elements)
    }
}

/// `a + b`, which wraps.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn add([a, b]: &[__m256i; 2], [c, d]: &[__m256i; 2]) -> [__m256i; 2] {
    [_mm256_add_epi32(*a, *c), _mm256_add_epi32(*b, *d)]
}

/// Sums as reals.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn reals_of([low, high]: &[__m256i; 2]) -> [__m256; 2] {
    [_mm256_cvtepi32_ps(*low), _mm256_cvtepi32_ps(*high)]
}

/// Multipliers as reals, of which [`ONE`](crate::arch::x86::requantize::ONE) are one, and what is added to their products
/// from zero on, and below zero: the offset, and what leads away from zero. Past the last output, that is nothing: sums of
/// zero are to be sure.
#[target_feature(enable = "avx2,fma")]
fn as_reals(mantissas: [__m256i; 2], shifts: [__m256i; 2], offset: f32) -> [Reals; 3] {
    let offset = _mm256_set1_ps(offset);
    let of_half = |mantissa: __m256i, shift: __m256i| {
        let power = |n: i32| {
            let exponent = _mm256_add_epi32(shift, _mm256_set1_epi32(127 + n));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        };
        let none = _mm256_castsi256_ps(_mm256_cmpeq_epi32(mantissa, _mm256_setzero_si256()));
        let away = _mm256_andnot_ps(none, power(15));
        let by = _mm256_mul_ps(_mm256_cvtepi32_ps(mantissa), power(-15));
        [by, _mm256_add_ps(offset, away), _mm256_sub_ps(offset, away)]
    };
    let ([m0, m1], [s0, s1]) = (mantissas, shifts);
    let ([by0, above0, below0], [by1, above1, below1]) = (of_half(m0, s0), of_half(m1, s1));
    [Reals([by0, by1]), Reals([above0, above1]), Reals([below0, below1])]
}

/// `sums` times multipliers.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn multiply(sums: __m256i, mantissas: __m256i, shifts: __m256i) -> __m256i {
    let (zero, one, half) = (_mm256_setzero_si256(), _mm256_set1_epi32(1), _mm256_set1_epi64x(1 << 30));
    let sums = _mm256_sllv_epi32(sums, _mm256_max_epi32(shifts, zero));
    let right = _mm256_max_epi32(_mm256_sub_epi32(zero, shifts), zero);
    // The bits that the shift drops.
    let dropped = _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one);
    let even = _mm256_mul_epi32(sums, mantissas);
    let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(sums), _mm256_srli_epi64::<32>(mantissas));
    // Bits 31 to 62 of each product.
    let even = _mm256_srli_epi64::<31>(_mm256_add_epi64(even, half));
    let odd = _mm256_slli_epi64::<1>(_mm256_add_epi64(odd, half));
    let high = _mm256_blend_epi32::<0b1010_1010>(even, odd);
    let rest = _mm256_and_si256(high, dropped);
    let threshold = _mm256_sub_epi32(_mm256_srli_epi32::<1>(dropped), _mm256_srai_epi32::<31>(high));
    _mm256_sub_epi32(_mm256_srav_epi32(high, right), _mm256_cmpgt_epi32(rest, threshold))
}
