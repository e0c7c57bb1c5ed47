//! What the pools and the reductions of integers have in common: elements of each channel that are
//! folded to one value.

use crate::arch::{Arch, LANES, Loops, PANEL_LEN, Patch};
use crate::kernel::Node;
use crate::pieces::pieces_mut;
use crate::rows::{Band, Rows};
use crate::window::{Moves, Span, Strides, Window, Windows};
use bytemuck::{Pod, Zeroable};
use core::marker::PhantomData;

/// How elements are folded.
pub(crate) trait Fold<A: Arch> {
    /// What is folded.
    type Element: Pod + Send + Sync;
    /// What it is folded to.
    type Folded: Copy;
    /// What a fold begins with.
    const START: Self::Folded;
    /// Folds 8 channels.
    fn tile(patch: &Patch<'_, 1, Self::Element>, lanes: &mut [Self::Folded; LANES]) -> Option<()>;
    /// Folds one more element of each of 16 channels.
    #[inline(always)]
    fn sixteen(folded: &mut [Self::Folded; PANEL_LEN], x: &[Self::Element; PANEL_LEN]) {
        folded.iter_mut().zip(x).for_each(|(folded, x)| *folded = Self::one(*folded, *x));
    }
    /// Folds one more element.
    fn one(folded: Self::Folded, x: Self::Element) -> Self::Folded;
}

/// A window that moves over images `[N, H, W, C]`. The `result` is made of what a window folds to, and
/// of the number of elements under it.
#[inline(always)]
pub(crate) fn run<A: Arch, F: Fold<A>>(
    node: &Node<'_>,
    rows: &mut Rows<'_, F::Element>,
    window: [u32; 2],
    moves: &Moves,
    result: impl Fn(F::Folded, usize) -> F::Element + Sync,
) -> Option<()> {
    let [_, h, width, channels] = node.input_dims(0)?;
    let [_, _, ow, _] = node.output_dims()?;
    let [h_windows, w_windows] = moves.windows([h, width], window.map(|taps| taps as usize));
    let strides = Strides { x: [0, width * channels, channels], w: [0; 3], pair: 0 };

    let row = ow * channels;
    let geometry = Geometry { h_windows, w_windows, strides, row, channels };
    let taps: usize = window.iter().map(|taps| *taps as usize).product();
    rows.each(|Band { x, first, row: y_first, y }| {
        let macs = taps * y.len();
        node.threads().share(y, row, macs, |from, y| {
            let band = Band { x, first, row: y_first, y };
            A::vectorize(Bands { geometry, from, band, result: &result, folds: PhantomData::<(A, F)> })
        })
    })
}

/// How a window moves over an image.
#[derive(Clone, Copy)]
struct Geometry {
    h_windows: Window,
    w_windows: Window,
    strides: Strides,
    /// Elements of a row of y.
    row: usize,
    channels: usize,
}

/// Some rows of it.
struct Bands<'b, A: Arch, F: Fold<A>, R> {
    geometry: Geometry,
    /// Rows of the band that come before y.
    from: usize,
    band: Band<'b, F::Element>,
    result: &'b R,
    folds: PhantomData<(A, F)>,
}

