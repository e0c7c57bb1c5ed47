//! The windows of convolutions and pools, along one axis.

use core::ops::Range;

/// A window that moves over a padded input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) input: usize,
    pub(crate) taps: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) pad: usize,
}

impl Window {
    /// The taps of the window at `position` that lie inside the input.
    pub(crate) fn inside(&self, position: usize) -> Range<usize> {
        let dilation = self.dilation.max(1);
        let start = position * self.stride;
        let before = self.pad.saturating_sub(start).div_ceil(dilation);
        let after = (self.input + self.pad).saturating_sub(start).div_ceil(dilation);
        before.min(self.taps)..after.min(self.taps)
    }

    /// The input position under `tap`, one of those inside.
    pub(crate) fn at(&self, position: usize, tap: usize) -> usize {
        (position * self.stride + tap * self.dilation).saturating_sub(self.pad)
    }

    /// The outputs of a row with the position of the first: pairs where both windows lie equally
    /// inside the input, else singles. A pixel has `outputs` elements.
    pub(crate) fn pixels<'y>(
        self,
        row: &'y mut [f32],
        outputs: usize,
    ) -> impl Iterator<Item = (usize, Pixels<'y>)> {
        let mut rest = row.chunks_exact_mut(outputs.max(1));
        let mut position = 0;
        core::iter::from_fn(move || {
            let (at, first) = (position, rest.next()?);
            position += 1;
            if rest.len() == 0 || self.inside(at) != self.inside(position) {
                return Some((at, Pixels::One([first])));
            }
            position += 1;
            Some((at, Pixels::Two([first, rest.next()?])))
        })
    }
}

