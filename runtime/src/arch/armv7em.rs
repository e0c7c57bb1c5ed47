//! Cortex-M4 and M7, and M33 with the extension: the DSP instructions, which multiply two pairs of 16-bit
//! integers at once.
//!
//! Activations are widened to 16 bits once for all outputs of a pair of pixels, in the order in which
//! `sxtb16` widens four weights: elements 0 and 2, then 1 and 3. Four elements of two pixels and two
//! outputs then take 15 instructions for 16 products.
//!
//! The loops over outputs are written in assembly whole, with what becomes of the sums: of a tile at a
//! time, half of the instructions would move values to and from memory.

/// Says what the assembly of a function needs: who lists the symbols of a library reads it without the flags
/// of the build, and would take the least core of the target.
#[cfg(flatpack_dsp = "named")]
macro_rules! dsp {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(not(flatpack_dsp = "named"))]
macro_rules! dsp {
    () => {
        ""
    };
}

#[macro_use]
mod requantize;
mod columns;
mod copy;
mod depthwise;
mod depthwise_window;
mod gemm;
mod pairs;
mod recurrent;
mod widen;

use super::copy::copy_rows_by;
use super::portable::{four_sums_i8, one_sum_i8, rows_of};
use super::recurrent::{row_sums_by, state_sums_by};
#[cfg(flatpack_float = "vfp")]
use super::vfp;
use super::{Arch, Image, LANES, OutputsI8, Patch, Portable, ROW_TILE, RowsI8, scratch};
use crate::fixed;
#[cfg(flatpack_float = "vfp")]
use crate::weight::Weight;
use core::arch::asm;
use flatpack_format::ops::{Multiplier, OutputI8};
use gemm::tiles;
use widen::widen;

/// The loops of this instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Armv7em;

/// Room for windows of up to 576 elements of four pixels, and for those of one as bytes.
const QUADS: usize = 650;

/// Words of the memory.
const WORDS: usize = 2 * QUADS;

/// Five kilobytes.
pub type Memory = scratch::Memory<QUADS, 1>;

impl Arch for Armv7em {
    type Scratch = Memory;

    const WHOLE_IMAGES: bool = true;

    #[inline(always)]
    fn requantize_i8(sum: i32, by: Multiplier, plain: bool, y: &OutputI8) -> i8 {
        if !plain {
            return fixed::requantize(sum, by, y);
        }
        let [m, places, moved] = requantize::ready(by, y.zero_point);
        let product = smmlar(sum, m as i32, sum.wrapping_add(sum >> 31));
        fixed::bound(ssat8_asr1(qadd(product, moved as i32) >> (places & 31)), y)
    }

    #[inline(never)]
    fn four_sums_i8(sums: &mut [i32; ROW_TILE], x: &[i8], w: &[&[i8]; ROW_TILE], w_at: usize) -> Option<()> {
        let [(w0, r0), (w1, r1), (w2, r2), (w3, r3)] = rows_of(w, w_at, x.len())?.map(<[i8]>::as_chunks::<4>);
        let (x, x_rest) = x.as_chunks();
        let mut acc = *sums;
        for ((((x, w0), w1), w2), w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
            let (even, odd) = widened(x);
            for (sum, w) in acc.iter_mut().zip([w0, w1, w2, w3]) {
                let (w_even, w_odd) = widened(w);
                *sum = smlad(odd, w_odd, smlad(even, w_even, *sum));
            }
        }
        *sums = four_sums_i8(acc, x_rest, 0, [r0, r1, r2, r3]);
        Some(())
    }

    #[inline(never)]
    fn one_sum_i8(mut sum: i32, x: &[i8], w: &[i8]) -> i32 {
        let len = x.len().min(w.len());
        let [(x, x_rest), (w, w_rest)] = [x, w].map(|v| v.get(..len).unwrap_or_default().as_chunks());
        for (x, w) in x.iter().zip(w) {
            let ((x_even, x_odd), (w_even, w_odd)) = (widened(x), widened(w));
            sum = smlad(x_odd, w_odd, smlad(x_even, w_even, sum));
        }
        one_sum_i8(sum, x_rest, w_rest)
    }

