//! Rows of 8-bit activations times 8-bit weights: what the convolutions of integers and
//! `fully_connected_i8` have in common.

use crate::arch::{Arch, Image, OutputsI8, PANEL_LEN, Patch, Quad, ROW_TILE, RowsI8, row_of_patch_i8};
use crate::conv::{Grouped, Product, Single};
use crate::fixed;
use crate::gemm::rows_from;
use crate::kernel::Node;
use crate::operands::Reads;
use crate::pieces::pieces;
use core::ops::Range;
use flatpack_format::Layout;
use flatpack_format::ops::{Multiplier, OutputI8};

/// Weights of `outputs` rows of `depth` elements, the bias, and what becomes of the sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightsI8<'a> {
    pub(crate) w: &'a [i8],
    pub(crate) layout: Layout,
    /// Empty for none.
    pub(crate) bias: &'a [i32],
    /// One for all outputs, or one for each.
    pub(crate) requant: &'a [Multiplier],
    pub(crate) depth: usize,
    pub(crate) x_zero_point: i32,
    pub(crate) w_zero_point: i32,
    /// The bias has `−x_zero_point · Σ (w − w_zero_point)` over all taps in it.
    pub(crate) folded: bool,
    pub(crate) y: OutputI8,
    /// See [`Multiplier::all_plain`].
    pub(crate) plain: bool,
    /// Room for widened activations; empty for none.
    pub(crate) quads: &'a [Quad],
}

/// Inputs 1 to 3 of a step: weights, and what becomes of the sums.
#[inline(always)]
pub(crate) fn weights_and_outputs<'a, A: Arch>(
    node: &Node<'_>,
    reads: &Reads<'a>,
    y: OutputI8,
) -> Option<(&'a [i8], OutputsI8<'a>)> {
    weights_and_outputs_by_any::<A>(node, reads, y, false)
}

/// [`weights_and_outputs`], where multipliers may be said to be plain without a look.
#[inline(never)]
pub(crate) fn weights_and_outputs_by_any<'a, A: Arch>(
    node: &Node<'_>,
    reads: &Reads<'a>,
    y: OutputI8,
    any: bool,
) -> Option<(&'a [i8], OutputsI8<'a>)> {
    let (w, bias, requant) =
        (reads.get(node.input(1)?)?, reads.get(node.input(2)?)?, reads.get(node.input(3)?)?);
    Some((w, OutputsI8 { bias, requant, plain: any || A::all_plain(requant), y }))
}

impl WeightsI8<'_> {
    /// As the loops of an instruction set take them, if they do.
    fn rows(&self) -> Option<RowsI8<'_>> {
        let outputs = self.outputs();
        let zero = i8::try_from(self.x_zero_point).ok()?;
        let rows = RowsI8 { w: self.w, depth: self.depth, zero, outputs, quads: self.quads };
        (self.folded && self.w_zero_point == 0 && self.layout == Layout::Rows).then_some(rows)
    }

    fn outputs(&self) -> OutputsI8<'_> {
        OutputsI8 { bias: self.bias, requant: self.requant, plain: self.plain, y: self.y }
    }

    /// What an instruction set's own loops over images take.
    pub(crate) fn of_images(&self) -> Option<OfImages<'_>> {
        let &Self { layout, w, .. } = self;
        let of_images = OfImages { layout, w, outputs: self.outputs() };
        (self.folded && self.w_zero_point == 0).then_some(of_images)
    }

    /// What the sum of an output begins with, if it is to be the sum of `(x − x_zero_point) · (w −
    /// w_zero_point)` over some of the taps.
    fn unfolded<'w>(&self, bias: i32, weights: impl Iterator<Item = &'w i8>) -> i32 {
        let taken_off = (self.depth as i32).wrapping_mul(self.w_zero_point);
        let w = weights.fold(0i32, |sum, &w| sum.wrapping_add(w.into())).wrapping_sub(taken_off);
        bias.wrapping_add(self.x_zero_point.wrapping_mul(w))
    }
}

/// Weights for the loops over images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfImages<'a> {
    layout: Layout,
    w: &'a [i8],
    outputs: OutputsI8<'a>,
}

