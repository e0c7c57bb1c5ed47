//! The loops that are the truth: what an instruction set does not do faster.

use super::patch::{map, stretch};
use super::{Arch, LANES, PANEL_LEN, Panel, Patch, ROW_TILE};
use crate::gemm::rows_from;
use crate::weight::Weight;
use flatpack_format::{PAIR_GROUP, PANEL_GROUP, pairs_at};

/// Only the portable bodies.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Arch for Portable {
    type Scratch = ();
}

/// See [`Arch::gemm_rows_f32`].
#[inline(always)]
pub(super) fn gemm_rows_f32<A: Arch + ?Sized, const P: usize, W: Weight>(
    patch: &Patch<'_, P>,
    w: &[W],
    depth: usize,
    y: &mut [&mut [f32]; P],
) -> Option<()> {
    let outputs = y.first()?.len();
    for first in (0..outputs).step_by(ROW_TILE) {
        let rows = rows_from(w, depth, first, outputs)?;
        let mut sums = [[0.0; ROW_TILE]; P];
        for (sums, y) in sums.iter_mut().zip(y.iter()) {
            sums.iter_mut().zip(y.get(first..)?).for_each(|(sum, y)| *sum = *y);
        }
        A::gemm_tile_f32_rows(patch, rows, &mut sums)?;
        for (sums, y) in sums.iter().zip(y.iter_mut()) {
            y.get_mut(first..)?.iter_mut().zip(sums).for_each(|(y, sum)| *y = *sum);
        }
    }
    Some(())
}

/// See [`Arch::gates_f32`].
#[inline(always)]
pub(super) fn gates_f32<W: Weight, const T: usize, const G: usize>(
    x: &[f32],
    panel: &Panel<'_, W>,
    gates: [usize; G],
    first: usize,
    sums: &mut [[f32; T]; G],
) -> Option<()> {
    for (x, w) in x.iter().zip(panel.w.chunks(panel.gates.max(1))) {
        for (sums, gate) in sums.iter_mut().zip(gates) {
            let w = w.get(gate)?.get(first..)?;
            sums.iter_mut().zip(w).for_each(|(sum, w)| *sum += x * w.real());
        }
    }
    Some(())
}

/// See [`Arch::gemm_tile_f32_panel16`].
#[inline(always)]
pub(super) fn gemm_tile_f32_panel16<const P: usize, W: Weight>(
    patch: &Patch<'_, P>,
    w: &[[W; PANEL_LEN]],
    sums: &mut [[f32; PANEL_LEN]; P],
) -> Option<()> {
    let mut acc = *sums;
    let x = patch.of_equal_len()?;
    patch.try_each_tap(|x_at, w_at| {
        let x = map(x, |x| stretch(x, x_at, patch.len))?;
        for (i, w) in stretch(w, w_at, patch.len)?.iter().enumerate() {
            let w = w.map(W::real);
            for (acc, x) in acc.iter_mut().zip(x) {
                let x = x.get(i)?;
                for (acc, w) in acc.iter_mut().zip(&w) {
                    *acc += x * w;
                }
            }
        }
        Some(())
    })?;
    *sums = acc;
    Some(())
}

/// See [`Arch::gemm_tile_f32_rows`].
#[inline(always)]
pub(super) fn gemm_tile_f32_rows<const P: usize, W: Weight>(
    patch: &Patch<'_, P>,
    w: [&[W]; ROW_TILE],
    sums: &mut [[f32; ROW_TILE]; P],
) -> Option<()> {
    let mut acc = *sums;
    let x = patch.of_equal_len()?;
    let depth = w.first()?.len();
    let w = map(w, |w| w.get(..depth))?;
    patch.try_each_tap(|x_at, w_at| {
        let x = map(x, |x| stretch(x, x_at, patch.len))?;
        let [w0, w1, w2, w3] = map(w, |w| stretch(w, w_at, patch.len))?;
        for (i, (((w0, w1), w2), w3)) in w0.iter().zip(w1).zip(w2).zip(w3).enumerate() {
            let [w0, w1, w2, w3] = [*w0, *w1, *w2, *w3].map(W::real);
            for (acc, x) in acc.iter_mut().zip(x) {
                let x = x.get(i)?;
                let [a0, a1, a2, a3] = acc;
                *a0 += x * w0;
                *a1 += x * w1;
                *a2 += x * w2;
                *a3 += x * w3;
            }
        }
        Some(())
    })?;
    *sums = acc;
    Some(())
}

