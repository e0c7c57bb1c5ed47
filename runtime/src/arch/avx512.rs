//! x86-64 with AVX-512 (F, BW, DQ, VL), and with its dot products of bytes (VNNI): Intel servers from Skylake and
//! from Cascade Lake on, AMD from Zen 4 on.

mod depthwise_i8;
mod dots_i8;
mod lookup;
mod reals;
mod requantize;

use super::avx2::{SideBySide, Words};
use super::x86::{dots, wide_loops};
use super::{
    Arch, Image, Loops, OutputsF32, OutputsI8, PANEL_LEN, Panel, Patch, RunsI8, TransposedImage, wide,
};
use crate::weight::Weight;
use dots_i8::OneRegister;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_format::ops::mul_i8::MulI8Params;
use reals::Reals;
use wide::blocks::Room;

/// The loops of AVX-512: of integers those of AVX2. Its kernels are given out only where the processor has it, AVX2, FMA
/// and F16C: see [`Isa::kernels`](crate::Isa::kernels). On that rests each unsafe block here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512;

/// The loops of AVX-512 with VNNI, given out likewise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Vnni;

impl Arch for Avx512 {
    wide_loops!(
        "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c",
        Reals,
        wide::conv_image_in_panels::<Words, i16>,
        wide::depthwise_image_i8::<SideBySide, i16>,
        requantize::Outputs,
        lookup::lookup
    );
}

impl Arch for Avx512Vnni {
    const ROWS_BY_ANY_MULTIPLIERS: bool = true;

    fn row_in_panels_i8(w: &[i8], outputs: &OutputsI8<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
        dots::row::<OneRegister>(w, outputs, x, y)
    }

    wide_loops!(
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c",
        Reals,
        dots::conv_image::<OneRegister>,
        depthwise_i8::depthwise_image,
        requantize::Outputs,
        lookup::lookup
    );
}
