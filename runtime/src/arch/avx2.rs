//! x86-64 with AVX2, FMA and F16C: Intel from Haswell on, AMD from Zen on; and with AVX-VNNI, dot products of bytes
//! without AVX-512: Intel from Alder Lake on.

mod conv_i8;
mod depthwise_i8;
mod dots_i8;
mod lookup;
mod panels_i8;
mod reals;
mod requantize;

use super::x86::{dots, wide_loops};
use super::{
    Arch, Image, Loops, OutputsF32, OutputsI8, PANEL_LEN, Panel, Patch, RunsI8, TransposedImage, wide,
};
use crate::weight::Weight;
pub(super) use conv_i8::conv_image as conv_rows_i8;
pub(super) use depthwise_i8::SideBySide;
#[cfg(test)]
use dots_i8::Evex;
use dots_i8::Vex;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::AddI8Params;
use flatpack_format::ops::mul_i8::MulI8Params;
pub(super) use lookup::lookup;
pub(super) use panels_i8::Words;
pub(super) use reals::Eight;
use reals::Reals;
use wide::blocks::Room;

/// The loops of this instruction set. Its kernels are given out where the processor has AVX2, FMA and F16C only: see
/// [`Isa::kernels`](crate::Isa::kernels). On that rests each unsafe block here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2;

impl Arch for Avx2 {
    wide_loops!(
        "avx2,fma,f16c",
        Reals,
        wide::conv_image_in_panels::<Words, i16>,
        wide::depthwise_image_i8::<SideBySide, i16>,
        requantize::Outputs,
        lookup::lookup
    );
}

/// The loops of AVX2 with AVX-VNNI, given out where the processor has that, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2Vnni;

impl Arch for Avx2Vnni {
    fn row_in_panels_i8(w: &[i8], outputs: &OutputsI8<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
        dots::row::<Vex>(w, outputs, x, y)
    }

    wide_loops!(
        "avx2,fma,f16c,avxvnni",
        Reals,
        dots::conv_image::<Vex>,
        wide::depthwise_image_i8::<SideBySide, i16>,
        requantize::Outputs,
        lookup::lookup
    );
}

/// [`Avx2Vnni`] with its dot products as AVX-512 encodes them: for tests on machines that have no others.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2VnniOfAvx512;

#[cfg(test)]
impl Arch for Avx2VnniOfAvx512 {
    fn row_in_panels_i8(w: &[i8], outputs: &OutputsI8<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
        dots::row::<Evex>(w, outputs, x, y)
    }

    wide_loops!(
        "avx2,fma,f16c,avx512f,avx512vl,avx512vnni",
        Reals,
        dots::conv_image::<Evex>,
        wide::depthwise_image_i8::<SideBySide, i16>,
        requantize::Outputs,
        lookup::lookup
    );
}
