//! Four elements of sixteen outputs at once: activations and weights as integers of 16 bits, four outputs an
//! instruction.

use super::requantize::Multipliers;
use crate::arch::PANEL_LEN;
use crate::arch::wide::{GROUP, Group, PanelTile, Panels, Products};
use bytemuck::cast;
use core::arch::x86_64::*;

/// Integers of 16 bits.
pub(in crate::arch) struct Words;

/// Sums of sixteen outputs, two parts of each.
type Parts = [__m256i; 4];

impl Panels for Words {
    type X = i16;
    type Sums = Parts;
    type Totals = [__m256i; 2];
    type Outputs = Multipliers;

    // Their sums fill half of the registers, and what is loaded the other half.
    const PIXELS: usize = 2;

    #[inline(always)]
    fn panels(products: &Products<'_, Self::X>, y: &mut [i8]) -> Option<()> {
        #[target_feature(enable = "avx2,fma")]
        fn run(products: &Products<'_, i16>, y: &mut [i8]) -> Option<()> {
            match products.pixels() {
                1 => products.panels::<Words, 1, 1>(y),
                _ => products.panels::<Words, { Words::PIXELS }, 1>(y),
            }
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(products, y) }
    }

    #[inline(always)]
    fn tile_sums<const P: usize, const N: usize>(
        tile: &PanelTile<'_, Self, P, N>,
        start: &[Parts; N],
        sums: &mut [[Parts; P]; N],
    ) -> Option<()> {
        #[target_feature(enable = "avx2,fma")]
        #[inline(never)]
        fn run<const P: usize, const N: usize>(
            tile: &PanelTile<'_, Words, P, N>,
            start: &[Parts; N],
            sums: &mut [[Parts; P]; N],
        ) -> Option<()> {
            tile.sums(start, sums)
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run(tile, start, sums) }
    }

    #[inline(always)]
    fn start(_: &[Group], bias: [i32; PANEL_LEN]) -> Parts {
        // In the first of both parts.
        cast(bias.map(|bias| u64::from(bias as u32)))
    }

    #[inline(always)]
    fn add_products<const P: usize>(sums: &mut [Parts; P], w: &Group, x: [&[i16; GROUP]; P]) {
        #[target_feature(enable = "avx2,fma")]
        #[inline]
        fn add<const P: usize>(sums: &mut [Parts; P], w: &Group, x: [&[i16; GROUP]; P]) {
            let mut of_x = [_mm256_setzero_si256(); P];
            for (of_x, x) in of_x.iter_mut().zip(x) {
                *of_x = _mm256_set1_epi64x(cast(*x));
            }
            let w: [[i8; 16]; 4] = cast(*w);
            for (o, w) in w.into_iter().enumerate() {
                let w = _mm256_cvtepi8_epi16(cast(w));
                for (sums, x) in sums.iter_mut().zip(of_x) {
                    if let Some(sum) = sums.get_mut(o) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, w));
                    }
                }
            }
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { add(sums, w, x) }
    }

    #[inline(always)]
    fn totals(sums: Parts) -> [__m256i; 2] {
        #[target_feature(enable = "avx2,fma")]
        #[inline]
        fn totals([a, b, c, d]: Parts) -> [__m256i; 2] {
            // Sums of pairs of four registers' halves: outputs 0, 1, 4, 5, 2, 3, 6, 7.
            let (low, high) = (_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            const ORDER: i32 = 0b11_01_10_00;
            [_mm256_permute4x64_epi64::<ORDER>(low), _mm256_permute4x64_epi64::<ORDER>(high)]
        }
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { totals(sums) }
    }
}