    fn row_sums_i8(sums: &mut [i32], bias: &[i32], x: &[i8], w: &[i8]) -> Option<()> {
        row_sums_by::<Self>(recurrent::add_products, sums, bias, x, w)
    }

    fn sums_of_moments_i8(
        sums: &mut [i32],
        bias: &[i32],
        x: &[i8],
        [len, x_step]: [usize; 2],
        w: &[i8],
    ) -> Option<()> {
        let done = recurrent::four_moments(sums, bias, x, [len, x_step], w).unwrap_or(0);
        let w = w.get(done * len..)?;
        for (moment, sums) in sums.chunks_mut(bias.len().max(1)).enumerate() {
            let x = x.get(moment * x_step..)?.get(..len)?;
            Self::row_sums_i8(sums.get_mut(done..)?, bias.get(done..)?, x, w)?;
        }
        Some(())
    }

    fn add_multiplied_i16(y: &mut [i16], sums: &[i32], by: Multiplier) {
        let all = y.iter_mut().zip(sums);
        let [m, places, half] = requantize::ready(by, 0);
        if by.mantissa >= 1 << 30 && by.shift >= 0 {
            for (y, sum) in all {
                let sum = sum.wrapping_shl(by.shift as u32);
                *y = y.saturating_add(fixed::saturate_i16(smmlar(sum, m as i32, sum)));
            }
        } else if by.mantissa >= 1 << 30 && by.shift >= -15 {
            // Half of the last place is added with saturation, of which nothing is seen past 16 bits.
            for (y, &sum) in all {
                let product = smmlar(sum, m as i32, sum.wrapping_add(sum >> 31));
                *y = y.saturating_add(ssat16_asr1(qadd(product, half as i32) >> (places & 31)) as i16);
            }
        } else {
            Portable::add_multiplied_i16(y, sums, by);
        }
    }

    fn copy_rows(y: &mut [u8], y_step: usize, x: &[u8], x_step: usize, len: usize) -> Option<()> {
        copy_rows_by(copy::copy, y, y_step, x, x_step, len)
    }

    fn state_sums_i16(sums: &mut [i32], new: &[i16], state: &mut [i16], w: &[i16]) -> Option<()> {
        state_sums_by(recurrent::move_on, sums, new, state, w)
    }

    #[inline(never)]
    fn sum_tile_i8(patch: &Patch<'_, 1, i8>, sums: &mut [i32; LANES]) -> Option<()> {
        let [x] = patch.x;
        for (half, sums) in sums.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let [mut even, mut odd] = [0u32; 2];
            let mut taps = 0;
            let mut add = |[even, odd]: [u32; 2]| {
                let lanes = [even as i16, odd as i16, (even >> 16) as i16, (odd >> 16) as i16];
                sums.iter_mut().zip(lanes).for_each(|(sum, v)| *sum = sum.wrapping_add(v.into()));
            };
            patch.try_each_tap(|x_at, _| {
                let x: &[i8; 4] = x.get(x_at..)?.get(4 * half..)?.first_chunk()?;
                let x = u32::from_le_bytes(x.map(|x| x as u8));
                (even, odd) = (sxtab16(even, x), sxtab16_ror8(odd, x));
                taps += 1;
                if taps == 255 {
                    // One more might leave 16 bits.
                    add([even, odd]);
                    [even, odd] = [0; 2];
                    taps = 0;
                }
                Some(())
            })?;
            add([even, odd]);
        }
        Some(())
    }

    fn gemm_i8<const P: usize>(
        patch: &Patch<'_, P, i8>,
        whole: bool,
        rows: &RowsI8<'_>,
        y: &mut [&mut [i8]; P],
    ) -> Option<usize> {
        tiles(rows, y, |x| widen(patch, rows, whole, x, P))
    }

    const JOINS: bool = true;

    fn gemm_joined_i8(
        [first, second]: [&Patch<'_, 1, i8>; 2],
        [first_whole, second_whole]: [bool; 2],
        rows: &RowsI8<'_>,
        y: &mut [&mut [i8]; 2],
    ) -> Option<usize> {
        tiles(rows, y, |x| {
            widen(first, rows, first_whole, x, 2)?;
            widen(second, rows, second_whole, x.get(1..)?, 2)
        })
    }

    #[cfg(flatpack_float = "vfp")]
    fn gemm_rows_f32<const P: usize, W: Weight>(
        patch: &Patch<'_, P>,
        w: &[W],
        depth: usize,
        y: &mut [&mut [f32]; P],
    ) -> Option<()> {
        vfp::gemm_rows_f32(patch, w, depth, y)
    }

    #[cfg(flatpack_float = "vfp")]
    fn depthwise_f32<const P: usize, W: Weight>(
        patch: &Patch<'_, P>,
        w: &[W],
        y: &mut [&mut [f32]; P],
    ) -> Option<()> {
        vfp::depthwise_f32(patch, w, y)
    }

    #[cfg(flatpack_float = "vfp")]
    #[inline(always)]
    fn clamp_f32(low: f32, high: f32, y: &mut [f32]) {
        vfp::clamp_f32(low, high, y);
    }

    fn conv_image_in_pairs_i8(
        memory: &mut Memory,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        pairs::conv_image_in_pairs_i8(memory, image, w, outputs, x, y)
    }

    fn row_in_pairs_i8(
        memory: &mut Memory,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        pairs::row_in_pairs_i8(memory, w, outputs, x, y)
    }

    fn depthwise_image_i8(
        memory: &mut Memory,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        depthwise::depthwise_image_i8(memory, image, w, outputs, x, y)
    }

    const WHOLE_WINDOWS: bool = true;

    fn depthwise_window_i8(w: &[i8], outputs: &OutputsI8<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
        depthwise_window::depthwise_window_i8(w, outputs, x, y)
    }
}