/// See [`Arch::gemm_tile_i8_rows`].
#[inline(always)]
pub(super) fn gemm_tile_i8_rows<A: Arch + ?Sized, const P: usize>(
    patch: &Patch<'_, P, i8>,
    offset: i16,
    w: [&[i8]; ROW_TILE],
    sums: &mut [[i32; ROW_TILE]; P],
) -> Option<()> {
    let mut acc = *sums;
    let x = patch.of_equal_len()?;
    patch.try_each_tap(|x_at, w_at| {
        let x = map(x, |x| stretch(x, x_at, patch.len))?;
        for (x, acc) in x.iter().zip(&mut acc) {
            // Nearly all patches have no offset.
            if offset == 0 {
                A::four_sums_i8(acc, x, &w, w_at)?;
            } else {
                *acc = four_sums_i8(*acc, x, offset, rows_of(&w, w_at, patch.len)?);
            }
        }
        Some(())
    })?;
    *sums = acc;
    Some(())
}

/// See [`Arch::gemm_tile_i8_pairs`].
#[inline(always)]
pub(super) fn gemm_tile_i8_pairs<const P: usize>(
    patch: &Patch<'_, P, i8>,
    offset: i16,
    w: &[i8],
    sums: &mut [[i32; 2]; P],
) -> Option<()> {
    let mut acc = *sums;
    let x = patch.of_equal_len()?;
    patch.try_each_tap(|x_at, w_at| {
        let x = map(x, |x| stretch(x, x_at, patch.len))?;
        let mut done = 0;
        if w_at.is_multiple_of(PAIR_GROUP as usize) {
            // Groups as they lie.
            let (groups, _) = w.get(pairs_at(w_at)..)?.as_chunks();
            for (acc, x) in acc.iter_mut().zip(x) {
                *acc = two_sums_i8(*acc, x, offset, groups);
            }
            done = patch.len.min(groups.len() * 4) / 4 * 4;
        }
        for i in done..patch.len {
            let w: [i8; 2] = *w.get(pairs_at(w_at.wrapping_add(i))..)?.first_chunk()?;
            for (acc, x) in acc.iter_mut().zip(x) {
                let x = *x.get(i)?;
                for (acc, w) in acc.iter_mut().zip(w) {
                    *acc = acc.wrapping_add(product_i8(x, offset, w));
                }
            }
        }
        Some(())
    })?;
    *sums = acc;
    Some(())
}

/// See [`Arch::gemm_tile_i8_panel16x4`].
#[inline(always)]
pub(super) fn gemm_tile_i8_panel16x4<const P: usize>(
    patch: &Patch<'_, P, i8>,
    offset: i16,
    w: &[i8],
    sums: &mut [[i32; PANEL_LEN]; P],
) -> Option<()> {
    let mut acc = *sums;
    let x = patch.of_equal_len()?;
    let (groups, _) = w.as_chunks::<{ PANEL_LEN * PANEL_GROUP as usize }>();
    patch.try_each_tap(|x_at, w_at| {
        let x = map(x, |x| stretch(x, x_at, patch.len))?;
        for i in 0..patch.len {
            let w_at = w_at.wrapping_add(i);
            let (w, _) = groups.get(w_at / 4)?.as_chunks::<4>();
            for (acc, x) in acc.iter_mut().zip(x) {
                let x = *x.get(i)?;
                for (acc, w) in acc.iter_mut().zip(w) {
                    *acc = acc.wrapping_add(product_i8(x, offset, *w.get(w_at % 4)?));
                }
            }
        }
        Some(())
    })?;
    *sums = acc;
    Some(())
}

/// See [`Arch::sum_i8`].
#[inline(always)]
pub(super) fn sum_i8(patch: &Patch<'_, 1, i8>, offset: i16) -> Option<i32> {
    let mut sum = 0i32;
    let [x] = patch.x;
    patch.try_each_tap(|x_at, _| {
        let x = stretch(x, x_at, patch.len)?.iter();
        sum = x.fold(sum, |sum, &x| sum.wrapping_add((i16::from(x).wrapping_add(offset)).into()));
        Some(())
    })?;
    Some(sum)
}

/// See [`Arch::gemm_tile_f32_columns`].
#[inline(always)]
pub(super) fn gemm_tile_f32_columns<const P: usize>(
    x: [&[f32]; P],
    w: &[f32],
    stride: usize,
    sums: &mut [[f32; PANEL_LEN]; P],
) -> Option<()> {
    let mut acc = *sums;
    let depth = x.first()?.len();
    let x = map(x, |x| x.get(..depth))?;
    let mut rows = w.chunks(stride.max(1));
    for i in 0..depth {
        let w: &[f32; PANEL_LEN] = rows.next()?.first_chunk()?;
        for (acc, x) in acc.iter_mut().zip(x) {
            let x = x.get(i)?;
            for (acc, w) in acc.iter_mut().zip(w) {
                *acc += x * w;
            }
        }
    }
    *sums = acc;
    Some(())
}

