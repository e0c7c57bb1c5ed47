//! x86-64 with AVX2 and FMA: Intel from Haswell on, AMD from Zen on.

mod add_i8;
mod conv_i8;
mod depthwise_i8;
mod panels_i8;
mod reals;
mod requantize;

use super::{Arch, Image, OutputsF32, OutputsI8, PANEL_LEN, Panel, Patch, wide};
use crate::weight::Weight;
use depthwise_i8::SideBySide;
use flatpack_format::ops::add_i8::AddI8Params;
use panels_i8::Words;
use reals::Reals;
use wide::blocks::Room;

/// The loops of this instruction set. Its kernels are given out where the processor has AVX2 and FMA only: see
/// [`Isa::kernels`](crate::Isa::kernels). On that rests each unsafe block here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2;

impl Arch for Avx2 {
    type Scratch = Room<i16>;

    #[inline(always)]
    fn vectorize<R>(f: impl FnOnce() -> R) -> R {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { with_avx2(f) }
    }

    const WIDE_TILES: bool = true;

    fn gemm_rows_f32<const P: usize, W: Weight>(
        patch: &Patch<'_, P>,
        w: &[W],
        depth: usize,
        y: &mut [&mut [f32]; P],
    ) -> Option<()> {
        #[target_feature(enable = "avx2,fma")]
        fn run<const P: usize, W: Weight>(
            patch: &Patch<'_, P>,
            w: &[W],
            depth: usize,
            y: &mut [&mut [f32]; P],
        ) -> Option<()> {
            wide::gemm_rows::<Reals, W, P>(patch, w, depth, y)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(patch, w, depth, y) }
    }

    fn gates_f32<W: Weight, const T: usize, const G: usize>(
        x: &[f32],
        panel: &Panel<'_, W>,
        gates: [usize; G],
        _: usize,
        sums: &mut [[f32; T]; G],
    ) -> Option<()> {
        #[target_feature(enable = "avx2,fma")]
        fn run<W: Weight, const T: usize, const G: usize>(
            x: &[f32],
            panel: &Panel<'_, W>,
            gates: [usize; G],
            sums: &mut [[f32; T]; G],
        ) -> Option<()> {
            wide::gates::<Reals, W, T, G>(x, panel, gates, sums)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(x, panel, gates, sums) }
    }

    fn conv_image_f32<W: Weight>(
        image: &Image,
        w: &[[W; PANEL_LEN]],
        outputs: &OutputsF32<'_>,
        x: &[f32],
        y: &mut [f32],
    ) -> Option<()> {
        #[target_feature(enable = "avx2,fma")]
        fn run<W: Weight>(
            image: &Image,
            w: &[[W; PANEL_LEN]],
            outputs: &OutputsF32<'_>,
            x: &[f32],
            y: &mut [f32],
        ) -> Option<()> {
            wide::conv_image::<Reals, W>(image, w, outputs, x, y)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(image, w, outputs, x, y) }
    }

    fn conv_image_i8(
        room: &mut Room<i16>,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { conv_i8::conv_image(room, image, w, outputs, x, y) }
    }

    fn conv_image_in_panels_i8(
        room: &mut Room<i16>,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        #[target_feature(enable = "avx2,fma")]
        fn run(
            room: &mut Room<i16>,
            image: &Image,
            w: &[i8],
            outputs: &OutputsI8<'_>,
            x: &[i8],
            y: &mut [i8],
        ) -> Option<()> {
            wide::conv_image_in_panels::<Words>(room, image, w, outputs, x, y)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(room, image, w, outputs, x, y) }
    }

    fn depthwise_image_i8(
        room: &mut Room<i16>,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        #[target_feature(enable = "avx2,fma")]
        fn run(
            room: &mut Room<i16>,
            image: &Image,
            w: &[i8],
            outputs: &OutputsI8<'_>,
            x: &[i8],
            y: &mut [i8],
        ) -> Option<()> {
            wide::depthwise_image_i8::<SideBySide>(room, image, w, outputs, x, y)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(room, image, w, outputs, x, y) }
    }

    fn adds_i8(params: &AddI8Params) -> bool {
        add_i8::adds(params)
    }

    fn add_run_i8<const MINUS: bool>(
        params: &AddI8Params,
        a: Option<&[i8]>,
        b: Option<&[i8]>,
        y: &mut [i8],
    ) -> Option<()> {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { add_i8::add_run::<MINUS>(params, a, b, y) }
    }

    fn depthwise_image_f32<W: Weight>(
        image: &Image,
        w: &[W],
        outputs: &OutputsF32<'_>,
        x: &[f32],
        y: &mut [f32],
    ) -> Option<()> {
        #[target_feature(enable = "avx2,fma")]
        fn run<W: Weight>(
            image: &Image,
            w: &[W],
            outputs: &OutputsF32<'_>,
            x: &[f32],
            y: &mut [f32],
        ) -> Option<()> {
            wide::depthwise_image::<Reals, W>(image, w, outputs, x, y)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(image, w, outputs, x, y) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn with_avx2<R>(f: impl FnOnce() -> R) -> R {
    f()
}
