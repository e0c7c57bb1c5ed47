//! Two taps of sixteen channels, one after the other, as integers of 16 bits: four channels an instruction.

use super::requantize::Outputs;
use crate::arch::PANEL_LEN;
use crate::arch::wide::TwoTaps;
use crate::arch::wide::blocks::Row;
use bytemuck::cast;
use core::arch::aarch64::*;

/// One tap after the other.
pub(super) struct InTurn;

impl TwoTaps for InTurn {
    type X = i8;
    type W = [[int16x8_t; 2]; 2];
    type Sums = [int32x4_t; 4];
    type Totals = Self::Sums;
    type Outputs = Outputs;

    #[inline(always)]
    fn weights(w: [[i8; PANEL_LEN]; 2]) -> Self::W {
        w.map(|w| halves(&w))
    }

    #[inline(always)]
    fn zero() -> Self::Sums {
        cast([0i32; PANEL_LEN])
    }

    #[inline(always)]
    fn add_products(mut sums: Self::Sums, x: [&Row<i8>; 2], w: &Self::W) -> Self::Sums {
        #[target_feature(enable = "neon")]
        #[inline]
        fn add([a, b, c, d]: [int32x4_t; 4], x: [int16x8_t; 2], w: [int16x8_t; 2]) -> [int32x4_t; 4] {
            let ([x_low, x_high], [w_low, w_high]) = (x, w);
            [
                vmlal_s16(a, vget_low_s16(x_low), vget_low_s16(w_low)),
                vmlal_high_s16(b, x_low, w_low),
                vmlal_s16(c, vget_low_s16(x_high), vget_low_s16(w_high)),
                vmlal_high_s16(d, x_high, w_high),
            ]
        }
        for (x, w) in x.into_iter().zip(w) {
            // SAFETY: the processor has NEON.
            sums = unsafe { add(sums, halves(x), *w) };
        }
        sums
    }

    #[inline(always)]
    fn totals(sums: Self::Sums) -> Self::Sums {
        sums
    }
}

/// Channels 0 to 7, and the others.
#[inline(always)]
fn halves(x: &Row<i8>) -> [int16x8_t; 2] {
    #[target_feature(enable = "neon")]
    #[inline]
    fn halves(x: int8x16_t) -> [int16x8_t; 2] {
        [vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x)]
    }
    // SAFETY: the processor has NEON.
    unsafe { halves(cast(*x)) }
}
