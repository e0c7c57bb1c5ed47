//! Four elements of sixteen outputs at once: dot products of activations, which have no sign, with weights.

use super::requantize::Outputs;
use super::unsigned::{Unsigned, all_above};
use crate::arch::wide::{GROUP, Group, OnePixel, PanelTile, Panels, Products};
use bytemuck::cast;
use core::arch::x86_64::*;

/// Dot products of four bytes with four bytes: sixteen outputs an instruction.
pub(super) struct Dots;

impl Panels for Dots {
    type X = Unsigned;
    type Sums = __m512i;
    type Totals = __m512i;
    type Outputs<'a> = Outputs;

    // Each element of x is loaded for two panels, and their weights for six pixels.
    const PIXELS: usize = 6;

    // A second-level cache is fast enough for what is loaded for two panels, and weights are summed up for each block.
    const BLOCK: usize = 30 * 1024;

    #[inline(always)]
    fn panels(products: &Products<'_, Self>, y: &mut [i8]) -> Option<()> {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        fn run(products: &Products<'_, Dots>, y: &mut [i8]) -> Option<()> {
            // An instruction is done after four others or more.
            match products.pixels() {
                1 => products.pixel(y),
                2 | 3 => products.panels::<2, 2>(y),
                4 | 5 => products.panels::<4, 2>(y),
                _ => products.panels::<{ Dots::PIXELS }, 2>(y),
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
            let (above, mut sums) = (all_above(), [_mm512_setzero_si512(); 4]);
            let (fours, rest) = w.as_chunks();
            for w in fours {
                add_four(&mut sums, [above; 4], w);
            }
            for (sum, w) in sums.iter_mut().zip(rest) {
                *sum = _mm512_dpbusd_epi32(*sum, above, cast(*w));
            }
            _mm512_sub_epi32(_mm512_setzero_si512(), total(sums))
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

impl OnePixel for Dots {
    #[inline(always)]
    fn add_row(sums: &mut __m512i, w: &[Group], x: &[[Unsigned; GROUP]]) {
        #[target_feature(enable = "avx512f,avx512vnni")]
        #[inline]
        fn add(sums: &mut __m512i, w: &[Group], x: &[[Unsigned; GROUP]]) {
            let (above, zero) = (all_above(), _mm512_setzero_si512());
            let (mut products, mut too_much) = ([zero; 4], [zero; 4]);
            let ((w_fours, w_rest), (x_fours, x_rest)) = (w.as_chunks(), x.as_chunks::<4>());
            for (w, x) in w_fours.iter().zip(x_fours) {
                let &[a, b, c, d] = x;
                add_four(&mut products, [in_all(a), in_all(b), in_all(c), in_all(d)], w);
                add_four(&mut too_much, [above; 4], w);
            }
            let [of_rest, ..] = &mut products;
            let [above_rest, ..] = &mut too_much;
            for (w, x) in w_rest.iter().zip(x_rest) {
                *of_rest = _mm512_dpbusd_epi32(*of_rest, in_all(*x), cast(*w));
                *above_rest = _mm512_dpbusd_epi32(*above_rest, above, cast(*w));
            }
            *sums = _mm512_add_epi32(*sums, _mm512_sub_epi32(total(products), total(too_much)));
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

/// Products of four groups, each to sums of its own: one need not wait for another.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn add_four([a, b, c, d]: &mut [__m512i; 4], x: [__m512i; 4], w: &[Group; 4]) {
    let ([x0, x1, x2, x3], [w0, w1, w2, w3]) = (x, w);
    *a = _mm512_dpbusd_epi32(*a, x0, cast(*w0));
    *b = _mm512_dpbusd_epi32(*b, x1, cast(*w1));
    *c = _mm512_dpbusd_epi32(*c, x2, cast(*w2));
    *d = _mm512_dpbusd_epi32(*d, x3, cast(*w3));
}

#[target_feature(enable = "avx512f")]
#[inline]
fn total([a, b, c, d]: [__m512i; 4]) -> __m512i {
    _mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d))
}
