//! Convolutions of integers with weights in layout `panel16x4`: four elements of what pixels see are multiplied with
//! those of sixteen outputs.

use super::blocks::{Block, LEN, MOST_PIXELS, Room, Rows, each_block};
use super::pixels::Pixels;
use super::{Places, Rounding, sixteen_of};
use crate::arch::{Image, OutputsI8, PANEL_LEN};
use crate::pieces::pieces;

/// Elements of an output that are multiplied at once.
pub(in crate::arch) const GROUP: usize = 4;

/// The most rows of taps.
const MOST_TAPS: usize = 16;

/// Groups of weights that there is room for, if they are not as they are multiplied: 12 KiB, and for few of them 1 KiB, as
/// all of it is filled with zeros.
const MOST_OF_ROWS: usize = 192;
const FEW_OF_ROWS: usize = 16;

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

    /// These as they are rounded.
    type Totals;

    /// What becomes of them.
    type Outputs: Rounding<Sums = Self::Totals> + Copy;

    /// Pixels that are multiplied at once.
    const PIXELS: usize;

    /// Elements that a block of more pixels than that sees: half of a first-level cache, if they have 16 bits.
    const BLOCK: usize = 8 * 1024;

    /// [`Products::panels`] of [`PIXELS`](Self::PIXELS) pixels, or of fewer if there are fewer, in a function compiled
    /// for the instruction set.
    fn panels(products: &Products<'_, Self::X>, y: &mut [i8]) -> Option<()>;

    /// [`Tile::sums`] in a function of its own, compiled for the instruction set: the sums then stay in registers.
    fn tile_sums<const P: usize, const N: usize>(
        tile: &Tile<'_, Self, P, N>,
        start: &[Self::Sums; N],
        sums: &mut [[Self::Sums; P]; N],
    ) -> Option<()>;

    /// Sums as they are rounded.
    fn totals(sums: Self::Sums) -> Self::Totals;

    /// What the sums of a panel begin with: the bias, if [`Outputs`](Self::Outputs) do not add it, and what takes back what
    /// [`X`](Self::X) makes of activations.
    fn start(w: &[Group], bias: [i32; PANEL_LEN]) -> Self::Sums;

    /// `sums[p][o] += Σ x[p][i] · w[o][i]` over a group. Sums wrap.
    fn add_products<const P: usize>(sums: &mut [Self::Sums; P], w: &Group, x: [&[Self::X; GROUP]; P]);

    /// `sums[n][p][o] += Σ x[p][i] · w[n][o][i]` over the groups of a tap, so many of each.
    #[inline(always)]
    fn add_tap<const P: usize, const N: usize>(
        sums: &mut [[Self::Sums; P]; N],
        w: [&[Group]; N],
        x: [&[[Self::X; GROUP]]; P],
        groups: usize,
    ) -> Option<()> {
        let zeros = [Self::X::from(0); GROUP];
        for i in 0..groups {
            // Not the elements themselves: they are then loaded into all places at once.
            let mut of_x = [&zeros; P];
            for (of_x, x) in of_x.iter_mut().zip(&x) {
                *of_x = x.get(i)?;
            }
            for (sums, w) in sums.iter_mut().zip(w) {
                Self::add_products(sums, w.get(i)?, of_x);
            }
        }
        Some(())
    }
}

/// How one multiplies one pixel with four elements of sixteen outputs each.
#[cfg(target_arch = "x86_64")]
pub(in crate::arch) trait OnePixel {
    /// Sums of sixteen outputs in registers.
    type Sums: Copy;

    /// What becomes of them.
    type Outputs: Rounding<Sums = Self::Sums>;

