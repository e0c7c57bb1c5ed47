//! Convolutions with weights in layout `panel16`: for a block of pixels, panel by panel, tiles of pixels.

use super::rectangles::{PIXEL_ROOM, Pixel, Rectangle, Rectangles, TAP_ROOM, Tap};
use super::{Apart, Sixteen, in_tiles, sixteen_of, tile_of};
use crate::arch::{Image, OutputsF32, PANEL_LEN, TransposedImage};
use crate::pieces::pieces;
use crate::weight::Weight;
use crate::window::Windows;

/// See [`Arch::conv_image_f32`](crate::arch::Arch::conv_image_f32).
#[inline(always)]
pub(in crate::arch) fn conv_image<V: Sixteen, W: Weight>(
    image: &Image,
    w: &[[W; PANEL_LEN]],
    outputs: &OutputsF32<'_>,
    x: &[f32],
    y: &mut [f32],
) -> Option<()> {
    convolve::<V, W>(&Rectangles::of(image, true)?, w, outputs, x, y)
}

/// See [`Arch::transposed_image_f32`](crate::arch::Arch::transposed_image_f32).
#[inline(always)]
pub(in crate::arch) fn transposed_image<V: Sixteen, W: Weight>(
    image: &TransposedImage,
    w: &[[W; PANEL_LEN]],
    outputs: &OutputsF32<'_>,
    x: &[f32],
    y: &mut [f32],
) -> Option<()> {
    convolve::<V, W>(&Rectangles::of_transposed(image)?, w, outputs, x, y)
}

#[inline(always)]
fn convolve<V: Sixteen, W: Weight>(
    rectangles: &Rectangles<impl Windows>,
    w: &[[W; PANEL_LEN]],
    outputs: &OutputsF32<'_>,
    x: &[f32],
    y: &mut [f32],
) -> Option<()> {
    let (depth, count) = (rectangles.depth(), rectangles.outputs());
    let (mut taps, mut pixels) = (TAP_ROOM, PIXEL_ROOM);
    for rows in rectangles.rows() {
        for columns in rectangles.columns() {
            let rectangle = Rectangle { rows, columns };
            let (taps, len) = rectangles.taps(&rectangle, &mut taps);
            let most = rectangles.most / tile::<V, W>(rectangle.len()) * tile::<V, W>(rectangle.len());
            for first in (0..rectangle.len()).step_by(most) {
                let block = rectangles.pixels(&rectangle, first, pixels.get_mut(..most)?);
                let run = Run { taps, len, block, w, depth, outputs, x, count };
                in_tiles!(V, tile::<V, W>(block.len()) => run.tiles(y))?;
            }
        }
    }
    Some(())
}

/// How many pixels a tile has, of so many.
#[inline(always)]
pub(super) fn tile<V: Sixteen, W: Weight>(pixels: usize) -> usize {
    match (V::REGISTERS, size_of::<W>()) {
        // Sums of a panel and six pixels fill twelve registers of eight reals. Weights that are widened take some, too.
        (..32, ..4) => tile_of(pixels, &[5]),
        (..32, _) => tile_of(pixels, &[6, 5]),
        _ => tile_of(pixels, &[7, 6, 5]),
    }
}

/// A block of pixels and all outputs.
struct Run<'a, W> {
    taps: &'a [Tap],
    /// Elements of a tap.
    len: usize,
    block: &'a [Pixel],
    /// Panels of `depth` rows.
    w: &'a [[W; PANEL_LEN]],
    depth: usize,
    outputs: &'a OutputsF32<'a>,
    x: &'a [f32],
    /// Number of outputs.
    count: usize,
}

impl<W: Weight> Run<'_, W> {
    /// In tiles of `P` pixels and `N` panels.
    #[inline(always)]
    fn tiles<V: Sixteen, const P: usize, const N: usize>(&self, y: &mut [f32]) -> Option<()> {
        let mut panels = pieces(self.w, self.depth);
        let mut first = 0;
        while first < self.count {
            let mut some: [&[[W; PANEL_LEN]]; N] = [&[]; N];
            if N > 1 && first + (N - 1) * PANEL_LEN < self.count {
                for panel in &mut some {
                    *panel = panels.next()?;
                }
                self.pixels::<V, P, N>(some, first, y)?;
                first += N * PANEL_LEN;
            } else if first + PANEL_LEN / 2 < self.count {
                self.pixels::<V, P, 1>([panels.next()?], first, y)?;
                first += PANEL_LEN;
            } else {
                self.pixels::<V::Half, P, 1>([panels.next()?], first, y)?;
                first += PANEL_LEN;
            }
        }
        Some(())
    }

    #[inline(always)]
    fn pixels<V: Sixteen, const P: usize, const N: usize>(
        &self,
        w: [&[[W; PANEL_LEN]]; N],
        first: usize,
        y: &mut [f32],
    ) -> Option<()> {
        let last = self.block.len().checked_sub(P)?;
        let ends = Ends::<V, N>::of::<W>(self.outputs, first);
        let some = self.count.min(first + N * PANEL_LEN) - first;
        let &Self { taps, len, x, .. } = self;
        // The last tile begins early enough to be a whole one.
        for at in (0..last).step_by(P).chain([last]) {
            let pixels: &[_; P] = self.block.get(at..)?.first_chunk()?;
            V::apart(&Tile { taps, len, x, pixels, w, ends: &ends, first, some }, y)?;
        }
        Some(())
    }
}

