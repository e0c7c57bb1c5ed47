//! Reductions and maps over many elements, some lanes at a time: what softmax, the normalisations and
//! the reductions are made of.
//!
//! A block of memory is cut into rows, of which each takes a stretch of up to [`LANES`] elements. Rows
//! are combined lane by lane, and in the end lanes with each other. So one loop serves both the
//! elements of a vector that lie side by side and vectors that do, as the rows of a matrix are its
//! columns' elements.

use crate::arch::{Arch, Loops, maximum};
use crate::pieces::{pieces, pieces_mut};
use crate::threads::Threads;

/// Elements of a row.
pub(crate) const LANES: usize = 16;

/// One value for each lane.
pub(crate) type Lanes = [f32; LANES];

/// For functions that need none.
pub(crate) const NO_VALUES: Lanes = [0.0; LANES];

/// Which elements of a block make its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// Elements from one row to the next.
    pub(crate) stride: usize,
    /// The first element that is taken of a row.
    pub(crate) first: usize,
    /// How many are taken, at most [`LANES`]. The last row may end before.
    pub(crate) width: usize,
    /// How many neighbouring lanes have one result together.
    pub(crate) shared: usize,
}

/// What an element is taken to cost, in multiply-accumulates.
const COST: usize = 16;

/// What becomes of vectors.
// A closure would be compiled without the instruction set.
pub(crate) trait Vectors: Sync {
    /// Of those that these rows of x are, with the functions of an instruction set.
    fn update<A: Arch>(&self, rows: Rows, x: &mut [f32]);
}

/// Updates the vectors along an axis of `x`, `[outer, len, inner]`: some at a time, where they lie side by side.
#[inline(always)]
pub(crate) fn each_vector<A: Arch>(
    threads: Threads<'_>,
    x: &mut [f32],
    [len, inner]: [usize; 2],
    vectors: &impl Vectors,
) -> Option<()> {
    let together = if inner == 1 { LANES } else { inner };
    let macs = COST * x.len();
    threads.share(x, len * together, macs, |_, x| {
        A::vectorize(All { x, len, inner, vectors });
        Some(())
    })
}

/// All vectors along an axis of x.
struct All<'x, V> {
    x: &'x mut [f32],
    len: usize,
    inner: usize,
    vectors: &'x V,
}

impl<V: Vectors> Loops for All<'_, V> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(self) {
        update_all::<A, V>(self);
    }
}

#[cfg(not(feature = "std"))]
#[inline(always)]
fn update_all<A: Arch, V: Vectors>(All { x, len, inner, vectors }: All<'_, V>) {
    for block in pieces_mut(x, len * inner) {
        for rows in Rows::of_vectors(inner) {
            vectors.update::<A>(rows, block);
        }
    }
}

/// Vectors of at most [`LANES`] elements that lie one behind the other are put side by side, where there are enough of
/// them; lanes beyond the last one have anything. For boards, that would be too much code.
#[cfg(feature = "std")]
#[inline(always)]
fn update_all<A: Arch, V: Vectors>(All { x, len, inner, vectors }: All<'_, V>) {
    let is_short = inner == 1 && len <= LANES && x.len() >= len * (LANES / 2);
    let side_by_side = if is_short { LANES } else { inner };
    let mut beside = [[0.0; LANES]; LANES];
    for block in x.chunks_mut((len * side_by_side).max(1)) {
        let some = if is_short {
            put_beside(block, len, &mut beside);
            beside.get_mut(..len).unwrap_or_default().as_flattened_mut()
        } else {
            &mut *block
        };
        for rows in Rows::of_vectors(side_by_side) {
            vectors.update::<A>(rows, some);
        }
        if is_short {
            put_behind(&beside, len, block);
        }
    }
}

