//! Rows of activations times weights, in either layout: what the convolutions, `fully_connected` and
//! `batch_matmul` have in common.

use crate::arch::{Arch, Image, OutputsF32, PANEL_LEN, Patch, ROW_TILE, TransposedImage, clamp};
use crate::conv::{Grouped, Product};
use crate::kernel::Node;
use crate::operands::Reads;
use crate::pieces::{pieces, pieces_mut};
use crate::weight::Weight;
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

/// Weights of `outputs` rows of `depth` elements, their scales, the bias, and the fused activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights<'a, W = f32> {
    pub(crate) layout: Layout,
    pub(crate) w: &'a [W],
    /// One for all outputs, or one for each; not looked at where the weights have none.
    pub(crate) scales: &'a [f32],
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) depth: usize,
    pub(crate) clamp: Clamp,
}

impl<'a, W: Weight> Weights<'a, W> {
    /// The weights of a step: input 1, their scales, if they have some, and the bias, if there is one.
    pub(crate) fn of(node: &Node<'_>, reads: &'a Reads<'_>, depth: usize, clamp: Clamp) -> Option<Self> {
        let w = node.input(1)?;
        let (scales, bias) = scales_and_bias::<W>(node, reads)?;
        Some(Self { layout: w.layout(), w: reads.get(w)?, scales, bias, depth, clamp })
    }

    /// An image, or some rows of it, by the instruction set's own loop, if it takes them.
    pub(crate) fn image<A: Arch>(&self, image: &Image, x: &[f32], y: &mut [f32]) -> Option<()> {
        let (w, outputs) = self.panels()?;
        A::conv_image_f32(image, w, &outputs, x, y)
    }

    /// Weights in panels, and what becomes of the sums.
    fn panels(&self) -> Option<(&[[W; PANEL_LEN]], OutputsF32<'_>)> {
        let &Self { layout: Layout::Panel16, w, scales, bias, clamp, .. } = self else { return None };
        let (w, _) = w.as_chunks();
        Some((w, OutputsF32 { scales, bias: bias.unwrap_or_default(), clamp }))
    }

    /// [`image`](Self::image) of a transposed convolution.
    pub(crate) fn transposed_image<A: Arch>(
        &self,
        image: &TransposedImage,
        x: &[f32],
        y: &mut [f32],
    ) -> Option<()> {
        let (w, outputs) = self.panels()?;
        A::transposed_image_f32(image, w, &outputs, x, y)
    }

    /// For rows of x, `depth` elements each: `y[n, o] = clamp(bias[o] + scale[o] · Σᵢ x[n, i] · w[o, i])`.
    pub(crate) fn rows<A: Arch>(&self, x: &[f32], outputs: usize, y: &mut [f32]) -> Option<()> {
        let pixels = x.len().checked_div(self.depth)?;
        if let Some(()) = self.image::<A>(&Image::points(pixels, [self.depth, outputs], 0), x, y) {
            return Some(());
        }
        rows::<A, Self>(self, self.depth, x, outputs, y)
    }

    /// The bias from an output on, empty where there is none.
    fn bias_from(&self, first: usize) -> &[f32] {
        self.bias.and_then(|bias| bias.get(first..)).unwrap_or_default()
    }

    /// What the sums of `T` outputs begin with: the bias, but for sums that are scaled first.
    fn start<const T: usize>(&self, first: usize) -> [f32; T] {
        let mut sums = [0.0; T];
        if !W::SCALED {
            sums.iter_mut().zip(self.bias_from(first)).for_each(|(sum, bias)| *sum = *bias);
        }
        sums
    }

    fn finish<const P: usize, const T: usize>(
        &self,
        sums: &mut [[f32; T]; P],
        first: usize,
        y: &mut [&mut [f32]; P],
    ) {
        if W::SCALED {
            sums.iter_mut().for_each(|sums| scale(sums, self.scales, self.bias_from(first), first));
        }
        for (sums, y) in sums.iter().zip(y) {
            let y = y.get_mut(first..).unwrap_or_default();
            for (y, sum) in y.iter_mut().zip(sums) {
                *y = clamp(*sum, self.clamp.min, self.clamp.max);
            }
        }
    }
}

/// The scales of a step's weights, none if they have none, and its bias, if there is one.
pub(crate) fn scales_and_bias<'a, W: Weight>(
    node: &Node<'_>,
    reads: &'a Reads<'_>,
) -> Option<(&'a [f32], Option<&'a [f32]>)> {
    let get = |index: usize| reads.get::<f32>(node.input(index)?);
    if W::SCALED { Some((get(2)?, get(3))) } else { Some((&[], get(2))) }
}

/// `sums[o] = bias[o] + scale[o] · sums[o]` for outputs from `first` on. One scale serves all outputs;
/// past the end of the bias it is zero.
#[inline(always)]
pub(crate) fn scale(sums: &mut [f32], scales: &[f32], bias: &[f32], first: usize) {
    match scales {
        [one] => sums.iter_mut().for_each(|sum| *sum *= one),
        _ => {
            let scales = scales.get(first..).unwrap_or_default();
            sums.iter_mut().zip(scales).for_each(|(sum, scale)| *sum *= scale);
        }
    }
    sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
}

/// What the sums of all outputs begin with: the bias, but for sums that are scaled first. An empty bias is zero.
pub(crate) fn begin<W: Weight>(y: &mut [f32], bias: &[f32]) {
    if W::SCALED || bias.is_empty() {
        y.fill(0.0);
    } else {
        y.iter_mut().zip(bias).for_each(|(y, bias)| *y = *bias);
    }
}

/// The sums of all outputs as elements of y.
pub(crate) fn end<A: Arch, W: Weight>(y: &mut [f32], scales: &[f32], bias: &[f32], clamp: Clamp) {
    if W::SCALED {
        scale(y, scales, bias, 0);
    }
    A::clamp_f32(clamp.min, clamp.max, y);
}

impl<W: Weight> Grouped for Weights<'_, W> {
    fn of_outputs(self, outputs: Range<usize>) -> Option<Self> {
        let w = match self.layout {
            Layout::Rows => self.w.get(outputs.start * self.depth..outputs.end * self.depth)?,
            // From one panel on.
            _ => self.w.get(outputs.start * self.depth..)?,
        };
        let scales = if self.scales.len() > 1 { self.scales.get(outputs.clone())? } else { self.scales };
        Some(Self { w, scales, bias: self.bias.and_then(|bias| bias.get(outputs)), ..self })
    }
}

impl<W: Weight> Product for Weights<'_, W> {
    type Element = f32;

    /// For `P` pixels: `y[p][o] = clamp(bias[o] + scale[o] · Σ x[p][tap][i] · w[o][tap][i])`, in the
    /// order of the taps, then of i. Both layouts sum in the same order and so give the same bits.
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
                    self.finish(&mut sums, first, &mut y);
                }
            }
            Layout::Rows | Layout::Pairs | Layout::Panel16x4 | Layout::Gates16 => {
                for y in &mut y {
                    begin::<W>(y, self.bias_from(0));
                }
                A::gemm_rows_f32(patch, self.w, self.depth, &mut y)?;
                for y in y {
                    end::<A, W>(y, self.scales, self.bias_from(0), self.clamp);
                }
            }
        }
        Some(())
    }
}
