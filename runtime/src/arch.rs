//! The inner loops, behind one trait.
//!
//! The default bodies are portable and are the truth: an instruction set may only be faster. The
//! loops are written so that the compiler sees every length and turns them into the vector
//! instructions that the target has.

#[cfg(flatpack_arch = "armv6m")]
#[allow(unsafe_code)]
pub mod armv6m;

#[cfg(flatpack_arch = "armv7em")]
#[allow(unsafe_code)]
pub mod armv7em;

#[cfg(flatpack_arch = "helium")]
#[allow(unsafe_code)]
pub mod helium;

#[cfg(all(any(test, feature = "std"), target_arch = "x86_64"))]
#[allow(unsafe_code)]
mod avx2;
#[cfg(all(any(test, feature = "std"), target_arch = "x86_64"))]
#[allow(unsafe_code)]
mod avx512;
#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
#[allow(unsafe_code)]
mod copy;
mod image;
#[cfg(all(any(test, feature = "std"), target_arch = "aarch64"))]
#[allow(unsafe_code)]
mod neon;
mod operands;
mod patch;
mod portable;
#[allow(unsafe_code)]
mod recurrent;
#[allow(unsafe_code)]
mod scratch;
#[cfg(flatpack_float = "vfp")]
#[allow(unsafe_code)]
mod vfp;
#[cfg(all(any(test, feature = "std"), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod wide;
#[cfg(all(any(test, feature = "std"), target_arch = "x86_64"))]
#[allow(unsafe_code)]
mod x86;

#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) use avx2::Avx2VnniOfAvx512;
#[cfg(all(any(test, feature = "std"), target_arch = "x86_64"))]
pub(crate) use avx2::{Avx2, Avx2Vnni};
#[cfg(all(any(test, feature = "std"), target_arch = "x86_64"))]
pub(crate) use avx512::{Avx512, Avx512Vnni};
pub use image::{Image, TransposedImage};
#[cfg(all(any(test, feature = "std"), target_arch = "aarch64"))]
pub(crate) use neon::{Dots, Matrices, Neon, Pairs};
pub use operands::{OutputsF32, OutputsI8, Panel, RowsI8};
pub use patch::Patch;
pub use portable::Portable;
pub(crate) use portable::row_of_patch_i8;
pub(crate) use recurrent::move_on;
pub use scratch::{Quad, Scratch};

use crate::weight::Weight;
use crate::{fixed, math};
use flatpack_format::PANEL;
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_format::ops::mul_i8::MulI8Params;
use flatpack_format::ops::{Multiplier, OutputI8};

/// Outputs of a panel as an array length.
pub(crate) const PANEL_LEN: usize = PANEL as usize;

/// Outputs that a tile of layout `rows` computes at once.
pub(crate) const ROW_TILE: usize = 4;

/// Channels of a pixel that a tile computes at once.
pub(crate) const LANES: usize = 8;

/// Plain loops that [`Arch::vectorize`] compiles for an instruction set: a method that is always inlined. A closure is
/// not, and then has the instructions of every machine of the target.
pub trait Loops {
    /// What they give.
    type Output;

    /// Runs them. To be always inlined.
    fn run<A: Arch>(self) -> Self::Output;
}

/// Gives elements of y for elements of a and b; `None` for one is what y holds. Gives `None` if they were not computed.
pub trait RunsI8: Fn(Option<&[i8]>, Option<&[i8]>, &mut [i8]) -> Option<()> + Sync {}

impl<F: Fn(Option<&[i8]>, Option<&[i8]>, &mut [i8]) -> Option<()> + Sync> RunsI8 for F {}

/// Where there are none.
type NoRunsI8 = fn(Option<&[i8]>, Option<&[i8]>, &mut [i8]) -> Option<()>;

/// The inner loops at tile or row height. A tile gives `None` only where a tap lies outside of x or
/// of the weights.
///
/// A tile is a function of its own, not inlined: its sums then stay in registers.
pub trait Arch {
    /// Memory of a step.
    type Scratch: Scratch;

