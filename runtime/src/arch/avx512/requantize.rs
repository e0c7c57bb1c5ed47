//! Sums of sixteen outputs as elements of y, bit by bit as [`fixed::requantize`](crate::fixed::requantize) rounds.

use super::reals::Reals;
use crate::arch::wide::{Places, Rounding, Sixteen, multipliers, sixteen_of};
use crate::arch::x86::requantize::{Elements, ONE, Rounded};
use crate::arch::{OutputsI8, PANEL_LEN};
use bytemuck::cast;
use core::arch::x86_64::*;
use flatpack_format::ops::OutputI8;

/// How sums of sixteen outputs become elements of y.
#[derive(Clone, Copy)]
pub(super) struct Multipliers {
    mantissas: __m512i,
    shifts: __m512i,
    /// Both as reals, of which [`ONE`] are one, and what is added to products from zero on, and below zero.
    reals: Reals,
    above: Reals,
    below: Reals,
    elements: Elements,
    y: OutputI8,
}

impl Rounding for Multipliers {
    type Sums = __m512i;

    #[inline(always)]
    fn of(outputs: &OutputsI8<'_>, first: usize) -> Self {
        // SAFETY: the processor has AVX-512.
        unsafe { Self::load(outputs, first) }
    }

    /// As reals, see [`x86::requantize`](crate::arch::x86::requantize), and as integers if some are not sure.
    #[inline(always)]
    fn put<const P: usize>(&self, sums: &[__m512i; P], mut places: Places<'_>) -> Option<()> {
        let mut reals = [self.reals; P];
        for (reals, sums) in reals.iter_mut().zip(sums) {
            // SAFETY: the processor has AVX-512.
            let sums = Reals(unsafe { _mm512_cvtepi32_ps(*sums) });
            *reals = self.above.or_below_zero(self.below, sums).add_product(sums, *reals);
        }
        if !self.elements.put(&reals, &mut places)? {
            // Copies: they themselves are in memory only if they are needed there.
            let (by, sums) = (*self, *sums);
            // SAFETY: the processor has AVX-512.
            unsafe { by.put_as_integers(&sums, places) }?;
        }
        Some(())
    }
}

impl Multipliers {
    /// Of the outputs from `first` on.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    #[inline]
    fn load(outputs: &OutputsI8<'_>, first: usize) -> Self {
        let [low, high]: [__m512i; 2] = cast(multipliers(outputs.requant, first));
        let even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
        let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
        let mantissas = _mm512_permutex2var_epi32(low, even, high);
        let shifts = _mm512_permutex2var_epi32(low, odd, high);
        let exponents = _mm512_cvtepi32_ps(shifts);
        let of_mantissas = _mm512_sub_ps(exponents, _mm512_set1_ps(15.0));
        let elements = Elements::of_sums(&outputs.y, true);
        let offset = _mm512_set1_ps(elements.offset);
        // Past the last output, sums of zero are to be sure.
        let some = _mm512_test_epi32_mask(mantissas, mantissas);
        let away = _mm512_maskz_scalef_ps(some, _mm512_set1_ps(ONE / 2.0), exponents);
        // See Multiplier::all_plain. What becomes of others has no integer, and so is not sure.
        let whole = _mm512_cmpge_epi32_mask(mantissas, _mm512_set1_epi32(1 << 30));
        let places = _mm512_xor_si512(shifts, _mm512_set1_epi32(-1));
        let plain = _mm512_mask_cmplt_epu32_mask(whole, places, _mm512_set1_epi32(21));
        let away = _mm512_mask_mov_ps(away, some & !plain, _mm512_set1_ps(f32::NAN));
        Self {
            mantissas,
            shifts,
            reals: Reals(_mm512_scalef_ps(_mm512_cvtepi32_ps(mantissas), of_mantissas)),
            above: Reals(_mm512_add_ps(offset, away)),
            below: Reals(_mm512_sub_ps(offset, away)),
            elements,
            y: outputs.y,
        }
    }

    /// By any multipliers.
    // Not inlined: registers are for what nearly all sums need.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    #[cold]
    #[inline(never)]
    fn put_as_integers<const P: usize>(&self, sums: &[__m512i; P], mut places: Places<'_>) -> Option<()> {
        let (zero, one) = (_mm512_setzero_si512(), _mm512_set1_epi32(1));
        let left = _mm512_max_epi32(self.shifts, zero);
        let right = _mm512_max_epi32(_mm512_sub_epi32(zero, self.shifts), zero);
        // The bits that the shift drops.
        let dropped = _mm512_sub_epi32(_mm512_sllv_epi32(one, right), one);
        let mut elements = [[0; PANEL_LEN]; P];
        for (elements, sums) in elements.iter_mut().zip(sums) {
            let high = self.high_products(_mm512_sllv_epi32(*sums, left));
            let rest = _mm512_and_si512(high, dropped);
            let threshold = _mm512_sub_epi32(_mm512_srli_epi32::<1>(dropped), _mm512_srai_epi32::<31>(high));
            let shifted = _mm512_srav_epi32(high, right);
            let up = _mm512_cmpgt_epi32_mask(rest, threshold);
            let rounded = _mm512_mask_add_epi32(shifted, up, shifted, one);
            let y = _mm512_add_epi32(rounded, _mm512_set1_epi32(self.y.zero_point));
            let y = _mm512_max_epi32(y, _mm512_set1_epi32(self.y.min));
            *elements = cast(_mm512_cvtepi32_epi8(_mm512_min_epi32(y, _mm512_set1_epi32(self.y.max))));
        }
        places.put(&elements)
    }

    /// Bits 31 to 62 of the products, rounded.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn high_products(&self, sums: __m512i) -> __m512i {
        let half = _mm512_set1_epi64(1 << 30);
        let odd = _mm512_srli_epi64::<32>(self.mantissas);
        let even = _mm512_add_epi64(_mm512_mul_epi32(sums, self.mantissas), half);
        let odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64::<32>(sums), odd), half);
        let (even, odd) = (_mm512_srli_epi64::<31>(even), _mm512_slli_epi64::<1>(odd));
        _mm512_mask_blend_epi32(0b1010_1010_1010_1010, even, odd)
    }
}

/// What becomes of the sums of sixteen outputs, without what they begin with.
#[derive(Clone, Copy)]
pub(super) struct Outputs {
    start: __m512i,
    by: Multipliers,
}

impl Rounding for Outputs {
    type Sums = __m512i;

    #[inline(always)]
    fn of(outputs: &OutputsI8<'_>, first: usize) -> Self {
        Self { start: bias(outputs, first), by: Multipliers::of(outputs, first) }
    }

    #[inline(always)]
    fn put<const P: usize>(&self, sums: &[__m512i; P], places: Places<'_>) -> Option<()> {
        let mut all = *sums;
        for sums in &mut all {
            // SAFETY: the processor has AVX-512.
            *sums = unsafe { _mm512_add_epi32(*sums, self.start) };
        }
        self.by.put(&all, places)
    }
}

/// What the sums of sixteen outputs begin with.
#[inline(always)]
pub(super) fn bias(outputs: &OutputsI8<'_>, first: usize) -> __m512i {
    cast(sixteen_of(outputs.bias, first))
}
