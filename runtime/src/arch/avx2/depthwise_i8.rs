//! Two taps of sixteen channels as integers of 16 bits, side by side, so that an instruction multiplies and adds both.

use super::requantize::Outputs;
use crate::arch::PANEL_LEN;
use crate::arch::wide::TwoTaps;
use crate::arch::wide::blocks::Row;
use bytemuck::cast;
use core::arch::x86_64::*;

/// Integers of 16 bits side by side.
pub(in crate::arch) struct SideBySide;

/// Sums of channels 0 to 3 and 8 to 11, and of the others.
type Sums = [__m256i; 2];

impl TwoTaps for SideBySide {
    type X = i16;
    type W = Sums;
    type Sums = Sums;
    type Totals = Sums;
    type Outputs = Outputs;

    #[inline(always)]
    fn weights(w: [[i8; PANEL_LEN]; 2]) -> Sums {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn weights(w: [[i8; PANEL_LEN]; 2]) -> Sums {
            side_by_side(w.map(|w| _mm256_cvtepi8_epi16(cast(w))))
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { weights(w) }
    }

    #[inline(always)]
    fn zero() -> Sums {
        cast([0i32; PANEL_LEN])
    }

    #[inline(always)]
    fn add_products(sums: Sums, x: [&Row<i16>; 2], w: &Sums) -> Sums {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn add([low, high]: Sums, x: [&Row<i16>; 2], [w_low, w_high]: &Sums) -> Sums {
            let [x_low, x_high] = side_by_side(x.map(|x| cast(*x)));
            let low = _mm256_add_epi32(low, _mm256_madd_epi16(x_low, *w_low));
            [low, _mm256_add_epi32(high, _mm256_madd_epi16(x_high, *w_high))]
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { add(sums, x, w) }
    }

    #[inline(always)]
    fn totals(sums: Sums) -> Sums {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn totals([low, high]: Sums) -> Sums {
            [_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high)]
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { totals(sums) }
    }
}

/// Elements of two taps side by side: of channels 0 to 3 and 8 to 11, then of the others.
#[target_feature(enable = "avx2")]
#[inline]
fn side_by_side([a, b]: [__m256i; 2]) -> Sums {
    [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)]
}
