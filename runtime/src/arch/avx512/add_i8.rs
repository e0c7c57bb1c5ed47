//! Sums of integers at their common scale, in one register.

use super::requantize::Multipliers;
use crate::arch::OutputsI8;
use crate::arch::wide::add_i8::Sums;
use crate::arch::x86::scale::Scale;
use bytemuck::cast;
use core::arch::x86_64::*;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::AddI8Params;

/// Sums of sixteen elements.
pub(super) struct Sixteen {
    scales: [Scale; 2],
    by: Multipliers,
}

impl Sums for Sixteen {
    #[inline(always)]
    fn of(params: &AddI8Params) -> Self {
        let requant = [params.multiplier];
        let plain = Multiplier::all_plain(&requant);
        let outputs = OutputsI8 { bias: &[], requant: &requant, plain, y: params.y };
        // SAFETY: the processor has AVX-512.
        Self { scales: Scale::of_both(params), by: unsafe { Multipliers::of(&outputs, 0) } }
    }

    #[inline(always)]
    fn sixteen<const MINUS: bool>(&self, a: [i8; 16], b: [i8; 16]) -> [i8; 16] {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        #[inline]
        fn sixteen<const MINUS: bool>(sums: &Sixteen, a: [i8; 16], b: [i8; 16]) -> [i8; 16] {
            let [of_a, of_b] = sums.scales;
            let (a, b) = (scaled(of_a, a), scaled(of_b, b));
            let both = if MINUS { _mm512_sub_epi32(a, b) } else { _mm512_add_epi32(a, b) };
            sums.by.requantize(both)
        }
        // SAFETY: the processor has AVX-512.
        unsafe { sixteen::<MINUS>(self, a, b) }
    }
}

/// At the common scale.
#[target_feature(enable = "avx512f")]
#[inline]
fn scaled(by: Scale, x: [i8; 16]) -> __m512i {
    let (zero_point, upper) = (_mm512_set1_epi32(by.zero_point), _mm512_set1_epi32(by.upper));
    let lower = _mm512_set1_epi32(by.lower);
    let v = _mm512_sub_epi32(_mm512_cvtepi8_epi32(cast(x)), zero_point);
    let low = _mm512_add_epi32(_mm512_mullo_epi32(v, lower), _mm512_set1_epi32(1 << 10));
    let high = _mm512_add_epi32(_mm512_mullo_epi32(v, upper), _mm512_srai_epi32::<11>(low));
    let below_zero = _mm512_and_si512(_mm512_srai_epi32::<31>(high), _mm512_set1_epi32(by.shifts));
    let rounded = _mm512_add_epi32(_mm512_add_epi32(high, _mm512_set1_epi32(by.half)), below_zero);
    _mm512_sra_epi32(rounded, _mm_cvtsi32_si128(by.right))
}