/// Vectors of `len` elements, one behind the other, side by side: an element of each in a row.
#[inline(always)]
pub(crate) fn put_beside<T: Copy, const N: usize>(behind: &[T], len: usize, beside: &mut [[T; N]]) {
    for (lane, vector) in pieces(behind, len).enumerate() {
        let lanes = beside.iter_mut().filter_map(|row| row.get_mut(lane));
        lanes.zip(vector).for_each(|(to, x)| *to = *x);
    }
}

/// Vectors side by side, one behind the other.
#[inline(always)]
pub(crate) fn put_behind<T: Copy, const N: usize>(beside: &[[T; N]], len: usize, behind: &mut [T]) {
    for (lane, vector) in pieces_mut(behind, len).enumerate() {
        let lanes = beside.iter().filter_map(|row| row.get(lane));
        vector.iter_mut().zip(lanes).for_each(|(x, from)| *x = *from);
    }
}

impl Rows {
    /// The rows of `[len, inner]`, the vectors along the first axis being reduced: all in one go if
    /// there is but one vector, else some vectors at a time.
    pub(crate) fn of_vectors(inner: usize) -> impl Iterator<Item = Self> {
        (0..inner).step_by(LANES).map(move |first| match inner {
            1 => Self { stride: LANES, first: 0, width: LANES, shared: LANES },
            _ => Self { stride: inner, first, width: LANES.min(inner - first), shared: 1 },
        })
    }

    /// `x = f(x, lane's value)`.
    #[cfg_attr(feature = "std", inline(always))]
    #[cfg_attr(not(feature = "std"), inline)]
    pub(crate) fn update(&self, x: &mut [f32], values: &Lanes, f: impl Fn(f32, f32) -> f32) {
        if self.stride == LANES && self.shared == LANES {
            // One value for all of x, which needs no rows.
            let [value, ..] = *values;
            return x.iter_mut().for_each(|x| *x = f(*x, value));
        }
        for row in pieces_mut(x, self.stride) {
            let row = row.get_mut(self.first..).and_then(|row| row.get_mut(..self.width));
            let row = row.unwrap_or_default().iter_mut();
            row.zip(values).for_each(|(x, value)| *x = f(*x, *value));
        }
    }

    /// The rows of `f(x, lane's value)` joined lane by lane, then the lanes that share a result.
    /// `identity` changes nothing that it is joined with.
    #[cfg_attr(feature = "std", inline(always))]
    #[cfg_attr(not(feature = "std"), inline)]
    pub(crate) fn reduce(
        &self,
        x: &[f32],
        values: &Lanes,
        identity: f32,
        f: impl Fn(f32, f32) -> f32,
        join: impl Fn(f32, f32) -> f32,
    ) -> Lanes {
        // A short vector by itself has no other block to be joined with.
        #[cfg(feature = "std")]
        if self.stride == LANES && self.shared == LANES && x.len() <= LANES * BLOCK {
            let (mut lanes, rest) = self.whole_rows(x, values, identity, &f, &join);
            for ((joined, x), value) in lanes.iter_mut().zip(rest).zip(values) {
                *joined = join(*joined, f(*x, *value));
            }
            return [joined_lanes(lanes, &join); LANES];
        }
        let mut blocks = Blocks { levels: [[identity; LANES]; LEVELS], count: 0 };
        let stride = self.stride.max(1);
        for block in x.chunks(stride.saturating_mul(BLOCK).max(1)) {
            blocks.push(self.joined_rows(block, values, identity, &f, &join), &join);
        }
        self.share(blocks.joined(identity, &join), &join)
    }