/// What becomes of the sums of `N` panels.
struct Ends<V, const N: usize> {
    bias: [V; N],
    /// Of weights that have none, anything.
    scales: [V; N],
    low: V,
    high: V,
}

impl<V: Sixteen, const N: usize> Ends<V, N> {
    /// Of the outputs from `first` on.
    #[inline(always)]
    fn of<W: Weight>(outputs: &OutputsF32<'_>, first: usize) -> Self {
        let OutputsF32 { scales, bias, clamp } = *outputs;
        let of_scales = [V::splat(scales.first().copied().unwrap_or_default()); N];
        let mut ends =
            Self { bias: of_scales, scales: of_scales, low: V::splat(clamp.min), high: V::splat(clamp.max) };
        for (n, (bias_of, scale)) in ends.bias.iter_mut().zip(&mut ends.scales).enumerate() {
            *bias_of = V::load(&sixteen_of(bias, first + n * PANEL_LEN));
            if W::SCALED && scales.len() > 1 {
                *scale = V::load(&sixteen_of(scales, first + n * PANEL_LEN));
            }
        }
        ends
    }
}

/// `P` pixels and `N` panels.
struct Tile<'a, V, W, const P: usize, const N: usize> {
    taps: &'a [Tap],
    /// Elements of a tap.
    len: usize,
    x: &'a [f32],
    pixels: &'a [Pixel; P],
    w: [&'a [[W; PANEL_LEN]]; N],
    ends: &'a Ends<V, N>,
    /// The first output, and how many of them there are.
    first: usize,
    some: usize,
}

impl<V: Sixteen, W: Weight, const P: usize, const N: usize> Apart for Tile<'_, V, W, P, N> {
    /// `y[p][n] = clamp(bias[n] + scale[n] · Σ x[p][tap][i] · w[n][tap][i])`.
    #[inline(always)]
    fn run(&self, y: &mut [f32]) -> Option<()> {
        let &Self { taps, len, ends: &Ends { bias, scales, low, high }, first, some, .. } = self;
        let mut acc = [if W::SCALED { [V::splat(0.0); N] } else { bias }; P];
        for [x_at, w_at] in taps.iter().map(|tap| tap.at()) {
            let mut x_of: [&[f32]; P] = [&[]; P];
            for (x, pixel) in x_of.iter_mut().zip(self.pixels) {
                let [at, _] = pixel.at();
                *x = self.x.get(at + x_at..)?.get(..len)?;
            }
            let mut w_of = self.w;
            for w in &mut w_of {
                *w = w.get(w_at..)?.get(..len)?;
            }
            let [of_first, others @ ..] = &w_of[..] else { return None };
            for (i, of_first) in of_first.iter().enumerate() {
                let mut w = [V::weights(of_first); N];
                for (w, of) in w.iter_mut().skip(1).zip(others) {
                    *w = V::weights(of.get(i)?);
                }
                for (acc, x) in acc.iter_mut().zip(x_of) {
                    let x = V::splat(*x.get(i)?);
                    for (acc, w) in acc.iter_mut().zip(w) {
                        *acc = acc.add_product(x, w);
                    }
                }
            }
        }
        // Another array: those that are added to are in registers by now, and stay there.
        let mut sums = acc;
        for sums in &mut sums {
            for ((sum, bias), scale) in sums.iter_mut().zip(bias).zip(scales) {
                let of_weights = if W::SCALED { bias.add_product(*sum, scale) } else { *sum };
                *sum = of_weights.max(low).min(high);
            }
        }
        if some == N * PANEL_LEN {
            for (sums, pixel) in sums.iter().zip(self.pixels) {
                let [_, y_at] = pixel.at();
                let (y, _) = y.get_mut(y_at + first..)?.as_chunks_mut::<PANEL_LEN>();
                let y: &mut [_; N] = y.first_chunk_mut()?;
                for (sum, y) in sums.iter().zip(y) {
                    sum.store(y);
                }
            }
        } else {
            for (sums, pixel) in sums.iter().zip(self.pixels) {
                let [_, y_at] = pixel.at();
                let mut y = y.get_mut(y_at + first..)?.get_mut(..some)?;
                // As often as there are panels, so that sums stay in registers.
                for sum in sums {
                    let (of_panel, rest) = y.split_at_mut(y.len().min(PANEL_LEN));
                    sum.store_part(of_panel);
                    y = rest;
                }
            }
        }
        Some(())
    }
}