    /// [`Products::pixel`] in a function compiled for the instruction set.
    fn pixel(products: &Products<'_, i8>, y: &mut [i8]) -> Option<()>;

    /// What sums begin with because of a tap: what is made of weights is taken back from them.
    fn start(x: &[[i8; GROUP]]) -> Self::Sums;

    /// `sums[o] += Σ x[i] · w[o][i]`, over as many groups as x has. Sums wrap.
    fn add_row(sums: &mut Self::Sums, w: &[Group], x: &[[i8; GROUP]]);

    /// Both added up.
    fn add(a: Self::Sums, b: Self::Sums) -> Self::Sums;
}

/// See [`Arch::conv_image_in_panels_i8`](crate::arch::Arch::conv_image_in_panels_i8). `None` where a pixel sees more
/// than there is room for, and for windows with spaces between taps that are too many, or not of whole groups.
#[inline(always)]
pub(in crate::arch) fn conv_image_in_panels<V: Panels, R>(
    room: &mut Room<R>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    each_products(room.rows(), image, w, outputs, x, y, [V::PIXELS, V::BLOCK], V::panels)
}

/// [`conv_image_in_panels`] of an image of one pixel.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(in crate::arch) fn conv_pixel_in_panels<V: OnePixel, R>(
    room: &mut Room<R>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    each_products(room.rows(), image, w, outputs, x, y, [1, 1], V::pixel)
}

/// See [`Arch::row_in_panels_i8`](crate::arch::Arch::row_in_panels_i8). `None` for a row that is not made of whole groups.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(in crate::arch) fn row_in_panels<V: OnePixel>(
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    if !x.len().is_multiple_of(GROUP) {
        return None;
    }
    let weights = Weights { w: w.as_chunks().0, panel_len: x.len() / GROUP, outputs, count: y.len() };
    V::pixel(&Products { seen: x, taps: &[0], len: x.len(), pixels: &[0], weights }, y)
}

/// Calls f with blocks of all pixels, and their outputs: see [`each_block`].
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn each_products<X: From<i8> + Copy>(
    room: &mut Rows<X>,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
    sizes: [usize; 2],
    f: impl Fn(&Products<'_, X>, &mut [i8]) -> Option<()>,
) -> Option<()> {
    let ([_, _, channels], [kh, kw], [_, _, count]) = (image.x, image.taps, image.y);
    let depth = kh * kw * channels;
    let (w, _) = w.as_chunks();
    let panel_len = depth.div_ceil(GROUP);
    if image.dilation != [1; 2] {
        // Each tap is by itself.
        let [dilation_h, dilation_w] = image.dilation;
        if kh * kw > MOST_TAPS || !channels.is_multiple_of(GROUP) {
            return None;
        }
        let weights = Weights { w, panel_len, outputs, count };
        return each_block(room, image, x, sizes, |block| {
            let Block { seen, pixels, first, .. } = block;
            let mut taps = [0; MOST_TAPS];
            for (tap, at) in taps.iter_mut().enumerate().take(kh * kw) {
                *at = (tap / kw * dilation_h * block.row + tap % kw * dilation_w * channels) as u32;
            }
            let products = Products { seen, taps: taps.get(..kh * kw)?, len: channels, pixels, weights };
            f(&products, y.get_mut(first * count..)?.get_mut(..pixels.len() * count)?)
        });
    }
    // Taps of a row are neighbours in x: whole groups, or made such by weights that are zero. The last row is such anyway.
    let row = (kw * channels).div_ceil(GROUP);
    let (mut few_of_rows, mut most_of_rows);
    let by_rows = if kh == 1 || (kw * channels).is_multiple_of(GROUP) {
        Some(w)
    } else {
        let room: &mut [Group] = if count.div_ceil(PANEL_LEN) * kh * row <= FEW_OF_ROWS {
            few_of_rows = [[0; PANEL_LEN * GROUP]; FEW_OF_ROWS];
            &mut few_of_rows
        } else {
            most_of_rows = [[0; PANEL_LEN * GROUP]; MOST_OF_ROWS];
            &mut most_of_rows
        };
        in_whole_rows(w, panel_len, [kh, kw * channels], room)
    };
    if let (Some(w), ..=MOST_TAPS) = (by_rows, kh) {
        let weights = Weights { w, panel_len: kh * row, outputs, count };
        return each_block(room, image, x, sizes, |block| {
            let Block { seen, pixels, first, .. } = block;
            let mut taps = [0; MOST_TAPS];
            taps.iter_mut().enumerate().for_each(|(tap, at)| *at = (tap * block.row) as u32);
            let products = Products { seen, taps: taps.get(..kh)?, len: row * GROUP, pixels, weights };
            f(&products, y.get_mut(first * count..)?.get_mut(..pixels.len() * count)?)
        });
    }
    let weights = Weights { w, panel_len, outputs, count };
    // Else taps of each pixel are put side by side.
    let len = depth.next_multiple_of(LEN);
    let mut put = [X::from(0); PUT];
    let mut pixels = [0; MOST_PIXELS];
    pixels.iter_mut().enumerate().for_each(|(pixel, at)| *at = (pixel * len) as u32);
    let most = PUT.checked_div(len)?.min(pixels.len());
    if most == 0 {
        return None;
    }
    each_block(room, image, x, sizes, |block| {
        let mut first = block.first;
        for some in block.pixels.chunks(most) {
            for (put, pixel) in put.chunks_exact_mut(len).zip(some) {
                put_together(block.seen.get(*pixel as usize..)?, block.row, [kh, kw * channels], put)?;
            }
            let pixels = pixels.get(..some.len())?;
            let products =
                Products { seen: &put, taps: &[0], len: weights.panel_len * GROUP, pixels, weights };
            f(&products, y.get_mut(first * count..)?.get_mut(..some.len() * count)?)?;
            first += some.len();
        }
        Some(())
    })
}

/// Weights of which the taps of each row are whole groups, with zeros past the last one: as long as there is room.
fn in_whole_rows<'r>(
    w: &[Group],
    panel_len: usize,
    [rows, row]: [usize; 2],
    room: &'r mut [Group],
) -> Option<&'r [Group]> {
    let of_row = row.div_ceil(GROUP);
    let panels = w.len().checked_div(panel_len)?;
    let room = room.get_mut(..panels * rows * of_row)?;
    for (from, to) in pieces(w, panel_len).zip(room.chunks_exact_mut((rows * of_row).max(1))) {
        for at in 0..rows * row {
            let (from, to) = (from.get(at / GROUP)?, to.get_mut(at / row * of_row + at % row / GROUP)?);
            let from = from.iter().skip(at % GROUP).step_by(GROUP);
            to.iter_mut().skip(at % row % GROUP).step_by(GROUP).zip(from).for_each(|(to, w)| *to = *w);
        }
    }
    Some(room)
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

