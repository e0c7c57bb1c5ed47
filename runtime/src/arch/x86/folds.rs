//! Sixteen elements, folded with sixteen more: by instructions, as whether a compiler finds them for a loop over an array
//! depends on what else it compiles with it.

use bytemuck::cast;
use core::arch::x86_64::*;

/// The larger ones.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::arch) fn maxima_i8(a: [i8; 16], b: [i8; 16]) -> [i8; 16] {
    cast(_mm_max_epi8(cast(a), cast(b)))
}

/// The larger ones; a NaN on either side stays.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::arch) fn maxima_f32(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
    let ([low, high], [of_low, of_high]): ([__m256; 2], [__m256; 2]) = (cast(a), cast(b));
    cast([maxima(low, of_low), maxima(high, of_high)])
}

#[target_feature(enable = "avx2")]
#[inline]
fn maxima(a: __m256, b: __m256) -> __m256 {
    // `b` where one is a NaN.
    let larger = _mm256_max_ps(a, b);
    _mm256_blendv_ps(larger, a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a))
}

/// Their sums, which wrap.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::arch) fn sums_i8(sums: [i32; 16], x: [i8; 16]) -> [i32; 16] {
    let [low, high]: [__m256i; 2] = cast(sums);
    let x: __m128i = cast(x);
    let (of_low, of_high) = (_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(x, x)));
    cast([_mm256_add_epi32(low, of_low), _mm256_add_epi32(high, of_high)])
}

/// Their sums.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::arch) fn sums_f32(sums: [f32; 16], x: [f32; 16]) -> [f32; 16] {
    let ([low, high], [of_low, of_high]): ([__m256; 2], [__m256; 2]) = (cast(sums), cast(x));
    cast([_mm256_add_ps(low, of_low), _mm256_add_ps(high, of_high)])
}
