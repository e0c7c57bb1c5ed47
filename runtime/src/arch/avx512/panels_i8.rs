//! Four elements of sixteen outputs at once: dot products of activations, which have no sign, with weights.

use super::requantize::Outputs;
use super::unsigned::{Unsigned, all_above};
use crate::arch::wide::blocks::Room;
use crate::arch::wide::{self, GROUP, Group, OnePixel, PanelTile, Panels, Products};
use crate::arch::{Image, OutputsI8, PANEL_LEN};
use bytemuck::cast;
use core::arch::x86_64::*;

/// See [`Arch::conv_image_in_panels_i8`](crate::arch::Arch::conv_image_in_panels_i8).
#[inline(always)]
pub(super) fn conv_image(
    room: &mut Room<i16>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    match image.y {
        [1, 1, _] => wide::conv_pixel_in_panels::<Row, i16>(room, image, w, outputs, x, y),
        _ => wide::conv_image_in_panels::<Dots, i16>(room, image, w, outputs, x, y),
    }
}

/// Dot products of four bytes with four bytes: sixteen outputs an instruction.
pub(super) struct Dots;

impl Panels for Dots {
    type X = Unsigned;
    type Sums = __m512i;
    type Totals = __m512i;
    type Outputs = Outputs;

    // Each element of x is loaded for two panels, and their weights for six pixels.
    const PIXELS: usize = 6;

    // A second-level cache is fast enough for what is loaded for two panels, and weights are summed up for each block.
    const BLOCK: usize = 60 * 1024;

    #[inline(always)]
    fn panels(products: &Products<'_, Unsigned>, y: &mut [i8]) -> Option<()> {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        fn run(products: &Products<'_, Unsigned>, y: &mut [i8]) -> Option<()> {
            // An instruction is done after four others or more.
            match products.pixels() {
                1..4 => products.panels::<Dots, 1, 2>(y),
                4 | 5 => products.panels::<Dots, 4, 2>(y),
                _ => products.panels::<Dots, { Dots::PIXELS }, 2>(y),
            }
        }
        // SAFETY: the processor has AVX-512 and VNNI.
        unsafe { run(products, y) }
    }

    #[inline(always)]
    fn tile_sums<const P: usize, const N: usize>(
        tile: &PanelTile<'_, Self, P, N>,
        start: &[__m512i; N],
        sums: &mut [[__m512i; P]; N],
    ) -> Option<()> {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        #[inline(never)]
        fn run<const P: usize, const N: usize>(
            tile: &PanelTile<'_, Dots, P, N>,
            start: &[__m512i; N],
            sums: &mut [[__m512i; P]; N],
        ) -> Option<()> {
            tile.sums(start, sums)
        }
        // SAFETY: the processor has AVX-512 and VNNI.
        unsafe { run(tile, start, sums) }
    }

    #[inline(always)]
    fn start(w: &[Group]) -> __m512i {
        #[target_feature(enable = "avx512f,avx512vnni")]
        fn start(w: &[Group]) -> __m512i {
            let mut sums = [_mm512_setzero_si512(); 4];
            let (fours, rest) = w.as_chunks::<4>();
            for w in fours {
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = _mm512_dpbusd_epi32(*sum, all_above(), cast(*w));
                }
            }
            let [a, b, c, d] = &mut sums;
            for w in rest {
                *a = _mm512_dpbusd_epi32(*a, all_above(), cast(*w));
            }
            let all = _mm512_add_epi32(_mm512_add_epi32(*a, *b), _mm512_add_epi32(*c, *d));
            _mm512_sub_epi32(_mm512_setzero_si512(), all)
        }
        // SAFETY: the processor has AVX-512 and VNNI.
        unsafe { start(w) }
    }

    #[inline(always)]
    fn add_products<const P: usize>(sums: &mut [__m512i; P], w: &Group, x: [&[Unsigned; GROUP]; P]) {
        #[target_feature(enable = "avx512f,avx512vnni")]
        #[inline]
        fn add<const P: usize>(sums: &mut [__m512i; P], w: &Group, x: [&[Unsigned; GROUP]; P]) {
            let w = cast(*w);
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = _mm512_dpbusd_epi32(*sum, in_all(*x), w);
            }
        }
        // SAFETY: the processor has AVX-512 and VNNI.
        unsafe { add(sums, w, x) }
    }

    #[inline(always)]
    fn totals(sums: __m512i) -> __m512i {
        sums
    }
}

/// [`Dots`] of one pixel: it is its activations that keep their signs, and weights, of which each is multiplied once, that
/// lose them.
pub(super) struct Row;

impl OnePixel for Row {
    type Sums = __m512i;
    type Outputs = Outputs;

    #[inline(always)]
    fn pixel(products: &Products<'_, i8>, y: &mut [i8]) -> Option<()> {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        fn run(products: &Products<'_, i8>, y: &mut [i8]) -> Option<()> {
            products.pixel::<Row>(y)
        }
        // SAFETY: the processor has AVX-512 and VNNI.
        unsafe { run(products, y) }
    }

    #[inline(always)]
    fn start(x: &[[i8; GROUP]]) -> __m512i {
        #[target_feature(enable = "avx512f,avx512vnni")]
        fn start(x: &[[i8; GROUP]]) -> __m512i {
            let (sixteens, rest) = x.as_chunks::<PANEL_LEN>();
            let (mut last, mut sums) = ([[0; GROUP]; PANEL_LEN], _mm512_setzero_si512());
            last.iter_mut().zip(rest).for_each(|(to, x)| *to = *x);
            for x in sixteens.iter().chain([&last]) {
                sums = _mm512_dpbusd_epi32(sums, all_above(), cast(*x));
            }
            _mm512_set1_epi32(_mm512_reduce_add_epi32(sums).wrapping_neg())
        }
        // SAFETY: the processor has AVX-512 and VNNI.
        unsafe { start(x) }
    }

    #[inline(always)]
    fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the processor has AVX-512.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn add_row(sums: &mut __m512i, w: &[Group], x: &[[i8; GROUP]]) {
        #[target_feature(enable = "avx512f,avx512vnni")]
        #[inline]
        fn add(sums: &mut __m512i, w: &[Group], x: &[[i8; GROUP]]) {
            let above = all_above();
            // Of four groups, each to sums of its own: one need not wait for another.
            let mut parts = [_mm512_setzero_si512(); 4];
            let ((w_fours, w_rest), (x_fours, x_rest)) = (w.as_chunks::<4>(), x.as_chunks::<4>());
            for (w, x) in w_fours.iter().zip(x_fours) {
                for ((part, w), x) in parts.iter_mut().zip(w).zip(x) {
                    let w = _mm512_xor_si512(cast(*w), above);
                    *part = _mm512_dpbusd_epi32(*part, w, _mm512_set1_epi32(cast(*x)));
                }
            }
            let [a, b, c, d] = &mut parts;
            for (w, x) in w_rest.iter().zip(x_rest) {
                let w = _mm512_xor_si512(cast(*w), above);
                *a = _mm512_dpbusd_epi32(*a, w, _mm512_set1_epi32(cast(*x)));
            }
            let all = _mm512_add_epi32(_mm512_add_epi32(*a, *b), _mm512_add_epi32(*c, *d));
            *sums = _mm512_add_epi32(*sums, all);
        }
        // SAFETY: the processor has AVX-512 and VNNI.
        unsafe { add(sums, w, x) }
    }
}

/// Four activations in all places.
#[target_feature(enable = "avx512f")]
#[inline]
fn in_all(x: [Unsigned; GROUP]) -> __m512i {
    _mm512_set1_epi32(cast(x))
}
