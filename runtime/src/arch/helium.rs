//! Cortex-M55 and M85 with Helium: vectors of 16 bytes, of which one instruction multiplies two and adds up the
//! products.
//!
//! The loops over outputs are written in assembly whole, with what becomes of the sums, four or eight at a time: the
//! vector registers are nobody's operands else, and sums of a tile that move through memory would cost half as much
//! again.

/// What assembly begins with: where a program is optimised as a whole, the assembler does not know the core.
macro_rules! architecture {
    () => {
        ".arch armv8.1-m.main\n.arch_extension mve.fp"
    };
}

#[macro_use]
mod requantize;
mod add;
mod conv;
mod copy;
mod depthwise;
mod depthwise_image;
mod gemm;
mod patches;
mod pool;
#[cfg(flatpack_float = "vfp")]
mod products;
mod recurrent;
mod sigmoid;

use super::copy::copy_rows_by;
use super::portable::rows_of;
use super::recurrent::{row_sums_by, state_sums_by};
#[cfg(flatpack_float = "vfp")]
use super::vfp;
use super::{Arch, Image, LANES, OutputsI8, Patch, ROW_TILE, RowsI8, RunsI8, scratch};
#[cfg(flatpack_float = "vfp")]
use crate::weight::Weight;
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_format::ops::{Multiplier, OutputI8};
use gemm::{Products, TILE};
use patches::Room;
use pool::Fold;
#[cfg(flatpack_float = "vfp")]
pub(super) use products::{one_pixel, two_pixels};

/// The loops of this instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Helium;

/// Patches of up to 1024 elements, of two pixels.
const QUADS: usize = 512;

/// Four kilobytes. Patches are put together in whole chunks.
pub type Memory = scratch::Memory<QUADS, 8>;

impl Arch for Helium {
    type Scratch = Memory;

    #[inline(never)]
    fn four_sums_i8(sums: &mut [i32; ROW_TILE], x: &[i8], w: &[&[i8]; ROW_TILE], w_at: usize) -> Option<()> {
        gemm::four_sums(sums, x, rows_of(w, w_at, x.len())?)
    }

    fn one_sum_i8(sum: i32, x: &[i8], w: &[i8]) -> i32 {
        recurrent::one_sum(sum, x, w)
    }

    fn row_sums_i8(sums: &mut [i32], bias: &[i32], x: &[i8], w: &[i8]) -> Option<()> {
        row_sums_by::<Self>(recurrent::add_products, sums, bias, x, w)
    }

    fn all_plain(multipliers: &[Multiplier]) -> bool {
        requantize::all_plain(multipliers)
    }

    fn add_multiplied_i16(y: &mut [i16], sums: &[i32], by: Multiplier) {
        requantize::add_multiplied_i16(y, sums, by);
    }

    fn requantize_row_i8(y: &mut [i8], sums: &[i32], by: Multiplier, of_y: &OutputI8) {
        requantize::requantize_row_i8(y, sums, by, of_y);
    }

    fn logistic_i16(x: &mut [i16]) {
        sigmoid::logistic_i16(x);
    }

    fn tanh_i16(x: &mut [i16], shift: i32) {
        sigmoid::tanh_i16(x, shift);
    }

    fn copy_rows(y: &mut [u8], y_step: usize, x: &[u8], x_step: usize, len: usize) -> Option<()> {
        copy_rows_by(copy::copy, y, y_step, x, x_step, len)
    }

    fn state_sums_i16(sums: &mut [i32], new: &[i16], state: &mut [i16], w: &[i16]) -> Option<()> {
        state_sums_by(recurrent::move_on, sums, new, state, w)
    }

    #[inline(never)]
    fn sum_tile_i8(patch: &Patch<'_, 1, i8>, sums: &mut [i32; LANES]) -> Option<()> {
        pool::sum(patch, sums)
    }

    #[inline(never)]
    fn max_tile_i8(patch: &Patch<'_, 1, i8>, maxima: &mut [i8; LANES]) -> Option<()> {
        pool::fold(patch, maxima, Fold::Max)
    }

    #[inline(never)]
    fn min_tile_i8(patch: &Patch<'_, 1, i8>, minima: &mut [i8; LANES]) -> Option<()> {
        pool::fold(patch, minima, Fold::Min)
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

    fn gemm_i8<const P: usize>(
        patch: &Patch<'_, P, i8>,
        whole: bool,
        rows: &RowsI8<'_>,
        y: &mut [&mut [i8]; P],
    ) -> Option<usize> {
        let len = y.first()?.len();
        let mut same = [Multiplier { mantissa: 0, shift: 0 }; TILE];
        let products = Products::of(rows.w, rows.depth, &rows.outputs, len, &mut same)?;
        let room = Room::of_quads(rows.quads, rows.depth, rows.zero)?;
        for p in 0..P {
            room.put_patch(p, whole, &patch.pixel(p)?)?;
        }
        match y.as_mut_slice() {
            // SAFETY: both patches were just put there.
            [y0, y1] => unsafe { products.two(room.start(), [y0, y1])? },
            // SAFETY: the patch was just put there.
            [y] => unsafe { products.run(room.start(), 1, y)? },
            _ => return None,
        }
        Some(len)
    }

    const JOINS: bool = true;

    fn gemm_joined_i8(
        patches: [&Patch<'_, 1, i8>; 2],
        whole: [bool; 2],
        rows: &RowsI8<'_>,
        [y0, y1]: &mut [&mut [i8]; 2],
    ) -> Option<usize> {
        let len = y0.len();
        let mut same = [Multiplier { mantissa: 0, shift: 0 }; TILE];
        let products = Products::of(rows.w, rows.depth, &rows.outputs, len, &mut same)?;
        let room = Room::of_quads(rows.quads, rows.depth, rows.zero)?;
        for (p, (patch, whole)) in patches.into_iter().zip(whole).enumerate() {
            room.put_patch(p, whole, patch)?;
        }
        // SAFETY: both patches were just put there.
        unsafe { products.two(room.start(), [y0, y1])? };
        Some(len)
    }

    fn conv_image_i8(
        scratch: &mut Memory,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        conv::conv_image_i8(scratch, image, w, outputs, x, y)
    }

    fn depthwise_i8<const P: usize>(
        patch: &Patch<'_, P, i8>,
        offset: i16,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        y: &mut [&mut [i8]; P],
    ) -> Option<usize> {
        depthwise::depthwise_i8(patch, offset, w, outputs, y)
    }

    const WHOLE_WINDOWS: bool = true;

    fn depthwise_window_i8(w: &[i8], outputs: &OutputsI8<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
        depthwise::depthwise_window_i8(w, outputs, x, y)
    }

    fn depthwise_image_i8(
        scratch: &mut Memory,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        depthwise_image::depthwise_image_i8(scratch, image, w, outputs, x, y)
    }

    fn add_runs_i8<const MINUS: bool>(params: &AddI8Params) -> Option<impl RunsI8> {
        let run = |a: Option<&[i8]>, b: Option<&[i8]>, y: &mut [i8]| add::add_run::<MINUS>(params, a, b, y);
        add::adds(params).then_some(run)
    }
}
