//! What the depthwise convolutions have in common, of reals and of integers: the loops over pixels.

use crate::arch::Arch;
use crate::conv::Product;
use crate::kernel::Node;
use crate::pieces::{pieces, pieces_mut};
use crate::window::{Moves, Pixels, Span, Strides, Windows};

/// Convolves each channel of x `[N, H, W, C]`, input 0 of the node, with the weights of `product`,
/// which have the shape `[KH, KW, O]` of input 1. `product` is given taps of C channels.
pub(crate) fn run<A: Arch, R: Product>(
    node: &Node<'_>,
    moves: &Moves,
    product: &R,
    x: &[R::Element],
    y: &mut [R::Element],
) -> Option<()> {
    let [_, h, width, channels] = node.input_dims(0)?;
    let [kh, kw, outputs] = node.input_dims(1)?;
    let [_, oh, ow, _] = node.output_dims()?;
    let [h_windows, w_windows] = moves.windows([h, width], [kh, kw]);
    let strides = Strides {
        x: [0, width * channels, channels],
        w: [0, kw * outputs, outputs],
        pair: w_windows.pair_step().wrapping_mul(channels),
    };

    let mut images = pieces(x, h * width * channels);
    for y in pieces_mut(y, oh * ow * outputs) {
        let x = images.next()?;
        for (row, y) in pieces_mut(y, ow * outputs).enumerate() {
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
    }
    Some(())
}