/// See [`Arch::depthwise_f32`].
#[inline(always)]
pub(super) fn depthwise_f32<A: Arch + ?Sized, const P: usize, W: Weight>(
    patch: &Patch<'_, P>,
    w: &[W],
    y: &mut [&mut [f32]; P],
) -> Option<()> {
    let last = patch.len.checked_sub(LANES)?;
    let mut done = 0;
    for first in (0..last).step_by(LANES).chain([last]) {
        let mut sums = [[0.0; LANES]; P];
        for (sums, y) in sums.iter_mut().zip(y.iter()) {
            *sums = *y.get(first..)?.first_chunk()?;
        }
        // A window that sees no tap may have no x.
        let x = patch.x.map(|x| x.get(first..).unwrap_or_default());
        A::depthwise_tile_f32(&Patch { x, ..*patch }, w.get(first..)?, &mut sums)?;
        // The last tile begins early enough to be a whole one.
        let again = done - first;
        for (sums, y) in sums.iter().zip(y.iter_mut()) {
            y.get_mut(done..)?.iter_mut().zip(sums.get(again..)?).for_each(|(y, sum)| *y = *sum);
        }
        done = first + LANES;
    }
    Some(())
}

/// See [`Arch::depthwise_tile_f32`].
#[inline(always)]
pub(super) fn depthwise_tile_f32<const P: usize, W: Weight>(
    patch: &Patch<'_, P>,
    w: &[W],
    sums: &mut [[f32; LANES]; P],
) -> Option<()> {
    let mut acc = *sums;
    let x = patch.of_equal_len()?;
    patch.try_each_tap(|x_at, w_at| {
        let w: &[W; LANES] = w.get(w_at..)?.first_chunk()?;
        let w = w.map(W::real);
        for (acc, x) in acc.iter_mut().zip(x) {
            let x: &[f32; LANES] = x.get(x_at..)?.first_chunk()?;
            for ((acc, x), w) in acc.iter_mut().zip(x).zip(&w) {
                *acc += x * w;
            }
        }
        Some(())
    })?;
    *sums = acc;
    Some(())
}

/// See [`Arch::depthwise_tile_i8`].
#[inline(always)]
pub(super) fn depthwise_tile_i8<const P: usize>(
    patch: &Patch<'_, P, i8>,
    offset: i16,
    w: &[i8],
    sums: &mut [[i32; LANES]; P],
) -> Option<()> {
    let mut acc = *sums;
    let x = patch.of_equal_len()?;
    patch.try_each_tap(|x_at, w_at| {
        let w: &[i8; LANES] = w.get(w_at..)?.first_chunk()?;
        for (acc, x) in acc.iter_mut().zip(x) {
            let x: &[i8; LANES] = x.get(x_at..)?.first_chunk()?;
            for ((acc, &x), &w) in acc.iter_mut().zip(x).zip(w) {
                *acc = acc.wrapping_add(product_i8(x, offset, w));
            }
        }
        Some(())
    })?;
    *sums = acc;
    Some(())
}

/// See [`Arch::gemm_tile_i8_columns`].
#[inline(always)]
pub(super) fn gemm_tile_i8_columns<const P: usize>(
    patch: &Patch<'_, P, i8>,
    offset: i16,
    w: &[i8],
    sums: &mut [[i32; LANES]; P],
) -> Option<()> {
    let mut acc = *sums;
    let x = patch.of_equal_len()?;
    patch.try_each_tap(|x_at, w_at| {
        let w: &[i8; LANES] = w.get(w_at..)?.first_chunk()?;
        for (acc, x) in acc.iter_mut().zip(x) {
            let x = *x.get(x_at)?;
            for (acc, &w) in acc.iter_mut().zip(w) {
                *acc = acc.wrapping_add(product_i8(x, offset, w));
            }
        }
        Some(())
    })?;
    *sums = acc;
    Some(())
}

#[inline(always)]
pub(super) fn fold_tile<T: Copy, S: Copy>(
    patch: &Patch<'_, 1, T>,
    lanes: &mut [S; LANES],
    f: impl Fn(S, T) -> S,
) -> Option<()> {
    let mut acc = *lanes;
    let [x] = patch.x;
    patch.try_each_tap(|x_at, _| {
        let x: &[T; LANES] = x.get(x_at..)?.first_chunk()?;
        for (acc, x) in acc.iter_mut().zip(x) {
            *acc = f(*acc, *x);
        }
        Some(())
    })?;
    *lanes = acc;
    Some(())
}

