//! Depthwise convolutions with one output a channel: sixteen channels of four pixels at a time.

use super::depthwise_rows::depthwise_rows;
use super::rectangles::{MOST_TAPS, PIXEL_ROOM, Pixel, Rectangle, Rectangles, TAP_ROOM, Tap};
use super::{Sixteen, put_reals, sixteen_of};
use crate::arch::{Image, OutputsF32, PANEL_LEN};
use crate::weight::Weight;

/// See [`Arch::depthwise_image_f32`](crate::arch::Arch::depthwise_image_f32). `None` for more than
/// one output of a channel.
#[inline(always)]
pub(in crate::arch) fn depthwise_image<V: Sixteen, W: Weight>(
    image: &Image,
    w: &[W],
    outputs: &OutputsF32<'_>,
    x: &[f32],
    y: &mut [f32],
) -> Option<()> {
    let ([_, _, channels], [_, _, count]) = (image.x, image.y);
    if channels != count {
        return None;
    }
    if channels >= PANEL_LEN && image.dilation == [1; 2] {
        match (image.taps, image.stride) {
            // Nearly all are.
            ([3, 3], [1, 1]) => return depthwise_rows::<V, W, 3, 1>(image, w, outputs, x, y),
            ([3, 3], [2, 2]) => return depthwise_rows::<V, W, 3, 2>(image, w, outputs, x, y),
            ([5, 5], [1, 1]) => return depthwise_rows::<V, W, 5, 1>(image, w, outputs, x, y),
            ([5, 5], [2, 2]) => return depthwise_rows::<V, W, 5, 2>(image, w, outputs, x, y),
            _ => (),
        }
    }
    let rectangles = Rectangles::of(image, false)?;
    let (mut taps, mut pixels) = (TAP_ROOM, PIXEL_ROOM);
    for rows in rectangles.rows() {
        for columns in rectangles.columns() {
            let rectangle = Rectangle { rows, columns };
            let (taps, _) = rectangles.taps(&rectangle, &mut taps);
            let run = Run { taps, outputs, x, w, channels };
            for first in (0..rectangle.len()).step_by(rectangles.most) {
                let mut rest = rectangles.pixels(&rectangle, first, pixels.get_mut(..rectangles.most)?);
                if channels < PANEL_LEN && PANEL_LEN.is_multiple_of(channels) {
                    run.side_by_side::<V>(rest, y)?;
                    continue;
                }
                while let Some((pixels, after)) = rest.split_first_chunk() {
                    rest = after;
                    run.channels::<V, 4, 1>(pixels, y)?;
                }
                for pixel in rest {
                    run.channels::<V, 1, 4>(&[*pixel], y)?;
                }
            }
        }
    }
    Some(())
}

struct Run<'a, W> {
    taps: &'a [Tap],
    outputs: &'a OutputsF32<'a>,
    x: &'a [f32],
    w: &'a [W],
    channels: usize,
}

