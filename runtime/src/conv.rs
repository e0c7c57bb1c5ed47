//! What the convolutions have in common, plain and transposed, of reals and of integers: the loops
//! over pixels. In two dimensions the depth is 1.

use crate::arch::{Arch, Patch};
use crate::gemm::Weights;
use crate::kernel::Node;
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use crate::weight::Weight;
use crate::window::{Pixels, Span, Strides, Windows};
use core::ops::Range;
use flatpack_format::Shape;
use flatpack_format::ops::Clamp;

/// What is multiplied at a position, and written there.
pub(crate) trait Product {
    /// Element type of x and y.
    type Element;

    /// The outputs of `P` pixels, which see the taps of `patch`: all taps of the window if it is
    /// `whole`, else those that lie over the input.
    fn pixels<A: Arch, const P: usize>(
        &self,
        patch: &Patch<'_, P, Self::Element>,
        whole: bool,
        y: [&mut [Self::Element]; P],
    ) -> Option<()>;

    /// The outputs of two pixels that see different taps.
    fn joined<A: Arch>(&self, pixels: [Single<'_, '_, Self::Element>; 2]) -> Option<()> {
        for Single { patch, whole, y } in pixels {
            self.pixels::<A, 1>(&patch, whole, [y])?;
        }
        Some(())
    }
}

/// A pixel by itself: what it sees, whether that is the whole window, and where its outputs go.
pub(crate) struct Single<'x, 'y, T> {
    pub(crate) patch: Patch<'x, 1, T>,
    pub(crate) whole: bool,
    pub(crate) y: &'y mut [T],
}

/// A product of which a part of the outputs can be taken.
pub(crate) trait Grouped: Product + Copy {
    /// The product for these outputs alone.
    fn of_outputs(self, outputs: Range<usize>) -> Option<Self>;
}

/// One group of channels of one image.
struct Conv<'a, R: Product> {
    /// The activations from the first channel of the group on.
    x: &'a [R::Element],
    product: R,
    strides: Strides,
    /// Taps of the window along each axis.
    taps: [usize; 3],
    /// Channels of the group.
    depth: usize,
    /// Outputs of the group.
    outputs: Range<usize>,
}

/// Convolves x, input 0 of the node, with the weights of `product`, which have the shape of input 1;
/// the windows move along depth, height and width.
pub(crate) fn run<A: Arch, W: Windows, R: Grouped>(
    node: &Node<'_>,
    windows: [W; 3],
    groups: u32,
    product: R,
    x: &[R::Element],
    y: &mut [R::Element],
) -> Option<()> {
    let [_, d, h, width, channels] = in_three(&node.input(0)?.shape())?;
    let [outputs, kd, kh, kw, depth] = in_three(&node.input(1)?.shape())?;
    let [_, od, oh, ow, _] = in_three(&node.output()?.shape())?;
    let [d_windows, h_windows, w_windows] = windows;
    let groups = groups as usize;
    let group_outputs = outputs.checked_div(groups)?;

    let strides = Strides {
        x: [h * width * channels, width * channels, channels],
        w: [kh * kw * depth, kw * depth, depth],
        pair: w_windows.pair_step().wrapping_mul(channels),
    };

    let mut volumes = pieces(x, d * h * width * channels);
    for y in pieces_mut(y, od * oh * ow * outputs) {
        let x = volumes.next()?;
        for group in 0..groups {
            let own = group * group_outputs..(group + 1) * group_outputs;
            let product = product.of_outputs(own.clone())?;
            let taps = [kd, kh, kw];
            let conv = Conv { x: x.get(group * depth..)?, product, strides, taps, depth, outputs: own };
            // A pixel by itself waits for another one.
            let mut waiting = None;
            for (plane, y) in pieces_mut(y, oh * ow * outputs).enumerate() {
                let planes = d_windows.span(plane);
                for (row, y) in pieces_mut(y, ow * outputs).enumerate() {
                    let rows = h_windows.span(row);
                    for (columns, y) in w_windows.pixels(y, outputs) {
                        let spans = [planes, rows, columns];
                        match y {
                            Pixels::Two(y) => conv.pixels::<A, 2>(spans, y)?,
                            Pixels::One(y) if !A::JOINS => conv.pixels::<A, 1>(spans, y)?,
                            Pixels::One([y]) => {
                                let (patch, whole) = conv.patch(spans);
                                let y = y.get_mut(conv.outputs.clone())?;
                                let single = Single { patch, whole, y };
                                match waiting.take() {
                                    None => waiting = Some(single),
                                    Some(other) => conv.product.joined::<A>([other, single])?,
                                }
                            }
                        }
                    }
                }
            }
            if let Some(Single { patch, whole, y }) = waiting {
                conv.product.pixels::<A, 1>(&patch, whole, [y])?;
            }
        }
    }
    Some(())
}

/// [`run`] of float32 activations and weights of any kind.
pub(crate) fn run_f32<A: Arch, W: Weight>(
    node: &Node<'_>,
    operands: Operands<'_>,
    windows: [impl Windows; 3],
    groups: u32,
    clamp: Clamp,
) -> Option<()> {
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let [_, taps @ ..] = in_three(&node.input(1)?.shape())?;
    let weights = Weights::<W>::of(node, &reads, taps.iter().product(), clamp)?;
    run::<A, _, _>(node, windows, groups, weights, reads.get(node.input(0)?)?, y)
}

/// A shape of images or volumes as one of volumes.
fn in_three(shape: &Shape) -> Option<[usize; 5]> {
    let dims = match *shape.dims() {
        [n, h, w, c] => [n, 1, h, w, c],
        [n, d, h, w, c] => [n, d, h, w, c],
        _ => return None,
    };
    Some(dims.map(|dim| dim as usize))
}

impl<R: Product> Conv<'_, R> {
    /// What `P` pixels see through the taps in `spans`, and whether it is the whole window.
    fn patch<const P: usize>(
        &self,
        [planes, rows, mut columns]: [Span; 3],
    ) -> (Patch<'_, P, R::Element>, bool) {
        let whole = [planes.count, rows.count, columns.count] == self.taps;
        let mut len = self.depth;
        let [.., channels] = self.strides.x;
        if columns.tap_step == 1 && columns.input_step == 1 && len == channels {
            // The taps of a row are neighbours in x and in the weights: one long tap.
            len *= columns.count;
            columns.count = columns.count.min(1);
        }
        (self.strides.patch(self.x, [planes, rows, columns], len), whole)
    }

    fn pixels<A: Arch, const P: usize>(&self, spans: [Span; 3], y: [&mut [R::Element]; P]) -> Option<()> {
        let (patch, whole) = self.patch(spans);
        let y = y.map(|y| y.get_mut(self.outputs.clone()).unwrap_or_default());
        self.product.pixels::<A, P>(&patch, whole, y)
    }
}
