//! Convolutions of integers with weights in layout `panel16x4`: four elements of what pixels see are multiplied with
//! those of sixteen outputs.

use super::blocks::{Block, LEN, MOST_PIXELS, Room, each_block};
use super::put;
use crate::arch::{Image, OutputsI8, PANEL_LEN};
use crate::pieces::pieces;

/// Elements of an output that are multiplied at once.
pub(in crate::arch) const GROUP: usize = 4;

/// The most rows of taps.
const MOST_TAPS: usize = 16;

/// Elements of pixels that are put together at once.
const PUT: usize = 8 * 1024;

/// Weights of sixteen outputs: four of one, then of the next one.
pub(in crate::arch) type Group = [i8; PANEL_LEN * GROUP];

/// How an instruction set multiplies integers with four elements of sixteen outputs each.
pub(in crate::arch) trait Panels: Sized {
    /// What activations become.
    type X: From<i8> + Copy;

    /// Sums of sixteen outputs in registers.
    type Sums: Copy;

    /// What becomes of the sums of sixteen outputs.
    type Outputs<'a>;

    /// Pixels that are multiplied at once.
    const PIXELS: usize;

    /// [`Products::panels`] of [`PIXELS`](Self::PIXELS) pixels, or of fewer if there are fewer, in a function compiled
    /// for the instruction set.
    fn panels(products: &Products<'_, Self>, y: &mut [i8]) -> Option<()>;

    /// [`Tile::add`] in a function of its own, compiled for the instruction set: the sums then stay in registers.
    fn add_tile<const P: usize>(tile: &Tile<'_, Self, P>, sums: &mut [Self::Sums; P]) -> Option<()>;

    /// No sums yet.
    fn zero() -> Self::Sums;

    /// `sums[p][o] += Σ x[p][i] · w[o][i]` over a group. Sums wrap.
    fn add_products<const P: usize>(sums: &mut [Self::Sums; P], w: &Group, x: [&[Self::X; GROUP]; P]);

    /// The outputs from `first` on; past their end nothing.
    fn outputs<'a>(outputs: &'a OutputsI8<'_>, first: usize) -> Self::Outputs<'a>;

    /// Sums as elements of y, bit by bit as [`fixed::requantize`](crate::fixed::requantize) rounds.
    fn elements(outputs: &Self::Outputs<'_>, sums: Self::Sums) -> [i8; PANEL_LEN];
}

/// See [`Arch::conv_image_in_panels_i8`](crate::arch::Arch::conv_image_in_panels_i8). `None` where a pixel sees more
/// than there is room for, and for windows with spaces between their taps.
#[inline(always)]
pub(in crate::arch) fn conv_image_in_panels<V: Panels>(
    room: &mut Room<V::X>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([_, _, channels], [kh, kw], [_, _, count]) = (image.x, image.taps, image.y);
    let depth = kh * kw * channels;
    let (w, _) = w.as_chunks();
    let weights = Weights { w, panel_len: depth.div_ceil(GROUP), outputs, count };
    // A tap has whole groups, and so have the taps of a row, which are neighbours.
    if channels.is_multiple_of(GROUP) && kh <= MOST_TAPS {
        return each_block(room, image, x, V::PIXELS, |block| {
            weights.of_rows::<V>(&block, [kh, kw * channels], y)
        });
    }
    // Else taps of each pixel are put side by side.
    let len = depth.next_multiple_of(LEN);
    let mut put = [V::X::from(0); PUT];
    let mut pixels = [0; MOST_PIXELS];
    pixels.iter_mut().enumerate().for_each(|(pixel, at)| *at = (pixel * len) as u32);
    let most = PUT.checked_div(len)?.min(pixels.len());
    if most == 0 {
        return None;
    }
    each_block(room, image, x, V::PIXELS, |block| {
        let mut first = block.first;
        for some in block.pixels.chunks(most) {
            for (put, pixel) in put.chunks_exact_mut(len).zip(some) {
                put_together(block.seen.get(*pixel as usize..)?, block.row, [kh, kw * channels], put)?;
            }
            let pixels = pixels.get(..some.len())?;
            let products =
                Products { seen: &put, taps: &[0], len: weights.panel_len * GROUP, pixels, weights };
            V::panels(&products, y.get_mut(first * count..)?.get_mut(..some.len() * count)?)?;
            first += some.len();
        }
        Some(())
    })
}

/// Rows of taps of a pixel, one after the other. What follows the last one is of no use: its weights are zero.
#[inline(always)]
fn put_together<X: Copy>(seen: &[X], seen_row: usize, [rows, row]: [usize; 2], put: &mut [X]) -> Option<()> {
    for tap in 0..rows {
        let from = seen.get(tap * seen_row..)?;
        let to = put.get_mut(tap * row..)?;
        match (from.first_chunk::<LEN>(), to.first_chunk_mut::<LEN>()) {
            // The next row goes over what is too much.
            (Some(from), Some(to)) if row <= LEN => *to = *from,
            _ => to.get_mut(..row)?.copy_from_slice(from.get(..row)?),
        }
    }
    Some(())
}

/// What pixels are multiplied with.
#[derive(Clone, Copy)]
struct Weights<'a> {
    /// Panels of `panel_len` groups.
    w: &'a [Group],
    panel_len: usize,
    outputs: &'a OutputsI8<'a>,
    /// Number of outputs.
    count: usize,
}

impl Weights<'_> {
    /// Pixels whose taps are rows of so many elements.
    #[inline(always)]
    fn of_rows<V: Panels>(
        self,
        block: &Block<'_, V::X>,
        [rows, len]: [usize; 2],
        y: &mut [i8],
    ) -> Option<()> {
        let &Block { seen, row, pixels, first } = block;
        let mut taps = [0; MOST_TAPS];
        taps.iter_mut().enumerate().for_each(|(tap, at)| *at = (tap * row) as u32);
        let products = Products { seen, taps: taps.get(..rows)?, len, pixels, weights: self };
        V::panels(&products, y.get_mut(first * self.count..)?.get_mut(..pixels.len() * self.count)?)
    }
}

/// Pixels, what they see, and weights.
pub(in crate::arch) struct Products<'a, V: Panels> {
    seen: &'a [V::X],
    /// Where taps begin, from a pixel's first one on.
    taps: &'a [u32],
    /// Elements of a tap.
    len: usize,
    /// Where the first tap of each pixel begins.
    pixels: &'a [u32],
    weights: Weights<'a>,
}

