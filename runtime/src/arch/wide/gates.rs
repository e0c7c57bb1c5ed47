//! Products of recurrent operators: sixteen units of some gates at once.

use super::Sixteen;
use crate::arch::PANEL_LEN;
use crate::weight::Weight;

/// See [`Arch::gates_f32`](crate::arch::Arch::gates_f32). `None` for other tiles than sixteen units.
#[inline(always)]
pub(in crate::arch) fn gates<V: Sixteen, W: Weight, const T: usize, const G: usize>(
    x: &[f32],
    w: [&[[W; PANEL_LEN]]; G],
    sums: &mut [[f32; T]; G],
) -> Option<()> {
    let mut acc = [V::splat(0.0); G];
    for (acc, sums) in acc.iter_mut().zip(sums.iter()) {
        *acc = V::load(sums.first_chunk().filter(|_| T == PANEL_LEN)?);
    }
    let w = {
        let mut rows = w;
        for rows in &mut rows {
            *rows = rows.get(..x.len())?;
        }
        rows
    };
    for (i, x) in x.iter().enumerate() {
        let x = V::splat(*x);
        for (acc, w) in acc.iter_mut().zip(w) {
            *acc = acc.add_product(x, V::load(&w.get(i)?.map(W::real)));
        }
    }
    for (acc, sums) in acc.into_iter().zip(sums) {
        acc.store(sums.first_chunk_mut()?);
    }
    Some(())
}
