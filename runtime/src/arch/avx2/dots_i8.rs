//! Dot products of bytes: eight outputs an instruction.

use super::requantize::{Multipliers, Outputs};
use crate::arch::wide::{GROUP, PanelTile, Products};
use crate::arch::x86::dots::{Dots, OfOnePixel, OfPixels, dots_with};
use crate::arch::x86::unsigned::Unsigned;
use bytemuck::cast;
use core::arch::x86_64::*;

/// Dots in two registers, of an encoding of `vpdpbusd`, which features bring.
macro_rules! in_two_registers {
    ($(#[$attributes:meta])* $Encoding:ident, $features:literal, $dpbusd:ident) => {
        $(#[$attributes])*
        pub(super) enum $Encoding {}

        $(#[$attributes])*
        impl Dots for $Encoding {
            type Sixteen = [__m256i; 2];
            type Multipliers = Multipliers;
            type Outputs = Outputs;

            // Their sums fill twelve registers of sixteen.
            const PIXELS: usize = 6;

            // Half of a first-level cache; weights are summed up for each block.
            const BLOCK: usize = 16 * 1024;

            dots_with!($features);

            #[inline(always)]
            fn tiles(products: &Products<'_, Unsigned>, y: &mut [i8]) -> Option<()> {
                match products.pixels() {
                    1 => products.panels::<OfPixels<Self>, 1, 4>(y),
                    2 | 3 => products.panels::<OfPixels<Self>, 2, 2>(y),
                    4 | 5 => products.panels::<OfPixels<Self>, 4, 1>(y),
                    _ => products.panels::<OfPixels<Self>, { Self::PIXELS }, 1>(y),
                }
            }

            #[inline(always)]
            fn in_all(four: [u8; GROUP]) -> [__m256i; 2] {
                // SAFETY: the processor has AVX2.
                [unsafe { _mm256_set1_epi32(cast(four)) }; 2]
            }

            #[inline(always)]
            fn add([a, b]: [__m256i; 2], [c, d]: [__m256i; 2]) -> [__m256i; 2] {
                // SAFETY: the processor has AVX2.
                unsafe { [_mm256_add_epi32(a, c), _mm256_add_epi32(b, d)] }
            }

            #[inline(always)]
            fn sub([a, b]: [__m256i; 2], [c, d]: [__m256i; 2]) -> [__m256i; 2] {
                // SAFETY: the processor has AVX2.
                unsafe { [_mm256_sub_epi32(a, c), _mm256_sub_epi32(b, d)] }
            }

            #[inline(always)]
            fn xor([a, b]: [__m256i; 2], [c, d]: [__m256i; 2]) -> [__m256i; 2] {
                // SAFETY: the processor has AVX2.
                unsafe { [_mm256_xor_si256(a, c), _mm256_xor_si256(b, d)] }
            }

            #[inline(always)]
            fn add_dots([a, b]: [__m256i; 2], u: [__m256i; 2], s: [__m256i; 2]) -> [__m256i; 2] {
                let ([u_low, u_high], [s_low, s_high]) = (u, s);
                // SAFETY: the processor has this encoding.
                unsafe { [$dpbusd(a, u_low, s_low), $dpbusd(b, u_high, s_high)] }
            }
        }
    };
}

in_two_registers!(Vex, "avx2,fma,avxvnni", _mm256_dpbusd_avx_epi32);
// The same loops for tests, on machines that have the instruction as a part of AVX-512.
in_two_registers!(
    #[cfg(test)]
    Evex,
    "avx2,fma,avx512f,avx512vl,avx512vnni",
    _mm256_dpbusd_epi32
);
