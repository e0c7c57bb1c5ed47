//! Rows of activations times weights, in either layout: what the convolutions, `fully_connected` and
//! `batch_matmul` have in common.

use crate::arch::{Arch, PANEL_LEN, Patch, ROW_TILE, clamp};
use crate::conv::{Grouped, Product};
use crate::pieces::{pieces, pieces_mut};
use core::ops::Range;
use flatpack_format::Layout;
use flatpack_format::ops::Clamp;

/// The outputs of rows of x, `depth` elements each, in pairs so that a weight is loaded once for two.
pub(crate) fn rows<A: Arch, R: Product>(
    product: &R,
    depth: usize,
    x: &[R::Element],
    outputs: usize,
    y: &mut [R::Element],
) -> Option<()> {
    let mut x = pieces(x, depth);
    let mut y = pieces_mut(y, outputs);
    while let (Some(x0), Some(y0)) = (x.next(), y.next()) {
        if let (Some(x1), Some(y1)) = (x.next(), y.next()) {
            product.pixels::<A, 2>(&Patch::one_tap([x0, x1], depth), true, [y0, y1])?;
        } else {
            product.pixels::<A, 1>(&Patch::one_tap([x0], depth), true, [y0])?;
        }
    }
    Some(())
}

/// The rows of `depth` elements from row `first` on that a tile takes. Past row `end`, the last one stands
/// in, and its sums are dropped.
pub(crate) fn rows_from<T>(w: &[T], depth: usize, first: usize, end: usize) -> Option<[&[T]; ROW_TILE]> {
    let row = |o: usize| {
        let start = (first + o).min(end.checked_sub(1)?).checked_mul(depth)?;
        w.get(start..start.checked_add(depth)?)
    };
    Some([row(0)?, row(1)?, row(2)?, row(3)?])
}

/// Weights of `outputs` rows of `depth` elements, the bias, and the fused activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights<'a> {
    pub(crate) layout: Layout,
    pub(crate) w: &'a [f32],
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) depth: usize,
    pub(crate) clamp: Clamp,
}

impl Weights<'_> {
    /// For rows of x, `depth` elements each: `y[n, o] = clamp(bias[o] + Σᵢ x[n, i] · w[o, i])`.
    pub(crate) fn rows<A: Arch>(&self, x: &[f32], outputs: usize, y: &mut [f32]) -> Option<()> {
        rows::<A, Self>(self, self.depth, x, outputs, y)
    }

    /// The bias of `T` outputs, zero where there is none.
    fn start<const T: usize>(&self, first: usize) -> [f32; T] {
        let mut sums = [0.0; T];
        let bias = self.bias.and_then(|bias| bias.get(first..)).unwrap_or_default();
        sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum = *bias);
        sums
    }

    fn finish<const P: usize, const T: usize>(
        &self,
        sums: &[[f32; T]; P],
        first: usize,
        y: &mut [&mut [f32]; P],
    ) {
        for (sums, y) in sums.iter().zip(y) {
            let y = y.get_mut(first..).unwrap_or_default();
            for (y, sum) in y.iter_mut().zip(sums) {
                *y = clamp(*sum, self.clamp.min, self.clamp.max);
            }
        }
    }
}

impl Grouped for Weights<'_> {
    fn of_outputs(self, outputs: Range<usize>) -> Option<Self> {
        let w = match self.layout {
            Layout::Rows => self.w.get(outputs.start * self.depth..outputs.end * self.depth)?,
            Layout::Panel16 => self.w,
        };
        Some(Self { w, bias: self.bias.and_then(|bias| bias.get(outputs)), ..self })
    }
}

impl Product for Weights<'_> {
    type Element = f32;

    /// For `P` pixels: `y[p][o] = clamp(bias[o] + Σ x[p][tap][i] · w[o][tap][i])`, in the order of
    /// the taps, then of i. Both layouts sum in the same order and so give the same bits.
    fn pixels<A: Arch, const P: usize>(
        &self,
        patch: &Patch<'_, P>,
        _: bool,
        mut y: [&mut [f32]; P],
    ) -> Option<()> {
        match self.layout {
            Layout::Panel16 => {
                let (w, _) = self.w.as_chunks::<PANEL_LEN>();
                for (panel, w) in pieces(w, self.depth).enumerate() {
                    let first = panel * PANEL_LEN;
                    let mut sums = [self.start(first); P];
                    A::gemm_tile_f32_panel16(patch, w, &mut sums)?;
                    self.finish(&sums, first, &mut y);
                }
            }
            Layout::Rows => {
                let outputs = y.first()?.len();
                for first in (0..outputs).step_by(ROW_TILE) {
                    let rows = rows_from(self.w, self.depth, first, outputs)?;
                    let mut sums = [self.start(first); P];
                    A::gemm_tile_f32_rows(patch, rows, &mut sums)?;
                    self.finish(&sums, first, &mut y);
                }
            }
        }
        Some(())
    }
}