    /// Whether a kernel can do without other loops for what real models have. Then
    /// [`conv_image_in_pairs_i8`](Self::conv_image_in_pairs_i8) takes all images with 1728 weights or fewer an output,
    /// [`depthwise_image_i8`](Self::depthwise_image_i8) those of 4 channels or more with 576 taps or fewer, where
    /// multipliers are plain, dilations are 1, and no window lies beside the image as a whole.
    const WHOLE_IMAGES: bool = false;

    /// Whether [`row_in_panels_i8`](Self::row_in_panels_i8) sees by itself which multipliers are plain.
    const ROWS_BY_ANY_MULTIPLIERS: bool = false;

    /// [`Multiplier::all_plain`].
    fn all_plain(multipliers: &[Multiplier]) -> bool {
        Multiplier::all_plain(multipliers)
    }

    /// A sum as an element of y. `plain`: see [`Multiplier::all_plain`].
    #[inline(always)]
    fn requantize_i8(sum: i32, by: Multiplier, plain: bool, y: &OutputI8) -> i8 {
        if plain { fixed::requantize_plainly(sum, by, y) } else { fixed::requantize(sum, by, y) }
    }

    /// The first outputs of `P` pixels: `y[p][o] = requantize(bias[o] + Σ x[p][tap][i] · w[o][tap][i])`, where
    /// taps that are not seen have `zero`. Gives how many outputs it computed: `None` for none.
    fn gemm_i8<const P: usize>(
        _patch: &Patch<'_, P, i8>,
        _whole: bool,
        _rows: &RowsI8<'_>,
        _y: &mut [&mut [i8]; P],
    ) -> Option<usize> {
        None
    }

    /// Whether there is a [`gemm_joined_i8`](Self::gemm_joined_i8).
    const JOINS: bool = false;

