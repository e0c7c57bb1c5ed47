//! Sums of integers at their common scale, as on AVX2: sixteen at once.

use super::requantize::Multipliers;
use crate::arch::wide::{put, sixteen_of};
use crate::arch::{OutputsI8, PANEL_LEN};
use bytemuck::cast;
use core::arch::x86_64::*;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::AddI8Params;

/// See [`Arch::add_run_i8`](crate::arch::Arch::add_run_i8). Operands are not shifted to the left.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn add_run<const MINUS: bool>(
    params: &AddI8Params,
    a: Option<&[i8]>,
    b: Option<&[i8]>,
    y: &mut [i8],
) -> Option<()> {
    let requant = [params.multiplier];
    let outputs =
        OutputsI8 { bias: &[], requant: &requant, plain: Multiplier::all_plain(&requant), y: params.y };
    let sum = Sum {
        of_a: Scale::of(params.a_zero_point, params.a_multiplier),
        of_b: Scale::of(params.b_zero_point, params.b_multiplier),
        by: Multipliers::of(&outputs, 0),
    };
    for at in (0..y.len()).step_by(PANEL_LEN) {
        let (a, b) = (sixteen_of(a.unwrap_or(y), at), sixteen_of(b.unwrap_or(y), at));
        put(sum.sixteen::<MINUS>(a, b), y.get_mut(at..)?);
    }
    Some(())
}

/// How an operand comes to the common scale: as for AVX2, which says why.
struct Scale {
    zero_point: __m512i,
    upper: __m512i,
    lower: __m512i,
    right: __m128i,
    half: __m512i,
    /// All ones if there is a shift: halves are rounded away from zero.
    shifts: __m512i,
}

impl Scale {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn of(zero_point: i32, by: Multiplier) -> Self {
        let right = by.shift.min(0).wrapping_neg();
        let half = 1u32.wrapping_shl(right as u32) >> 1;
        Self {
            zero_point: _mm512_set1_epi32(zero_point),
            upper: _mm512_set1_epi32(by.mantissa >> 11),
            lower: _mm512_set1_epi32(by.mantissa & 0x7ff),
            right: _mm_cvtsi32_si128(right),
            half: _mm512_set1_epi32(half as i32),
            shifts: _mm512_set1_epi32(if right == 0 { 0 } else { -1 }),
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    #[inline]
    fn sixteen(&self, x: [i8; PANEL_LEN]) -> __m512i {
        let v = _mm512_sub_epi32(_mm512_cvtepi8_epi32(cast(x)), self.zero_point);
        let low = _mm512_add_epi32(_mm512_mullo_epi32(v, self.lower), _mm512_set1_epi32(1 << 10));
        let high = _mm512_add_epi32(_mm512_mullo_epi32(v, self.upper), _mm512_srai_epi32::<11>(low));
        let below_zero = _mm512_and_si512(_mm512_srai_epi32::<31>(high), self.shifts);
        _mm512_sra_epi32(_mm512_add_epi32(_mm512_add_epi32(high, self.half), below_zero), self.right)
    }
}

/// Sixteen elements of y.
struct Sum {
    of_a: Scale,
    of_b: Scale,
    by: Multipliers,
}

impl Sum {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    #[inline]
    fn sixteen<const MINUS: bool>(&self, a: [i8; PANEL_LEN], b: [i8; PANEL_LEN]) -> [i8; PANEL_LEN] {
        let (a, b) = (self.of_a.sixteen(a), self.of_b.sixteen(b));
        let sums = if MINUS { _mm512_sub_epi32(a, b) } else { _mm512_add_epi32(a, b) };
        self.by.requantize(sums)
    }
}
