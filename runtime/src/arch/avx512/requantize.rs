//! Sums of sixteen outputs as elements of y, bit by bit as [`fixed::requantize`](crate::fixed::requantize) rounds.

use crate::arch::wide::{Rounding, multipliers, sixteen_of};
use crate::arch::{OutputsI8, PANEL_LEN};
use bytemuck::cast;
use core::arch::x86_64::*;

/// How sums of sixteen outputs become elements of y.
#[derive(Clone, Copy)]
pub(super) struct Multipliers {
    even: __m512i,
    odd: __m512i,
    left: __m512i,
    right: __m512i,
    /// See [`Multiplier::all_plain`].
    plain: bool,
    /// For those: one place less than `right`, and what is added before the last place is dropped.
    all_but_one: __m512i,
    last: __m512i,
    zero_point: __m512i,
    min: __m128i,
    max: __m128i,
}

impl Multipliers {
    /// Of the outputs from `first` on.
    // Not inlined: a compiler that sees how `odd` is made multiplies by it in three instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline(never)]
    pub(super) fn of(outputs: &OutputsI8<'_>, first: usize) -> Self {
        let (some, y) = (multipliers(outputs.requant, first), &outputs.y);
        let even: __m512i = cast(some.map(|by| by.mantissa));
        let right: __m512i = cast(some.map(|by| by.shift.min(0).wrapping_neg()));
        Self {
            even,
            odd: _mm512_srli_epi64::<32>(even),
            left: cast(some.map(|by| by.shift.max(0))),
            right,
            plain: outputs.plain,
            all_but_one: _mm512_sub_epi32(right, _mm512_set1_epi32(1)),
            last: _mm512_set1_epi32(2 * y.zero_point + 1),
            zero_point: _mm512_set1_epi32(y.zero_point),
            min: _mm_set1_epi8(y.min as i8),
            max: _mm_set1_epi8(y.max as i8),
        }
    }

    /// Sixteen sums as elements of y.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(super) fn requantize(&self, sums: __m512i) -> [i8; PANEL_LEN] {
        let elements = if self.plain {
            // Rounded away from zero, a half is rounded up in what is one less below zero: all places but one are
            // dropped, and the last one decides. The shift is by one place at least.
            let high = self.high_products(sums);
            let high = _mm512_add_epi32(high, _mm512_srai_epi32::<31>(high));
            let twice = _mm512_add_epi32(_mm512_srav_epi32(high, self.all_but_one), self.last);
            _mm512_srai_epi32::<1>(twice)
        } else {
            let high = self.high_products(_mm512_sllv_epi32(sums, self.left));
            // The bits that the shift drops.
            let one = _mm512_set1_epi32(1);
            let dropped = _mm512_sub_epi32(_mm512_sllv_epi32(one, self.right), one);
            let rest = _mm512_and_si512(high, dropped);
            let threshold = _mm512_sub_epi32(_mm512_srli_epi32::<1>(dropped), _mm512_srai_epi32::<31>(high));
            let shifted = _mm512_srav_epi32(high, self.right);
            let up = _mm512_cmpgt_epi32_mask(rest, threshold);
            _mm512_add_epi32(_mm512_mask_add_epi32(shifted, up, shifted, one), self.zero_point)
        };
        cast(_mm_min_epi8(_mm_max_epi8(_mm512_cvtsepi32_epi8(elements), self.min), self.max))
    }

    /// Bits 31 to 62 of the products, rounded.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn high_products(&self, sums: __m512i) -> __m512i {
        let half = _mm512_set1_epi64(1 << 30);
        let even = _mm512_add_epi64(_mm512_mul_epi32(sums, self.even), half);
        let odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64::<32>(sums), self.odd), half);
        let (even, odd) = (_mm512_srli_epi64::<31>(even), _mm512_slli_epi64::<1>(odd));
        _mm512_mask_blend_epi32(0b1010_1010_1010_1010, even, odd)
    }
}

/// What becomes of the sums of sixteen outputs.
pub(super) struct Outputs {
    /// What sums begin with.
    start: __m512i,
    by: Multipliers,
}

impl<'a> Rounding<'a> for Outputs {
    type Sums = __m512i;

    #[inline(always)]
    fn of(outputs: &'a OutputsI8<'_>, first: usize) -> Self {
        // SAFETY: the processor has AVX-512.
        Self { start: bias(outputs, first), by: unsafe { Multipliers::of(outputs, first) } }
    }

    #[inline(always)]
    fn elements(&self, sums: __m512i) -> [i8; PANEL_LEN] {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        #[inline]
        fn elements(outputs: &Outputs, sums: __m512i) -> [i8; PANEL_LEN] {
            outputs.by.requantize(_mm512_add_epi32(sums, outputs.start))
        }
        // SAFETY: the processor has AVX-512.
        unsafe { elements(self, sums) }
    }
}

/// What the sums of sixteen outputs begin with.
#[inline(always)]
pub(super) fn bias(outputs: &OutputsI8<'_>, first: usize) -> __m512i {
    cast(sixteen_of(outputs.bias, first))
}
