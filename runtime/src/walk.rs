//! Walks along several tensors in step, by the longest runs that their strides have in common.

use flatpack_format::{MAX_RANK, Shape};

/// One axis of a walk: its length, and for each tensor the elements from one index to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis<const N: usize> {
    pub(crate) len: usize,
    pub(crate) strides: [isize; N],
}

impl<const N: usize> Axis<N> {
    const SINGLE: Self = Self { len: 1, strides: [0; N] };

    /// Whether `outer`, which encloses this axis, only goes on where this one ends.
    fn continued_by(&self, outer: &Self) -> bool {
        let ends = self.strides.map(|stride| stride * self.len as isize);
        outer.strides == ends
    }
}

/// The positions at which runs begin in `N` tensors, in the order of the axes, over and over.
///
/// Axes that continue each other are one. The innermost that is left is the run: its length and
/// strides are the same everywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<const N: usize> {
    run: Axis<N>,
    /// The others with the index reached in each, innermost first.
    outer: [(Axis<N>, usize); MAX_RANK],
    at: [usize; N],
}

impl<const N: usize> Walk<N> {
    /// A walk from the first element of each tensor along axes, innermost first.
    pub(crate) fn new(axes: impl IntoIterator<Item = Axis<N>>) -> Self {
        let mut run = Axis::SINGLE;
        let mut outer = [(Axis::SINGLE, 0); MAX_RANK];
        let mut free = outer.iter_mut().map(|(axis, _)| axis);
        let mut last = &mut run;
        for axis in axes.into_iter().filter(|axis| axis.len != 1) {
            if last.len == 1 {
                *last = axis;
            } else if last.continued_by(&axis) {
                last.len *= axis.len;
            } else if let Some(next) = free.next() {
                last = next;
                *last = axis;
            }
        }
        Self { run, outer, at: [0; N] }
    }

    /// The same from other elements on.
    pub(crate) fn from(self, at: [usize; N]) -> Self {
        Self { at, ..self }
    }

    /// The same from its first run on as many further.
    pub(crate) fn skipped(mut self, runs: usize) -> Self {
        let mut rest = runs;
        for (axis, index) in &mut self.outer {
            let len = axis.len.max(1);
            *index = rest % len;
            rest /= len;
            advance(&mut self.at, axis.strides.map(|stride| stride * *index as isize));
        }
        self
    }

    /// The same from so many elements of its run on.
    pub(crate) fn moved(mut self, elements: usize) -> Self {
        advance(&mut self.at, self.run.strides.map(|stride| stride * elements as isize));
        self
    }

    /// Length of the runs, at least 1 for tensors that are not empty, and their strides.
    pub(crate) fn run(&self) -> (usize, [isize; N]) {
        (self.run.len, self.run.strides)
    }

    /// Where runs of up to so many elements repeat in some tensors and go on in others: the walk that has the axis which
    /// encloses them as its run, and the elements that each index of it is. Otherwise the walk as it is, and 1.
    pub(crate) fn patterns(self, most: usize) -> (Self, usize) {
        let Axis { len, strides } = self.run;
        let (axis, walk) = self.rows();
        let repeats = |(inner, outer): (isize, isize)| inner == 1 && (outer == 0 || outer == len as isize);
        if len <= most && axis.len > 1 && strides.into_iter().zip(axis.strides).all(repeats) {
            (Self { run: axis, ..walk }, len)
        } else {
            (self, 1)
        }
    }

    /// The innermost of the other axes, and the walk without it.
    pub(crate) fn rows(mut self) -> (Axis<N>, Self) {
        let [(axis, _), ..] = &mut self.outer;
        (core::mem::replace(axis, Axis::SINGLE), self)
    }
}

impl<const N: usize> Iterator for Walk<N> {
    type Item = [usize; N];

