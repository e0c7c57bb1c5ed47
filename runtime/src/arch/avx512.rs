//! x86-64 with AVX-512 (F, BW, DQ, VL), and with its dot products of bytes (VNNI): Intel servers from Skylake and
//! from Cascade Lake on, AMD from Zen 4 on.

mod add_i8;
mod depthwise_i8;
mod panels_i8;
mod reals;
mod requantize;
mod unsigned;

use super::avx2::{Avx2, SideBySide, Words};
use super::x86::wide_loops;
use super::{Arch, Image, OutputsF32, OutputsI8, PANEL_LEN, Panel, Patch, wide};
use crate::weight::Weight;
use flatpack_format::ops::add_i8::AddI8Params;
use panels_i8::Dots;
use reals::Reals;
use wide::blocks::Room;

/// The loops of AVX-512: of integers those of AVX2. Its kernels are given out only where the processor has it, AVX2 and
/// FMA: see [`Isa::kernels`](crate::Isa::kernels). On that rests each unsafe block here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512;

/// The loops of AVX-512 with VNNI, given out likewise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Vnni;

/// An implementation of [`Arch`] for a set, with what is as on AVX2.
macro_rules! implement {
    ($Set:ty, $features:literal, $Panels:ty, $depthwise_image_i8:path) => {
        impl Arch for $Set {
            type Scratch = Room<i16>;

            const WIDE_TILES: bool = true;

            wide_loops!($features, Reals, $Panels, $depthwise_image_i8);

            fn conv_image_i8(
                room: &mut Room<i16>,
                image: &Image,
                w: &[i8],
                outputs: &OutputsI8<'_>,
                x: &[i8],
                y: &mut [i8],
            ) -> Option<()> {
                Avx2::conv_image_i8(room, image, w, outputs, x, y)
            }

            fn adds_i8(params: &AddI8Params) -> bool {
                Avx2::adds_i8(params)
            }

            fn add_run_i8<const MINUS: bool>(
                params: &AddI8Params,
                a: Option<&[i8]>,
                b: Option<&[i8]>,
                y: &mut [i8],
            ) -> Option<()> {
                // SAFETY: the processor has AVX-512.
                unsafe { add_i8::add_run::<MINUS>(params, a, b, y) }
            }
        }
    };
}

implement!(
    Avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma",
    Words,
    wide::depthwise_image_i8::<SideBySide>
);
implement!(
    Avx512Vnni,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma",
    Dots,
    depthwise_i8::depthwise_image
);
