//! Products with rows of weights: sixteen elements at a time, of four rows.

use super::Sixteen;
use crate::arch::{PANEL_LEN, Patch, ROW_TILE};
use crate::weight::Weight;

/// See [`Arch::gemm_rows_f32`](crate::arch::Arch::gemm_rows_f32). Each product of a tap is a sum of sixteen sums.
#[inline(always)]
pub(in crate::arch) fn gemm_rows<V: Sixteen, W: Weight, const P: usize>(
    patch: &Patch<'_, P>,
    w: &[W],
    depth: usize,
    y: &mut [&mut [f32]; P],
) -> Option<()> {
    let [planes, rows, columns] = patch.counts;
    let ([x0, x1, x2], [w0, w1, w2]) = (patch.x_steps, patch.w_steps);
    for plane in 0..planes {
        for row in 0..rows {
            for column in 0..columns {
                let x_at = plane * x0 + row * x1 + column * x2;
                let steps =
                    [(plane, w0), (row, w1), (column, w2)].map(|(at, step)| step.wrapping_mul(at as isize));
                let w_at = steps.iter().fold(patch.w_at, |at, step| at.wrapping_add_signed(*step));
                for (x, y) in patch.x.iter().zip(y.iter_mut()) {
                    add_tap::<V, W>(x.get(x_at..)?.get(..patch.len)?, w.get(w_at..)?, depth, y)?;
                }
            }
        }
    }
    Some(())
}

/// `y[o] += Σ x[i] · w[o · depth + i]`.
#[inline(always)]
fn add_tap<V: Sixteen, W: Weight>(x: &[f32], w: &[W], depth: usize, y: &mut [f32]) -> Option<()> {
    let (x, x_rest) = x.as_chunks::<PANEL_LEN>();
    let last = y.len().checked_sub(1)?;
    for first in (0..y.len()).step_by(ROW_TILE) {
        let mut of: [&[W]; ROW_TILE] = [&[]; ROW_TILE];
        for (o, of) in of.iter_mut().enumerate() {
            *of = w.get((first + o).min(last) * depth..)?.get(..x.len() * PANEL_LEN + x_rest.len())?;
        }
        let mut sums = [V::splat(0.0); ROW_TILE];
        for (i, x) in x.iter().enumerate() {
            let x = V::load(x);
            for (sum, w) in sums.iter_mut().zip(of) {
                let w = w.as_chunks::<PANEL_LEN>().0.get(i)?;
                *sum = sum.add_product(x, V::weights(w));
            }
        }
        if !x_rest.is_empty() {
            let x = V::load_part(x_rest);
            for (sum, w) in sums.iter_mut().zip(of) {
                let (_, w_rest) = w.as_chunks::<PANEL_LEN>();
                let w = match W::reals(w_rest) {
                    Some(w) => V::load_part(w),
                    None => {
                        let mut reals = [0.0; PANEL_LEN];
                        reals.iter_mut().zip(w_rest).for_each(|(real, w)| *real = w.real());
                        V::load(&reals)
                    }
                };
                *sum = sum.add_product(x, w);
            }
        }
        y.get_mut(first..)?.iter_mut().zip(V::totals(sums)).for_each(|(y, sum)| *y += sum);
    }
    Some(())
}