    /// [`gemm_i8`](Self::gemm_i8) of two pixels that see different taps.
    fn gemm_joined_i8(
        _patches: [&Patch<'_, 1, i8>; 2],
        _whole: [bool; 2],
        _rows: &RowsI8<'_>,
        _y: &mut [&mut [i8]; 2],
    ) -> Option<usize> {
        None
    }

    /// The first channels of `P` pixels: `y[p][c] = requantize(bias[c] + Σ (x[p][tap][c] + offset) ·
    /// w[tap][c])`. Gives how many channels it computed: `None` for none.
    fn depthwise_i8<const P: usize>(
        _patch: &Patch<'_, P, i8>,
        _offset: i16,
        _w: &[i8],
        _outputs: &OutputsI8<'_>,
        _y: &mut [&mut [i8]; P],
    ) -> Option<usize> {
        None
    }

    /// A convolution of an image, or of some rows of it: `y[oh, ow, o] = requantize(bias[o] + Σ x[tap][i] ·
    /// w[o][tap][i])`, where taps beside the image have the zero point. `None` where it is not computed: y is
    /// then to be computed anew.
    fn conv_image_i8(
        _scratch: &mut Self::Scratch,
        _image: &Image,
        _w: &[i8],
        _outputs: &OutputsI8<'_>,
        _x: &[i8],
        _y: &mut [i8],
    ) -> Option<()> {
        None
    }

    /// [`conv_image_i8`](Self::conv_image_i8) with w in layout `pairs`.
    fn conv_image_in_pairs_i8(
        _scratch: &mut Self::Scratch,
        _image: &Image,
        _w: &[i8],
        _outputs: &OutputsI8<'_>,
        _x: &[i8],
        _y: &mut [i8],
    ) -> Option<()> {
        None
    }

    /// [`conv_image_i8`](Self::conv_image_i8) with w in layout `panel16x4`.
    fn conv_image_in_panels_i8(
        _scratch: &mut Self::Scratch,
        _image: &Image,
        _w: &[i8],
        _outputs: &OutputsI8<'_>,
        _x: &[i8],
        _y: &mut [i8],
    ) -> Option<()> {
        None
    }

    /// [`conv_image_in_panels_i8`](Self::conv_image_in_panels_i8) of one pixel that sees all of x, without memory of its
    /// own. `None` where it is not computed.
    fn row_in_panels_i8(_w: &[i8], _outputs: &OutputsI8<'_>, _x: &[i8], _y: &mut [i8]) -> Option<()> {
        None
    }

    /// [`conv_image_in_pairs_i8`](Self::conv_image_in_pairs_i8) of one pixel that is computed by itself.
    fn row_in_pairs_i8(
        _scratch: &mut Self::Scratch,
        _w: &[i8],
        _outputs: &OutputsI8<'_>,
        _x: &[i8],
        _y: &mut [i8],
    ) -> Option<()> {
        None
    }

    /// A depthwise convolution of an image, or of some rows of it: `y[oh, ow, c] = requantize(bias[c] + Σ x[…, c] ·
    /// w[tap][c])`, where taps beside the image have the zero point. `None` where it is not computed: y is then
    /// to be computed anew. Calls with one scratch are for rows of one step: what the first prepares of the
    /// weights serves the others.
    fn depthwise_image_i8(
        _scratch: &mut Self::Scratch,
        _image: &Image,
        _w: &[i8],
        _outputs: &OutputsI8<'_>,
        _x: &[i8],
        _y: &mut [i8],
    ) -> Option<()> {
        None
    }

    /// Whether there is a [`depthwise_window_i8`](Self::depthwise_window_i8), which takes four channels or more where
    /// multipliers are plain.
    const WHOLE_WINDOWS: bool = false;

    /// [`depthwise_image_i8`](Self::depthwise_image_i8) of an image with one window, which sees all of it.
    fn depthwise_window_i8(_w: &[i8], _outputs: &OutputsI8<'_>, _x: &[i8], _y: &mut [i8]) -> Option<()> {
        None
    }

    /// What gives `y[i] = requantize(a[i] + b[i])` at their common scale, see [`crate::ops::add_i8`], or with `MINUS` that
    /// of their difference, if there are loops for it.
    fn add_runs_i8<const MINUS: bool>(_params: &AddI8Params) -> Option<impl RunsI8> {
        None::<NoRunsI8>
    }

    /// What gives `y[i] = requantize(a[i] · b[i])`, see [`crate::ops::mul_i8`], if there are loops for it.
    fn mul_runs_i8(_params: &MulI8Params) -> Option<impl RunsI8> {
        None::<NoRunsI8>
    }

    /// `y[i] = table[x[i]]`; `None` for x is what y holds.
    #[inline(always)]
    fn lookup(table: &[u8; 256], x: Option<&[u8]>, y: &mut [u8]) {
        portable::lookup(table, x, y);
    }

    /// Whether recurrent operators compute 16 units at once, not 4.
    const WIDE_TILES: bool = false;

    /// Runs loops, compiled for this instruction set.
    #[inline(always)]
    fn vectorize<L: Loops>(loops: L) -> L::Output
    where
        Self: Sized,
    {
        loops.run::<Self>()
    }

    /// A convolution of an image, or of some rows of it, with w in layout `panel16`: `y[oh, ow, o] = clamp(bias[o] +
    /// scale[o] · Σ x[tap][i] · w[o][tap][i])` over the taps in the image. Products may be added with one rounding.
    /// `None` where it is not computed: y is then to be computed anew.
    #[inline(always)]
    fn conv_image_f32<W: Weight>(
        _image: &Image,
        _w: &[[W; PANEL_LEN]],
        _outputs: &OutputsF32<'_>,
        _x: &[f32],
        _y: &mut [f32],
    ) -> Option<()> {
        None
    }

    /// [`conv_image_f32`](Self::conv_image_f32) of a transposed convolution.
    #[inline(always)]
    fn transposed_image_f32<W: Weight>(
        _image: &TransposedImage,
        _w: &[[W; PANEL_LEN]],
        _outputs: &OutputsF32<'_>,
        _x: &[f32],
        _y: &mut [f32],
    ) -> Option<()> {
        None
    }

    /// A depthwise convolution of an image, or of some rows of it: `y[oh, ow, c] = clamp(bias[c] + scale[c] · Σ
    /// x[tap][c] · w[tap][c])`, otherwise as [`conv_image_f32`](Self::conv_image_f32).
    #[inline(always)]
    fn depthwise_image_f32<W: Weight>(
        _image: &Image,
        _w: &[W],
        _outputs: &OutputsF32<'_>,
        _x: &[f32],
        _y: &mut [f32],
    ) -> Option<()> {
        None
    }

    /// For `P` pixels and outputs with rows of `depth` weights: `y[p][o] += Σ x[p][tap][i] · w[o][tap][i]`, in the
    /// order of the taps, then of i.
    fn gemm_rows_f32<const P: usize, W: Weight>(
        patch: &Patch<'_, P>,
        w: &[W],
        depth: usize,
        y: &mut [&mut [f32]; P],
    ) -> Option<()> {
        portable::gemm_rows_f32::<Self, P, W>(patch, w, depth, y)
    }

    /// Of some gates, the columns from `first` on: `sums[g][o] += Σ x[i] · w[i][gates[g]][first + o]`, in the order of i.
    fn gates_f32<W: Weight, const T: usize, const G: usize>(
        x: &[f32],
        panel: &Panel<'_, W>,
        gates: [usize; G],
        first: usize,
        sums: &mut [[f32; T]; G],
    ) -> Option<()> {
        portable::gates_f32(x, panel, gates, first, sums)
    }

    /// [`gates_f32`](Self::gates_f32) of one gate and `P` rows of x: `sums[p][o] += Σ x[p][i] · w[i][gate][o]`.
    fn gate_rows_f32<W: Weight, const P: usize>(
        x: [&[f32]; P],
        panel: &Panel<'_, W>,
        gate: usize,
        sums: &mut [[f32; PANEL_LEN]; P],
    ) -> Option<()> {
        for (x, sums) in x.into_iter().zip(sums) {
            Self::gates_f32(x, panel, [gate], 0, core::array::from_mut(sums))?;
        }
        Some(())
    }

    /// For `P` pixels and the 16 outputs of a panel: `sums[p][o] += Σ x[p][tap][i] · w[tap][i][o]`,
    /// in the order of the taps, then of i.
    #[inline(never)]
    fn gemm_tile_f32_panel16<const P: usize, W: Weight>(
        patch: &Patch<'_, P>,
        w: &[[W; PANEL_LEN]],
        sums: &mut [[f32; PANEL_LEN]; P],
    ) -> Option<()> {
        portable::gemm_tile_f32_panel16(patch, w, sums)
    }

    /// For `P` pixels and 4 outputs, each with a row of weights: `sums[p][o] += Σ x[p][tap][i] ·
    /// w[o][tap][i]`, in the order of the taps, then of i.
    #[inline(never)]
    fn gemm_tile_f32_rows<const P: usize, W: Weight>(
        patch: &Patch<'_, P>,
        w: [&[W]; ROW_TILE],
        sums: &mut [[f32; ROW_TILE]; P],
    ) -> Option<()> {
        portable::gemm_tile_f32_rows(patch, w, sums)
    }

    /// For `P` pixels and 4 outputs, each with a row of weights: `sums[p][o] += Σ (x[p][tap][i] +
    /// offset) · w[o][tap][i]`. Sums wrap.
    #[inline(never)]
    fn gemm_tile_i8_rows<const P: usize>(
        patch: &Patch<'_, P, i8>,
        offset: i16,
        w: [&[i8]; ROW_TILE],
        sums: &mut [[i32; ROW_TILE]; P],
    ) -> Option<()> {
        portable::gemm_tile_i8_rows::<Self, P>(patch, offset, w, sums)
    }

    /// Of four rows of weights, from `w_at` on: `sums[o] += Σ x[i] · w[o][w_at + i]`. Sums wrap.
    ///
    /// Where there are no vectors, by itself: then it has all registers.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn four_sums_i8(sums: &mut [i32; ROW_TILE], x: &[i8], w: &[&[i8]; ROW_TILE], w_at: usize) -> Option<()> {
        *sums = portable::four_sums_i8(*sums, x, 0, portable::rows_of(w, w_at, x.len())?);
        Some(())
    }

