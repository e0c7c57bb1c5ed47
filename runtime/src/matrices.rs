//! Products of two matrices that are both computed, of which there may be many.

use crate::threads::Threads;

#[cfg(feature = "std")]
pub(crate) use integers::product;

/// Calls f with rows of y, `[…, m, n]`, that are of one matrix, side by side if so many multiply-accumulates make it worth
/// that: with the number of the first row of all, that of the matrix, and how many rows there are.
#[inline(always)]
pub(crate) fn each_matrix<T: Send>(
    threads: Threads<'_>,
    y: &mut [T],
    [m, n]: [usize; 2],
    macs: usize,
    f: impl Fn(usize, usize, usize, &mut [T]) -> Option<()> + Sync,
) -> Option<()> {
    threads.share(y, n, macs, |mut row, mut y| {
        while !y.is_empty() {
            let (matrix, first) = (row.checked_div(m)?, row.checked_rem(m)?);
            let count = (m - first).min(y.len().checked_div(n)?).max(1);
            let (of_matrix, rest) = y.split_at_mut_checked(count * n)?;
            f(row, matrix, count, of_matrix)?;
            (row, y) = (row + count, rest);
        }
        Some(())
    })
}

#[cfg(feature = "std")]
mod integers {
    use crate::arch::{Arch, Loops};
    use crate::fixed;
    use crate::pieces::{pieces, pieces_mut};
    use flatpack_format::ops::batch_matmul_i8::BatchMatmulI8Params;

    /// Elements that are multiplied until sums are integers again: each product is at most 255², and integers up to 2²⁴ are
    /// reals of 32 bits without rounding.
    const DEPTH: usize = if cfg!(test) { 24 } else { 256 };
    const _: () = assert!(DEPTH * 255 * 255 < 1 << 24);

    /// Columns and rows that are computed together.
    const COLUMNS: usize = 32;
    const ROWS: usize = if cfg!(test) { 7 } else { 56 };

    /// Rows of a as reals.
    const ROWS_OF_A: usize = 14;

    /// `y[m, n] = requantize(Σₖ (a[m, k] − za) · (b[k, n] − zb))`, or of `b[n, k]` if it is transposed, as products of reals:
    /// they are the same integers. `None` if the instruction set has no loop for them: y is then to be computed anew.
    pub(crate) fn product<A: Arch>(
        a: &[i8],
        b: &[i8],
        [k, n]: [usize; 2],
        params: &BatchMatmulI8Params,
        y: &mut [i8],
    ) -> Option<()> {
        let (mut b_reals, mut sums) = ([0.0; DEPTH * COLUMNS], [0; ROWS * COLUMNS]);
        for column in (0..n).step_by(COLUMNS) {
            let columns = COLUMNS.min(n - column);
            for (a, y) in a.chunks(ROWS * k).zip(y.chunks_mut(ROWS * n)) {
                let sums = sums.get_mut(..y.len().checked_div(n)? * columns)?;
                sums.fill(0);
                for from in (0..k).step_by(DEPTH) {
                    let depth = DEPTH.min(k - from);
                    let b_reals = b_reals.get_mut(..depth * columns)?;
                    let part = Part { k, n, from, depth, column, columns };
                    A::vectorize(RealsOfB { b, params, part, reals: b_reals })?;
                    A::vectorize(Sums { a, params, part, b: b_reals, sums })?;
                }
                A::vectorize(Elements {
                    sums,
                    params,
                    part: Part { k, n, from: 0, depth: 0, column, columns },
                    y,
                })?;
            }
        }
        Some(())
    }

    /// Some columns of y, and what is multiplied of a and b at once.
    #[derive(Clone, Copy)]
    struct Part {
        k: usize,
        n: usize,
        from: usize,
        depth: usize,
        column: usize,
        columns: usize,
    }

    struct RealsOfB<'a> {
        b: &'a [i8],
        params: &'a BatchMatmulI8Params,
        part: Part,
        /// `[depth, columns]`.
        reals: &'a mut [f32],
    }

    impl Loops for RealsOfB<'_> {
        type Output = Option<()>;

        #[inline(always)]
        fn run<A: Arch>(self) -> Option<()> {
            let Self { b, params, part: Part { k, n, from, depth, column, columns }, reals } = self;
            let zero = params.b_zero_point as f32;
            if params.transpose_b == 1 {
                for (column, b) in b.get(column * k..)?.chunks(k).take(columns).enumerate() {
                    let to = reals.iter_mut().skip(column).step_by(columns);
                    to.zip(b.get(from..)?.get(..depth)?).for_each(|(to, b)| *to = f32::from(*b) - zero);
                }
            } else {
                for (to, b) in reals.chunks_mut(columns).zip(b.get(from * n..)?.chunks(n)) {
                    let b = b.get(column..)?;
                    to.iter_mut().zip(b).for_each(|(to, b)| *to = f32::from(*b) - zero);
                }
            }
            Some(())
        }
    }

    struct Sums<'a> {
        a: &'a [i8],
        params: &'a BatchMatmulI8Params,
        part: Part,
        b: &'a [f32],
        /// `[rows, columns]`.
        sums: &'a mut [i32],
    }

    impl Loops for Sums<'_> {
        type Output = Option<()>;

        #[inline(always)]
        fn run<A: Arch>(self) -> Option<()> {
            let Self { a, params, part: Part { k, from, depth, columns, .. }, b, sums } = self;
            let zero = params.a_zero_point as f32;
            let (mut reals, mut products) = ([0.0; ROWS_OF_A * DEPTH], [0.0; ROWS_OF_A * COLUMNS]);
            for (a, sums) in a.chunks(ROWS_OF_A * k).zip(sums.chunks_mut(ROWS_OF_A * columns)) {
                let rows = sums.len().checked_div(columns)?;
                let reals = reals.get_mut(..rows * depth)?;
                for (to, a) in reals.chunks_mut(depth).zip(a.chunks(k)) {
                    to.iter_mut().zip(a.get(from..)?).for_each(|(to, a)| *to = f32::from(*a) - zero);
                }
                let products = products.get_mut(..sums.len())?;
                A::matmul_f32(reals, b, [rows, depth, columns], false, products)?;
                sums.iter_mut().zip(products).for_each(|(sum, p)| *sum = sum.wrapping_add(*p as i32));
            }
            Some(())
        }
    }

    struct Elements<'a> {
        sums: &'a [i32],
        params: &'a BatchMatmulI8Params,
        part: Part,
        y: &'a mut [i8],
    }

    impl Loops for Elements<'_> {
        type Output = Option<()>;

        #[inline(always)]
        fn run<A: Arch>(self) -> Option<()> {
            let Self { sums, params, part: Part { n, column, columns, .. }, y } = self;
            for (y, sums) in pieces_mut(y, n).zip(pieces(sums, columns)) {
                for (y, sum) in y.get_mut(column..)?.iter_mut().zip(sums) {
                    *y = fixed::requantize(*sum, params.multiplier, &params.y);
                }
            }
            Some(())
        }
    }
}