impl<W: Weight> Run<'_, W> {
    /// All channels of `P` pixels, `N` times sixteen at once where there are as many.
    #[inline(always)]
    fn channels<V: Sixteen, const P: usize, const N: usize>(
        &self,
        pixels: &[Pixel; P],
        y: &mut [f32],
    ) -> Option<()> {
        let Some(last) = self.channels.checked_sub(PANEL_LEN) else {
            return self.few::<V, P>(pixels, y);
        };
        let mut c = 0;
        while N > 1 && c + (N - 1) * PANEL_LEN <= last {
            self.tile::<V, P, N>(pixels, c, y)?;
            c += N * PANEL_LEN;
        }
        while c < last + PANEL_LEN {
            // The last ones begin early enough to be sixteen.
            self.tile::<V, P, 1>(pixels, c.min(last), y)?;
            c += PANEL_LEN;
        }
        Some(())
    }

    /// All channels, a part of sixteen, of all pixels: those that lie side by side in x and in y together.
    #[inline(always)]
    fn side_by_side<V: Sixteen>(&self, mut pixels: &[Pixel], y: &mut [f32]) -> Option<()> {
        // Weights of each tap, again and again.
        let mut w = [[0.0; PANEL_LEN]; MOST_TAPS];
        for (tap, to) in self.taps.iter().zip(&mut w) {
            let [_, w_at] = tap.at();
            let w = self.w.get(w_at..)?.get(..self.channels)?;
            for to in to.chunks_exact_mut(self.channels) {
                to.iter_mut().zip(w).for_each(|(to, w)| *to = w.real());
            }
        }
        while !pixels.is_empty() {
            let together = match self.vectors::<V, 4>(pixels, &w, y)? {
                0 => self.vectors::<V, 1>(pixels, &w, y)?,
                some => some,
            };
            if together == 0 {
                self.few::<V, 1>(pixels.first_chunk()?, y)?;
            }
            pixels = pixels.get(together.max(1)..)?;
        }
        Some(())
    }

    /// `N` times sixteen channels of the first pixels, if they lie side by side: gives how many they are.
    #[inline(always)]
    fn vectors<V: Sixteen, const N: usize>(
        &self,
        pixels: &[Pixel],
        w: &[[f32; PANEL_LEN]; MOST_TAPS],
        y: &mut [f32],
    ) -> Option<usize> {
        let OutputsF32 { scales, bias, clamp } = *self.outputs;
        let all = PANEL_LEN / self.channels * N;
        let Some([first, .., last]) = pixels.get(..all) else { return Some(0) };
        let ([x_at, y_at], apart) = (first.at(), (all - 1) * self.channels);
        if last.at() != [x_at + apart, y_at + apart] {
            return Some(0);
        }
        let bias = V::load(&self.of_pixels(bias));
        let mut sums = [if W::SCALED { V::splat(0.0) } else { bias }; N];
        for (tap, w) in self.taps.iter().zip(w) {
            let ([tap_at, _], w) = (tap.at(), V::load(w));
            let (x, _) = self.x.get(x_at + tap_at..)?.as_chunks::<PANEL_LEN>();
            let x: &[_; N] = x.first_chunk()?;
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = sum.add_product(V::load(x), w);
            }
        }
        let (low, high) = (V::splat(clamp.min), V::splat(clamp.max));
        let (y, _) = y.get_mut(y_at..)?.as_chunks_mut::<PANEL_LEN>();
        let y: &mut [_; N] = y.first_chunk_mut()?;
        for (mut sum, y) in sums.into_iter().zip(y) {
            if W::SCALED {
                sum = bias.add_product(sum, V::load(&self.of_pixels(scales)));
            }
            sum.max(low).min(high).store(y);
        }
        Some(all)
    }

    /// One value for each channel, or one for all, for each of the pixels that fill sixteen.
    #[inline(always)]
    fn of_pixels(&self, values: &[f32]) -> [f32; PANEL_LEN] {
        let mut all = [0.0; PANEL_LEN];
        for some in all.chunks_exact_mut(self.channels) {
            match values {
                [one] => some.fill(*one),
                _ => some.iter_mut().zip(values).for_each(|(to, value)| *to = *value),
            }
        }
        all
    }

    /// All channels, fewer than sixteen, of `P` pixels. What is loaded past them is of no use.
    #[inline(always)]
    fn few<V: Sixteen, const P: usize>(&self, pixels: &[Pixel; P], y: &mut [f32]) -> Option<()> {
        let OutputsF32 { scales, bias, clamp } = *self.outputs;
        let bias = V::load(&sixteen_of(bias, 0));
        let mut sums = [if W::SCALED { V::splat(0.0) } else { bias }; P];
        for [x_at, w_at] in self.taps.iter().map(|tap| tap.at()) {
            let w = V::weights(&sixteen_of(self.w, w_at));
            for (sum, pixel) in sums.iter_mut().zip(pixels) {
                let [at, _] = pixel.at();
                *sum = sum.add_product(V::load(&sixteen_of(self.x, at + x_at)), w);
            }
        }
        let (low, high) = (V::splat(clamp.min), V::splat(clamp.max));
        for (pixel, mut sum) in pixels.iter().zip(sums) {
            if W::SCALED {
                let scale = match scales {
                    [one] => V::splat(*one),
                    _ => V::load(&sixteen_of(scales, 0)),
                };
                sum = bias.add_product(sum, scale);
            }
            let [_, y_at] = pixel.at();
            put_reals(sum.max(low).min(high), y.get_mut(y_at..)?.get_mut(..self.channels)?);
        }
        Some(())
    }

    /// `N` times sixteen channels from `c` on of `P` pixels.
    #[inline(always)]
    fn tile<V: Sixteen, const P: usize, const N: usize>(
        &self,
        pixels: &[Pixel; P],
        c: usize,
        y: &mut [f32],
    ) -> Option<()> {
        let OutputsF32 { scales, bias, clamp } = *self.outputs;
        let mut bias_of = [V::splat(0.0); N];
        for (n, of) in bias_of.iter_mut().enumerate() {
            *of = V::load(&sixteen_of(bias, c + n * PANEL_LEN));
        }
        let mut sums = [if W::SCALED { [V::splat(0.0); N] } else { bias_of }; P];
        for [x_at, w_at] in self.taps.iter().map(|tap| tap.at()) {
            let (w, _) = self.w.get(w_at + c..)?.as_chunks::<PANEL_LEN>();
            let w: &[[W; PANEL_LEN]; N] = w.first_chunk()?;
            for (sums, pixel) in sums.iter_mut().zip(pixels) {
                let [at, _] = pixel.at();
                let (x, _) = self.x.get(at + x_at + c..)?.as_chunks::<PANEL_LEN>();
                let x: &[[f32; PANEL_LEN]; N] = x.first_chunk()?;
                for ((sum, x), w) in sums.iter_mut().zip(x).zip(w) {
                    *sum = sum.add_product(V::load(x), V::weights(w));
                }
            }
        }
        let (low, high) = (V::splat(clamp.min), V::splat(clamp.max));
        for (pixel, sums) in pixels.iter().zip(sums) {
            let [_, y_at] = pixel.at();
            let (y, _) = y.get_mut(y_at + c..)?.as_chunks_mut::<PANEL_LEN>();
            for (n, ((mut sum, y), bias)) in sums.into_iter().zip(y).zip(bias_of).enumerate() {
                if W::SCALED {
                    let scale = match scales {
                        [one] => V::splat(*one),
                        _ => V::load(&sixteen_of(scales, c + n * PANEL_LEN)),
                    };
                    sum = bias.add_product(sum, scale);
                }
                sum.max(low).min(high).store(y);
            }
        }
        Some(())
    }
}
