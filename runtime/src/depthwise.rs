//! What the depthwise convolutions have in common, of reals and of integers: the loops over pixels.

use crate::arch::{Arch, Image};
use crate::conv::Product;
use crate::kernel::Node;
use crate::pieces::pieces_mut;
use crate::rows::Band;
use crate::window::{Moves, Pixels, Span, Strides, Window, Windows};

/// How x `[N, H, W, C]`, input 0 of the node, and weights `[KH, KW, O]`, input 1, lie in memory, and how
/// windows move over each channel of x.
pub(crate) struct Layers {
    windows: [Window; 2],
    taps: [usize; 2],
    width: usize,
    channels: usize,
    outputs: usize,
    y_height: usize,
    y_width: usize,
}

impl Layers {
    pub(crate) fn of(node: &Node<'_>, moves: &Moves) -> Option<Self> {
        let [_, h, width, channels] = node.input_dims(0)?;
        let [kh, kw, outputs] = node.input_dims(1)?;
        let [_, y_height, y_width, _] = node.output_dims()?;
        let (taps, windows) = ([kh, kw], moves.windows([h, width], [kh, kw]));
        Some(Self { windows, taps, width, channels, outputs, y_height, y_width })
    }

    /// Whether all windows see all of their taps.
    pub(crate) fn are_whole(&self) -> bool {
        let [h_windows, w_windows] = &self.windows;
        h_windows.are_whole(self.y_height) && w_windows.are_whole(self.y_width)
    }

    /// The rows of a band with the weights of `product`, which is given taps of C channels.
    pub(crate) fn run<A: Arch, R: Product>(&self, product: &R, band: Band<'_, R::Element>) -> Option<()> {
        let &Self {
            windows: [h_windows, w_windows], taps: [kh, kw], width, channels, outputs, y_width, ..
        } = self;
        let h_windows = h_windows.moved_on(&band);
        let strides = Strides {
            x: [0, width * channels, channels],
            w: [0, kw * outputs, outputs],
            pair: w_windows.pair_step().wrapping_mul(channels),
        };
        let x = band.x;
        for (row, y) in pieces_mut(band.y, y_width * outputs).enumerate() {
            let rows = h_windows.span(row);
            for (columns, y) in w_windows.pixels(y, outputs) {
                let (spans, whole) = ([Span::ONE, rows, columns], (rows.count, columns.count) == (kh, kw));
                match y {
                    Pixels::One(y) => {
                        product.pixels::<A, 1>(&strides.patch(x, spans, channels), whole, y)?;
                    }
                    Pixels::Two(y) => {
                        product.pixels::<A, 2>(&strides.patch(x, spans, channels), whole, y)?;
                    }
                }
            }
        }
        Some(())
    }

    /// The rows of a band as an image by themselves.
    pub(crate) fn image<T>(&self, moves: &Moves, x_zero_point: i32, band: &Band<'_, T>) -> Image {
        let &Self { windows: [h_windows, _], taps, width, channels, outputs, y_width, .. } = self;
        let rows = band.y.len().checked_div(y_width.wrapping_mul(outputs)).unwrap_or_default();
        let y = [rows, y_width, outputs];
        moves.image(h_windows.moved_on(band), band.x.len(), [width, channels], x_zero_point, y, taps)
    }
}
