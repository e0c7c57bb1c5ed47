//! Reductions and maps over many elements, some lanes at a time: what softmax, the normalisations and
//! the reductions are made of.
//!
//! A block of memory is cut into rows, of which each takes a stretch of up to [`LANES`] elements. Rows
//! are combined lane by lane, and in the end lanes with each other. So one loop serves both the
//! elements of a vector that lie side by side and vectors that do, as the rows of a matrix are its
//! columns' elements.

use crate::arch::maximum;
use crate::pieces::pieces_mut;

/// Elements of a row.
pub(crate) const LANES: usize = 16;

/// One value for each lane.
pub(crate) type Lanes = [f32; LANES];

/// For functions that need none.
pub(crate) const NO_VALUES: Lanes = [0.0; LANES];

/// Rows combined before the result is combined with that of others: a long sum then loses no more
/// than a short one, as few of its terms meet a much larger partial sum.
const BLOCK: usize = 16;

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

/// Calls `f` for the vectors along an axis of `x`, `[outer, len, inner]`: some at a time, where they
/// lie side by side.
#[inline]
pub(crate) fn each_vector(x: &mut [f32], len: usize, inner: usize, mut f: impl FnMut(Rows, &mut [f32])) {
    for block in pieces_mut(x, len * inner) {
        for rows in Rows::of_vectors(inner) {
            f(rows, block);
        }
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
    #[inline]
    pub(crate) fn update(&self, x: &mut [f32], values: &Lanes, f: impl Fn(f32, f32) -> f32) {
        if self.shared == LANES && self.stride == LANES {
            let [value, ..] = *values;
            return x.iter_mut().for_each(|x| *x = f(*x, value));
        }
        for row in x.chunks_mut(self.stride.max(1)) {
            let row = row.get_mut(self.first..).unwrap_or_default();
            match row.first_chunk_mut::<LANES>() {
                Some(row) if self.width == LANES => {
                    row.iter_mut().zip(values).for_each(|(x, value)| *x = f(*x, *value));
                }
                _ => {
                    let taken = row.iter_mut().zip(values).take(self.width);
                    taken.for_each(|(x, value)| *x = f(*x, *value));
                }
            }
        }
    }

    /// The rows of `f(x, lane's value)` joined lane by lane, then the lanes that share a result.
    /// `identity` changes nothing that it is joined with.
    #[inline]
    pub(crate) fn reduce(
        &self,
        x: &[f32],
        values: &Lanes,
        identity: f32,
        f: impl Fn(f32, f32) -> f32,
        join: impl Fn(f32, f32) -> f32 + Copy,
    ) -> Lanes {
        let mut rows = x.chunks(self.stride.max(1));
        let mut row = || {
            let row = rows.next()?.get(self.first..).unwrap_or_default();
            let mut lanes = [identity; LANES];
            match row.first_chunk::<LANES>() {
                Some(row) if self.width == LANES => {
                    for ((lane, x), value) in lanes.iter_mut().zip(row).zip(values) {
                        *lane = f(*x, *value);
                    }
                }
                _ => {
                    for ((lane, x), value) in lanes.iter_mut().zip(row).zip(values).take(self.width) {
                        *lane = f(*x, *value);
                    }
                }
            }
            Some(lanes)
        };
        let mut block = || join_some(&mut row, BLOCK, join);
        let mut blocks = || join_some(&mut block, BLOCK, join);
        let mut blocks_of_blocks = || join_some(&mut blocks, BLOCK, join);
        let all = join_some(&mut blocks_of_blocks, usize::MAX, join);
        self.share(all.unwrap_or([identity; LANES]), join)
    }

    /// Joins the lanes that share a result, which each of them then has.
    fn share(&self, mut lanes: Lanes, join: impl Fn(f32, f32) -> f32) -> Lanes {
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

/// Joins up to `count` rows.
#[inline(always)]
fn join_some(
    next: &mut impl FnMut() -> Option<Lanes>,
    count: usize,
    join: impl Fn(f32, f32) -> f32,
) -> Option<Lanes> {
    let mut joined = next()?;
    for _ in 1..count {
        let Some(row) = next() else { break };
        joined.iter_mut().zip(row).for_each(|(to, x)| *to = join(*to, x));
    }
    Some(joined)
}
