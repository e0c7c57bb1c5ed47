//! Sums of integers at their common scale.

use super::requantize::{Multipliers, requantize};
use crate::arch::wide::{put, sixteen_of};
use bytemuck::cast;
use core::arch::x86_64::*;
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_format::ops::{Multiplier, OutputI8};

/// Elements that are added at once.
const LEN: usize = 16;

/// See [`Arch::adds_i8`](crate::arch::Arch::adds_i8): real models' operands are not shifted to the left.
pub(super) fn adds(params: &AddI8Params) -> bool {
    params.a_multiplier.shift <= 0 && params.b_multiplier.shift <= 0
}

/// See [`Arch::add_run_i8`](crate::arch::Arch::add_run_i8).
#[target_feature(enable = "avx2")]
pub(super) fn add_run<const MINUS: bool>(
    params: &AddI8Params,
    a: Option<&[i8]>,
    b: Option<&[i8]>,
    y: &mut [i8],
) -> Option<()> {
    let sum = Sum {
        of_a: Scale::of(params.a_zero_point, params.a_multiplier),
        of_b: Scale::of(params.b_zero_point, params.b_multiplier),
        by: Multipliers::of([params.multiplier; 8]),
        y: &params.y,
    };
    for at in (0..y.len()).step_by(LEN) {
        let (a, b) = (sixteen_of(a.unwrap_or(y), at), sixteen_of(b.unwrap_or(y), at));
        put(sum.sixteen::<MINUS>(a, b), y.get_mut(at..)?);
    }
    Some(())
}

/// How an operand comes to the common scale: `(x − zero_point) · 2²⁰` times a multiplier that does not shift to the left.
///
/// For v of 9 bits, the high half of twice the product is `⌊(v · mantissa + 2¹⁰) / 2¹¹⌋`: of the mantissa's upper and
/// lower bits by themselves, products stay within 32 bits.
struct Scale {
    zero_point: __m256i,
    upper: __m256i,
    lower: __m256i,
    right: __m128i,
    half: __m256i,
    /// All ones if there is a shift: halves are rounded away from zero.
    shifts: __m256i,
}

impl Scale {
    #[target_feature(enable = "avx2")]
    fn of(zero_point: i32, by: Multiplier) -> Self {
        let right = by.shift.min(0).wrapping_neg();
        let half = 1u32.wrapping_shl(right as u32) >> 1;
        Self {
            zero_point: _mm256_set1_epi32(zero_point),
            upper: _mm256_set1_epi32(by.mantissa >> 11),
            lower: _mm256_set1_epi32(by.mantissa & 0x7ff),
            right: _mm_cvtsi32_si128(right),
            half: _mm256_set1_epi32(half as i32),
            shifts: _mm256_set1_epi32(if right == 0 { 0 } else { -1 }),
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn sixteen(&self, x: [i8; LEN]) -> [__m256i; 2] {
        let words = _mm256_cvtepi8_epi16(cast(x));
        [self.eight(_mm256_castsi256_si128(words)), self.eight(_mm256_extracti128_si256::<1>(words))]
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn eight(&self, x: __m128i) -> __m256i {
        let v = _mm256_sub_epi32(_mm256_cvtepi16_epi32(x), self.zero_point);
        let low = _mm256_add_epi32(_mm256_mullo_epi32(v, self.lower), _mm256_set1_epi32(1 << 10));
        let high = _mm256_add_epi32(_mm256_mullo_epi32(v, self.upper), _mm256_srai_epi32::<11>(low));
        let below_zero = _mm256_and_si256(_mm256_srai_epi32::<31>(high), self.shifts);
        _mm256_sra_epi32(_mm256_add_epi32(_mm256_add_epi32(high, self.half), below_zero), self.right)
    }
}

/// Sixteen elements of y.
struct Sum<'a> {
    of_a: Scale,
    of_b: Scale,
    by: Multipliers,
    y: &'a OutputI8,
}

impl Sum<'_> {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn sixteen<const MINUS: bool>(&self, a: [i8; LEN], b: [i8; LEN]) -> [i8; LEN] {
        let ([a0, a1], [b0, b1]) = (self.of_a.sixteen(a), self.of_b.sixteen(b));
        let sums = match MINUS {
            true => [_mm256_sub_epi32(a0, b0), _mm256_sub_epi32(a1, b1)],
            false => [_mm256_add_epi32(a0, b0), _mm256_add_epi32(a1, b1)],
        };
        requantize(sums, &[self.by, self.by], self.y)
    }
}