impl<V: Panels> Products<'_, V> {
    /// How many pixels there are.
    pub(in crate::arch) fn pixels(&self) -> usize {
        self.pixels.len()
    }

    /// All outputs of all pixels, in tiles of `P` pixels, of which there are so many.
    #[inline(always)]
    pub(in crate::arch) fn panels<const P: usize>(&self, y: &mut [i8]) -> Option<()> {
        let &Self { seen, taps, len, pixels, weights } = self;
        let last = pixels.len().checked_sub(P)?;
        let Weights { w, panel_len, outputs, count } = weights;
        for (first, w) in (0..count).step_by(PANEL_LEN).zip(pieces(w, panel_len)) {
            let (outputs, end) = (V::outputs(outputs, first), count.min(first + PANEL_LEN));
            // The last tile begins early enough to be a whole one.
            for at in (0..last).step_by(P).chain([last]) {
                let mut sums = [V::zero(); P];
                let pixels = pixels.get(at..)?.first_chunk()?;
                V::add_tile(&Tile { seen, taps, len, pixels, w }, &mut sums)?;
                for (p, sums) in sums.into_iter().enumerate() {
                    let pixel = (at + p) * count;
                    put(V::elements(&outputs, sums), y.get_mut(pixel + first..pixel + end)?);
                }
            }
        }
        Some(())
    }
}

/// What the sums of a tile are made of: `P` pixels and a panel.
pub(in crate::arch) struct Tile<'a, V: Panels, const P: usize> {
    seen: &'a [V::X],
    taps: &'a [u32],
    /// Elements of a tap.
    len: usize,
    pixels: &'a [u32; P],
    w: &'a [Group],
}

