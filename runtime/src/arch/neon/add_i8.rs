//! Sums of integers at their common scale, in four registers.

use super::requantize::{Multipliers, requantize};
use crate::arch::wide::{put, sixteen_of};
use bytemuck::cast;
use core::arch::aarch64::*;
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_format::ops::{Multiplier, OutputI8};

/// Sums of two tensors.
pub(super) struct Sums {
    a: Operand,
    b: Operand,
    by: [Multipliers; 4],
    y: OutputI8,
}

/// How an operand comes to the common scale.
struct Operand {
    zero_point: int8x8_t,
    by: Multipliers,
}

impl Operand {
    fn of(zero_point: i32, by: Multiplier) -> Self {
        Self { zero_point: cast([zero_point as i8; 8]), by: Multipliers::of([by; 4]) }
    }

    /// `(x − zero_point) · 2²⁰` times the multiplier.
    #[target_feature(enable = "neon")]
    #[inline]
    fn scaled(&self, x: int8x16_t) -> [int32x4_t; 4] {
        let low = vshlq_n_s16::<5>(vsubl_s8(vget_low_s8(x), self.zero_point));
        let high = vshlq_n_s16::<5>(vsubl_s8(vget_high_s8(x), self.zero_point));
        [
            self.by.multiply(vshll_n_s16::<15>(vget_low_s16(low))),
            self.by.multiply(vshll_high_n_s16::<15>(low)),
            self.by.multiply(vshll_n_s16::<15>(vget_low_s16(high))),
            self.by.multiply(vshll_high_n_s16::<15>(high)),
        ]
    }
}

impl Sums {
    /// With these parameters.
    pub(super) fn of(params: &AddI8Params) -> Self {
        Self {
            a: Operand::of(params.a_zero_point, params.a_multiplier),
            b: Operand::of(params.b_zero_point, params.b_multiplier),
            by: [Multipliers::of([params.multiplier; 4]); 4],
            y: params.y,
        }
    }

    /// See [`Arch::add_runs_i8`](crate::arch::Arch::add_runs_i8).
    pub(super) fn run<const MINUS: bool>(
        &self,
        a: Option<&[i8]>,
        b: Option<&[i8]>,
        y: &mut [i8],
    ) -> Option<()> {
        for at in (0..y.len()).step_by(16) {
            let (a, b) = (sixteen_of(a.unwrap_or(y), at), sixteen_of(b.unwrap_or(y), at));
            put(self.sixteen::<MINUS>(a, b), y.get_mut(at..)?);
        }
        Some(())
    }

    #[inline(always)]
    fn sixteen<const MINUS: bool>(&self, a: [i8; 16], b: [i8; 16]) -> [i8; 16] {
        #[target_feature(enable = "neon")]
        #[inline]
        fn both<const MINUS: bool>(sums: &Sums, a: int8x16_t, b: int8x16_t) -> [int32x4_t; 4] {
            let mut both = sums.a.scaled(a);
            for (a, b) in both.iter_mut().zip(sums.b.scaled(b)) {
                *a = if MINUS { vsubq_s32(*a, b) } else { vaddq_s32(*a, b) };
            }
            both
        }
        // SAFETY: the processor has NEON.
        let both = unsafe { both::<MINUS>(self, cast(a), cast(b)) };
        requantize(&cast(both), &self.by, &self.y)
    }
}
