//! The windows of convolutions and pools, along one axis.

use crate::arch::{Image, Patch};
use crate::pieces::pieces_mut;
use crate::rows::Band;
use core::ops::Range;

/// The taps of a window that lie over the input, at one output position: `tap + j · tap_step` over
/// input position `input + j · input_step`, for j below `count`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) tap: usize,
    pub(crate) input: usize,
    pub(crate) count: usize,
    pub(crate) tap_step: isize,
    pub(crate) input_step: usize,
}

impl Span {
    /// An axis that is not there: one tap over one input.
    pub(crate) const ONE: Self = Self { tap: 0, input: 0, count: 1, tap_step: 1, input_step: 1 };

    fn has_the_taps_of(&self, other: &Self) -> bool {
        (self.tap, self.count) == (other.tap, other.count)
    }
}

/// How x and the weights lie in memory: elements from one position to the next along each axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strides {
    pub(crate) x: [usize; 3],
    pub(crate) w: [usize; 3],
    /// From the first of a pair of pixels to the second, in x.
    pub(crate) pair: usize,
}

impl Strides {
    /// What `P` pixels see of x through the taps in `spans`, `len` elements each.
    #[inline]
    pub(crate) fn patch<'x, const P: usize, T>(
        &self,
        x: &'x [T],
        spans: [Span; 3],
        len: usize,
    ) -> Patch<'x, P, T> {
        let [d, h, w] = spans;
        let ([x0, x1, x2], [w0, w1, w2]) = (self.x, self.w);
        let first = d.input * x0 + h.input * x1 + w.input * x2;
        // Steps that wrap would lead past the end of x: there is only one tap then, or none.
        let w_step = |span: Span, stride: usize| span.tap_step.wrapping_mul(stride as isize);
        Patch {
            x: core::array::from_fn(|pixel| {
                x.get(first.wrapping_add(pixel.wrapping_mul(self.pair))..).unwrap_or_default()
            }),
            w_at: d.tap * w0 + h.tap * w1 + w.tap * w2,
            len,
            counts: spans.map(|span| span.count),
            x_steps: [
                d.input_step.wrapping_mul(x0),
                h.input_step.wrapping_mul(x1),
                w.input_step.wrapping_mul(x2),
            ],
            w_steps: [w_step(d, w0), w_step(h, w1), w_step(w, w2)],
        }
    }
}