    /// Of one row of weights: `sum + Σ x[i] · w[i]`, which wraps.
    #[inline(always)]
    fn one_sum_i8(sum: i32, x: &[i8], w: &[i8]) -> i32 {
        portable::one_sum_i8(sum, x, w)
    }

    /// Of rows of weights that lie behind each other: `sums[o] = bias[o] + Σ x[i] · w[o][i]`. Sums wrap.
    fn row_sums_i8(sums: &mut [i32], bias: &[i32], x: &[i8], w: &[i8]) -> Option<()> {
        recurrent::row_sums::<Self>(sums, bias, x, w)
    }

    /// [`row_sums_i8`](Self::row_sums_i8) of `len` elements of x at each moment, which begin `x_step` apart: those of a
    /// moment after those of the one before, each with as many as `bias` has.
    fn sums_of_moments_i8(
        sums: &mut [i32],
        bias: &[i32],
        x: &[i8],
        [len, x_step]: [usize; 2],
        w: &[i8],
    ) -> Option<()> {
        for (moment, sums) in sums.chunks_mut(bias.len().max(1)).enumerate() {
            Self::row_sums_i8(sums, bias, x.get(moment * x_step..)?.get(..len)?, w)?;
        }
        Some(())
    }

    /// `y[i] = bound(y[i] + bound(sums[i] · by))`, where `bound` is to 16 bits.
    fn add_multiplied_i16(y: &mut [i16], sums: &[i32], by: Multiplier) {
        for (y, sum) in y.iter_mut().zip(sums) {
            *y = y.saturating_add(fixed::saturate_i16(fixed::multiply(*sum, by)));
        }
    }

