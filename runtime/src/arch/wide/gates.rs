//! Products of recurrent operators: sixteen units of some gates at once.

use super::Sixteen;
use crate::arch::{PANEL_LEN, Panel};
use crate::weight::Weight;

/// See [`Arch::gates_f32`](crate::arch::Arch::gates_f32). `None` for other tiles than sixteen units.
#[inline(always)]
pub(in crate::arch) fn gates<V: Sixteen, W: Weight, const T: usize, const G: usize>(
    x: &[f32],
    panel: &Panel<'_, W>,
    gates: [usize; G],
    sums: &mut [[f32; T]; G],
) -> Option<()> {
    let mut acc = [V::splat(0.0); G];
    for (acc, sums) in acc.iter_mut().zip(sums.iter()) {
        *acc = V::load(sums.first_chunk().filter(|_| T == PANEL_LEN)?);
    }
    if panel.gates == G && gates.is_sorted() {
        // All of them, in their order.
        for (x, w) in x.iter().zip(panel.w.as_chunks().0) {
            add_products(&mut acc, *x, w);
        }
    } else {
        for (x, w) in x.iter().zip(panel.w.chunks(panel.gates.max(1))) {
            let mut of_gates = [[W::zeroed(); PANEL_LEN]; G];
            for (of_gate, gate) in of_gates.iter_mut().zip(gates) {
                *of_gate = *w.get(gate)?;
            }
            add_products(&mut acc, *x, &of_gates);
        }
    }
    for (acc, sums) in acc.into_iter().zip(sums) {
        acc.store(sums.first_chunk_mut()?);
    }
    Some(())
}

/// `acc[gate] += x · w[gate]`.
// No closure: it would not be compiled for the instruction set, but where it is inlined.
#[inline(always)]
fn add_products<V: Sixteen, W: Weight, const G: usize>(acc: &mut [V; G], x: f32, w: &[[W; PANEL_LEN]; G]) {
    let x = V::splat(x);
    for (acc, w) in acc.iter_mut().zip(w) {
        *acc = acc.add_product(x, V::weights(w));
    }
}

/// See [`Arch::gate_rows_f32`](crate::arch::Arch::gate_rows_f32).
#[inline(always)]
pub(in crate::arch) fn gate_rows<V: Sixteen, W: Weight, const P: usize>(
    x: [&[f32]; P],
    panel: &Panel<'_, W>,
    gate: usize,
    sums: &mut [[f32; PANEL_LEN]; P],
) -> Option<()> {
    let mut acc = [V::splat(0.0); P];
    for (acc, sums) in acc.iter_mut().zip(sums.iter()) {
        *acc = V::load(sums);
    }
    let depth = x.first()?.len();
    let mut rows: [&[f32]; P] = [&[]; P];
    for (row, x) in rows.iter_mut().zip(x) {
        *row = x.get(..depth)?;
    }
    for (i, w) in panel.w.get(gate..)?.iter().step_by(panel.gates.max(1)).enumerate().take(depth) {
        let w = V::weights(w);
        for (acc, x) in acc.iter_mut().zip(rows) {
            *acc = acc.add_product(V::splat(*x.get(i)?), w);
        }
    }
    for (acc, sums) in acc.into_iter().zip(sums) {
        acc.store(sums);
    }
    Some(())
}
