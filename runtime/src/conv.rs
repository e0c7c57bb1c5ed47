//! What the convolutions have in common, plain and transposed: the loops over pixels. In two
//! dimensions the depth is 1.

use crate::arch::Arch;
use crate::gemm::Weights;
use crate::kernel::Node;
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use crate::window::{Pixels, Span, Strides, Windows};
use core::ops::Range;
use flatpack_format::ops::Clamp;
use flatpack_format::{Layout, Shape};

/// One group of channels of one image.
struct Conv<'a> {
    /// The activations from the first channel of the group on.
    x: &'a [f32],
    weights: Weights<'a>,
    strides: Strides,
    /// Channels of the group.
    depth: usize,
    /// Outputs of the group.
    outputs: Range<usize>,
}

/// Convolves input 0 with input 1, its windows moving along depth, height and width.
pub(crate) fn run<A: Arch, W: Windows>(
    node: &Node<'_>,
    operands: Operands<'_>,
    windows: [W; 3],
    groups: u32,
    clamp: Clamp,
) -> Option<()> {
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let x = reads.get::<f32>(node.input(0)?)?;
    let w = node.input(1)?;
    let weights = reads.get::<f32>(w)?;
    let bias = node.input(2).and_then(|bias| reads.get::<f32>(bias));
    let [_, d, h, width, channels] = in_three(&node.input(0)?.shape())?;
    let [outputs, kd, kh, kw, depth] = in_three(&w.shape())?;
    let [_, od, oh, ow, _] = in_three(&node.output()?.shape())?;
    let [d_windows, h_windows, w_windows] = windows;
    let groups = groups as usize;
    let group_outputs = outputs.checked_div(groups)?;
    let group_depth = kd * kh * kw * depth;

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
            let weights = Weights {
                layout: w.layout(),
                w: match w.layout() {
                    Layout::Rows => weights.get(own.start * group_depth..own.end * group_depth)?,
                    Layout::Panel16 => weights,
                },
                bias: bias.and_then(|bias| bias.get(own.clone())),
                depth: group_depth,
                clamp,
            };
            let conv = Conv { x: x.get(group * depth..)?, weights, strides, depth, outputs: own };
            for (plane, y) in pieces_mut(y, oh * ow * outputs).enumerate() {
                let planes = d_windows.span(plane);
                for (row, y) in pieces_mut(y, ow * outputs).enumerate() {
                    let rows = h_windows.span(row);
                    for (columns, y) in w_windows.pixels(y, outputs) {
                        let spans = [planes, rows, columns];
                        match y {
                            Pixels::One(y) => conv.pixels::<A, 1>(spans, y)?,
                            Pixels::Two(y) => conv.pixels::<A, 2>(spans, y)?,
                        }
                    }
                }
            }
        }
    }
    Some(())
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

impl Conv<'_> {
    fn pixels<A: Arch, const P: usize>(
        &self,
        [planes, rows, mut columns]: [Span; 3],
        y: [&mut [f32]; P],
    ) -> Option<()> {
        let mut len = self.depth;
        let [.., channels] = self.strides.x;
        if columns.tap_step == 1 && columns.input_step == 1 && len == channels {
            // The taps of a row are neighbours in x and in the weights: one long tap.
            len *= columns.count;
            columns.count = columns.count.min(1);
        }
        let patch = self.strides.patch(self.x, [planes, rows, columns], len);
        let y = y.map(|y| y.get_mut(self.outputs.clone()).unwrap_or_default());
        self.weights.pixels::<A, P>(&patch, y)
    }
}
