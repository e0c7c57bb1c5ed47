//! Dot products of bytes: sixteen outputs an instruction.

use super::requantize::{Multipliers, Outputs};
use crate::arch::wide::{GROUP, PanelTile, Products, tile_of};
use crate::arch::x86::dots::{Dots, OfOnePixel, OfPixels, dots_with};
use crate::arch::x86::unsigned::Unsigned;
use bytemuck::cast;
use core::arch::x86_64::*;

/// In one register.
pub(super) enum OneRegister {}

impl Dots for OneRegister {
    type Sixteen = __m512i;
    type Multipliers = Multipliers;
    type Outputs = Outputs;

    // Each element of x is loaded for two panels, and their weights for eight pixels.
    const PIXELS: usize = 8;

    // A second-level cache is fast enough for what is loaded for two panels, and weights are summed up for each block.
    const BLOCK: usize = 60 * 1024;

    dots_with!("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni");

    #[inline(always)]
    fn tiles(products: &Products<'_, Unsigned>, y: &mut [i8]) -> Option<()> {
        // An instruction is done after four others or more.
        match tile_of(products.pixels(), &[8, 7, 6]) {
            1..4 => products.panels::<OfPixels<Self>, 1, 2>(y),
            4 | 5 => products.panels::<OfPixels<Self>, 4, 2>(y),
            6 => products.panels::<OfPixels<Self>, 6, 2>(y),
            7 => products.panels::<OfPixels<Self>, 7, 2>(y),
            _ => products.panels::<OfPixels<Self>, 8, 2>(y),
        }
    }

    #[inline(always)]
    fn in_all(four: [u8; GROUP]) -> __m512i {
        // SAFETY: the processor has AVX-512.
        unsafe { _mm512_set1_epi32(cast(four)) }
    }

    #[inline(always)]
    fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the processor has AVX-512.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn sub(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the processor has AVX-512.
        unsafe { _mm512_sub_epi32(a, b) }
    }

    #[inline(always)]
    fn xor(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the processor has AVX-512.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn add_dots(sums: __m512i, unsigned: __m512i, signed: __m512i) -> __m512i {
        // SAFETY: the processor has AVX-512 and VNNI.
        unsafe { _mm512_dpbusd_epi32(sums, unsigned, signed) }
    }
}