/// Four elements with 16 bits each: 0 and 2, then 1 and 3.
#[inline(always)]
fn widened(four: &[i8; 4]) -> (u32, u32) {
    let word = u32::from_le_bytes(four.map(|v| v as u8));
    (sxtb16(word), sxtb16_ror8(word))
}

macro_rules! instruction {
    ($(#[$doc:meta])* $name:ident($($input:ident: $type:ty),*) -> $out:ty, $text:literal) => {
        $(#[$doc])*
        #[inline(always)]
        fn $name($($input: $type),*) -> $out {
            let out;
            // SAFETY: one instruction that reads and writes these registers only, which each core of
            // this architecture has.
            unsafe {
                asm!($text, out = lateout(reg) out, $($input = in(reg) $input,)* options(pure, nomem, nostack))
            }
            out
        }
    };
}

instruction!(
    /// Bytes 0 and 2 as 16-bit integers, added to those of `a`.
    sxtab16(a: u32, x: u32) -> u32, "sxtab16 {out}, {a}, {x}");
instruction!(
    /// Bytes 1 and 3 as 16-bit integers, added to those of `a`.
    sxtab16_ror8(a: u32, x: u32) -> u32, "sxtab16 {out}, {a}, {x}, ror #8");
instruction!(
    /// `sum` and the products of the halves of a and b, which are 16-bit integers. It wraps.
    smlad(a: u32, b: u32, sum: i32) -> i32, "smlad {out}, {a}, {b}, {sum}");
instruction!(
    /// `c + ⌊(a · b + 2³¹) / 2³²⌋`.
    smmlar(a: i32, b: i32, c: i32) -> i32, "smmlar {out}, {a}, {b}, {c}");
instruction!(
    /// Bytes 0 and 2 as 16-bit integers.
    sxtb16(x: u32) -> u32, "sxtb16 {out}, {x}");
instruction!(
    /// Bytes 1 and 3 as 16-bit integers.
    sxtb16_ror8(x: u32) -> u32, "sxtb16 {out}, {x}, ror #8");
instruction!(
    /// The nearest integer of 32 bits to `a + b`.
    qadd(a: i32, b: i32) -> i32, "qadd {out}, {a}, {b}");
instruction!(
    /// The nearest integer of 8 bits to `⌊x / 2⌋`.
    ssat8_asr1(x: i32) -> i32, "ssat {out}, #8, {x}, asr #1");
instruction!(
    /// The nearest integer of 16 bits to `⌊x / 2⌋`.
    ssat16_asr1(x: i32) -> i32, "ssat {out}, #16, {x}, asr #1");
