//! Products with rows of weights, of one pixel or two.

use super::tiles;
use crate::arch::Patch;
use crate::arch::patch::{map, stretch};
use crate::weight::Weight;

/// A tap of one or two pixels, and the rows of weights for their outputs.
#[repr(C)]
pub(in crate::arch) struct Products {
    x0: *const f32,
    x1: *const f32,
    /// Elements of the tap.
    len: usize,
    w: *const f32,
    /// Bytes from a row to the next.
    row: usize,
    y0: *mut f32,
    y1: *mut f32,
    rows: usize,
}

/// See [`Arch::gemm_rows_f32`](crate::arch::Arch::gemm_rows_f32).
pub(in crate::arch) fn gemm_rows_f32<const P: usize, W: Weight>(
    patch: &Patch<'_, P>,
    w: &[W],
    depth: usize,
    y: &mut [&mut [f32]; P],
) -> Option<()> {
    let mut wide = [[0.0; STRETCH]; ROWS];
    patch.try_each_tap(|x_at, w_at| {
        let x = map(patch.x, |x| stretch(x, x_at, patch.len))?;
        let w = w.get(w_at..)?;
        match W::reals(w) {
            Some(w) => add_products(x, w, depth, y),
            None => add_widened(x, w, depth, &mut wide, y),
        }
    })
}

/// A loop over rows for some pixels.
type Run = unsafe extern "C" fn(&mut Products);

/// The loops for one pixel and for two, for taps of this length.
#[inline(always)]
fn loops(len: usize) -> [Run; 2] {
    // Shorter ones, vectors take no faster.
    #[cfg(flatpack_arch = "helium")]
    if len >= 16 {
        return [crate::arch::helium::one_pixel, crate::arch::helium::two_pixels];
    }
    let _ = len;
    [tiles::one_pixel, tiles::two_pixels]
}

/// Elements of a row that are widened at once.
const STRETCH: usize = 32;

/// Rows that are widened at once.
const ROWS: usize = 8;

/// [`add_products`] of weights in fewer bytes.
fn add_widened<const P: usize, W: Weight>(
    x: [&[f32]; P],
    w: &[W],
    depth: usize,
    wide: &mut [[f32; STRETCH]; ROWS],
    y: &mut [&mut [f32]; P],
) -> Option<()> {
    let (len, rows) = (x.first()?.len(), y.first()?.len());
    for from in (0..len).step_by(STRETCH) {
        let count = STRETCH.min(len - from);
        let x = map(x, |x| stretch(x, from, count))?;
        for first in (0..rows).step_by(ROWS) {
            for (row, wide) in (first..rows).zip(wide.iter_mut()) {
                let w = stretch(w, row * depth + from, count)?;
                wide.iter_mut().zip(w).for_each(|(wide, w)| *wide = w.real());
            }
            let mut part = y.each_mut().map(|y| y.get_mut(first..).unwrap_or_default());
            for y in &mut part {
                let count = ROWS.min(y.len());
                *y = core::mem::take(y).get_mut(..count)?;
            }
            add_products(x, wide.as_flattened(), STRETCH, &mut part)?;
        }
    }
    Some(())
}

/// For one or two pixels and rows of weights that are `row` elements apart: `y[p][o] += Σ x[p][i] · w[o][i]`. All x
/// are of one length.
#[inline(always)]
fn add_products<const P: usize>(
    x: [&[f32]; P],
    w: &[f32],
    row: usize,
    y: &mut [&mut [f32]; P],
) -> Option<()> {
    let (x0, x1) = (x.first()?, x.last()?);
    let (len, rows) = (x0.len(), y.first()?.len());
    let run = *loops(len).get(P.checked_sub(1)?)?;
    w.get(rows.checked_sub(1)?.checked_mul(row)?..)?.get(..len)?;
    let mut y = y.iter_mut();
    let y0 = y.next()?.as_mut_ptr();
    let y1 = match y.next() {
        Some(y) => y.get_mut(..rows)?.as_mut_ptr(),
        None => y0,
    };
    let (x0, x1, w, row) = (x0.as_ptr(), x1.as_ptr(), w.as_ptr(), size_of::<f32>() * row);
    // SAFETY: x has `len` elements for each pixel; the last row of weights was seen to have as many, so that those
    // before it have; each y has as many elements as there are rows.
    unsafe { run(&mut Products { x0, x1, len, w, row, y0, y1, rows }) };
    Some(())
}