    #[inline]
    fn next(&mut self) -> Option<[usize; N]> {
        let now = self.at;
        for (axis, index) in self.outer.iter_mut().filter(|(axis, _)| axis.len != 1) {
            advance(&mut self.at, axis.strides);
            *index += 1;
            if *index < axis.len {
                break;
            }
            advance(&mut self.at, axis.strides.map(|stride| -stride * axis.len as isize));
            *index = 0;
        }
        Some(now)
    }
}

#[inline]
fn advance<const N: usize>(at: &mut [usize; N], by: [isize; N]) {
    at.iter_mut().zip(by).for_each(|(at, by)| *at = at.wrapping_add_signed(by));
}

/// The dimensions of a shape; 1 past its rank.
pub(crate) fn dims(shape: &Shape) -> [usize; MAX_RANK] {
    core::array::from_fn(|axis| shape.dim(axis) as usize)
}

/// The dimensions of a shape as broadcasting lines them up: 1 before the first.
pub(crate) fn broadcast_dims(shape: &Shape) -> [usize; MAX_RANK] {
    let absent = MAX_RANK.saturating_sub(shape.rank());
    core::array::from_fn(|axis| axis.checked_sub(absent).map_or(1, |axis| shape.dim(axis) as usize))
}

/// The elements from one index to the next along each axis of a tensor in `rows`; 0 along axes of
/// length 1, which repeat where another tensor is longer.
pub(crate) fn strides(dims: &[usize; MAX_RANK]) -> [isize; MAX_RANK] {
    let mut strides = [0; MAX_RANK];
    let mut len = 1;
    for (stride, &dim) in strides.iter_mut().zip(dims).rev() {
        if dim != 1 {
            *stride = len;
            len *= dim as isize;
        }
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn walk(dims: [usize; MAX_RANK], strides: [isize; MAX_RANK]) -> Walk<1> {
        Walk::new(dims.into_iter().zip(strides).rev().map(|(len, stride)| Axis { len, strides: [stride] }))
    }

    #[test]
    fn a_whole_tensor_is_one_run() {
        let dims = [2, 3, 1, 4, 5, 1];
        assert_eq!(walk(dims, strides(&dims)).run(), (120, [1]));
    }

    #[test]
    fn a_repeated_scalar_is_one_run_without_stride() {
        assert_eq!(walk([1, 1, 2, 3, 4, 5], [0; MAX_RANK]).run(), (120, [0]));
    }

    #[test]
    fn what_repeats_in_one_tensor_and_goes_on_in_another_is_a_pattern() {
        let axis = |len, strides| Axis { len, strides };
        let rows = Walk::new([axis(3, [1, 1]), axis(4, [0, 3]), axis(2, [3, 12])]);
        let (walk, pattern) = rows.patterns(3);
        assert_eq!((walk.run(), pattern), ((4, [0, 3]), 3));
        assert_eq!(walk.take(2).collect::<Vec<_>>(), [[0, 0], [3, 12]]);
        assert_eq!(rows.patterns(2).1, 1);
    }

    #[test]
    fn runs_that_begin_elsewhere_are_no_patterns() {
        let axis = |len, strides| Axis { len, strides };
        for [inner, outer] in [
            // One has an element for all.
            [axis(3, [0, 1]), axis(4, [1, 3])],
            // One has it for some, and goes on after as many.
            [axis(3, [0, 1]), axis(4, [3, 0])],
            // One goes on after some elements more.
            [axis(3, [1, 1]), axis(4, [0, 6])],
            // There is no axis that encloses them.
            [axis(3, [1, 1]), axis(1, [0, 0])],
        ] {
            let walk = Walk::new([inner, outer]);
            let run = walk.run();
            let (walk, pattern) = walk.patterns(3);
            assert_eq!((walk.run(), pattern), (run, 1));
        }
    }

    #[test]
    fn the_outermost_axis_comes_last() {
        let walk = walk([1, 1, 1, 2, 3, 4], [0, 0, 0, -1, 100, 10]).from([7]);
        assert_eq!(walk.run(), (4, [10]));
        assert_eq!(walk.take(7).flatten().collect::<Vec<_>>(), [7, 107, 207, 6, 106, 206, 7]);
    }
}