/// Outputs that are computed at once, so that each weight is loaded once for them.
#[derive(Debug)]
pub(crate) enum Pixels<'y> {
    One([&'y mut [f32]; 1]),
    Two([&'y mut [f32]; 2]),
}

/// A window that the inputs carry over the output: that of a transposed convolution. Input `i`
/// reaches output position `p` through tap `t` where `i · stride + t · dilation = p + crop`.
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

impl TransposedWindow {
    pub(crate) fn new(input: usize, taps: usize, stride: u32, dilation: u32, crop: u32) -> Self {
        let [stride, dilation] = [stride, dilation].map(|v| v.max(1) as usize);
        let (mut divisor, mut rest) = (stride, dilation);
        while let Some(remainder) = divisor.checked_rem(rest) {
            (divisor, rest) = (rest, remainder);
        }
        let divisor = divisor.max(1);
        Self {
            input,
            taps,
            stride,
            dilation,
            crop: crop as usize,
            tap_step: (stride / divisor).max(1),
            input_step: (dilation / divisor).max(1),
        }
    }

    /// The taps that reach output `position`, each with its input position, taps ascending.
    pub(crate) fn reaching(&self, position: usize) -> Reaching {
        self.first_reaching(position).unwrap_or(Reaching {
            tap: 0,
            input: 0,
            count: 0,
            tap_step: 0,
            input_step: 0,
        })
    }

    /// The outputs of a row, each with the taps that reach it: in pairs `stride` apart, the taps being
    /// those of the first, where both have the same; else singles. A pixel has `outputs` elements.
    pub(crate) fn pixels<'y>(
        self,
        row: &'y mut [f32],
        outputs: usize,
    ) -> impl Iterator<Item = (Reaching, Pixels<'y>)> {
        let outputs = outputs.max(1);
        let period = self.stride.saturating_mul(outputs).max(1);
        let halves = row.chunks_mut(period.saturating_mul(2)).enumerate();
        let pairs = halves.flat_map(move |(number, y)| {
            let middle = period.min(y.len());
            let (left, right) = y.split_at_mut_checked(middle).unwrap_or_default();
            let mut right = right.chunks_exact_mut(outputs);
            let left = left.chunks_exact_mut(outputs).enumerate();
            left.map(move |(phase, one)| (number * 2 * self.stride + phase, one, right.next()))
        });
        let pixels = pairs.map(move |(position, one, other)| {
            let taps = self.reaching(position);
            let Some(two) = other else { return [Some((taps, Pixels::One([one]))), None] };
            let next = self.reaching(position + self.stride);
            if taps.is_followed_by(&next) {
                [Some((taps, Pixels::Two([one, two]))), None]
            } else {
                [Some((taps, Pixels::One([one]))), Some((next, Pixels::One([two])))]
            }
        });
        pixels.flatten().flatten()
    }

    fn first_reaching(&self, position: usize) -> Option<Reaching> {
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
        Some(Reaching { tap, input, count, tap_step, input_step })
    }
}

/// Pairs of tap and input position; see [`TransposedWindow::reaching`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaching {
    tap: usize,
    input: usize,
    count: usize,
    tap_step: usize,
    input_step: usize,
}

impl Reaching {
    /// Whether `next` has the same taps, each with the input position after that of `self`.
    fn is_followed_by(&self, next: &Self) -> bool {
        self.tap == next.tap && self.count == next.count && self.input + 1 == next.input
    }
}

impl Iterator for Reaching {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        self.count = self.count.checked_sub(1)?;
        let item = (self.tap, self.input);
        self.tap = self.tap.wrapping_add(self.tap_step);
        self.input = self.input.wrapping_sub(self.input_step);
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn the_taps_inside_are_those_over_the_input(
            input in 1usize..9, taps in 1usize..6, stride in 1usize..5, dilation in 1usize..4,
            pad in 0usize..9, position in 0usize..9,
        ) {
            let window = Window { input, taps, stride, dilation, pad };
            let over = |tap: &usize| {
                let at = position * stride + tap * dilation;
                at >= pad && at - pad < input
            };
            let inside: Vec<_> = window.inside(position).collect();
            prop_assert_eq!(&inside, &(0..taps).filter(over).collect::<Vec<_>>());
            for tap in inside {
                prop_assert_eq!(window.at(position, tap) + pad, position * stride + tap * dilation);
            }
        }

        #[test]
        fn the_taps_that_reach_solve_the_equation(
            input in 1usize..9, taps in 1usize..9, stride in 1u32..9, dilation in 1u32..9,
            crop in 0u32..30, position in 0usize..60,
        ) {
            let window = TransposedWindow::new(input, taps, stride, dilation, crop);
            let solves = |&(tap, at): &(usize, usize)| {
                at * stride as usize + tap * dilation as usize == position + crop as usize
            };
            let pairs = (0..taps).flat_map(|tap| (0..input).map(move |at| (tap, at)));
            let want: Vec<_> = pairs.filter(solves).collect();
            prop_assert_eq!(window.reaching(position).collect::<Vec<_>>(), want);
        }
    }

    proptest! {
        #[test]
        fn each_pixel_of_a_row_comes_once(
            input in 1usize..5, taps in 1usize..5, stride in 1u32..5, dilation in 1u32..4,
            crop in 0u32..5, len in 1usize..20,
        ) {
            let window = TransposedWindow::new(input, taps, stride, dilation, crop);
            let mut row = std::vec![0.0; len * 3];
            let mut seen = 0;
            for (reaching, pixels) in window.pixels(&mut row, 3) {
                let shifted = |by: usize| reaching.map(move |(tap, at)| (tap, at + by));
                let mut mark = |pixel: &mut [f32], by: usize| {
                    seen += 1;
                    pixel[0] += 1.0;
                    pixel[1] = shifted(by).map(|(tap, _)| tap as f32 + 1.0).sum();
                    pixel[2] = shifted(by).map(|(_, at)| at as f32 + 1.0).sum();
                };
                match pixels {
                    Pixels::One([one]) => mark(one, 0),
                    Pixels::Two([one, two]) => {
                        mark(one, 0);
                        mark(two, 1);
                    }
                }
            }
            prop_assert_eq!(seen, len);
            for (position, pixel) in row.chunks_exact(3).enumerate() {
                let taps: f32 = window.reaching(position).map(|(tap, _)| tap as f32 + 1.0).sum();
                let inputs: f32 = window.reaching(position).map(|(_, at)| at as f32 + 1.0).sum();
                prop_assert_eq!(pixel, &[1.0, taps, inputs]);
            }
        }
    }

    #[test]
    fn steps_that_fit_no_integer_reach_nothing() {
        let window = TransposedWindow::new(1, 2, u32::MAX, 1, 1 << 29);
        assert_eq!(window.reaching(5).count(), 0);
    }
}
