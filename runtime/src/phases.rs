//! Transposed convolutions of integers as plain ones: outputs a stride apart see the same taps, each phase by an instruction
//! set's loops over images. Its weights and outputs are in memory of the step: 16 outputs at a time, or more.

use crate::arch::{Arch, Image, OutputsI8, PANEL_LEN, Scratch};
use crate::fixed;
use crate::pieces::{pieces, pieces_mut};
use crate::window::{Phase, TransposedWindow};
use flatpack_format::ops::{Multiplier, OutputI8};

/// Elements that are multiplied at once.
const GROUP: usize = 4;

/// Groups of sixteen outputs' weights that there is room for: 32 KiB.
const GROUPS: usize = if cfg!(test) { 24 } else { 512 };

/// Outputs that there is room for, of one pixel and of all.
const OUTPUTS: usize = 128;
const ROOM: usize = if cfg!(test) { 512 } else { 1 << 14 };

/// A transposed convolution of an image, or of some rows of y.
#[derive(Clone, Copy)]
pub(crate) struct Transposed<'a> {
    /// Height, width and channels.
    pub(crate) x: [usize; 3],
    pub(crate) x_zero_point: i32,
    /// Width and outputs.
    pub(crate) y: [usize; 2],
    pub(crate) taps: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) windows: [TransposedWindow; 2],
    /// `[outputs, taps, channels]`; their zero point is 0.
    pub(crate) w: &'a [i8],
    pub(crate) bias: &'a [i32],
    pub(crate) requant: &'a [Multiplier],
    pub(crate) of_y: OutputI8,
}

impl Transposed<'_> {
    /// Of rows from `first` on. `None` where it is not computed: y is then to be computed anew.
    pub(crate) fn run<A: Arch>(&self, first: usize, x: &[i8], y: &mut [i8]) -> Option<()> {
        let ([sh, sw], [columns, outputs]) = (self.stride, self.y);
        let rows = y.len().checked_div(columns * outputs)?;
        let [h_windows, w_windows] = self.windows;
        let h_windows = h_windows.moved_on(first);
        let mut memory = Memory::<A>::new();
        for row in 0..sh.min(rows) {
            for column in 0..sw.min(columns) {
                let phase = OfPhase {
                    first: [row, column],
                    count: [(rows - row).div_ceil(sh), (columns - column).div_ceil(sw)],
                    axes: [h_windows.phase(row), w_windows.phase(column)],
                };
                self.phase(&phase, &mut memory, x, y)?;
            }
        }
        Some(())
    }

    /// All outputs of a phase, as many at once as there is room for.
    fn phase<A: Arch>(&self, phase: &OfPhase, memory: &mut Memory<A>, x: &[i8], y: &mut [i8]) -> Option<()> {
        let ([_, _, channels], [_, outputs]) = (self.x, self.y);
        let [h, w] = phase.axes;
        let groups = (h.taps * w.taps * channels).div_ceil(GROUP);
        // As there is room for their weights, and for a row of their outputs.
        let [_, columns] = phase.count;
        let panels = GROUPS.checked_div(groups).unwrap_or(GROUPS).min(ROOM.checked_div(columns * PANEL_LEN)?);
        let panels = panels.min(OUTPUTS / PANEL_LEN);
        if panels == 0 || w.skip > 0 {
            return None;
        }
        for first in (0..outputs).step_by(panels * PANEL_LEN) {
            let count = (outputs - first).min(panels * PANEL_LEN);
            memory.put_weights(self, phase, groups, first, count)?;
            self.outputs(phase, memory, [first, count], x, y)?;
        }
        Some(())
    }

    /// Some outputs of a phase, some rows at a time.
    fn outputs<A: Arch>(
        &self,
        phase: &OfPhase,
        memory: &mut Memory<A>,
        [first, count]: [usize; 2],
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        let ([height, width, channels], [stride_h, stride_w]) = (self.x, self.stride);
        let [y_columns, y_outputs] = self.y;
        let (OfPhase { first: [y_row, y_column], count: [rows, columns], axes: [h, w] }, of_y) =
            (*phase, self.of_y);
        let Memory { scratch, weights, bias, room } = memory;
        let bias = bias.get(..count)?;
        let requant =
            if self.requant.len() == 1 { self.requant } else { self.requant.get(first..)?.get(..count)? };
        let outputs = OutputsI8 { bias, requant, plain: A::all_plain(requant), y: of_y };
        let row_len = columns * count;
        let most = ROOM.checked_div(row_len).filter(|most| *most > 0)?;
        for row in (0..rows).step_by(most) {
            let rows = most.min(rows - row);
            let room = room.get_mut(..rows * row_len)?;
            let skip = (h.skip + row).saturating_sub(h.pad).min(height);
            if h.taps * w.taps == 0 {
                for pixel in pieces_mut(room, count) {
                    for (o, (y, bias)) in pixel.iter_mut().zip(bias).enumerate() {
                        *y = fixed::requantize(*bias, fixed::of_output(requant, o)?, &of_y);
                    }
                }
            } else {
                let image = Image {
                    x: [height - skip, width, channels],
                    x_zero_point: self.x_zero_point,
                    y: [rows, columns, count],
                    taps: [h.taps, w.taps],
                    stride: [1; 2],
                    dilation: [h.dilation, w.dilation],
                    pad: [h.pad.saturating_sub(row), w.pad],
                };
                let x = x.get(skip * width * channels..)?;
                A::conv_image_in_panels_i8(scratch, &image, weights.as_flattened(), &outputs, x, room)?;
            }
            for (r, of_row) in pieces(room, row_len).enumerate() {
                let y = y.get_mut((y_row + (row + r) * stride_h) * y_columns * y_outputs..)?;
                let y = y.get_mut(y_column * y_outputs + first..)?;
                apart(of_row, count, y, stride_w * y_outputs)?;
            }
        }
        Some(())
    }
}

