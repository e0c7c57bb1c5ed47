//! What the 2-D pools have in common: a window that folds each channel to one value.

use crate::arch::{Arch, LANES, Patch};
use crate::kernel::Node;
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use crate::window::{Span, Strides, Window, Windows};
use flatpack_format::ops::average_pool_2d::Pool2dParams;

/// How a pool folds the elements of a channel under its window.
pub(crate) trait Fold<A: Arch> {
    /// What a fold begins with.
    const START: f32;
    /// Folds 8 channels.
    fn tile(patch: &Patch<'_, 1>, lanes: &mut [f32; LANES]) -> Option<()>;
    /// Folds one more element.
    fn one(folded: f32, x: f32) -> f32;
    /// The result, from a fold of this many elements.
    fn result(folded: f32, count: f32) -> f32;
}

pub(crate) fn run<A: Arch, F: Fold<A>>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &Pool2dParams = node.params()?;
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let x = reads.get::<f32>(node.input(0)?)?;
    let [_, h, width, channels] = node.input_dims(0)?;
    let [_, oh, ow, _] = node.output_dims()?;
    let ([kh, kw], [sh, sw]) = (params.window.map(|v| v as usize), params.stride);
    let h_windows = Window::new(h, kh, sh, 1, params.pad_h);
    let w_windows = Window::new(width, kw, sw, 1, params.pad_w);
    let strides = Strides { x: [0, width * channels, channels], w: [0; 3], pair: 0 };

    let mut images = pieces(x, h * width * channels);
    for y in pieces_mut(y, oh * ow * channels) {
        let x = images.next()?;
        for (row, y) in pieces_mut(y, ow * channels).enumerate() {
            let rows = h_windows.span(row);
            for (column, y) in pieces_mut(y, channels).enumerate() {
                let columns = w_windows.span(column);
                let patch = strides.patch(x, [Span::ONE, rows, columns], channels);
                pixel::<A, F>(&patch, y)?;
                let count = (rows.count * columns.count) as f32;
                y.iter_mut().for_each(|y| *y = F::result(*y, count));
                A::clamp_f32(params.clamp.min, params.clamp.max, y);
            }
        }
    }
    Some(())
}

/// Folds the channels of a pixel, in tiles where there are enough; the last tile begins early enough
/// to be a whole one.
fn pixel<A: Arch, F: Fold<A>>(patch: &Patch<'_, 1>, y: &mut [f32]) -> Option<()> {
    let [x] = patch.x;
    let Some(last) = y.len().checked_sub(LANES) else {
        y.fill(F::START);
        return patch.try_each_tap(|x_at, _| {
            y.iter_mut().zip(x.get(x_at..)?).for_each(|(y, x)| *y = F::one(*y, *x));
            Some(())
        });
    };
    for first in (0..last).step_by(LANES).chain([last]) {
        let mut lanes = [F::START; LANES];
        F::tile(&Patch { x: [x.get(first..)?], ..*patch }, &mut lanes)?;
        *y.get_mut(first..)?.first_chunk_mut()? = lanes;
    }
    Some(())
}
