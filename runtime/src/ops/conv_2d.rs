//! 2-D convolution: `y[n, oh, ow, o] = clamp(bias[o] + Σ x[n, oh · sh + kh · dh − pad, …, c] ·
//! w[o, kh, kw, c])`, summed in the order of kh, kw, c over the taps that lie inside the input.
//!
//! | operand | dtype | shape              | layouts             |
//! |---------|-------|--------------------|---------------------|
//! | x       | f32   | [N, H, W, C]       | rows                |
//! | w       | f32   | [O, KH, KW, C / G] | rows; panel16 if G = 1 |
//! | bias    | f32   | [O]                | rows; may be absent |
//! | y       | f32   | [N, OH, OW, O]     | rows                |
//!
//! `check` proves the shapes, that strides and dilations are at least 1, that positions fit `i32`,
//! and that y shares no memory with an input.

use crate::arch::{Active, Arch};
use crate::gemm::Weights;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use core::ops::Range;
use flatpack_format::ops::conv_2d::{Conv2dParams, RULE};
use flatpack_format::{Layout, Misfit, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel { op: OpCode::Conv2d, check, run: run::<Active> };

fn check(node: &Node<'_>) -> Result<(), Misfit> {
    node.check(&RULE, true, 0)?;
    let params: &Conv2dParams = node.params().ok_or(Misfit::Params)?;
    let packed = node.input(1).is_some_and(|w| w.layout() == Layout::Panel16);
    if packed && params.groups != 1 { Err(Misfit::Layout(1)) } else { Ok(()) }
}

/// The window along one axis.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) input: usize,
    pub(crate) taps: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) pad: usize,
}

impl Window {
    /// The taps of the window at `position` that lie inside the input.
    pub(crate) fn inside(&self, position: usize) -> Range<usize> {
        let dilation = self.dilation.max(1);
        let start = position * self.stride;
        let before = self.pad.saturating_sub(start).div_ceil(dilation);
        let after = (self.input + self.pad).saturating_sub(start).div_ceil(dilation);
        before.min(self.taps)..after.min(self.taps)
    }

    /// The input position under `tap`, one of those inside.
    pub(crate) fn at(&self, position: usize, tap: usize) -> usize {
        (position * self.stride + tap * self.dilation).saturating_sub(self.pad)
    }
}

/// Neighbouring outputs computed at once, so that each weight is loaded once for them.
const PIXELS: usize = 2;

struct Conv<'a> {
    x: &'a [f32],
    weights: Weights<'a>,
    h: Window,
    w: Window,
    channels: usize,
    /// First channel and number of channels of the group.
    group: usize,
    depth: usize,
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &Conv2dParams = node.params()?;
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let x = reads.get::<f32>(node.input(0)?)?;
    let w = node.input(1)?;
    let all_weights = reads.get::<f32>(w)?;
    let all_bias = node.input(2).and_then(|bias| reads.get::<f32>(bias));
    let [_, h, width, channels] = node.input_dims(0)?;
    let [outputs, kh, kw, depth] = node.input_dims(1)?;
    let [_, oh, ow, _] = node.output_dims()?;
    let [[sh, sw], [dh, dw]] = [params.stride, params.dilation].map(|pair| pair.map(|v| v as usize));
    let [pad_h, pad_w] = [params.pad_h, params.pad_w].map(|[before, _]| before as usize);
    let h_window = Window { input: h, taps: kh, stride: sh, dilation: dh, pad: pad_h };
    let w_window = Window { input: width, taps: kw, stride: sw, dilation: dw, pad: pad_w };
    let groups = params.groups as usize;
    let group_outputs = outputs.checked_div(groups)?;

    let images = x.chunks_exact((h * width * channels).max(1));
    for (x, y) in images.zip(y.chunks_exact_mut((oh * ow * outputs).max(1))) {
        for group in 0..groups {
            let first = group * group_outputs;
            let weights = Weights {
                layout: w.layout(),
                w: match groups {
                    1 => all_weights,
                    _ => {
                        all_weights.get(first * kh * kw * depth..(first + group_outputs) * kh * kw * depth)?
                    }
                },
                bias: all_bias.and_then(|bias| bias.get(first..first + group_outputs)),
                depth: kh * kw * depth,
                clamp: params.clamp,
            };
            let conv = Conv { x, weights, h: h_window, w: w_window, channels, group: group * depth, depth };
            for (row, y) in y.chunks_exact_mut((ow * outputs).max(1)).enumerate() {
                if groups == 1 {
                    conv.row::<A>(row, outputs, y)?;
                } else {
                    for (column, y) in y.chunks_exact_mut(outputs.max(1)).enumerate() {
                        conv.pixels::<A, 1>(row, column, y.get_mut(first..first + group_outputs)?)?;
                    }
                }
            }
        }
    }
    Some(())
}

impl Conv<'_> {
    /// One row of outputs: pairs where both windows lie equally inside the input, else singles.
    fn row<A: Arch>(&self, row: usize, outputs: usize, y: &mut [f32]) -> Option<()> {
        let mut rest = y;
        let mut column = 0;
        while !rest.is_empty() {
            let pair =
                rest.len() >= outputs * PIXELS && self.w.inside(column) == self.w.inside(column + PIXELS - 1);
            let pixels = if pair { PIXELS } else { 1 };
            let (y, after) = rest.split_at_mut_checked(outputs * pixels)?;
            if pair {
                self.pixels::<A, PIXELS>(row, column, y)?;
            } else {
                self.pixels::<A, 1>(row, column, y)?;
            }
            (rest, column) = (after, column + pixels);
        }
        Some(())
    }

    /// `P` neighbouring outputs whose windows lie equally inside the input.
    fn pixels<A: Arch, const P: usize>(&self, row: usize, column: usize, y: &mut [f32]) -> Option<()> {
        let columns = self.w.inside(column);
        if self.w.dilation == 1 && self.depth == self.channels {
            // The taps of a row are neighbours in memory: one stretch per row.
            let len = columns.len() * self.depth;
            let stretches = self.h.inside(row).map(|kh| {
                (self.inputs::<P>(row, kh, column, columns.start, len), self.weight(kh, columns.start))
            });
            self.weights.pixels::<A, P>(stretches, y)
        } else {
            let taps = self.h.inside(row).flat_map(|kh| columns.clone().map(move |kw| (kh, kw)));
            let stretches =
                taps.map(|(kh, kw)| (self.inputs::<P>(row, kh, column, kw, self.depth), self.weight(kh, kw)));
            self.weights.pixels::<A, P>(stretches, y)
        }
    }

    /// Where the weights of a tap begin.
    fn weight(&self, kh: usize, kw: usize) -> usize {
        (kh * self.w.taps + kw) * self.depth
    }

    /// The activations under a tap of `P` neighbouring windows.
    #[inline(always)]
    fn inputs<const P: usize>(
        &self,
        row: usize,
        kh: usize,
        column: usize,
        kw: usize,
        len: usize,
    ) -> [&[f32]; P] {
        core::array::from_fn(|pixel| {
            let position = self.h.at(row, kh) * self.w.input + self.w.at(column + pixel, kw);
            let start = position * self.channels + self.group;
            self.x.get(start..start + len).unwrap_or_default()
        })
    }
}
