//! What the convolutions have in common, plain and transposed, of reals and of integers: the loops
//! over pixels. In two dimensions the depth is 1.

use crate::arch::{Arch, Image, Patch};
use crate::gemm::{self, Weights};
use crate::kernel::Node;
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use crate::rows::Band;
use crate::weight::Weight;
use crate::window::{Moves, Pixels, Span, Strides, Window, Windows};
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

/// How the images, or volumes, of a convolution and its weights lie in memory.
struct Layers {
    strides: Strides,
    /// Taps of the window along each axis.
    taps: [usize; 3],
    /// Channels of a group.
    depth: usize,
    groups: usize,
    outputs: usize,
    /// Elements of a plane and of a row of y.
    y_plane: usize,
    y_row: usize,
}

impl Layers {
    /// Of a node with the windows along its last axis.
    fn of(node: &Node<'_>, w_windows: &impl Windows, groups: u32) -> Option<Self> {
        let [_, _, h, width, channels] = in_three(&node.input(0)?.shape())?;
        let [outputs, kd, kh, kw, depth] = in_three(&node.input(1)?.shape())?;
        let [_, _, oh, ow, _] = in_three(&node.output()?.shape())?;
        let strides = Strides {
            x: [h * width * channels, width * channels, channels],
            w: [kh * kw * depth, kw * depth, depth],
            pair: w_windows.pair_step().wrapping_mul(channels),
        };
        let (taps, groups) = ([kd, kh, kw], groups as usize);
        let (y_plane, y_row) = (oh * ow * outputs, ow * outputs);
        Some(Self { strides, taps, depth, groups, outputs, y_plane, y_row })
    }

    /// Convolves x to y, which both begin where the windows are at position 0 of each axis.
    fn run<A: Arch, W: Windows, R: Grouped>(
        &self,
        windows: [W; 3],
        product: R,
        x: &[R::Element],
        y: &mut [R::Element],
    ) -> Option<()> {
        let [d_windows, h_windows, w_windows] = windows;
        let group_outputs = self.outputs.checked_div(self.groups)?;
        for group in 0..self.groups {
            let own = group * group_outputs..(group + 1) * group_outputs;
            let product = product.of_outputs(own.clone())?;
            let conv = Conv {
                x: x.get(group * self.depth..).unwrap_or_default(),
                product,
                layers: self,
                outputs: own,
            };
            // A pixel by itself waits for another one.
            let mut waiting = None;
            for (plane, y) in y.chunks_mut(self.y_plane.max(1)).enumerate() {
                let planes = d_windows.span(plane);
                for (row, y) in pieces_mut(y, self.y_row).enumerate() {
                    let rows = h_windows.span(row);
                    for (columns, y) in w_windows.pixels(y, self.outputs) {
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
        Some(())
    }
}

/// One group of channels of one image.
struct Conv<'a, R: Product> {
    /// The activations from the first channel of the group on.
    x: &'a [R::Element],
    product: R,
    layers: &'a Layers,
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
    let [_, _, w_windows] = &windows;
    let layers = Layers::of(node, w_windows, groups)?;
    let [_, d, ..] = in_three(&node.input(0)?.shape())?;
    let [_, od, ..] = in_three(&node.output()?.shape())?;
    let [plane, ..] = layers.strides.x;
    let mut volumes = pieces(x, d * plane);
    for y in pieces_mut(y, od * layers.y_plane) {
        layers.run::<A, _, _>(windows, product, volumes.next()?, y)?;
    }
    Some(())
}

/// The images of a convolution that goes row by row.
pub(crate) struct Images {
    layers: Layers,
    moves: Moves,
    windows: [Window; 2],
    /// Each pixel is computed by itself.
    points: bool,
}

impl Images {
    pub(crate) fn of(node: &Node<'_>, moves: &Moves, groups: u32, points: bool) -> Option<Self> {
        let [_, h, width, _] = node.input_dims(0)?;
        let [_, kh, kw, _] = node.input_dims(1)?;
        let windows = moves.windows([h, width], [kh, kw]);
        let [_, w_windows] = &windows;
        let layers = Layers::of(node, w_windows, groups)?;
        Some(Self { layers, moves: *moves, windows, points })
    }

    /// The rows of a band.
    pub(crate) fn run<A: Arch, R: Grouped>(&self, product: R, band: Band<'_, R::Element>) -> Option<()> {
        let &Self { ref layers, windows: [h_windows, w_windows], .. } = self;
        if self.points {
            // Pixels are rows of a matrix, of whatever width the image is.
            return gemm::rows::<A, _>(&product, layers.depth, band.x, layers.outputs, band.y);
        }
        let windows = [Window::ONE, h_windows.moved_on(&band), w_windows];
        layers.run::<A, _, _>(windows, product, band.x, band.y)
    }

    /// The rows of a band as an image by themselves; pixels that are computed by themselves are one row.
    pub(crate) fn image<T>(&self, x_zero_point: i32, band: &Band<'_, T>) -> Image {
        let layers = &self.layers;
        let [_, x_row, channels] = layers.strides.x;
        let [_, taps @ ..] = layers.taps;
        let of = |len: usize, row: usize| len.checked_div(row).unwrap_or_default();
        if self.points {
            let pixels = of(band.y.len(), layers.outputs);
            return Image::points(pixels, [channels, layers.outputs], x_zero_point);
        }
        let [h_windows, _] = self.windows;
        let x_width = of(x_row, channels);
        let y = [of(band.y.len(), layers.y_row), of(layers.y_row, layers.outputs), layers.outputs];
        self.moves.image(h_windows.moved_on(band), band.x.len(), [x_width, channels], x_zero_point, y, taps)
    }
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
        let whole = [planes.count, rows.count, columns.count] == self.layers.taps;
        let mut len = self.layers.depth;
        let [.., channels] = self.layers.strides.x;
        if columns.tap_step == 1 && columns.input_step == 1 && len == channels {
            // The taps of a row are neighbours in x and in the weights: one long tap.
            len *= columns.count;
            columns.count = columns.count.min(1);
        }
        (self.layers.strides.patch(self.x, [planes, rows, columns], len), whole)
    }

    fn pixels<A: Arch, const P: usize>(&self, spans: [Span; 3], y: [&mut [R::Element]; P]) -> Option<()> {
        let (patch, whole) = self.patch(spans);
        let y = y.map(|y| y.get_mut(self.outputs.clone()).unwrap_or_default());
        self.product.pixels::<A, P>(&patch, whole, y)
    }
}
