//! The inner loops, behind one trait.
//!
//! The default bodies are portable and are the truth: an instruction set may only be faster. The
//! loops are written so that the compiler sees every length and turns them into the vector
//! instructions that the target has.

use flatpack_format::PANEL;

/// Outputs of a panel as an array length.
pub(crate) const PANEL_LEN: usize = PANEL as usize;

/// Outputs that a tile of layout `rows` computes at once.
pub(crate) const ROW_TILE: usize = 4;

/// The inner loops at tile or row height.
pub trait Arch {
    /// For `P` pixels and the 16 outputs of a panel: `sums[p][o] += Σᵢ x[p][i] · w[i][o]`, summed
    /// in the order of i. The rows of `x` are as long as `w`.
    #[inline(always)]
    fn gemm_tile_f32_panel16<const P: usize>(
        x: [&[f32]; P],
        w: &[[f32; PANEL_LEN]],
        sums: &mut [[f32; PANEL_LEN]; P],
    ) {
        let x = x.map(|row| row.get(..w.len()).unwrap_or_default());
        if x.iter().any(|row| row.len() != w.len()) {
            return;
        }
        let mut acc = *sums;
        let mut columns = x.map(|row| row.iter());
        for w in w {
            for (acc, column) in acc.iter_mut().zip(&mut columns) {
                let x = column.next().copied().unwrap_or_default();
                for (acc, w) in acc.iter_mut().zip(w) {
                    *acc += x * w;
                }
            }
        }
        *sums = acc;
    }

    /// For `P` pixels and 4 outputs, each with a row of weights: `sums[p][o] += Σᵢ x[p][i] ·
    /// w[o][i]`, summed in the order of i. All rows have the length of `x[0]`.
    #[inline(always)]
    fn gemm_tile_f32_rows<const P: usize>(
        x: [&[f32]; P],
        w: [&[f32]; ROW_TILE],
        sums: &mut [[f32; ROW_TILE]; P],
    ) {
        let len = x.first().map_or(0, |row| row.len());
        let x = x.map(|row| row.get(..len).unwrap_or_default());
        let [w0, w1, w2, w3] = w.map(|row| row.get(..len).unwrap_or_default());
        let mut acc = *sums;
        let mut columns = x.map(|row| row.iter());
        for (((w0, w1), w2), w3) in w0.iter().zip(w1).zip(w2).zip(w3) {
            for (acc, column) in acc.iter_mut().zip(&mut columns) {
                let x = column.next().copied().unwrap_or_default();
                let [a0, a1, a2, a3] = acc;
                *a0 += x * w0;
                *a1 += x * w1;
                *a2 += x * w2;
                *a3 += x * w3;
            }
        }
        *sums = acc;
    }

    /// `y[c] += x[c] · w[c]`.
    #[inline(always)]
    fn multiply_add_f32(x: &[f32], w: &[f32], y: &mut [f32]) {
        for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
            *y += x * w;
        }
    }

    /// `y[c] += x[c]`.
    #[inline(always)]
    fn add_f32(x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }

    /// `y[c] = max(y[c], x[c])`; a NaN on either side stays.
    #[inline(always)]
    fn max_f32(x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = if *x > *y || x.is_nan() { *x } else { *y };
        }
    }

    /// `y[c] = min(max(y[c], low), high)`; a NaN stays.
    #[inline(always)]
    fn clamp_f32(low: f32, high: f32, y: &mut [f32]) {
        for y in y {
            *y = clamp(*y, low, high);
        }
    }
}

/// `min(max(v, low), high)`; a NaN stays.
#[inline(always)]
pub(crate) fn clamp(v: f32, low: f32, high: f32) -> f32 {
    let v = if v < low { low } else { v };
    if v > high { high } else { v }
}

/// Only the portable bodies.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Arch for Portable {}

/// What this build uses.
pub type Active = Portable;