    /// `y[i] = requantize(sums[i])`, by one multiplier.
    fn requantize_row_i8(y: &mut [i8], sums: &[i32], by: Multiplier, of_y: &OutputI8) {
        let all = y.iter_mut().zip(sums);
        if Multiplier::all_plain(&[by]) {
            all.for_each(|(y, sum)| *y = Self::requantize_i8(*sum, by, true, of_y));
        } else {
            all.for_each(|(y, sum)| *y = Self::requantize_i8(*sum, by, false, of_y));
        }
    }

    /// [`fixed::logistic`] of each.
    fn logistic_i16(x: &mut [i16]) {
        x.iter_mut().for_each(|x| *x = fixed::logistic(*x));
    }

    /// [`fixed::tanh`] of each.
    fn tanh_i16(x: &mut [i16], shift: i32) {
        x.iter_mut().for_each(|x| *x = fixed::tanh(*x, shift));
    }

    /// Copies rows of `len` bytes, of which those of y are `y_step` apart, one at least, and those of x `x_step`: as many
    /// as y has, a last one without what follows it. `None` where a row is not there.
    // A function of its own: of what is inlined into it, the compiler for Cortex-M4 copies each byte.
    fn copy_rows(y: &mut [u8], y_step: usize, x: &[u8], x_step: usize, len: usize) -> Option<()> {
        #[cfg(feature = "std")]
        match len {
            16 => return portable::copy_rows_of::<16>(y, y_step, x, x_step),
            32 => return portable::copy_rows_of::<32>(y, y_step, x, x_step),
            64 => return portable::copy_rows_of::<64>(y, y_step, x, x_step),
            _ => (),
        }
        for (row, y) in y.chunks_mut(y_step.max(1)).enumerate() {
            let x = x.get(row.checked_mul(x_step)?..)?.get(..len)?;
            y.get_mut(..len)?.iter_mut().zip(x).for_each(|(y, x)| *y = *x);
        }
        Some(())
    }

    /// Moves the state of each filter on by one, with `new[f]` as its last element: then `sums[u] += Σ state[f][m] ·
    /// w[f][m]` over the filters of a unit, which are as many for each. Sums wrap.
    fn state_sums_i16(sums: &mut [i32], new: &[i16], state: &mut [i16], w: &[i16]) -> Option<()> {
        recurrent::state_sums(sums, new, state, w)
    }

    /// For `P` pixels and 2 outputs, whose weights are a pair of layout `pairs`: `sums[p][o] += Σ (x[p][tap][i] +
    /// offset) · w[o][tap][i]`. Sums wrap.
    #[inline(never)]
    fn gemm_tile_i8_pairs<const P: usize>(
        patch: &Patch<'_, P, i8>,
        offset: i16,
        w: &[i8],
        sums: &mut [[i32; 2]; P],
    ) -> Option<()> {
        portable::gemm_tile_i8_pairs(patch, offset, w, sums)
    }

