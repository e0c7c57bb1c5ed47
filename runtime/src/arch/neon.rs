//! 64-bit Arm with NEON, which all that run Linux have, with dot products, which most since Cortex-A55 have, and with
//! products of matrices of bytes, which most since Cortex-A510 have.

mod add_i8;
mod depthwise_i8;
mod lookup;
mod matrices_i8;
mod panels_i8;
mod reals;
mod requantize;

use super::{Arch, Image, OutputsF32, OutputsI8, PANEL_LEN, Panel, Patch, RunsI8, TransposedImage, wide};
use crate::weight::Weight;
use core::marker::PhantomData;
use depthwise_i8::InTurn;
use flatpack_format::ops::add_i8::AddI8Params;
pub(crate) use matrices_i8::Matrices;
pub(crate) use panels_i8::{Dots, Pairs};
use reals::Reals;
use wide::Panels;
use wide::blocks::Room;

/// The loops of this instruction set, which multiplies integers by `V`. Its kernels are given out only where the
/// processor has it: see [`Isa::kernels`](crate::Isa::kernels). On that rests each unsafe block here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon<V>(PhantomData<V>);

// What the compiler vectorises it vectorises with NEON: targets with an operating system have it.
impl<V: Panels<X = i8>> Arch for Neon<V> {
    type Scratch = Room<i8>;

    const WIDE_TILES: bool = true;

    fn gemm_rows_f32<const P: usize, W: Weight>(
        patch: &Patch<'_, P>,
        w: &[W],
        depth: usize,
        y: &mut [&mut [f32]; P],
    ) -> Option<()> {
        wide::gemm_rows::<Reals, W, P>(patch, w, depth, y)
    }

    fn gates_f32<W: Weight, const T: usize, const G: usize>(
        x: &[f32],
        panel: &Panel<'_, W>,
        gates: [usize; G],
        _: usize,
        sums: &mut [[f32; T]; G],
    ) -> Option<()> {
        wide::gates::<Reals, W, T, G>(x, panel, gates, sums)
    }

    fn gate_rows_f32<W: Weight, const P: usize>(
        x: [&[f32]; P],
        panel: &Panel<'_, W>,
        gate: usize,
        sums: &mut [[f32; PANEL_LEN]; P],
    ) -> Option<()> {
        wide::gate_rows::<Reals, W, P>(x, panel, gate, sums)
    }

    fn conv_image_f32<W: Weight>(
        image: &Image,
        w: &[[W; PANEL_LEN]],
        outputs: &OutputsF32<'_>,
        x: &[f32],
        y: &mut [f32],
    ) -> Option<()> {
        wide::conv_image::<Reals, W>(image, w, outputs, x, y)
    }

    fn transposed_image_f32<W: Weight>(
        image: &TransposedImage,
        w: &[[W; PANEL_LEN]],
        outputs: &OutputsF32<'_>,
        x: &[f32],
        y: &mut [f32],
    ) -> Option<()> {
        wide::transposed_image::<Reals, W>(image, w, outputs, x, y)
    }

    fn matmul_f32(a: &[f32], b: &[f32], sizes: [usize; 3], transposed: bool, y: &mut [f32]) -> Option<()> {
        wide::matmul::<Reals>(a, b, sizes, transposed, y)
    }

    fn conv_image_in_panels_i8(
        room: &mut Room<i8>,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        wide::conv_image_in_panels::<V, i8>(room, image, w, outputs, x, y)
    }

    fn depthwise_image_i8(
        room: &mut Room<i8>,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        wide::depthwise_image_i8::<InTurn, i8>(room, image, w, outputs, x, y)
    }

    fn add_runs_i8<const MINUS: bool>(params: &AddI8Params) -> Option<impl RunsI8> {
        let sums = add_i8::Sums::of(params);
        Some(move |a: Option<&[i8]>, b: Option<&[i8]>, y: &mut [i8]| sums.run::<MINUS>(a, b, y))
    }

    fn lookup(table: &[u8; 256], x: Option<&[u8]>, y: &mut [u8]) {
        if let Some(x) = x {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = *x);
        }
        // SAFETY: the processor has NEON.
        unsafe { lookup::lookup(table, y) }
    }

    #[inline(always)]
    fn exp_of_negative_f32(x: f32) -> f32 {
        wide::exp_of_negative(x)
    }

    #[inline(always)]
    fn logistic_f32(x: f32) -> f32 {
        wide::logistic(x)
    }

    #[inline(always)]
    fn tanh_f32(x: f32) -> f32 {
        wide::tanh(x)
    }

    #[inline(always)]
    fn erf_f32(x: f32) -> f32 {
        wide::erf(x)
    }

    fn depthwise_image_f32<W: Weight>(
        image: &Image,
        w: &[W],
        outputs: &OutputsF32<'_>,
        x: &[f32],
        y: &mut [f32],
    ) -> Option<()> {
        wide::depthwise_image::<Reals, W>(image, w, outputs, x, y)
    }
}