#[inline(always)]
pub(super) fn fold<T: Copy, S: Copy, const N: usize>(folded: &mut [S; N], x: &[T; N], f: impl Fn(S, T) -> S) {
    folded.iter_mut().zip(x).for_each(|(folded, x)| *folded = f(*folded, *x));
}

/// Four sums in one loop, as x is loaded and widened once for them: `sums[o] += Σ (x[i] + offset) · w[o][i]`.
#[inline(always)]
pub(super) fn four_sums_i8(
    sums: [i32; ROW_TILE],
    x: &[i8],
    offset: i16,
    w: [&[i8]; ROW_TILE],
) -> [i32; ROW_TILE] {
    let ([mut a0, mut a1, mut a2, mut a3], [w0, w1, w2, w3]) = (sums, w);
    for ((((&x, &w0), &w1), &w2), &w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
        a0 = a0.wrapping_add(product_i8(x, offset, w0));
        a1 = a1.wrapping_add(product_i8(x, offset, w1));
        a2 = a2.wrapping_add(product_i8(x, offset, w2));
        a3 = a3.wrapping_add(product_i8(x, offset, w3));
    }
    [a0, a1, a2, a3]
}

/// See [`Arch::one_sum_i8`].
#[inline(always)]
pub(super) fn one_sum_i8(sum: i32, x: &[i8], w: &[i8]) -> i32 {
    x.iter().zip(w).fold(sum, |sum, (&x, &w)| sum.wrapping_add(product_i8(x, 0, w)))
}

/// For a pixel and one output: `sum + Σ x[tap][i] · w[tap][i]`, which wraps.
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
pub(crate) fn row_of_patch_i8<A: Arch>(patch: &Patch<'_, 1, i8>, w: &[i8], mut sum: i32) -> Option<i32> {
    let [x] = patch.x;
    patch.try_each_tap(|x_at, w_at| {
        sum = A::one_sum_i8(sum, stretch(x, x_at, patch.len)?, stretch(w, w_at, patch.len)?);
        Some(())
    })?;
    Some(sum)
}

/// Elements of four rows of weights.
#[inline(always)]
pub(super) fn rows_of<'w>(
    &[w0, w1, w2, w3]: &[&'w [i8]; ROW_TILE],
    at: usize,
    len: usize,
) -> Option<[&'w [i8]; ROW_TILE]> {
    Some([stretch(w0, at, len)?, stretch(w1, at, len)?, stretch(w2, at, len)?, stretch(w3, at, len)?])
}

/// Two sums in one loop, over whole groups of layout `pairs`.
#[inline(always)]
pub(super) fn two_sums_i8([mut a, mut b]: [i32; 2], x: &[i8], offset: i16, groups: &[[i8; 8]]) -> [i32; 2] {
    let (x, _) = x.as_chunks();
    for (&[x0, x1, x2, x3], &[a0, b0, a2, b2, a1, b1, a3, b3]) in x.iter().zip(groups) {
        a = a.wrapping_add(product_i8(x0, offset, a0)).wrapping_add(product_i8(x2, offset, a2));
        b = b.wrapping_add(product_i8(x0, offset, b0)).wrapping_add(product_i8(x2, offset, b2));
        a = a.wrapping_add(product_i8(x1, offset, a1)).wrapping_add(product_i8(x3, offset, a3));
        b = b.wrapping_add(product_i8(x1, offset, b1)).wrapping_add(product_i8(x3, offset, b3));
    }
    [a, b]
}

/// `(x + offset) · w`.
#[inline(always)]
pub(super) fn product_i8(x: i8, offset: i16, w: i8) -> i32 {
    i32::from(i16::from(x).wrapping_add(offset)) * i32::from(w)
}

/// See [`Arch::lookup`].
#[inline(always)]
pub(super) fn lookup(table: &[u8; 256], x: Option<&[u8]>, y: &mut [u8]) {
    let of = |x: u8| table.get(usize::from(x)).copied().unwrap_or_default();
    match x {
        None => y.iter_mut().for_each(|y| *y = of(*y)),
        Some(x) => y.iter_mut().zip(x).for_each(|(y, x)| *y = of(*x)),
    }
}

/// See [`Arch::copy_rows`](super::Arch::copy_rows): rows of `N` bytes, without a call for each.
#[cfg(feature = "std")]
pub(super) fn copy_rows_of<const N: usize>(
    y: &mut [u8],
    y_step: usize,
    x: &[u8],
    x_step: usize,
) -> Option<()> {
    let mut rest = x;
    for y in y.chunks_mut(y_step.max(1)) {
        *y.first_chunk_mut()? = *rest.first_chunk::<N>()?;
        rest = rest.get(x_step..).unwrap_or_default();
    }
    Some(())
}