impl<A: Arch, F: Fold<A>, R: Fn(F::Folded, usize) -> F::Element> Loops for Bands<'_, A, F, R> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<Set: Arch>(self) -> Option<()> {
        let Geometry { h_windows, w_windows, strides, row: len, channels } = self.geometry;
        let h_windows = h_windows.moved_on(&self.band);
        let x = self.band.x;
        let positions = len.checked_div(channels).unwrap_or(0);
        let whole = w_windows.whole(positions);
        for (row, y) in (self.from..).zip(pieces_mut(self.band.y, len)) {
            let rows = h_windows.span(row);
            let at = |column| {
                let columns = w_windows.span(column);
                (strides.patch(x, [Span::ONE, rows, columns], channels), rows.count * columns.count)
            };
            // A whole window is a few columns from the first one: that takes no divisions.
            let first_whole = if A::WIDE_TILES { Some(at(whole.start)) } else { None };
            let (step, wide) = (w_windows.pair_step() * channels, A::WIDE_TILES && channels >= WIDE);
            let (mut column, mut rest) = (0, y);
            while column < positions {
                let pixels = if wide && whole.contains(&column) { whole.end - column } else { 1 };
                let (y, after) = rest.split_at_mut_checked(pixels * channels)?;
                let (patch, count) = match first_whole {
                    Some((patch, count)) if whole.contains(&column) => {
                        let [x] = patch.x;
                        (Patch { x: [x.get((column - whole.start) * step..)?], ..patch }, count)
                    }
                    _ => at(column),
                };
                let result = |folded| (self.result)(folded, count);
                if wide {
                    wide_pixels::<A, F>(patch, [pixels, channels], step, y, result)?;
                } else {
                    pixel::<A, F>(&patch, y, result)?;
                }
                (column, rest) = (column + pixels, after);
            }
        }
        Some(())
    }
}

/// Channels that are folded at once, at least, where registers are wide.
pub(crate) const WIDE: usize = PANEL_LEN;

/// Pixels side by side that are folded together then.
const TOGETHER: usize = 4;

/// [`pixel`] of some pixels side by side, whose windows are `step` elements from each other, with [`WIDE`] channels or more.
#[inline(always)]
pub(crate) fn wide_pixels<A: Arch, F: Fold<A>>(
    patch: Patch<'_, 1, F::Element>,
    [pixels, channels]: [usize; 2],
    step: usize,
    y: &mut [F::Element],
    result: impl Fn(F::Folded) -> F::Element,
) -> Option<()> {
    apart::<A, _>(Wide { patch, pixels, channels, step, y, result, folds: PhantomData::<(A, F)> })
}

/// Loops in a function of their own: what they work with stays in registers.
#[inline(never)]
fn apart<A: Arch, L: Loops>(loops: L) -> L::Output {
    A::vectorize(loops)
}

/// What [`wide_pixels`] folds.
struct Wide<'p, A: Arch, F: Fold<A>, R> {
    patch: Patch<'p, 1, F::Element>,
    pixels: usize,
    channels: usize,
    step: usize,
    y: &'p mut [F::Element],
    result: R,
    folds: PhantomData<(A, F)>,
}

impl<A: Arch, F: Fold<A>, R: Fn(F::Folded) -> F::Element> Loops for Wide<'_, A, F, R> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<Set: Arch>(mut self) -> Option<()> {
        match self.channels / WIDE {
            // A line of a cache.
            4.. if self.pixels < TOGETHER => self.by::<4, 1>(),
            2.. if size_of::<F::Folded>() == 1 => self.by::<2, TOGETHER>(),
            _ => self.by::<1, TOGETHER>(),
        }
    }
}

