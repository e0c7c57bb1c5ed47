//! Four elements of sixteen outputs at once: activations and weights as they are, in bytes.

use super::requantize::Outputs;
use crate::arch::PANEL_LEN;
use crate::arch::wide::{GROUP, Group, PanelTile, Panels, Products};
use bytemuck::cast;
use core::arch::aarch64::*;
use core::arch::asm;

/// Dot products of four bytes with four bytes: four outputs an instruction.
#[derive(Debug)]
pub(crate) enum Dots {}

impl Panels for Dots {
    type X = i8;
    type Sums = [int32x4_t; 4];
    type Totals = [int32x4_t; 4];
    type Outputs = Outputs;

    // Their sums fill 24 registers of 32.
    const PIXELS: usize = 6;

    fn panels(products: &Products<'_, Self::X>, y: &mut [i8]) -> Option<()> {
        match products.pixels() {
            1 => products.panels::<Self, 1, 1>(y),
            2 | 3 => products.panels::<Self, 2, 1>(y),
            4 | 5 => products.panels::<Self, 4, 1>(y),
            _ => products.panels::<Self, { Self::PIXELS }, 1>(y),
        }
    }

    #[inline(never)]
    fn tile_sums<const P: usize, const N: usize>(
        tile: &PanelTile<'_, Self, P, N>,
        start: &[Self::Sums; N],
        sums: &mut [[Self::Sums; P]; N],
    ) -> Option<()> {
        tile.sums(start, sums)
    }

    #[inline(always)]
    fn start(_: &[Group], _: [i32; PANEL_LEN]) -> Self::Sums {
        cast([0i32; PANEL_LEN])
    }

    #[inline(always)]
    fn add_products<const P: usize>(sums: &mut [Self::Sums; P], w: &Group, x: [&[i8; GROUP]; P]) {
        let w: [int8x16_t; 4] = cast(*w);
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = cast([*x; 4]);
            for (sum, w) in sums.iter_mut().zip(w) {
                // SAFETY: the kernels with these loops are given out where the processor has dot products.
                *sum = unsafe { dot(*sum, x, w) };
            }
        }
    }

    #[inline(always)]
    fn totals(sums: Self::Sums) -> [int32x4_t; 4] {
        sums
    }
}

/// Products of eight bytes with eight bytes, of which neighbours are added: two outputs, two parts of each, at once. No
/// product leaves 16 bits.
#[derive(Debug)]
pub(crate) enum Pairs {}

impl Panels for Pairs {
    type X = i8;
    type Sums = [[int32x4_t; 2]; 4];
    type Totals = [int32x4_t; 4];
    type Outputs = Outputs;

    // Their sums fill half of the registers.
    const PIXELS: usize = 2;

    fn panels(products: &Products<'_, Self::X>, y: &mut [i8]) -> Option<()> {
        match products.pixels() {
            1 => products.panels::<Self, 1, 1>(y),
            _ => products.panels::<Self, { Self::PIXELS }, 1>(y),
        }
    }

    #[inline(never)]
    fn tile_sums<const P: usize, const N: usize>(
        tile: &PanelTile<'_, Self, P, N>,
        start: &[Self::Sums; N],
        sums: &mut [[Self::Sums; P]; N],
    ) -> Option<()> {
        tile.sums(start, sums)
    }

    #[inline(always)]
    fn start(_: &[Group], _: [i32; PANEL_LEN]) -> Self::Sums {
        cast([0i32; 2 * PANEL_LEN])
    }

    #[inline(always)]
    fn add_products<const P: usize>(sums: &mut [Self::Sums; P], w: &Group, x: [&[i8; GROUP]; P]) {
        #[target_feature(enable = "neon")]
        #[inline]
        fn add([low, high]: [int32x4_t; 2], x: int8x16_t, w: int8x16_t) -> [int32x4_t; 2] {
            let of_low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
            [vpadalq_s16(low, of_low), vpadalq_s16(high, vmull_high_s8(w, x))]
        }
        let w: [int8x16_t; 4] = cast(*w);
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = cast([*x; 4]);
            for (sum, w) in sums.iter_mut().zip(w) {
                // SAFETY: the processor has NEON.
                *sum = unsafe { add(*sum, x, w) };
            }
        }
    }

    #[inline(always)]
    fn totals(sums: Self::Sums) -> [int32x4_t; 4] {
        // SAFETY: the processor has NEON.
        sums.map(|[low, high]| unsafe { vpaddq_s32(low, high) })
    }
}

/// `sums[o] += Σ x[4 o + i] · w[4 o + i]` over the four i. (Rust's intrinsic for it is not stable.)
///
/// # Safety
/// The processor has dot products.
#[inline(always)]
unsafe fn dot(mut sums: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: only registers are read and written, by an instruction that the processor has.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {x:v}.16b, {w:v}.16b",
            sums = inout(vreg) sums,
            x = in(vreg) x,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