/// Pixels, what they see, and weights.
pub(in crate::arch) struct Products<'a, X> {
    seen: &'a [X],
    /// Where taps begin, from a pixel's first one on.
    taps: &'a [u32],
    /// Elements of a tap.
    len: usize,
    /// Where the first tap of each pixel begins.
    pixels: &'a [u32],
    weights: Weights<'a>,
}

impl<X: From<i8> + Copy> Products<'_, X> {
    /// How many pixels there are.
    pub(in crate::arch) fn pixels(&self) -> usize {
        self.pixels.len()
    }

    /// How many groups a tap has.
    #[cfg(target_arch = "aarch64")]
    pub(in crate::arch) fn groups(&self) -> usize {
        self.len / GROUP
    }

    /// All outputs of all pixels, in tiles of `P` pixels, of which there are so many, and of `N` panels, as long as there
    /// are so many.
    #[inline(always)]
    pub(in crate::arch) fn panels<V: Panels<X = X>, const P: usize, const N: usize>(
        &self,
        y: &mut [i8],
    ) -> Option<()> {
        let Weights { w, panel_len, count, .. } = self.weights;
        let mut panels = pieces(w, panel_len);
        let mut first = 0;
        while first < count {
            if N > 1 && first + (N - 1) * PANEL_LEN < count {
                let mut some: [&[Group]; N] = [&[]; N];
                for panel in &mut some {
                    *panel = panels.next()?;
                }
                self.tiles::<V, P, N>(some, first, y)?;
                first += N * PANEL_LEN;
            } else {
                self.tiles::<V, P, 1>([panels.next()?], first, y)?;
                first += PANEL_LEN;
            }
        }
        Some(())
    }

    /// The outputs of these panels, from `first` on, of all pixels.
    #[inline(always)]
    fn tiles<V: Panels<X = X>, const P: usize, const N: usize>(
        &self,
        w: [&[Group]; N],
        first: usize,
        y: &mut [i8],
    ) -> Option<()> {
        let &Self { seen, taps, len, pixels, weights: Weights { outputs, count, .. } } = self;
        let last = pixels.len().checked_sub(P)?;
        let first_of = |n: usize| first + n * PANEL_LEN;
        // By loops: what a closure or a method of arrays does may be left in a function without vectors.
        let mut of_panels = [V::Outputs::of(outputs, first); N];
        for (n, of_panel) in of_panels.iter_mut().enumerate().skip(1) {
            *of_panel = V::Outputs::of(outputs, first_of(n));
        }
        let mut start = [V::start(&[], [0; PANEL_LEN]); N];
        let mut sums = [[V::start(&[], [0; PANEL_LEN]); P]; N];
        for (n, (start, w)) in start.iter_mut().zip(w).enumerate() {
            *start = V::start(w, sixteen_of(outputs.bias, first_of(n)));
        }
        // The last tile begins early enough to be a whole one.
        for at in (0..last).step_by(P).chain([last]) {
            let pixels: &[_; P] = pixels.get(at..)?.first_chunk()?;
            V::tile_sums(&Tile { seen, taps, len, pixels, w }, &start, &mut sums)?;
            // By reference: what moves is copied, sum by sum.
            for (n, (sums, outputs)) in sums.iter().zip(&of_panels).enumerate() {
                let (first, end) = (first_of(n), count.min(first_of(n + 1)));
                let y = y.get_mut(at * count + first..)?;
                outputs.put(&sums.map(V::totals), Places { y, stride: count, len: end - first })?;
            }
        }
        Some(())
    }
}

