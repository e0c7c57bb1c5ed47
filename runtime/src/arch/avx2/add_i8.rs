//! Sums of integers at their common scale, in two registers.

use super::requantize::{Multipliers, requantize};
use crate::arch::wide::add_i8::Sums;
use crate::arch::x86::scale::Scale;
use bytemuck::cast;
use core::arch::x86_64::*;
use flatpack_format::ops::OutputI8;
use flatpack_format::ops::add_i8::AddI8Params;

/// Sums of sixteen elements.
pub(super) struct Sixteen {
    scales: [Scale; 2],
    by: Multipliers,
    y: OutputI8,
}

impl Sums for Sixteen {
    #[inline(always)]
    fn of(params: &AddI8Params) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        let by = unsafe { Multipliers::of([params.multiplier; 8]) };
        Self { scales: Scale::of_both(params), by, y: params.y }
    }

    #[inline(always)]
    fn sixteen<const MINUS: bool>(&self, a: [i8; 16], b: [i8; 16]) -> [i8; 16] {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn sixteen<const MINUS: bool>(sums: &Sixteen, a: [i8; 16], b: [i8; 16]) -> [i8; 16] {
            let [of_a, of_b] = sums.scales;
            let ([a0, a1], [b0, b1]) = (scaled(of_a, a), scaled(of_b, b));
            let both = match MINUS {
                true => [_mm256_sub_epi32(a0, b0), _mm256_sub_epi32(a1, b1)],
                false => [_mm256_add_epi32(a0, b0), _mm256_add_epi32(a1, b1)],
            };
            requantize(both, &[sums.by, sums.by], &sums.y)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { sixteen::<MINUS>(self, a, b) }
    }
}

/// At the common scale.
#[target_feature(enable = "avx2")]
#[inline]
fn scaled(by: Scale, x: [i8; 16]) -> [__m256i; 2] {
    let words = _mm256_cvtepi8_epi16(cast(x));
    [eight(by, _mm256_castsi256_si128(words)), eight(by, _mm256_extracti128_si256::<1>(words))]
}

#[target_feature(enable = "avx2")]
#[inline]
fn eight(by: Scale, x: __m128i) -> __m256i {
    let v = _mm256_sub_epi32(_mm256_cvtepi16_epi32(x), _mm256_set1_epi32(by.zero_point));
    let of_lower = _mm256_mullo_epi32(v, _mm256_set1_epi32(by.lower));
    let low = _mm256_add_epi32(of_lower, _mm256_set1_epi32(1 << 10));
    let of_upper = _mm256_mullo_epi32(v, _mm256_set1_epi32(by.upper));
    let high = _mm256_add_epi32(of_upper, _mm256_srai_epi32::<11>(low));
    let below_zero = _mm256_and_si256(_mm256_srai_epi32::<31>(high), _mm256_set1_epi32(by.shifts));
    let rounded = _mm256_add_epi32(_mm256_add_epi32(high, _mm256_set1_epi32(by.half)), below_zero);
    _mm256_sra_epi32(rounded, _mm_cvtsi32_si128(by.right))
}
