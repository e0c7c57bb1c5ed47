//! Rows of activations times weights, in either layout: what the convolutions and `fully_connected`
//! have in common.

use crate::arch::{Arch, PANEL_LEN, ROW_TILE, clamp};
use flatpack_format::Layout;
use flatpack_format::ops::Clamp;

/// Weights of `outputs` rows of `depth` elements, the bias, and the fused activation.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub(crate) layout: Layout,
    pub(crate) w: &'a [f32],
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) depth: usize,
    pub(crate) clamp: Clamp,
}

/// A stretch of `P` rows of activations, and where its weights begin along the depth.
pub(crate) type Stretch<'x, const P: usize> = ([&'x [f32]; P], usize);

impl Weights<'_> {
    /// For `P` pixels: `y[p][o] = clamp(bias[o] + Σ over stretches Σᵢ x[p][i] · w[o][at + i])`.
    /// Both layouts sum in the same order and so give the same bits.
    #[inline(always)]
    pub(crate) fn pixels<'x, A: Arch, const P: usize>(
        &self,
        stretches: impl Iterator<Item = Stretch<'x, P>> + Clone,
        y: [&mut [f32]; P],
    ) -> Option<()> {
        match self.layout {
            Layout::Panel16 => self.panels::<A, P>(stretches, y),
            Layout::Rows => self.rows::<A, P>(stretches, y),
        }
    }

    #[inline(always)]
    fn panels<'x, A: Arch, const P: usize>(
        &self,
        stretches: impl Iterator<Item = Stretch<'x, P>> + Clone,
        mut y: [&mut [f32]; P],
    ) -> Option<()> {
        let (w, _) = self.w.as_chunks::<PANEL_LEN>();
        for (panel, w) in w.chunks_exact(self.depth.max(1)).enumerate() {
            let first = panel * PANEL_LEN;
            let mut sums = [self.start::<PANEL_LEN>(first); P];
            for (x, at) in stretches.clone() {
                let len = x.first()?.len();
                A::gemm_tile_f32_panel16(x, w.get(at..at.checked_add(len)?)?, &mut sums);
            }
            self.finish(&sums, first, &mut y);
        }
        Some(())
    }

    #[inline(always)]
    fn rows<'x, A: Arch, const P: usize>(
        &self,
        stretches: impl Iterator<Item = Stretch<'x, P>> + Clone,
        mut y: [&mut [f32]; P],
    ) -> Option<()> {
        let outputs = y.first()?.len();
        for first in (0..outputs).step_by(ROW_TILE) {
            // Past the last output, its row stands in and the sums are dropped.
            let row = |o: usize| {
                let start = (first + o).min(outputs - 1).checked_mul(self.depth)?;
                self.w.get(start..start.checked_add(self.depth)?)
            };
            let w = [row(0)?, row(1)?, row(2)?, row(3)?];
            let mut sums = [self.start::<ROW_TILE>(first); P];
            for (x, at) in stretches.clone() {
                let end = at.checked_add(x.first()?.len())?;
                let [w0, w1, w2, w3] = w;
                let w = [w0.get(at..end)?, w1.get(at..end)?, w2.get(at..end)?, w3.get(at..end)?];
                A::gemm_tile_f32_rows(x, w, &mut sums);
            }
            self.finish(&sums, first, &mut y);
        }
        Some(())
    }

    /// The bias of `T` outputs, zero where there is none.
    #[inline(always)]
    fn start<const T: usize>(&self, first: usize) -> [f32; T] {
        let mut sums = [0.0; T];
        let bias = self.bias.and_then(|bias| bias.get(first..)).unwrap_or_default();
        sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum = *bias);
        sums
    }

    #[inline(always)]
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