impl<V: Panels, const P: usize> Tile<'_, V, P> {
    /// `sums[p][o] += Σ x[p][tap][i] · w[o][tap][i]`.
    #[inline(always)]
    pub(in crate::arch) fn add(&self, sums: &mut [V::Sums; P]) -> Option<()> {
        let mut acc = *sums;
        let zeros = [V::X::from(0); GROUP];
        let mut w = self.w;
        let groups = self.len / GROUP;
        for tap in self.taps {
            let (of_tap, after) = w.split_at_checked(groups)?;
            w = after;
            let mut x: [&[[V::X; GROUP]]; P] = [&[]; P];
            for (x, pixel) in x.iter_mut().zip(self.pixels) {
                let at = (pixel + tap) as usize;
                *x = self.seen.get(at..)?.as_chunks().0.get(..groups)?;
            }
            for i in 0..groups {
                // Not the elements themselves: they are then loaded into all places at once.
                let of_x = x.map(|x| x.get(i).unwrap_or(&zeros));
                V::add_products(&mut acc, of_tap.get(i)?, of_x);
            }
        }
        *sums = acc;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use crate::arch::{Arch, Image, OutputsI8, PANEL_LEN, Scratch};
    use crate::{Isa, fixed};
    use flatpack_format::ops::{Multiplier, OutputI8};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Integers that look random.
    struct Seed(u32);

    impl Seed {
        fn next(&mut self) -> u32 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            self.0 >> 8
        }

        fn some(&mut self, len: usize) -> Vec<i8> {
            (0..len).map(|_| (self.next() >> 16) as i8).collect()
        }
    }

    /// Rows of weights in layout `panel16x4`.
    fn in_panels(w: &[i8], depth: usize) -> Vec<i8> {
        let panel = depth.next_multiple_of(4) * PANEL_LEN;
        let outputs = w.len() / depth;
        let mut packed = std::vec![0; outputs.div_ceil(PANEL_LEN) * panel];
        for (at, w) in w.iter().enumerate() {
            let (o, i) = (at / depth, at % depth);
            packed[o / PANEL_LEN * panel + i / 4 * 4 * PANEL_LEN + o % PANEL_LEN * 4 + i % 4] = *w;
        }
        packed
    }

    fn formula(image: &Image, w: &[i8], outputs: &OutputsI8<'_>, x: &[i8]) -> Vec<i8> {
        let ([height, width, channels], [kh, kw]) = (image.x, image.taps);
        let ([rows, columns, count], [pad_h, pad_w]) = (image.y, image.pad);
        let element = |at: usize| {
            let (row, column, o) = (at / count / columns, at / count % columns, at % count);
            let mut sum = outputs.bias[o];
            for tap in 0..kh * kw {
                let h = (row * image.stride[0] + tap / kw).checked_sub(pad_h).filter(|h| *h < height);
                let v = (column * image.stride[1] + tap % kw).checked_sub(pad_w).filter(|v| *v < width);
                for i in 0..channels {
                    let x = h
                        .zip(v)
                        .map_or(image.x_zero_point, |(h, v)| x[(h * width + v) * channels + i].into());
                    sum += x * i32::from(w[(o * kh * kw + tap) * channels + i]);
                }
            }
            fixed::requantize(sum, fixed::of_output(outputs.requant, o).unwrap(), &outputs.y)
        };
        (0..rows * columns * count).map(element).collect()
    }

    fn computed<A: Arch>(image: &Image, w: &[i8], outputs: &OutputsI8<'_>, x: &[i8]) -> Vec<i8> {
        let mut y = std::vec![0; image.y.iter().product()];
        A::conv_image_in_panels_i8(&mut A::Scratch::new(), image, w, outputs, x, &mut y).unwrap();
        y
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn tiles_of_each_width_meet_the_formula(
            size in [1usize..5, 1..12], channels in 1usize..21, count in 1usize..35, taps in [1usize..4, 1..4],
            stride in [1usize..3, 1..3], zero in -128i32..128, one: bool, seed: u32,
        ) {
            let mut seed = Seed(seed);
            let pad = taps.map(|taps| taps / 2);
            let positions = |axis: usize| {
                (size[axis] + 2 * pad[axis]).checked_sub(taps[axis]).map(|rest| rest / stride[axis] + 1)
            };
            let (Some(rows), Some(columns)) = (positions(0), positions(1)) else { return Ok(()) };
            let image = Image {
                x: [size[0], size[1], channels], x_zero_point: zero, y: [rows, columns, count],
                taps, stride, dilation: [1; 2], pad,
            };
            let depth = taps[0] * taps[1] * channels;
            let (x, w) = (seed.some(size[0] * size[1] * channels), seed.some(count * depth));
            let bias: Vec<_> = (0..count).map(|_| (seed.next() >> 8) as i32 - (1 << 15)).collect();
            let requant: Vec<_> = (0..if one { 1 } else { count })
                .map(|_| Multiplier { mantissa: (seed.next() | 1 << 30) as i32, shift: -10 })
                .collect();
            let y = OutputI8 { zero_point: 3, min: -100, max: 120 };
            let outputs = OutputsI8 { bias: &bias, requant: &requant, plain: false, y };
            let want = formula(&image, &w, &outputs, &x);
            let w = in_panels(&w, depth);
            #[cfg(target_arch = "x86_64")]
            if Isa::Avx2.is_here() {
                prop_assert_eq!(&computed::<crate::arch::Avx2>(&image, &w, &outputs, &x), &want);
            }
            #[cfg(target_arch = "aarch64")]
            prop_assert_eq!(&computed::<crate::arch::Neon<false>>(&image, &w, &outputs, &x), &want);
            #[cfg(target_arch = "aarch64")]
            if Isa::NeonDots.is_here() {
                prop_assert_eq!(&computed::<crate::arch::Neon<true>>(&image, &w, &outputs, &x), &want);
            }
        }
    }
}