    /// For `P` pixels and the 16 outputs of a panel of layout `panel16x4`: `sums[p][o] += Σ (x[p][tap][i] + offset) ·
    /// w[o][tap][i]`. Sums wrap.
    #[inline(never)]
    fn gemm_tile_i8_panel16x4<const P: usize>(
        patch: &Patch<'_, P, i8>,
        offset: i16,
        w: &[i8],
        sums: &mut [[i32; PANEL_LEN]; P],
    ) -> Option<()> {
        portable::gemm_tile_i8_panel16x4(patch, offset, w, sums)
    }

    /// For a pixel: `Σ (x[tap][i] + offset)`. Sums wrap.
    fn sum_i8(patch: &Patch<'_, 1, i8>, offset: i16) -> Option<i32> {
        portable::sum_i8(patch, offset)
    }

    /// `y[m, n] = Σₖ a[m, k] · b[k, n]`, or `b[n, k]` if it is transposed, with the sizes m, k and n, in the order of k.
    /// `None` where it is not computed: y is then to be computed anew.
    #[inline(always)]
    fn matmul_f32(
        _a: &[f32],
        _b: &[f32],
        _sizes: [usize; 3],
        _transposed: bool,
        _y: &mut [f32],
    ) -> Option<()> {
        None
    }

    /// For `P` rows of x and 16 columns of w, whose rows are `stride` apart: `sums[p][c] += Σᵢ x[p][i] ·
    /// w[i · stride + c]`, in the order of i.
    #[inline(never)]
    fn gemm_tile_f32_columns<const P: usize>(
        x: [&[f32]; P],
        w: &[f32],
        stride: usize,
        sums: &mut [[f32; PANEL_LEN]; P],
    ) -> Option<()> {
        portable::gemm_tile_f32_columns(x, w, stride, sums)
    }

    /// For `P` pixels and their channels, at least 8: `y[p][c] += Σ x[p][tap][c] · w[tap][c]`, in the order of the
    /// taps.
    fn depthwise_f32<const P: usize, W: Weight>(
        patch: &Patch<'_, P>,
        w: &[W],
        y: &mut [&mut [f32]; P],
    ) -> Option<()> {
        portable::depthwise_f32::<Self, P, W>(patch, w, y)
    }

    /// For `P` pixels and 8 of their channels: `sums[p][c] += Σ x[p][tap][c] · w[tap][c]`, in the
    /// order of the taps.
    #[inline(never)]
    fn depthwise_tile_f32<const P: usize, W: Weight>(
        patch: &Patch<'_, P>,
        w: &[W],
        sums: &mut [[f32; LANES]; P],
    ) -> Option<()> {
        portable::depthwise_tile_f32(patch, w, sums)
    }

    /// For `P` pixels and 8 of their channels: `sums[p][c] += Σ (x[p][tap][c] + offset) · w[tap][c]`.
    /// Sums wrap.
    #[inline(never)]
    fn depthwise_tile_i8<const P: usize>(
        patch: &Patch<'_, P, i8>,
        offset: i16,
        w: &[i8],
        sums: &mut [[i32; LANES]; P],
    ) -> Option<()> {
        portable::depthwise_tile_i8(patch, offset, w, sums)
    }

    /// For `P` pixels and 8 outputs whose weights are neighbours: `sums[p][o] += Σ (x[p][tap] + offset) ·
    /// w[tap][o]`. Sums wrap.
    #[inline(never)]
    fn gemm_tile_i8_columns<const P: usize>(
        patch: &Patch<'_, P, i8>,
        offset: i16,
        w: &[i8],
        sums: &mut [[i32; LANES]; P],
    ) -> Option<()> {
        portable::gemm_tile_i8_columns(patch, offset, w, sums)
    }

    /// For 8 channels of a pixel: `sums[c] += Σ x[tap][c]`. Sums wrap.
    #[inline(never)]
    fn sum_tile_i8(patch: &Patch<'_, 1, i8>, sums: &mut [i32; LANES]) -> Option<()> {
        portable::fold_tile(patch, sums, |sum, x| sum.wrapping_add(x.into()))
    }

    /// For 8 channels of a pixel: `maxima[c] = max(maxima[c], x[tap][c], …)`.
    #[inline(never)]
    fn max_tile_i8(patch: &Patch<'_, 1, i8>, maxima: &mut [i8; LANES]) -> Option<()> {
        portable::fold_tile(patch, maxima, i8::max)
    }

