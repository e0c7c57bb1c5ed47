//! Sums of sixteen outputs as elements of y, bit by bit as [`fixed::requantize`](crate::fixed::requantize) rounds.

use crate::arch::wide::{Places, Rounding, multipliers, sixteen_of};
use crate::arch::{OutputsI8, PANEL_LEN};
use bytemuck::cast;
use core::arch::aarch64::*;
use flatpack_format::ops::{Multiplier, OutputI8};

/// The multipliers of four outputs.
#[derive(Clone, Copy)]
pub(super) struct Multipliers {
    mantissas: int32x4_t,
    /// Places to the left.
    left: int32x4_t,
    /// Places to the left, none or less: places to the right.
    right: int32x4_t,
}

impl Multipliers {
    /// Of four outputs.
    pub(super) fn of(some: [Multiplier; 4]) -> Self {
        Self {
            mantissas: cast(some.map(|by| by.mantissa)),
            left: cast(some.map(|by| by.shift.max(0))),
            right: cast(some.map(|by| by.shift.min(0))),
        }
    }

    /// Of the outputs of a panel, from `first` on.
    fn of_panel(requant: &[Multiplier], first: usize) -> [Self; 4] {
        let fours: [[Multiplier; 4]; 4] = cast(multipliers(requant, first));
        fours.map(Self::of)
    }

    /// `sums` times these.
    #[target_feature(enable = "neon")]
    #[inline]
    pub(super) fn multiply(&self, sums: int32x4_t) -> int32x4_t {
        let high = vqrdmulhq_s32(vshlq_s32(sums, self.left), self.mantissas);
        // A shift to the right rounds halves up: what is below zero is less by 1 then, if it is shifted at all.
        let nudge = vshrq_n_s32::<31>(vandq_s32(high, self.right));
        vrshlq_s32(vqaddq_s32(high, nudge), self.right)
    }
}

/// What becomes of the sums of sixteen outputs.
#[derive(Clone, Copy)]
pub(crate) struct Outputs {
    /// What sums begin with.
    start: [int32x4_t; 4],
    by: [Multipliers; 4],
    y: OutputI8,
}

impl Rounding for Outputs {
    type Sums = [int32x4_t; 4];

    fn of(outputs: &OutputsI8<'_>, first: usize) -> Self {
        Self {
            start: cast(sixteen_of(outputs.bias, first)),
            by: Multipliers::of_panel(outputs.requant, first),
            y: outputs.y,
        }
    }

    #[inline(always)]
    fn put<const P: usize>(&self, sums: &[[int32x4_t; 4]; P], mut places: Places<'_>) -> Option<()> {
        let (sixteen, mut some) = (places.take_sixteen::<P>(), [[0; PANEL_LEN]; P]);
        let mut y = places.sixteens(&mut some)?;
        for (p, sums) in sums.iter().enumerate() {
            let mut sums = *sums;
            for (sum, start) in sums.iter_mut().zip(self.start) {
                // SAFETY: the processor has NEON.
                *sum = unsafe { vaddq_s32(*sum, start) };
            }
            y.put(p, requantize(&cast(sums), &self.by, &self.y));
        }
        if sixteen { Some(()) } else { places.put(&some) }
    }
}

/// Sixteen sums as elements of y.
#[inline(always)]
pub(super) fn requantize(sums: &[i32; PANEL_LEN], by: &[Multipliers; 4], y: &OutputI8) -> [i8; PANEL_LEN] {
    #[target_feature(enable = "neon")]
    #[inline]
    fn requantize(sums: [int32x4_t; 4], by: &[Multipliers; 4], y: &OutputI8) -> int8x16_t {
        let zero = vdupq_n_s32(y.zero_point);
        let (least, most) = (vdupq_n_s32(y.min), vdupq_n_s32(y.max));
        let mut elements = sums;
        for (element, by) in elements.iter_mut().zip(by) {
            let moved = vaddq_s32(by.multiply(*element), zero);
            *element = vminq_s32(vmaxq_s32(moved, least), most);
        }
        // Of each the lowest byte.
        let [a, b, c, d] = elements.map(|four| vreinterpretq_s16_s32(four));
        let (low, high) = (vuzp1q_s16(a, b), vuzp1q_s16(c, d));
        vuzp1q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high))
    }
    // SAFETY: the processor has NEON.
    cast(unsafe { requantize(cast(*sums), by, y) })
}