/// Outputs that are computed at once, so that each weight is loaded once for them.
#[derive(Debug)]
pub(crate) enum Pixels<'y, T = f32> {
    One([&'y mut [T]; 1]),
    Two([&'y mut [T]; 2]),
}

/// How a window moves.
pub(crate) trait Windows: Copy {
    /// The taps at an output position.
    fn span(&self, position: usize) -> Span;

    /// The outputs of a row, each with its taps: in pairs where two have the same, else singles.
    /// An output has `outputs` elements.
    fn pixels<T>(self, row: &mut [T], outputs: usize) -> impl Iterator<Item = (Span, Pixels<'_, T>)>;

    /// Input positions from the first of a pair to the second.
    fn pair_step(&self) -> usize;

    /// How far apart those of a pair are: positions are of so many phases, of which each has taps of its own.
    // Only an instruction set's loops over whole images go phase by phase.
    #[allow(dead_code)]
    fn phases(&self) -> usize;

    /// Which positions of a phase, of so many of it, see all its taps.
    #[allow(dead_code)]
    fn whole_of_phase(&self, phase: usize, positions: usize) -> Range<usize>;
}

/// How the windows of images move: height, then width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moves {
    pub(crate) stride: [u32; 2],
    pub(crate) dilation: [u32; 2],
    pub(crate) pad: [[u32; 2]; 2],
}

impl Moves {
    /// The windows of these taps over images of these sizes.
    pub(crate) fn windows(&self, [h, w]: [usize; 2], [kh, kw]: [usize; 2]) -> [Window; 2] {
        let ([sh, sw], [dh, dw], [pad_h, pad_w]) = (self.stride, self.dilation, self.pad);
        [Window::new(h, kh, sh, dh, pad_h), Window::new(w, kw, sw, dw, pad_w)]
    }

    /// Rows of an image as an image by themselves: those over which `h_windows` moves, as far as x, of `x_len`
    /// elements, has them; no window reaches to others.
    pub(crate) fn image(
        &self,
        h_windows: Window,
        x_len: usize,
        [width, channels]: [usize; 2],
        x_zero_point: i32,
        y: [usize; 3],
        taps: [usize; 2],
    ) -> Image {
        let [_, [left, _]] = self.pad;
        let x_rows = x_len.checked_div(width.wrapping_mul(channels)).unwrap_or_default();
        Image {
            x: [h_windows.input.min(x_rows), width, channels],
            x_zero_point,
            y,
            taps,
            stride: self.stride.map(|v| v as usize),
            dilation: self.dilation.map(|v| v as usize),
            pad: [h_windows.pad, left as usize],
        }
    }
}

/// A window that moves over a padded input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    input: usize,
    taps: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
}

impl Window {
    /// Along an axis that is not there.
    pub(crate) const ONE: Self = Self { input: 1, taps: 1, stride: 1, dilation: 1, pad: 0 };

    /// From the first row of a band on, over the rows of x that the band has.
    pub(crate) fn moved_on<T>(&self, band: &Band<'_, T>) -> Self {
        let Band { first, row, .. } = *band;
        let pad = self.pad.saturating_sub(row * self.stride);
        Self { input: self.input.saturating_sub(first), pad, ..*self }
    }

    pub(crate) fn new(input: usize, taps: usize, stride: u32, dilation: u32, pad: [u32; 2]) -> Self {
        let [pad, _] = pad;
        let [stride, dilation, pad] = [stride, dilation, pad].map(|v| v as usize);
        Self { input, taps, stride, dilation, pad }
    }

    /// Which of so many positions have all taps over the input.
    pub(crate) fn whole(&self, positions: usize) -> Range<usize> {
        let (stride, reach) = (self.stride.max(1), self.taps.saturating_sub(1) * self.dilation + 1);
        let end =
            (self.input + self.pad).checked_sub(reach).map_or(0, |rest| rest / stride + 1).min(positions);
        self.pad.div_ceil(stride).min(end)..end
    }

    /// Whether all taps lie over the input at each of so many positions.
    pub(crate) fn are_whole(&self, positions: usize) -> bool {
        let last = |count: usize, step: usize| count.saturating_sub(1).saturating_mul(step);
        self.pad == 0
            && last(positions, self.stride).saturating_add(last(self.taps, self.dilation)) < self.input
    }
}

impl Windows for Window {
    // Where loops take whole images, it is called seldom, and from many places.
    #[cfg_attr(flatpack_arch = "armv7em", inline(never))]
    #[cfg_attr(not(flatpack_arch = "armv7em"), inline)]
    fn span(&self, position: usize) -> Span {
        let dilation = self.dilation.max(1);
        let start = position * self.stride;
        let before = self.pad.saturating_sub(start).div_ceil(dilation).min(self.taps);
        let after = (self.input + self.pad).saturating_sub(start).div_ceil(dilation).min(self.taps);
        let Some(count @ 1..) = after.checked_sub(before) else { return Span::default() };
        let input = (start + before * self.dilation).saturating_sub(self.pad);
        Span { tap: before, input, count, tap_step: 1, input_step: self.dilation }
    }

    fn pixels<T>(self, row: &mut [T], outputs: usize) -> impl Iterator<Item = (Span, Pixels<'_, T>)> {
        let (mut rest, mut position) = (row, 0);
        core::iter::from_fn(move || {
            let span = self.span(position);
            let (one, after) = core::mem::take(&mut rest).split_at_mut_checked(outputs)?;
            position += 1;
            if after.is_empty() || !self.span(position).has_the_taps_of(&span) {
                rest = after;
                return Some((span, Pixels::One([one])));
            }
            let (two, after) = after.split_at_mut_checked(outputs)?;
            position += 1;
            rest = after;
            Some((span, Pixels::Two([one, two])))
        })
    }

    fn pair_step(&self) -> usize {
        self.stride
    }

    fn phases(&self) -> usize {
        1
    }

    fn whole_of_phase(&self, _: usize, positions: usize) -> Range<usize> {
        self.whole(positions)
    }
}

/// A window that the inputs carry over the output: that of a transposed convolution. Input `i`
/// reaches output position `p` through tap `t` where `i · stride + t · dilation = p + crop`; i ascends,
/// t descends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransposedWindow {
    input: usize,
    taps: usize,
    stride: usize,
    dilation: usize,
    crop: usize,
    /// What leads from one solution (t, i) of the equation to the next: t gains, i loses.
    tap_step: usize,
    input_step: usize,
}

/// A phase of a transposed window as a plain one that moves from input to input.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(not(feature = "std"), allow(dead_code))]
pub(crate) struct Phase {
    /// The first one of its taps, and how far each is from the one before.
    pub(crate) tap: usize,
    pub(crate) tap_step: usize,
    /// How many they are. The last one is over the first input that the plain window sees.
    pub(crate) taps: usize,
    /// Inputs from a tap to the next one.
    pub(crate) dilation: usize,
    /// Positions of the first window before the input, or inputs before the first window.
    pub(crate) pad: usize,
    pub(crate) skip: usize,
}

impl TransposedWindow {
    /// The phase of a position below the stride.
    #[inline]
    pub(crate) fn phase(&self, position: usize) -> Phase {
        let (stride, at) = (self.stride.max(1), position + self.crop);
        let mut first = (0..self.taps.min(self.tap_step)).map(|tap| (tap, tap * self.dilation));
        let Some((tap, ahead)) = first.find(|(_, ahead)| ahead % stride == at % stride) else {
            return Phase::default();
        };
        let taps = (self.taps - tap).div_ceil(self.tap_step.max(1));
        let (before, after) = (taps.saturating_sub(1) * self.input_step + ahead / stride, at / stride);
        Phase {
            tap,
            tap_step: self.tap_step,
            taps,
            dilation: self.input_step,
            pad: before.saturating_sub(after),
            skip: after.saturating_sub(before),
        }
    }

    /// From an output position on.
    pub(crate) fn moved_on(&self, positions: usize) -> Self {
        Self { crop: self.crop + positions, ..*self }
    }

    pub(crate) fn new(input: usize, taps: usize, stride: u32, dilation: u32, crop: u32) -> Self {
        let [stride, dilation] = [stride, dilation].map(|v| v.max(1) as usize);
        let (mut divisor, mut rest) = (stride, dilation);
        while let Some(remainder) = divisor.checked_rem(rest) {
            (divisor, rest) = (rest, remainder);
        }
        let [tap_step, input_step] = [stride, dilation].map(|v| (v / divisor.max(1)).max(1));
        Self { input, taps, stride, dilation, crop: crop as usize, tap_step, input_step }
    }

    fn solutions(&self, position: usize) -> Option<Span> {
        let &Self { tap_step, input_step, .. } = self;
        let stride = self.stride.max(1);
        let (tap, input) = (0..self.taps.min(tap_step)).find_map(|tap| {
            let from_input = (position + self.crop).checked_sub(tap * self.dilation)?;
            (from_input % stride == 0).then_some((tap, from_input / stride))
        })?;
        // Inputs past the end are stepped over.
        let skip = (input + 1).saturating_sub(self.input).div_ceil(input_step.max(1));
        let tap = tap.checked_add(skip.checked_mul(tap_step)?)?;
        let input = input.checked_sub(skip.checked_mul(input_step)?)?;
        let taps_left = self.taps.checked_sub(tap)?.div_ceil(tap_step.max(1));
        let count = taps_left.min(input / input_step.max(1) + 1);
        // That was the first tap over the last input. Inputs come in ascending order.
        Some(Span {
            tap: tap + count.saturating_sub(1) * tap_step,
            input: input.saturating_sub(count.saturating_sub(1) * input_step),
            count,
            tap_step: (tap_step as isize).wrapping_neg(),
            input_step,
        })
    }
}

impl Windows for TransposedWindow {
    #[inline]
    fn span(&self, position: usize) -> Span {
        self.solutions(position).unwrap_or_default()
    }

    /// The outputs of a pair are `stride` apart.
    fn pixels<T>(self, row: &mut [T], outputs: usize) -> impl Iterator<Item = (Span, Pixels<'_, T>)> {
        let period = self.stride.saturating_mul(outputs).max(1);
        let halves = row.chunks_mut(period.saturating_mul(2).max(1)).enumerate();
        let pairs = halves.flat_map(move |(number, y)| {
            let middle = period.min(y.len());
            let (left, right) = y.split_at_mut_checked(middle).unwrap_or_default();
            let mut right = pieces_mut(right, outputs);
            let left = pieces_mut(left, outputs).enumerate();
            left.map(move |(phase, one)| (number * 2 * self.stride + phase, one, right.next()))
        });
        let pixels = pairs.map(move |(position, one, other)| {
            let span = self.span(position);
            let Some(two) = other else { return [Some((span, Pixels::One([one]))), None] };
            let next = self.span(position + self.stride);
            if next.has_the_taps_of(&span) {
                [Some((span, Pixels::Two([one, two]))), None]
            } else {
                [Some((span, Pixels::One([one]))), Some((next, Pixels::One([two])))]
            }
        });
        pixels.flatten().flatten()
    }

    fn pair_step(&self) -> usize {
        1
    }

    fn phases(&self) -> usize {
        self.stride.max(1)
    }

    fn whole_of_phase(&self, phase: usize, positions: usize) -> Range<usize> {
        let Phase { taps, dilation, pad, skip, .. } = self.phase(phase);
        // Without taps, all see the same.
        let Some(last) = taps.checked_sub(1) else { return 0..positions };
        let end = (self.input + pad).saturating_sub(skip + last * dilation).min(positions);
        pad.min(end)..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// Pairs of tap and input position.
    fn pairs(span: Span) -> Vec<(usize, usize)> {
        let tap = |j: usize| span.tap.checked_add_signed(span.tap_step * j as isize).unwrap();
        (0..span.count).map(|j| (tap(j), span.input + j * span.input_step)).collect()
    }

    /// Which pairs each pixel of a row is given; fails if one comes twice.
    fn row(windows: impl Windows, len: usize) -> Vec<Vec<(usize, usize)>> {
        let mut row: Vec<_> = (0..len * 3).map(|i| i as f32).collect();
        let mut seen = vec![None; len];
        let mut see = |pixel: &[f32], pairs: Vec<(usize, usize)>| {
            assert_eq!(pixel.len(), 3);
            assert_eq!(seen[pixel[0] as usize / 3].replace(pairs), None);
        };
        for (span, pixels) in windows.pixels(&mut row, 3) {
            match pixels {
                Pixels::One([one]) => see(one, pairs(span)),
                Pixels::Two([one, two]) => {
                    see(one, pairs(span));
                    let by = windows.pair_step();
                    see(two, pairs(span).into_iter().map(|(tap, input)| (tap, input + by)).collect());
                }
            }
        }
        seen.into_iter().map(Option::unwrap).collect()
    }

    proptest! {
        #[test]
        fn the_taps_of_a_window_are_those_over_the_input(
            input in 1usize..9, taps in 1usize..6, stride in 1u32..5, dilation in 1u32..4,
            pad in 0u32..9, len in 1usize..9,
        ) {
            let window = Window::new(input, taps, stride, dilation, [pad, 0]);
            let [stride, dilation, pad] = [stride, dilation, pad].map(|v| v as usize);
            let want = |position: usize| -> Vec<_> {
                let at = |tap: usize| (position * stride + tap * dilation).checked_sub(pad);
                (0..taps).filter_map(|tap| Some((tap, at(tap).filter(|at| *at < input)?))).collect()
            };
            let want: Vec<_> = (0..len).map(want).collect();
            prop_assert_eq!((0..len).map(|p| pairs(window.span(p))).collect::<Vec<_>>(), want.clone());
            prop_assert_eq!(window.are_whole(len), want.iter().all(|seen| seen.len() == taps));
            prop_assert_eq!(row(window, len), want);
        }

        #[test]
        fn the_taps_of_a_transposed_window_solve_the_equation(
            input in 1usize..9, taps in 1usize..9, stride in 1u32..9, dilation in 1u32..9,
            crop in 0u32..30, len in 1usize..60,
        ) {
            let window = TransposedWindow::new(input, taps, stride, dilation, crop);
            let want = |position: usize| -> Vec<_> {
                let solves = |&(tap, at): &(usize, usize)| {
                    at * stride as usize + tap * dilation as usize == position + crop as usize
                };
                (0..input).flat_map(|at| (0..taps).map(move |tap| (tap, at))).filter(solves).collect()
            };
            let want: Vec<_> = (0..len).map(want).collect();
            prop_assert_eq!((0..len).map(|p| pairs(window.span(p))).collect::<Vec<_>>(), want.clone());
            prop_assert_eq!(row(window, len), want.clone());
            for phase in 0..window.phases().min(len) {
                let of_phase = |tap: &usize| {
                    let behind = phase as i64 + i64::from(crop) - *tap as i64 * i64::from(dilation);
                    behind.rem_euclid(stride.into()) == 0
                };
                let all = (0..taps).filter(of_phase).count();
                let seen: Vec<_> = want.iter().skip(phase).step_by(window.phases()).map(Vec::len).collect();
                let whole = window.whole_of_phase(phase, seen.len());
                for (at, seen) in seen.iter().enumerate() {
                    prop_assert_eq!(whole.contains(&at), *seen == all, "{} of {}", at, phase);
                }
            }
        }
    }

    #[test]
    fn the_largest_steps_reach_nothing() {
        let window = TransposedWindow::new(1, 2, u32::MAX, 1, 1 << 29);
        assert_eq!(window.span(5).count, 0);
        let window = Window::new(1, 1, u32::MAX, u32::MAX, [0, 0]);
        assert_eq!(pairs(window.span(0)), [(0, 0)]);
        let window = Window::new(1, 1, 1, u32::MAX, [1, 0]);
        assert_eq!([0, 1].map(|position| pairs(window.span(position))), [vec![], vec![(0, 0)]]);
    }
}