    /// For 8 channels of a pixel: `minima[c] = min(minima[c], x[tap][c], …)`.
    #[inline(never)]
    fn min_tile_i8(patch: &Patch<'_, 1, i8>, minima: &mut [i8; LANES]) -> Option<()> {
        portable::fold_tile(patch, minima, i8::min)
    }

    /// For 8 channels of a pixel: `sums[c] += Σ x[tap][c]`, in the order of the taps.
    #[inline(never)]
    fn sum_tile_f32(patch: &Patch<'_, 1>, sums: &mut [f32; LANES]) -> Option<()> {
        portable::fold_tile(patch, sums, |sum, x| sum + x)
    }

    /// For 8 channels of a pixel: `maxima[c] = max(maxima[c], x[tap][c], …)`; a NaN stays.
    #[inline(never)]
    fn max_tile_f32(patch: &Patch<'_, 1>, maxima: &mut [f32; LANES]) -> Option<()> {
        portable::fold_tile(patch, maxima, maximum)
    }

    /// `a[i] = max(a[i], b[i])`.
    #[inline(always)]
    fn maxima_i8(a: &mut [i8; PANEL_LEN], b: &[i8; PANEL_LEN]) {
        portable::fold(a, b, i8::max);
    }

    /// `a[i] = max(a[i], b[i])`; a NaN stays.
    #[inline(always)]
    fn maxima_f32(a: &mut [f32; PANEL_LEN], b: &[f32; PANEL_LEN]) {
        portable::fold(a, b, maximum);
    }

    /// `sums[i] += x[i]`. Sums wrap.
    #[inline(always)]
    fn sums_i8(sums: &mut [i32; PANEL_LEN], x: &[i8; PANEL_LEN]) {
        portable::fold(sums, x, |sum, x| sum.wrapping_add(x.into()));
    }

    /// `sums[i] += x[i]`.
    #[inline(always)]
    fn sums_f32(sums: &mut [f32; PANEL_LEN], x: &[f32; PANEL_LEN]) {
        portable::fold(sums, x, |sum, x| sum + x);
    }

    /// [`math::exp`] of x ≤ 0, or within 3 ULP, and then zero where it is less than 2⁻¹²⁶; a NaN stays.
    #[inline(always)]
    fn exp_of_negative_f32(x: f32) -> f32 {
        math::exp(x)
    }

    /// [`math::logistic`], or within 3 ULP, and then zero where it is less than 2⁻¹²⁶; a NaN stays.
    #[inline(always)]
    fn logistic_f32(x: f32) -> f32 {
        math::logistic(x)
    }

    /// [`math::tanh`], or within 3 ULP; a NaN stays.
    #[inline(always)]
    fn tanh_f32(x: f32) -> f32 {
        math::tanh(x)
    }

    /// [`math::erf`], or within 3 ULP; a NaN stays.
    #[inline(always)]
    fn erf_f32(x: f32) -> f32 {
        math::erf(x)
    }

    /// `y[c] = min(max(y[c], low), high)`; a NaN stays.
    #[inline(always)]
    fn clamp_f32(low: f32, high: f32, y: &mut [f32]) {
        for y in y {
            *y = clamp(*y, low, high);
        }
    }
}

/// The larger of the two; a NaN on either side stays.
#[inline(always)]
pub(crate) fn maximum(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}

/// The smaller of the two; a NaN on either side stays.
#[inline(always)]
pub(crate) fn minimum(a: f32, b: f32) -> f32 {
    if a < b || a.is_nan() { a } else { b }
}

/// `min(max(v, low), high)`; a NaN stays.
#[inline(always)]
pub(crate) fn clamp(v: f32, low: f32, high: f32) -> f32 {
    let v = if v < low { low } else { v };
    if v > high { high } else { v }
}

/// What this build uses.
#[cfg(not(any(flatpack_arch = "armv6m", flatpack_arch = "armv7em", flatpack_arch = "helium")))]
pub type Active = Portable;
/// What this build uses.
#[cfg(flatpack_arch = "armv6m")]
pub type Active = armv6m::Armv6m;
/// What this build uses.
#[cfg(flatpack_arch = "armv7em")]
pub type Active = armv7em::Armv7em;
/// What this build uses.
#[cfg(flatpack_arch = "helium")]
pub type Active = helium::Helium;
