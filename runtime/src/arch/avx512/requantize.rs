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
    /// For those: what is added to a product, and the places that are then dropped.
    added: [__m512i; 2],
    places: [__m512i; 2],
    zero_point: __m512i,
    min: __m128i,
    max: __m128i,
}

impl Multipliers {
    /// Of the outputs from `first` on.
    // Not inlined: a compiler that sees how `odd` is made multiplies by it in three instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    #[inline(never)]
    pub(super) fn of(outputs: &OutputsI8<'_>, first: usize) -> Self {
        let (mut mantissas, mut shifts) = ([0; PANEL_LEN], [0; PANEL_LEN]);
        for (by, to) in multipliers(outputs.requant, first).iter().zip(mantissas.iter_mut().zip(&mut shifts))
        {
            (*to.0, *to.1) = (by.mantissa, by.shift);
        }
        let (zero, y) = (_mm512_setzero_si512(), &outputs.y);
        let (even, shift): (__m512i, __m512i) = (cast(mantissas), cast(shifts));
        let right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
        let (even_right, odd_right) =
            (_mm512_srli_epi64::<32>(_mm512_slli_epi64::<32>(right)), _mm512_srli_epi64::<32>(right));
        Self {
            even,
            odd: _mm512_srli_epi64::<32>(even),
            left: _mm512_max_epi32(shift, zero),
            right,
            plain: outputs.plain,
            added: [added(even_right, y.zero_point), added(odd_right, y.zero_point)],
            places: [
                _mm512_add_epi64(even_right, _mm512_set1_epi64(31)),
                _mm512_sub_epi64(odd_right, _mm512_set1_epi64(1)),
            ],
            zero_point: _mm512_set1_epi32(y.zero_point),
            min: _mm_set1_epi8(y.min as i8),
            max: _mm_set1_epi8(y.max as i8),
        }
    }

    /// Sixteen sums as elements of y.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    #[inline]
    pub(super) fn requantize(&self, sums: __m512i) -> [i8; PANEL_LEN] {
        if self.plain { self.requantize_plainly(sums) } else { self.requantize_fully(sums) }
    }

    /// By any multipliers.
    // Not inlined: registers are for what nearly all models have.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    #[cold]
    #[inline(never)]
    fn requantize_fully(&self, sums: __m512i) -> [i8; PANEL_LEN] {
        let high = self.high_products(_mm512_sllv_epi32(sums, self.left));
        // The bits that the shift drops.
        let one = _mm512_set1_epi32(1);
        let dropped = _mm512_sub_epi32(_mm512_sllv_epi32(one, self.right), one);
        let rest = _mm512_and_si512(high, dropped);
        let threshold = _mm512_sub_epi32(_mm512_srli_epi32::<1>(dropped), _mm512_srai_epi32::<31>(high));
        let shifted = _mm512_srav_epi32(high, self.right);
        let up = _mm512_cmpgt_epi32_mask(rest, threshold);
        self.bounded(_mm512_add_epi32(_mm512_mask_add_epi32(shifted, up, shifted, one), self.zero_point))
    }

    /// By multipliers that shift to the right, as both roundings in one.
    ///
    /// `⌊(⌊(p + 2³⁰) / 2³¹⌋ + a) / 2ʳ⌋ = ⌊(p + 2³⁰ + 2³¹ · a) / 2³¹⁺ʳ⌋`, where a is `2ʳ⁻¹`, and one less below zero: of
    /// p, since what rounds to zero gives zero with both.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    #[inline]
    fn requantize_plainly(&self, sums: __m512i) -> [i8; PANEL_LEN] {
        let one = _mm512_set1_epi64(1 << 31);
        let ([of_even, of_odd], [even_places, odd_places]) = (self.added, self.places);
        let even = _mm512_mul_epi32(sums, self.even);
        let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(sums), self.odd);
        let (even_below, odd_below) = (_mm512_movepi64_mask(even), _mm512_movepi64_mask(odd));
        let (even, odd) = (_mm512_add_epi64(even, of_even), _mm512_add_epi64(odd, of_odd));
        let even = _mm512_srav_epi64(_mm512_mask_sub_epi64(even, even_below, even, one), even_places);
        // The upper half of each.
        let odd = _mm512_srav_epi64(_mm512_mask_sub_epi64(odd, odd_below, odd, one), odd_places);
        // Where it has ones, `odd`: a mask would be made again for each sixteen outputs.
        let upper = _mm512_set1_epi64(-1 << 32);
        self.bounded(_mm512_ternarylogic_epi32::<0xca>(upper, odd, even))
    }

    /// Elements of y within its bounds.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    #[inline]
    fn bounded(&self, elements: __m512i) -> [i8; PANEL_LEN] {
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

/// What is added to products that are shifted to the right by 31 places and these, with the zero point.
#[target_feature(enable = "avx512f")]
#[inline]
fn added(right: __m512i, zero_point: i32) -> __m512i {
    let twice = _mm512_set1_epi64(i64::from(2 * zero_point + 1));
    let half = _mm512_set1_epi64(30);
    _mm512_add_epi64(_mm512_sllv_epi64(twice, _mm512_add_epi64(right, half)), _mm512_set1_epi64(1 << 30))
}

/// What becomes of the sums of sixteen outputs.
#[derive(Clone, Copy)]
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
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
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
