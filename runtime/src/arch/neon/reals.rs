//! Sixteen reals in four registers.

use crate::arch::wide::{Apart, Sixteen};
use crate::arch::{PANEL_LEN, ROW_TILE};
use bytemuck::cast;
use core::arch::aarch64::*;

/// Four registers.
type Four = [float32x4_t; 4];

/// Sixteen reals in four registers.
#[derive(Clone, Copy)]
pub(super) struct Reals(Four);

impl Sixteen for Reals {
    type Half = Self;

    const REGISTERS: usize = 8;

    #[inline(always)]
    fn splat(v: f32) -> Self {
        Self(cast([v; PANEL_LEN]))
    }

    #[inline(always)]
    fn load(from: &[f32; PANEL_LEN]) -> Self {
        Self(cast(*from))
    }

    #[inline(never)]
    fn apart(work: &impl Apart, y: &mut [f32]) -> Option<()> {
        work.run(y)
    }

    #[inline(always)]
    fn totals(of: [Self; ROW_TILE]) -> [f32; ROW_TILE] {
        #[target_feature(enable = "neon")]
        #[inline]
        fn totals([a, b, c, d]: [Four; ROW_TILE]) -> float32x4_t {
            let [a, b, c, d] = [joined(a), joined(b), joined(c), joined(d)];
            vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d))
        }
        #[target_feature(enable = "neon")]
        #[inline]
        fn joined([a, b, c, d]: Four) -> float32x4_t {
            vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d))
        }
        // SAFETY: the processor has NEON.
        cast(unsafe { totals(of.map(|Self(of)| of)) })
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; PANEL_LEN]) {
        *to = cast(self.0);
    }

    #[inline(always)]
    fn add_product(self, x: Self, w: Self) -> Self {
        let Self(mut sums) = self;
        for ((sum, x), w) in sums.iter_mut().zip(x.0).zip(w.0) {
            // SAFETY: the processor has NEON.
            *sum = unsafe { vfmaq_f32(*sum, x, w) };
        }
        Self(sums)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.replaced(other, |ours, other| {
            // SAFETY: the processor has NEON.
            unsafe { vcgtq_f32(other, ours) }
        })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.replaced(other, |ours, other| {
            // SAFETY: the processor has NEON.
            unsafe { vcltq_f32(other, ours) }
        })
    }
}

impl Reals {
    /// The other ones where the comparison holds, which it does with no NaN.
    #[inline(always)]
    fn replaced(self, other: Self, holds: impl Fn(float32x4_t, float32x4_t) -> uint32x4_t) -> Self {
        let Self(mut reals) = self;
        for (real, other) in reals.iter_mut().zip(other.0) {
            // SAFETY: the processor has NEON.
            *real = unsafe { vbslq_f32(holds(*real, other), other, *real) };
        }
        Self(reals)
    }
}
