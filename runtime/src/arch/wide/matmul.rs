//! Products of two matrices that are both computed: tiles of rows and of columns, sixteen each.

use super::blocks::Room;
use super::conv::tile;
use super::{Apart, Sixteen, in_tiles};
use crate::arch::PANEL_LEN;
use crate::pieces::pieces;
use core::marker::PhantomData;

/// Times sixteen elements that there is room for: 32 KiB.
const ROOM: usize = if cfg!(test) { 64 } else { 512 };

/// See [`Arch::matmul_f32`](crate::arch::Arch::matmul_f32). `None` for columns that there is no room for.
#[inline(always)]
pub(in crate::arch) fn matmul<V: Sixteen>(
    a: &[f32],
    b: &[f32],
    [m, k, n]: [usize; 3],
    transposed: bool,
    y: &mut [f32],
) -> Option<()> {
    if (transposed || n < PANEL_LEN) && k > ROOM {
        return None;
    }
    let product = Product { a, b, m, k, n, transposed };
    in_tiles!(V, tile::<V, f32>(m) => product.columns(y))
}

/// a `[m, k]` and b `[k, n]`, or `[n, k]` if it is transposed.
struct Product<'a> {
    a: &'a [f32],
    b: &'a [f32],
    m: usize,
    k: usize,
    n: usize,
    transposed: bool,
}

impl Product<'_> {
    /// In tiles of `P` rows and `N` times sixteen columns.
    #[inline(always)]
    fn columns<V: Sixteen, const P: usize, const N: usize>(&self, y: &mut [f32]) -> Option<()> {
        let &Self { k, n, transposed, .. } = self;
        let in_place = !transposed && n >= PANEL_LEN;
        let mut room = Room::<f32, ROOM>::unwritten();
        let mut at = 0;
        while at < n {
            let many = at + N * PANEL_LEN <= n && (in_place || k * N <= ROOM);
            let len = if many { N * PANEL_LEN } else { PANEL_LEN };
            // The last ones begin early enough to be sixteen.
            let first = at.min(n.saturating_sub(len));
            let (w, stride) = if in_place {
                (self.b.get(first..)?, n)
            } else {
                let to = room.zeros(k * len / PANEL_LEN)?.as_flattened_mut();
                self.put(first, len, to);
                (&*to, len)
            };
            let columns = Columns { w, stride, first, some: len.min(n) };
            match many {
                true => self.rows::<V, P, N>(&columns, y)?,
                false => self.rows::<V, P, 1>(&columns, y)?,
            }
            at += len;
        }
        Some(())
    }

    /// Rows of `len` columns from `first` on.
    #[inline(always)]
    fn put(&self, first: usize, len: usize, to: &mut [f32]) {
        let &Self { b, k, n, transposed, .. } = self;
        if transposed {
            for (column, b) in pieces(b, k).skip(first).take(len).enumerate() {
                let to = to.iter_mut().skip(column).step_by(len);
                to.zip(b).for_each(|(to, b)| *to = *b);
            }
        } else {
            for (to, b) in to.chunks_mut(len).zip(pieces(b, n)) {
                to.iter_mut().zip(b).for_each(|(to, b)| *to = *b);
            }
        }
    }

    /// All rows of some columns of y.
    #[inline(always)]
    fn rows<V: Sixteen, const P: usize, const N: usize>(&self, w: &Columns<'_>, y: &mut [f32]) -> Option<()> {
        let &Self { a, m, k, n, .. } = self;
        let last = m.checked_sub(P)?;
        // The last tile begins early enough to be a whole one.
        for row in (0..last).step_by(P).chain([last]) {
            let tile = Tile::<V, P, N> { a: a.get(row * k..)?, k, w, n, registers: PhantomData };
            V::apart(&tile, y.get_mut(row * n + w.first..)?)?;
        }
        Some(())
    }
}

/// Columns of b, as rows of them.
struct Columns<'a> {
    w: &'a [f32],
    /// From a row to the next.
    stride: usize,
    /// Where they are in y, and how many.
    first: usize,
    some: usize,
}

/// `P` rows and `N` times sixteen columns.
struct Tile<'a, V, const P: usize, const N: usize> {
    /// From the first row on.
    a: &'a [f32],
    k: usize,
    w: &'a Columns<'a>,
    /// Elements of a row of y.
    n: usize,
    registers: PhantomData<V>,
}

impl<V: Sixteen, const P: usize, const N: usize> Apart for Tile<'_, V, P, N> {
    /// `y[p][c] = Σ a[p][i] · w[i][c]`, in the order of i.
    #[inline(always)]
    fn run(&self, y: &mut [f32]) -> Option<()> {
        let &Self { a, k, w: &Columns { w, stride, some, .. }, n, .. } = self;
        let mut a_of: [&[f32]; P] = [&[]; P];
        for (p, of) in a_of.iter_mut().enumerate() {
            *of = a.get(p * k..)?.get(..k)?;
        }
        let mut sums = [[V::splat(0.0); N]; P];
        let [of_first, others @ ..] = &a_of[..] else { return None };
        for (i, (of_first, w)) in of_first.iter().zip(w.chunks(stride.max(1))).enumerate() {
            let w: &[_; N] = w.as_chunks::<PANEL_LEN>().0.first_chunk()?;
            let mut w_of = [V::splat(0.0); N];
            for (w_of, w) in w_of.iter_mut().zip(w) {
                *w_of = V::load(w);
            }
            let mut a = [V::splat(*of_first); P];
            for (a, of) in a.iter_mut().skip(1).zip(others) {
                *a = V::splat(*of.get(i)?);
            }
            for (sums, a) in sums.iter_mut().zip(a) {
                for (sum, w) in sums.iter_mut().zip(w_of) {
                    *sum = sum.add_product(a, w);
                }
            }
        }
        for (p, sums) in sums.iter().enumerate() {
            let mut y = y.get_mut(p * n..)?;
            y = y.get_mut(..some)?;
            // As often as there are sums, so that they stay in registers.
            for sum in sums {
                let (of_sum, rest) = y.split_at_mut(y.len().min(PANEL_LEN));
                sum.store_part(of_sum);
                y = rest;
            }
        }
        Some(())
    }
}