    /// The rows of a block joined lane by lane.
    #[cfg(not(feature = "std"))]
    #[inline(always)]
    fn joined_rows(
        &self,
        block: &[f32],
        values: &Lanes,
        identity: f32,
        f: &impl Fn(f32, f32) -> f32,
        join: &impl Fn(f32, f32) -> f32,
    ) -> Lanes {
        let mut joined = [identity; LANES];
        for row in block.chunks(self.stride.max(1)) {
            let row = row.get(self.first..).unwrap_or_default();
            match row.first_chunk::<LANES>() {
                Some(row) if self.width == LANES => {
                    for ((joined, x), value) in joined.iter_mut().zip(row).zip(values) {
                        *joined = join(*joined, f(*x, *value));
                    }
                }
                _ => {
                    let row = row.iter().take(self.width);
                    for ((joined, x), value) in joined.iter_mut().zip(row).zip(values) {
                        *joined = join(*joined, f(*x, *value));
                    }
                }
            }
        }
        joined
    }

    /// The rows of a block joined lane by lane: first those that are whole. For boards, that would be too much code.
    #[cfg(feature = "std")]
    #[inline(always)]
    fn joined_rows(
        &self,
        block: &[f32],
        values: &Lanes,
        identity: f32,
        f: &impl Fn(f32, f32) -> f32,
        join: &impl Fn(f32, f32) -> f32,
    ) -> Lanes {
        let (mut joined, rest) = self.whole_rows(block, values, identity, f, join);
        for row in rest.chunks(self.stride.max(1)) {
            let row = row.get(self.first..).unwrap_or_default().iter().take(self.width);
            for ((joined, x), value) in joined.iter_mut().zip(row).zip(values) {
                *joined = join(*joined, f(*x, *value));
            }
        }
        joined
    }

    /// The rows of a block joined up to the first one that is not whole, and what is left of the block. The lanes stay in
    /// registers, as no single one is changed.
    #[cfg(feature = "std")]
    #[inline(always)]
    fn whole_rows<'x>(
        &self,
        mut block: &'x [f32],
        values: &Lanes,
        identity: f32,
        f: &impl Fn(f32, f32) -> f32,
        join: &impl Fn(f32, f32) -> f32,
    ) -> (Lanes, &'x [f32]) {
        let mut joined = [identity; LANES];
        while self.width == LANES
            && let Some(row) = block.get(self.first..).and_then(|row| row.first_chunk::<LANES>())
        {
            for ((joined, x), value) in joined.iter_mut().zip(row).zip(values) {
                *joined = join(*joined, f(*x, *value));
            }
            block = block.get(self.stride.max(1)..).unwrap_or_default();
        }
        (joined, block)
    }

    /// Joins the lanes that share a result, which each of them then has.
    #[inline(never)]
    fn share(&self, mut lanes: Lanes, join: &impl Fn(f32, f32) -> f32) -> Lanes {
        for group in lanes.chunks_mut(self.shared.max(1)) {
            let mut len = group.len();
            while len > 1 {
                let half = len.div_ceil(2);
                if let Some((low, high)) = group.get_mut(..len).and_then(|g| g.split_at_mut_checked(half)) {
                    low.iter_mut().zip(high).for_each(|(low, high)| *low = join(*low, *high));
                }
                len = half;
            }
            let result = group.first().copied().unwrap_or_default();
            group.fill(result);
        }
        lanes
    }

    /// `f` of each result, computed once for lanes that share it.
    #[inline]
    pub(crate) fn map(&self, mut lanes: Lanes, f: impl Fn(f32) -> f32) -> Lanes {
        for group in lanes.chunks_mut(self.shared.max(1)).take(self.width) {
            let result = group.first().map_or(0.0, |first| f(*first));
            group.fill(result);
        }
        lanes
    }

    /// The sums of `f(x, lane's value)`.
    #[inline]
    pub(crate) fn sum(&self, x: &[f32], values: &Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
        self.reduce(x, values, 0.0, f, |a, b| a + b)
    }

    /// The largest elements; a NaN stays.
    #[inline]
    pub(crate) fn max(&self, x: &[f32]) -> Lanes {
        self.reduce(x, &NO_VALUES, f32::NEG_INFINITY, |x, _| x, maximum)
    }
}