/// Puts pixels of `len` outputs where each is `stride` elements from the one before.
fn apart(pixels: &[i8], len: usize, y: &mut [i8], stride: usize) -> Option<()> {
    let y = y.chunks_mut(stride.max(1));
    if len == PANEL_LEN {
        let (pixels, _) = pixels.as_chunks::<PANEL_LEN>();
        return pixels.iter().zip(y).try_for_each(|(from, y)| {
            *y.first_chunk_mut()? = *from;
            Some(())
        });
    }
    pieces(pixels, len).zip(y).try_for_each(|(from, y)| {
        y.get_mut(..len)?.copy_from_slice(from);
        Some(())
    })
}

/// Outputs of y that see the same taps.
#[derive(Clone, Copy)]
struct OfPhase {
    /// The first row and column of y, and how many of each, a stride apart.
    first: [usize; 2],
    count: [usize; 2],
    axes: [Phase; 2],
}

/// Memory of a step.
struct Memory<A: Arch> {
    scratch: A::Scratch,
    /// In layout `panel16x4`.
    weights: [[i8; GROUP * PANEL_LEN]; GROUPS],
    bias: [i32; OUTPUTS],
    room: [i8; ROOM],
}

impl<A: Arch> Memory<A> {
    fn new() -> Self {
        Self {
            scratch: A::Scratch::new(),
            weights: [[0; GROUP * PANEL_LEN]; GROUPS],
            bias: [0; OUTPUTS],
            room: [0; ROOM],
        }
    }

