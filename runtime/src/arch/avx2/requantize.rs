//! Sums of eight outputs as elements of y, bit by bit as [`fixed::requantize`](crate::fixed::requantize) rounds.

use crate::arch::OutputsI8;
use crate::arch::wide::{Rounding, multipliers, sixteen_of};
use bytemuck::cast;
use core::arch::x86_64::*;
use flatpack_format::ops::{Multiplier, OutputI8};

/// The multipliers of eight outputs.
#[derive(Clone, Copy)]
pub(super) struct Multipliers {
    even: __m256i,
    odd: __m256i,
    left: __m256i,
    right: __m256i,
    /// The bits that a shift to the right drops.
    dropped: __m256i,
}

impl Multipliers {
    /// Of eight outputs.
    // Not inlined: a compiler that sees how `odd` is made multiplies by it in three instructions.
    #[target_feature(enable = "avx2")]
    #[inline(never)]
    pub(super) fn of(some: [Multiplier; 8]) -> Self {
        let even: __m256i = cast(some.map(|by| by.mantissa));
        let right: __m256i = cast(some.map(|by| by.shift.min(0).wrapping_neg()));
        let one = _mm256_set1_epi32(1);
        Self {
            even,
            odd: _mm256_srli_epi64::<32>(even),
            left: cast(some.map(|by| by.shift.max(0))),
            right,
            dropped: _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one),
        }
    }

    /// Of the outputs of a panel, from `first` on.
    #[target_feature(enable = "avx2")]
    fn of_panel(requant: &[Multiplier], first: usize) -> [Self; 2] {
        let [low, high] = cast(multipliers(requant, first));
        [Self::of(low), Self::of(high)]
    }

    /// `sums` times these.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn multiply(&self, sums: __m256i) -> __m256i {
        let sums = _mm256_sllv_epi32(sums, self.left);
        let half = _mm256_set1_epi64x(1 << 30);
        let even = _mm256_add_epi64(_mm256_mul_epi32(sums, self.even), half);
        let odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64::<32>(sums), self.odd), half);
        // Bits 31 to 62 of each product.
        let (even, odd) = (_mm256_srli_epi64::<31>(even), _mm256_slli_epi64::<1>(odd));
        let high = _mm256_blend_epi32::<0b1010_1010>(even, odd);
        let rest = _mm256_and_si256(high, self.dropped);
        let threshold = _mm256_sub_epi32(_mm256_srli_epi32::<1>(self.dropped), _mm256_srai_epi32::<31>(high));
        let shifted = _mm256_srav_epi32(high, self.right);
        _mm256_sub_epi32(shifted, _mm256_cmpgt_epi32(rest, threshold))
    }
}

/// What becomes of the sums of sixteen outputs.
#[derive(Clone, Copy)]
pub(in crate::arch) struct Outputs<'a> {
    /// What sums begin with.
    start: [__m256i; 2],
    by: [Multipliers; 2],
    y: &'a OutputI8,
}

impl<'a> Rounding<'a> for Outputs<'a> {
    type Sums = [__m256i; 2];

    #[inline(always)]
    fn of(outputs: &'a OutputsI8<'_>, first: usize) -> Self {
        Self {
            start: cast(sixteen_of(outputs.bias, first)),
            // SAFETY: the processor has AVX2 and FMA.
            by: unsafe { Multipliers::of_panel(outputs.requant, first) },
            y: &outputs.y,
        }
    }

    #[inline(always)]
    fn elements(&self, sums: [__m256i; 2]) -> [i8; 16] {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn elements(outputs: &Outputs<'_>, [low, high]: [__m256i; 2]) -> [i8; 16] {
            let [start_low, start_high] = outputs.start;
            let sums = [_mm256_add_epi32(low, start_low), _mm256_add_epi32(high, start_high)];
            requantize(sums, &outputs.by, outputs.y)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { elements(self, sums) }
    }
}

/// Sixteen sums as elements of y.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn requantize(sums: [__m256i; 2], by: &[Multipliers; 2], y: &OutputI8) -> [i8; 16] {
    let ([low, high], [by_low, by_high]) = (sums, by);
    let zero = _mm256_set1_epi32(y.zero_point);
    let (least, most) = (_mm256_set1_epi32(y.min), _mm256_set1_epi32(y.max));
    let low = _mm256_add_epi32(by_low.multiply(low), zero);
    let high = _mm256_add_epi32(by_high.multiply(high), zero);
    let low = _mm256_min_epi32(_mm256_max_epi32(low, least), most);
    let high = _mm256_min_epi32(_mm256_max_epi32(high, least), most);
    // Packing joins the lower halves of both, then the upper halves.
    let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
    cast(_mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words)))
}