impl<A: Arch, F: Fold<A>, R: Fn(F::Folded) -> F::Element> Wide<'_, A, F, R> {
    /// By `S` times 16 channels of `P` pixels.
    #[inline(always)]
    fn by<const S: usize, const P: usize>(&mut self) -> Option<()> {
        let last = self.channels.checked_sub(S * WIDE)?;
        let together = self.pixels - self.pixels % P;
        for first in (0..last).step_by(S * WIDE).chain([last]) {
            for pixel in (0..together).step_by(P) {
                self.tile::<S, P>(pixel, first)?;
            }
            for pixel in together..self.pixels {
                self.tile::<S, 1>(pixel, first)?;
            }
        }
        Some(())
    }

    #[inline(always)]
    fn tile<const S: usize, const P: usize>(&mut self, pixel: usize, channel: usize) -> Option<()> {
        let &mut Self { ref patch, channels, step, ref mut y, ref result, .. } = self;
        let [x] = patch.x;
        let x = x.get(pixel * step + channel..)?;
        // As many elements for each: one check serves all.
        let len = x.len().checked_sub((P - 1) * step)?;
        let mut of_pixels = [x; P];
        for (p, of_pixel) in of_pixels.iter_mut().enumerate() {
            *of_pixel = x.get(p * step..)?.get(..len)?;
        }
        let mut folded = [[[F::START; WIDE]; S]; P];
        patch.try_each_tap(|at, _| {
            for (folded, x) in folded.iter_mut().zip(of_pixels) {
                let x: &[[F::Element; WIDE]; S] = x.get(at..)?.as_chunks().0.first_chunk()?;
                folded.iter_mut().zip(x).for_each(|(folded, x)| F::sixteen(folded, x));
            }
            Some(())
        })?;
        // All in one loop: what is vectorised is not unrolled before.
        let mut elements = [[[F::Element::zeroed(); WIDE]; S]; P];
        let of_all = elements.as_flattened_mut().as_flattened_mut().iter_mut();
        of_all.zip(folded.as_flattened().as_flattened()).for_each(|(y, folded)| *y = result(*folded));
        let mut places = y.get_mut(pixel * channels + channel..)?;
        for elements in &elements {
            places.get_mut(..S * WIDE)?.copy_from_slice(elements.as_flattened());
            places = places.get_mut(channels..).unwrap_or_default();
        }
        Some(())
    }
}

/// Folds the channels of a pixel, in tiles where there are enough; the last tile begins early enough
/// to be a whole one.
#[inline(always)]
pub(crate) fn pixel<A: Arch, F: Fold<A>>(
    patch: &Patch<'_, 1, F::Element>,
    y: &mut [F::Element],
    result: impl Fn(F::Folded) -> F::Element,
) -> Option<()> {
    let [x] = patch.x;
    let mut lanes = [F::START; LANES];
    let Some(last) = y.len().checked_sub(LANES) else {
        let channels = y.len();
        patch.try_each_tap(|x_at, _| {
            let x = x.get(x_at..)?.get(..channels)?;
            lanes.iter_mut().zip(x).for_each(|(folded, x)| *folded = F::one(*folded, *x));
            Some(())
        })?;
        y.iter_mut().zip(lanes).for_each(|(y, folded)| *y = result(folded));
        return Some(());
    };
    for first in (0..last).step_by(LANES).chain([last]) {
        lanes = [F::START; LANES];
        F::tile(&Patch { x: [x.get(first..)?], ..*patch }, &mut lanes)?;
        let y: &mut [_; LANES] = y.get_mut(first..)?.first_chunk_mut()?;
        *y = lanes.map(&result);
    }
    Some(())
}

/// Sums of 8-bit integers.
pub(crate) struct SumI8;

impl<A: Arch> Fold<A> for SumI8 {
    type Element = i8;
    type Folded = i32;

    const START: i32 = 0;

    fn tile(patch: &Patch<'_, 1, i8>, lanes: &mut [i32; LANES]) -> Option<()> {
        A::sum_tile_i8(patch, lanes)
    }

    #[inline(always)]
    fn sixteen(folded: &mut [i32; PANEL_LEN], x: &[i8; PANEL_LEN]) {
        A::sums_i8(folded, x);
    }

    fn one(folded: i32, x: i8) -> i32 {
        folded.wrapping_add(x.into())
    }
}

/// Maxima of 8-bit integers.
pub(crate) struct MaxI8;

impl<A: Arch> Fold<A> for MaxI8 {
    type Element = i8;
    type Folded = i8;

    const START: i8 = i8::MIN;

    fn tile(patch: &Patch<'_, 1, i8>, lanes: &mut [i8; LANES]) -> Option<()> {
        A::max_tile_i8(patch, lanes)
    }

    #[inline(always)]
    fn sixteen(folded: &mut [i8; PANEL_LEN], x: &[i8; PANEL_LEN]) {
        A::maxima_i8(folded, x);
    }

    fn one(folded: i8, x: i8) -> i8 {
        folded.max(x)
    }
}