#[cfg(target_arch = "x86_64")]
impl Products<'_, i8> {
    /// All outputs of the first pixel.
    #[inline(always)]
    pub(in crate::arch) fn pixel<V: OnePixel>(&self, y: &mut [i8]) -> Option<()> {
        let &Self { seen, taps, len, pixels, weights: Weights { w, panel_len, outputs, count } } = self;
        let (groups, pixel) = (len / GROUP, pixels.first()?);
        let tap = |at: &u32| seen.get((pixel + at) as usize..)?.as_chunks().0.get(..groups);
        // A copy, which no element of y can be: what is made of it alone is made once.
        let outputs = &{ *outputs };
        let mut start = V::start(&[]);
        for at in taps {
            start = V::add(start, V::start(tap(at)?));
        }
        for (first, mut w) in (0..count).step_by(PANEL_LEN).zip(pieces(w, panel_len)) {
            let mut sums = start;
            for at in taps {
                let of_tap;
                (of_tap, w) = w.split_at_checked(groups)?;
                V::add_row(&mut sums, of_tap, tap(at)?);
            }
            let y = y.get_mut(first..count.min(first + PANEL_LEN))?;
            let len = y.len();
            V::Outputs::of(outputs, first).put(&[sums], Places { y, stride: len, len })?;
        }
        Some(())
    }
}

/// What the sums of a tile are made of: `P` pixels and `N` panels.
pub(in crate::arch) struct Tile<'a, V: Panels, const P: usize, const N: usize> {
    seen: &'a [V::X],
    taps: &'a [u32],
    /// Elements of a tap.
    len: usize,
    pixels: &'a [u32; P],
    w: [&'a [Group]; N],
}

impl<V: Panels, const P: usize, const N: usize> Tile<'_, V, P, N> {
    /// `sums[n][p][o] = start[n][o] + Σ x[p][tap][i] · w[n][o][tap][i]`.
    #[inline(always)]
    pub(in crate::arch) fn sums(&self, start: &[V::Sums; N], sums: &mut [[V::Sums; P]; N]) -> Option<()> {
        let mut acc = [[V::start(&[], [0; PANEL_LEN]); P]; N];
        for (acc, start) in acc.iter_mut().zip(start) {
            *acc = [*start; P];
        }
        let mut w = self.w;
        let groups = self.len / GROUP;
        let pixels = Pixels::of(self.seen, *self.pixels);
        for tap in self.taps {
            let mut of_tap = w;
            for (w, of_tap) in w.iter_mut().zip(&mut of_tap) {
                (*of_tap, *w) = w.split_at_checked(groups)?;
            }
            let mut x: [&[[V::X; GROUP]]; P] = [&[]; P];
            for (x, of_pixel) in x.iter_mut().zip(pixels.tap(*tap as usize, groups * GROUP)?) {
                (*x, _) = of_pixel.as_chunks();
            }
            V::add_tap(&mut acc, of_tap, x, groups)?;
        }
        *sums = acc;
        Some(())
    }
}