    /// The weights of a phase's taps, as many groups for each output, from the last tap to the first: those are in the
    /// order of inputs. The bias has what the zero point of x makes of them.
    fn put_weights(
        &mut self,
        of: &Transposed<'_>,
        phase: &OfPhase,
        groups: usize,
        first: usize,
        count: usize,
    ) -> Option<()> {
        let ([_, _, channels], [kh, kw], [h, w]) = (of.x, of.taps, phase.axes);
        let mut rows = pieces(of.w, kh * kw * channels).skip(first);
        let mut bias_of = of.bias.get(first..)?.iter();
        for (o, bias) in self.bias.get_mut(..count)?.iter_mut().enumerate() {
            let row = rows.next()?;
            let panel = self.weights.get_mut(o / PANEL_LEN * groups..)?.get_mut(..groups)?;
            let (mut at, mut sum) = (0, 0i32);
            for r in (0..h.taps).rev() {
                for c in (0..w.taps).rev() {
                    let tap = (h.tap + r * h.tap_step) * kw + w.tap + c * w.tap_step;
                    let tap = row.get(tap * channels..)?.get(..channels)?;
                    sum = tap.iter().fold(sum, |sum, w| sum.wrapping_add((*w).into()));
                    put(panel, o % PANEL_LEN, at, tap)?;
                    at += channels;
                }
            }
            if let Some(last) = panel.last_mut().filter(|_| !at.is_multiple_of(GROUP)) {
                let (last, _) = last.as_chunks_mut::<GROUP>();
                last.get_mut(o % PANEL_LEN)?.get_mut(at % GROUP..)?.fill(0);
            }
            *bias = bias_of.next()?.wrapping_sub(of.x_zero_point.wrapping_mul(sum));
        }
        Some(())
    }
}

/// Weights of an output of a panel, from its element `at` on.
fn put(panel: &mut [[i8; GROUP * PANEL_LEN]], o: usize, at: usize, w: &[i8]) -> Option<()> {
    let (w_groups, rest) = w.as_chunks::<GROUP>();
    if at.is_multiple_of(GROUP) && rest.is_empty() {
        for (group, w) in panel.get_mut(at / GROUP..)?.iter_mut().zip(w_groups) {
            *group.as_chunks_mut().0.get_mut(o)? = *w;
        }
        return Some(());
    }
    for (at, w) in (at..).zip(w) {
        *panel.get_mut(at / GROUP)?.get_mut(o * GROUP + at % GROUP)? = *w;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use std::vec;

    /// What upsamples an image of 5 × 6 by two, with windows of so many taps, has no other loops.
    fn takes<A: Arch>(taps: usize, crop: u32, channels: usize, outputs: usize) -> bool {
        let window = |input| TransposedWindow::new(input, taps, 2, 1, crop);
        let transposed = Transposed {
            x: [5, 6, channels],
            x_zero_point: -3,
            y: [12, outputs],
            taps: [taps; 2],
            stride: [2; 2],
            windows: [window(5), window(6)],
            w: &vec![1; outputs * taps * taps * channels],
            bias: &vec![0; outputs],
            requant: &[Multiplier { mantissa: 1 << 30, shift: -5 }],
            of_y: OutputI8 { zero_point: 0, min: -128, max: 127 },
        };
        let (x, mut y) = (vec![1; 5 * 6 * channels], vec![0; 10 * 12 * outputs]);
        let rows = 4 * 12 * outputs;
        let (before, after) = y.split_at_mut(rows);
        transposed.run::<A>(0, &x, before).is_some() && transposed.run::<A>(4, &x, after).is_some()
    }

    #[test]
    fn windows_as_models_have_them_go_phase_by_phase() {
        for (taps, crop) in [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1)] {
            for (channels, outputs) in [(3, 1), (4, 16), (8, 33)] {
                let case = (taps, crop, channels, outputs);
                #[cfg(target_arch = "x86_64")]
                if Isa::Avx2.is_here() {
                    assert!(takes::<crate::arch::Avx2>(taps, crop, channels, outputs), "{case:?}");
                }
                #[cfg(target_arch = "x86_64")]
                if Isa::Avx512Vnni.is_here() {
                    assert!(takes::<crate::arch::Avx512Vnni>(taps, crop, channels, outputs), "{case:?}");
                }
                #[cfg(target_arch = "aarch64")]
                if Isa::Neon.is_here() {
                    let takes = takes::<crate::arch::Neon<crate::arch::Pairs>>;
                    assert!(takes(taps, crop, channels, outputs), "{case:?}");
                }
            }
        }
    }
}