impl OfImages<'_> {
    /// Those of some outputs from a panel on, of rows of so many elements.
    pub(crate) fn of_outputs(self, outputs: Range<usize>, depth: usize) -> Option<Self> {
        let Self { layout, w, outputs: OutputsI8 { bias, requant, plain, y } } = self;
        let requant = if requant.len() == 1 { requant } else { requant.get(outputs.clone())? };
        let w = w.get(outputs.start * depth.next_multiple_of(4)..)?;
        let bias = bias.get(outputs).unwrap_or_default();
        Some(Self { layout, w, outputs: OutputsI8 { bias, requant, plain, y } })
    }

    /// A row by itself, if the instruction set takes it without memory of its own.
    pub(crate) fn row<A: Arch>(&self, x: &[i8], y: &mut [i8]) -> Option<()> {
        match self.layout {
            Layout::Panel16x4 => A::row_in_panels_i8(self.w, &self.outputs, x, y),
            _ => None,
        }
    }

    /// An image, or some rows of it, by the instruction set's own loop, if it takes them.
    pub(crate) fn run<A: Arch>(
        &self,
        scratch: &mut A::Scratch,
        image: &Image,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        let &Self { layout, w, ref outputs } = self;
        match layout {
            Layout::Pairs => A::conv_image_in_pairs_i8(scratch, image, w, outputs, x, y),
            Layout::Panel16x4 => A::conv_image_in_panels_i8(scratch, image, w, outputs, x, y),
            _ => A::conv_image_i8(scratch, image, w, outputs, x, y),
        }
    }
}

impl Grouped for WeightsI8<'_> {
    fn of_outputs(self, outputs: Range<usize>) -> Option<Self> {
        let w = match self.layout {
            Layout::Rows => self.w.get(outputs.start * self.depth..outputs.end * self.depth)?,
            // Only one group has them.
            _ => self.w,
        };
        let requant =
            if self.requant.len() == 1 { self.requant } else { self.requant.get(outputs.clone())? };
        Some(Self { w, bias: self.bias.get(outputs)?, requant, ..self })
    }
}

impl Product for WeightsI8<'_> {
    type Element = i8;

    /// For `P` pixels: `y[p][o] = requantize(bias[o] + Σ (x[p][tap][i] − x_zero_point) · (w[o][tap][i] −
    /// w_zero_point))`, the first offset being in the bias already where all taps are seen.
    fn pixels<A: Arch, const P: usize>(
        &self,
        patch: &Patch<'_, P, i8>,
        whole: bool,
        mut y: [&mut [i8]; P],
    ) -> Option<()> {
        let outputs = y.first()?.len();
        let done = match self.rows() {
            Some(rows) => A::gemm_i8(patch, whole, &rows, &mut y).unwrap_or(0),
            None => 0,
        };
        if done == outputs { Some(()) } else { self.portable::<A, P>(patch, whole, done, y) }
    }

    fn joined<A: Arch>(&self, [mut a, mut b]: [Single<'_, '_, i8>; 2]) -> Option<()> {
        let done = match self.rows() {
            Some(rows) => {
                let mut y = [&mut *a.y, &mut *b.y];
                A::gemm_joined_i8([&a.patch, &b.patch], [a.whole, b.whole], &rows, &mut y).unwrap_or(0)
            }
            None => 0,
        };
        for Single { patch, whole, y } in [&mut a, &mut b] {
            if done < y.len() {
                self.portable::<A, 1>(patch, *whole, done, [y])?;
            }
        }
        Some(())
    }
}

