//! Four elements of sixteen outputs at once, two groups of four, and two pixels: products of matrices of bytes.

use super::panels_i8::Dots;
use super::requantize::Outputs;
use crate::arch::PANEL_LEN;
use crate::arch::wide::{GROUP, Group, PanelTile, Panels, Products};
use bytemuck::cast;
use core::arch::aarch64::*;
use core::arch::asm;

/// Products of matrices: two pixels and two outputs an instruction, eight elements of each.
///
/// The sums of a pair of pixels are, as long as they are added to, eight squares: of two outputs each, those of the
/// first pixel, then those of the second one.
#[derive(Debug)]
pub(crate) enum Matrices {}

impl Panels for Matrices {
    type X = i8;
    type Sums = [int32x4_t; 4];
    type Totals = [int32x4_t; 4];
    type Outputs = Outputs;

    // Their sums fill 24 registers of 32.
    const PIXELS: usize = 6;

    fn panels(products: &Products<'_, Self::X>, y: &mut [i8]) -> Option<()> {
        match products.pixels() {
            // Half of what is multiplied would be of no use.
            1 => Dots::panels(products, y),
            _ if products.groups() == 1 => Dots::panels(products, y),
            2 | 3 => products.panels::<Self, 2, 1>(y),
            4 | 5 => products.panels::<Self, 4, 1>(y),
            _ => products.panels::<Self, { Self::PIXELS }, 1>(y),
        }
    }

    #[inline(never)]
    fn tile_sums<const P: usize, const N: usize>(
        tile: &PanelTile<'_, Self, P, N>,
        start: &[Self::Sums; N],
        sums: &mut [[Self::Sums; P]; N],
    ) -> Option<()> {
        tile.sums(start, sums)?;
        for sums in sums {
            let (pairs, _) = sums.as_chunks_mut();
            for pair in pairs {
                *pair = of_squares(*pair);
            }
        }
        Some(())
    }

    #[inline(always)]
    fn start(_: &[Group], _: [i32; PANEL_LEN]) -> Self::Sums {
        cast([0i32; PANEL_LEN])
    }

    #[inline(always)]
    fn add_products<const P: usize>(sums: &mut [Self::Sums; P], w: &Group, x: [&[i8; GROUP]; P]) {
        let x = x.map(|x| [*x, [0; GROUP]]);
        add_two_groups(sums, [w, &[0; PANEL_LEN * GROUP]], x.each_ref());
    }

    #[inline(always)]
    fn add_tap<const P: usize, const N: usize>(
        sums: &mut [[Self::Sums; P]; N],
        w: [&[Group]; N],
        x: [&[[i8; GROUP]]; P],
        groups: usize,
    ) -> Option<()> {
        let x_twos = x.map(|x| x.as_chunks().0);
        for (sums, w) in sums.iter_mut().zip(w) {
            let (twos, last) = w.get(..groups)?.as_chunks();
            for (i, [a, b]) in twos.iter().enumerate() {
                let mut of_x = [&[[0; GROUP]; 2]; P];
                for (of_x, x) in of_x.iter_mut().zip(x_twos) {
                    *of_x = x.get(i)?;
                }
                add_two_groups(sums, [a, b], of_x);
            }
            for w in last {
                Self::add_products(sums, w, x.map(|x| x.last().unwrap_or(&[0; GROUP])));
            }
        }
        Some(())
    }

    #[inline(always)]
    fn totals(sums: Self::Sums) -> [int32x4_t; 4] {
        sums
    }
}

/// `squares += x · w` of pairs of pixels and pairs of outputs, with the elements of two groups.
#[inline(always)]
fn add_two_groups<const P: usize>(
    squares: &mut [[int32x4_t; 4]; P],
    w: [&Group; 2],
    x: [&[[i8; GROUP]; 2]; P],
) {
    #[target_feature(enable = "neon")]
    #[inline]
    fn joined(first: &[i8; 16], second: &[i8; 16]) -> [int8x16_t; 2] {
        let (first, second) = (cast(*first), cast(*second));
        let (low, high) = (vzip1q_s32(first, second), vzip2q_s32(first, second));
        [vreinterpretq_s8_s32(low), vreinterpretq_s8_s32(high)]
    }
    let [first, second] = w;
    let mut of_pairs = [cast([0i8; 16]); P];
    for (of_pair, x) in of_pairs.iter_mut().zip(x.as_chunks::<2>().0) {
        let [a, b] = x;
        // SAFETY: the processor has NEON.
        *of_pair = unsafe { vcombine_s8(cast(**a), cast(**b)) };
    }
    let (pairs, _) = squares.as_chunks_mut::<2>();
    for (fours, (first, second)) in first.as_chunks().0.iter().zip(second.as_chunks().0).enumerate() {
        // SAFETY: the processor has NEON.
        let w = unsafe { joined(first, second) };
        for (pair, x) in pairs.iter_mut().zip(of_pairs) {
            for (square, w) in pair.as_flattened_mut().iter_mut().skip(2 * fours).zip(w) {
                // SAFETY: the kernels with these loops are given out where the processor multiplies matrices.
                *square = unsafe { multiply(*square, x, w) };
            }
        }
    }
}

/// The sums of both pixels, by outputs.
#[inline(always)]
fn of_squares(pair: [[int32x4_t; 4]; 2]) -> [[int32x4_t; 4]; 2] {
    #[target_feature(enable = "neon")]
    #[inline]
    fn rows([a, b]: [int32x4_t; 2]) -> [int32x4_t; 2] {
        let (a, b) = (vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b));
        let (first, second) = (vzip1q_s64(a, b), vzip2q_s64(a, b));
        [vreinterpretq_s32_s64(first), vreinterpretq_s32_s64(second)]
    }
    let squares: [[int32x4_t; 2]; 4] = cast(pair);
    // SAFETY: the processor has NEON.
    let [[a, e], [b, f], [c, g], [d, h]] = squares.map(|two| unsafe { rows(two) });
    [[a, b, c, d], [e, f, g, h]]
}

/// `square[2 p + o] += Σ x[8 p + i] · w[8 o + i]` over the eight i. (Rust's intrinsic for it is not stable.)
///
/// # Safety
/// The processor multiplies matrices of bytes.
#[inline(always)]
unsafe fn multiply(mut square: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: only registers are read and written, by an instruction that the processor has.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "smmla {square:v}.4s, {x:v}.16b, {w:v}.16b",
            square = inout(vreg) square,
            x = in(vreg) x,
            w = in(vreg) w,
            // Not pure: weights are then loaded where they are multiplied, and sums stay in registers.
            options(nomem, nostack, preserves_flags),
        );
    }
    square
}