/// Minima of 8-bit integers.
pub(crate) struct MinI8;

impl<A: Arch> Fold<A> for MinI8 {
    type Element = i8;
    type Folded = i8;

    const START: i8 = i8::MAX;

    fn tile(patch: &Patch<'_, 1, i8>, lanes: &mut [i8; LANES]) -> Option<()> {
        A::min_tile_i8(patch, lanes)
    }

    fn one(folded: i8, x: i8) -> i8 {
        folded.min(x)
    }
}

#[cfg(test)]
mod tests {
    //! What both pools of 8-bit integers refuse.

    use crate::one_step::{Input, integers, refusal, refuses_other_operands};
    use bytemuck::bytes_of;
    use flatpack_format::ops::average_pool_2d_i8::AveragePool2dI8Params;
    use flatpack_format::ops::max_pool_2d_i8::MaxPool2dI8Params;
    use flatpack_format::{DType, Misfit, OpCode};
    use std::vec::Vec;

    const GOOD: MaxPool2dI8Params = MaxPool2dI8Params {
        window: [1, 2],
        stride: [1, 1],
        pad_h: [0, 0],
        pad_w: [0, 0],
        min: -128,
        max: 127,
    };

    fn of_both(params: MaxPool2dI8Params) -> [(OpCode, Vec<u8>); 2] {
        let MaxPool2dI8Params { window, stride, pad_h, pad_w, min, max } = params;
        let average = AveragePool2dI8Params { window, stride, pad_h, pad_w, origin: 0, min, max };
        [
            (OpCode::MaxPool2dI8, bytes_of(&params).to_vec()),
            (OpCode::AveragePool2dI8, bytes_of(&average).to_vec()),
        ]
    }

    fn bytes(dims: &[u32]) -> [Input; 1] {
        [integers(dims, 1, DType::I8)]
    }

    #[test]
    fn an_input_of_another_rank_is_refused() {
        for (op, params) in of_both(GOOD) {
            assert_eq!(refusal(op, &params, &bytes(&[1, 1, 3]), None), Misfit::Rank(0));
        }
    }

    #[test]
    fn a_window_past_the_padded_input_is_refused() {
        for (op, params) in of_both(MaxPool2dI8Params { window: [1, 4], ..GOOD }) {
            assert_eq!(refusal(op, &params, &bytes(&[1, 1, 3, 1]), None), Misfit::Shape(0));
        }
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        for bad in [
            MaxPool2dI8Params { window: [0, 2], ..GOOD },
            MaxPool2dI8Params { stride: [1, 0], ..GOOD },
            // Such windows would cover nothing but padding.
            MaxPool2dI8Params { pad_w: [2, 0], ..GOOD },
            MaxPool2dI8Params { pad_h: [0, 1], ..GOOD },
            // Sums over such windows would leave 32 bits.
            MaxPool2dI8Params { window: [1 << 12, 1 << 11], ..GOOD },
            MaxPool2dI8Params { min: -129, ..GOOD },
            MaxPool2dI8Params { max: 128, ..GOOD },
            MaxPool2dI8Params { min: 1, max: 0, ..GOOD },
        ] {
            for (op, params) in of_both(bad) {
                assert_eq!(refusal(op, &params, &bytes(&[1, 1, 3, 1]), None), Misfit::Params, "{bad:?}");
            }
        }
    }

    #[test]
    fn other_operands_are_refused() {
        for (op, params) in of_both(MaxPool2dI8Params { window: [1, 1], ..GOOD }) {
            refuses_other_operands(op, &params, &bytes(&[1, 1, 3, 1]), false, 0);
        }
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        for (op, params) in of_both(GOOD) {
            let [output] = bytes(&[1, 1, 3, 1]);
            let refused = refusal(op, &params, &bytes(&[1, 1, 3, 1]), Some(output.tensor_type()));
            assert_eq!(refused, Misfit::Shape(1));
        }
    }
}