/// Lanes joined with each other: what [`Rows::share`] gives those that all have one result.
#[cfg(feature = "std")]
#[inline(always)]
fn joined_lanes(mut lanes: Lanes, join: &impl Fn(f32, f32) -> f32) -> f32 {
    let (eight, others) = lanes.split_at_mut(8);
    eight.iter_mut().zip(others).for_each(|(low, high)| *low = join(*low, *high));
    let (four, others) = eight.split_at_mut(4);
    four.iter_mut().zip(others).for_each(|(low, high)| *low = join(*low, *high));
    let [a, b, c, d, ..] = lanes;
    join(join(a, c), join(b, d))
}

/// Rows, or what rows were joined to, that are joined before the result is joined with that of others:
/// so a long sum loses little more than a short one, as its terms do not meet a partial sum much larger
/// than they are.
const BLOCK: usize = 32;

/// `BLOCK` to this power, and once more for the rows of a block, is at least 2³⁰.
const LEVELS: usize = 5;

/// Blocks joined to blocks of blocks, and so on: level i holds what is joined so far of up to 32 of
/// level i − 1.
struct Blocks {
    levels: [Lanes; LEVELS],
    count: usize,
}

impl Blocks {
    #[inline(never)]
    fn push(&mut self, mut block: Lanes, join: &impl Fn(f32, f32) -> f32) {
        let mut count = self.count;
        for level in &mut self.levels {
            let so_far = count % BLOCK;
            if so_far == 0 {
                *level = block;
                break;
            }
            level.iter_mut().zip(block).for_each(|(level, block)| *level = join(*level, block));
            if so_far < BLOCK - 1 {
                break;
            }
            block = *level;
            count /= BLOCK;
        }
        self.count += 1;
    }

    #[inline(never)]
    fn joined(&self, identity: f32, join: &impl Fn(f32, f32) -> f32) -> Lanes {
        let mut joined = [identity; LANES];
        let mut count = self.count;
        for level in &self.levels {
            if !count.is_multiple_of(BLOCK) {
                joined.iter_mut().zip(level).for_each(|(joined, level)| *joined = join(*joined, *level));
            }
            count /= BLOCK;
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn every_element_is_joined_once() {
        for len in [1, 15, 16, 17, 511, 512, 513, 16_383, 16_384, 16_385, 40_000, 530_000] {
            let whole = Rows::of_vectors(1).next().unwrap();
            let sum = whole.sum(&vec![1.0; len], &NO_VALUES, |x, _| x);
            assert_eq!(sum, [len as f32; LANES]);
        }
        for inner in [2, 15, 16, 17, 40] {
            for len in [1, 31, 32, 33, 1_023, 1_024, 1_025, 33_000] {
                let x: vec::Vec<_> = (0..len * inner).map(|i| (i % inner) as f32).collect();
                let mut column = 0;
                for rows in Rows::of_vectors(inner) {
                    for sum in &rows.sum(&x, &NO_VALUES, |x, _| x)[..rows.width] {
                        assert_eq!(*sum, (len * column) as f32);
                        column += 1;
                    }
                }
                assert_eq!(column, inner);
            }
        }
    }

    #[test]
    fn lanes_that_share_a_result_all_have_it() {
        let x: vec::Vec<_> = (0..32).map(|i| i as f32).collect();
        // Columns 4 to 9 of two rows of 16: 24, 26, 28, 30, 32, 34.
        for (shared, want) in [
            (1, [24.0, 26.0, 28.0, 30.0, 32.0, 34.0]),
            (2, [50.0, 50.0, 58.0, 58.0, 66.0, 66.0]),
            (3, [78.0, 78.0, 78.0, 96.0, 96.0, 96.0]),
            (6, [174.0; 6]),
        ] {
            let rows = Rows { stride: 16, first: 4, width: 6, shared };
            assert_eq!(rows.sum(&x, &NO_VALUES, |x, _| x)[..6], want);
        }
    }
}