impl WeightsI8<'_> {
    /// As [`Product::pixels`], for the outputs from `done` on.
    fn portable<A: Arch, const P: usize>(
        &self,
        patch: &Patch<'_, P, i8>,
        whole: bool,
        done: usize,
        mut y: [&mut [i8]; P],
    ) -> Option<()> {
        if self.layout != Layout::Rows {
            for (p, y) in y.iter_mut().enumerate() {
                let patch = patch.pixel(p)?;
                match self.layout {
                    Layout::Pairs => self.side_by_side::<A, 2, 1>(&patch, whole, y, A::gemm_tile_i8_pairs)?,
                    _ => self.side_by_side::<A, PANEL_LEN, 4>(&patch, whole, y, A::gemm_tile_i8_panel16x4)?,
                }
            }
            return Some(());
        }
        let outputs = y.first()?.len();
        let offset = if whole && self.folded { 0 } else { (self.x_zero_point as i16).wrapping_neg() };
        let mut of_w_zero_point = [0; P];
        if self.w_zero_point != 0 {
            for (p, term) in of_w_zero_point.iter_mut().enumerate() {
                *term = A::sum_i8(&patch.pixel(p)?, offset)?.wrapping_mul(self.w_zero_point);
            }
        }
        for first in (done..outputs).step_by(ROW_TILE) {
            let rows = rows_from(self.w, self.depth, first, outputs)?;
            let mut start = self.start::<ROW_TILE>(first);
            if self.folded && !whole {
                start
                    .iter_mut()
                    .zip(rows)
                    .for_each(|(start, row)| *start = self.unfolded(*start, row.iter()));
            }
            let mut sums = [start; P];
            if first + 1 == outputs && offset == 0 {
                // The last one alone is not multiplied four times.
                for (p, [sum, ..]) in sums.iter_mut().enumerate() {
                    let [row, ..] = rows;
                    *sum = row_of_patch_i8::<A>(&patch.pixel(p)?, row, *sum)?;
                }
            } else {
                A::gemm_tile_i8_rows(patch, offset, rows, &mut sums)?;
            }
            self.finish::<A, _, _>(&sums, of_w_zero_point, first, &mut y)?;
        }
        Some(())
    }

    /// The outputs of a pixel, where no instruction set has a loop for them. The weights of `T` outputs are side by
    /// side, each time `N` elements of an output in groups of four.
    #[inline(never)]
    fn side_by_side<A: Arch, const T: usize, const N: usize>(
        &self,
        patch: &Patch<'_, 1, i8>,
        whole: bool,
        y: &mut [i8],
        tile: impl Fn(&Patch<'_, 1, i8>, i16, &[i8], &mut [[i32; T]; 1]) -> Option<()>,
    ) -> Option<()> {
        let offset = if whole && self.folded { 0 } else { (self.x_zero_point as i16).wrapping_neg() };
        let term = match self.w_zero_point {
            0 => 0,
            zero => A::sum_i8(patch, offset)?.wrapping_mul(zero),
        };
        let len = self.depth.div_ceil(4).saturating_mul(4).saturating_mul(T);
        for (first, w) in (0..y.len()).step_by(T).zip(pieces(self.w, len)) {
            let mut start = self.start::<T>(first);
            if self.folded && !whole {
                let (neighbours, _) = w.as_chunks::<N>();
                for (o, start) in start.iter_mut().enumerate() {
                    *start = self.unfolded(*start, neighbours.iter().skip(o).step_by(T).flatten());
                }
            }
            let mut sums = [start];
            tile(patch, offset, w, &mut sums)?;
            self.finish::<A, _, _>(&sums, [term], first, &mut [&mut *y])?;
        }
        Some(())
    }

    /// What the sums of `T` outputs begin with: the bias; past its end, 0.
    fn start<const T: usize>(&self, first: usize) -> [i32; T] {
        let bias = self.bias.get(first..).unwrap_or_default();
        if let Some(bias) = bias.first_chunk() {
            return *bias;
        }
        let mut start = [0; T];
        start.iter_mut().zip(bias).for_each(|(start, bias)| *start = *bias);
        start
    }

    /// Makes elements of the sums of `T` outputs from `first` on.
    fn finish<A: Arch, const P: usize, const T: usize>(
        &self,
        sums: &[[i32; T]; P],
        of_w_zero_point: [i32; P],
        first: usize,
        y: &mut [&mut [i8]; P],
    ) -> Option<()> {
        for ((sums, y), term) in sums.iter().zip(y).zip(of_w_zero_point) {
            for (o, (y, sum)) in y.get_mut(first..)?.iter_mut().zip(sums).enumerate() {
                let by = fixed::of_output(self.requant, first + o)?;
                *y = A::requantize_i8(sum.wrapping_sub(term), by, self.plain, &self.y);
            }
        }
        Some(())
    }
}
