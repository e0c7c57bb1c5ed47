//! An image in rectangles of pixels whose windows see the same taps.

use crate::arch::{Image, TransposedImage};
use crate::window::{Span, TransposedWindow, Window, Windows};
use core::ops::Range;

/// Where a tap begins: in x from a pixel's first one on, and in the weights.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::arch) struct Tap {
    x: u32,
    w: u32,
}

impl Tap {
    #[inline(always)]
    pub(in crate::arch) fn at(self) -> [usize; 2] {
        [self.x, self.w].map(|at| at as usize)
    }
}

/// Where the first tap of a pixel begins in x, and its outputs in y.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::arch) struct Pixel {
    x: u32,
    y: u32,
}

impl Pixel {
    #[inline(always)]
    pub(in crate::arch) fn at(self) -> [usize; 2] {
        [self.x, self.y].map(|at| at as usize)
    }
}

/// The most taps that these loops take.
pub(super) const MOST_TAPS: usize = 64;

/// The most pixels of a block.
const MOST_PIXELS: usize = 98;

/// Elements of x that a block sees, if it has more than a few pixels: half of a second-level cache.
const SEEN: usize = 32 * 1024;

/// Room for the taps of a rectangle.
pub(super) const TAP_ROOM: [Tap; MOST_TAPS] = [Tap { x: 0, w: 0 }; MOST_TAPS];

/// Room for the pixels of a block.
pub(super) const PIXEL_ROOM: [Pixel; MOST_PIXELS] = [Pixel { x: 0, y: 0 }; MOST_PIXELS];

/// An image as these loops see it, under windows that move along height and width.
#[derive(Debug)]
pub(in crate::arch) struct Rectangles<W = Window> {
    /// Width and channels.
    x: [usize; 2],
    /// Height, width and channels.
    y: [usize; 3],
    taps: [usize; 2],
    windows: [W; 2],
    /// Taps side by side may be one long tap, in x and in the weights.
    joined: bool,
    /// The most pixels of a block.
    pub(in crate::arch) most: usize,
}

/// Pixels whose windows see the same taps.
#[derive(Clone, Copy, Debug)]
pub(in crate::arch) struct Rectangle {
    pub(in crate::arch) rows: Part,
    pub(in crate::arch) columns: Part,
}

/// Positions along an axis that see the same taps.
#[derive(Clone, Copy, Debug)]
pub(in crate::arch) struct Part {
    /// The first one, and how far each is from the one before: in y, and in x.
    first: usize,
    step: usize,
    x_step: usize,
    count: usize,
    /// What the first one sees.
    span: Span,
}

impl Rectangles {
    /// `None` for more taps than these loops take. `joined`: taps side by side may be one.
    pub(in crate::arch) fn of(image: &Image, joined: bool) -> Option<Self> {
        let &Image { x: [_, width, channels], y, taps, dilation: [_, dilation], .. } = image;
        Self::new([width, channels], y, taps, image.windows(), joined && dilation == 1)
    }
}

impl Rectangles<TransposedWindow> {
    /// `None` for more taps than these loops take.
    pub(in crate::arch) fn of_transposed(image: &TransposedImage) -> Option<Self> {
        let &TransposedImage { x: [_, width, channels], y, taps, windows } = image;
        Self::new([width, channels], y, taps, windows, false)
    }
}

impl<W: Windows> Rectangles<W> {
    fn new(x: [usize; 2], y: [usize; 3], taps: [usize; 2], windows: [W; 2], joined: bool) -> Option<Self> {
        let ([_, channels], [_, w_windows], [kh, kw]) = (x, &windows, taps);
        let most = (SEEN / (channels * w_windows.pair_step()).max(1)).clamp(24, MOST_PIXELS);
        let most_taps = kh.checked_mul(if joined { 1 } else { kw })?;
        (most_taps <= MOST_TAPS).then_some(Self { x, y, taps, windows, joined, most })
    }

    /// Weights of an output.
    pub(in crate::arch) fn depth(&self) -> usize {
        let ([_, channels], [kh, kw]) = (self.x, self.taps);
        kh * kw * channels
    }

    /// Outputs of a pixel.
    pub(in crate::arch) fn outputs(&self) -> usize {
        let [.., outputs] = self.y;
        outputs
    }

    /// The parts of the height, which rectangles have for their rows.
    #[inline(always)]
    pub(in crate::arch) fn rows(&self) -> Parts<W> {
        let ([windows, _], [rows, _, _]) = (self.windows, self.y);
        Parts::of(windows, rows)
    }

    /// The parts of the width, which they have for their columns.
    #[inline(always)]
    pub(in crate::arch) fn columns(&self) -> Parts<W> {
        let ([_, windows], [_, columns, _]) = (self.windows, self.y);
        Parts::of(windows, columns)
    }

    /// The taps of a rectangle, and how many elements each has.
    pub(in crate::arch) fn taps<'r>(
        &self,
        rectangle: &Rectangle,
        room: &'r mut [Tap; MOST_TAPS],
    ) -> (&'r [Tap], usize) {
        let ([width, channels], [_, kw]) = (self.x, self.taps);
        let (row, column) = (rectangle.rows.span, rectangle.columns.span);
        let (columns, len) = if self.joined {
            (column.count.min(1), column.count * channels)
        } else {
            (column.count, channels)
        };
        let tap_of = |span: Span, at: usize| span.tap.wrapping_add_signed(span.tap_step * at as isize);
        let mut room_left = room.iter_mut();
        for r in 0..row.count {
            for (c, to) in (0..columns).zip(&mut room_left) {
                let x = (r * row.input_step * width + c * column.input_step) * channels;
                let w = (tap_of(row, r) * kw + tap_of(column, c)) * channels;
                *to = Tap { x: x as u32, w: w as u32 };
            }
        }
        (room.get(..row.count * columns).unwrap_or_default(), len)
    }

    /// As many of the pixels of a rectangle from number `first` on as there is room for.
    pub(in crate::arch) fn pixels<'r>(
        &self,
        rectangle: &Rectangle,
        first: usize,
        room: &'r mut [Pixel],
    ) -> &'r [Pixel] {
        let ([width, channels], [_, y_width, outputs]) = (self.x, self.y);
        let Rectangle { rows, columns } = *rectangle;
        let across = columns.count.max(1);
        let len = (rectangle.len() - first).min(room.len());
        let room = room.get_mut(..len).unwrap_or_default();
        let (mut r, mut c) = (first / across, first % across);
        let (x_step, y_step) = ((columns.x_step * channels) as u32, (columns.step * outputs) as u32);
        let mut rest = &mut *room;
        // Row by row: within one, each pixel is as far from the one before.
        while !rest.is_empty() {
            let x_at = (rows.span.input + r * rows.x_step) * width + columns.span.input + c * columns.x_step;
            let y_at = (rows.first + r * rows.step) * y_width + columns.first + c * columns.step;
            let (x, y) = ((x_at * channels) as u32, (y_at * outputs) as u32);
            let (of_row, after) = rest.split_at_mut(rest.len().min(across - c));
            for (at, to) in (0u32..).zip(of_row) {
                let (x, y) =
                    (x.wrapping_add(at.wrapping_mul(x_step)), y.wrapping_add(at.wrapping_mul(y_step)));
                *to = Pixel { x, y };
            }
            (rest, r, c) = (after, r + 1, 0);
        }
        room
    }
}

impl Rectangle {
    /// Number of pixels.
    pub(in crate::arch) fn len(&self) -> usize {
        self.rows.count * self.columns.count
    }
}

/// The parts of an axis: of each phase, positions whose windows are whole are one, each other is one by itself.
pub(in crate::arch) struct Parts<W> {
    windows: W,
    positions: usize,
    phase: usize,
    /// Positions of the phase, those of them whose windows are whole, and the next one.
    of_phase: usize,
    whole: Range<usize>,
    next: usize,
}

impl<W: Windows> Parts<W> {
    #[inline(always)]
    fn of(windows: W, positions: usize) -> Self {
        let mut parts = Self { windows, positions, phase: 0, of_phase: 0, whole: 0..0, next: 0 };
        parts.begin(0);
        parts
    }

    #[inline(always)]
    fn begin(&mut self, phase: usize) {
        self.phase = phase;
        self.of_phase = self.positions.saturating_sub(phase).div_ceil(self.windows.phases().max(1));
        self.whole = self.windows.whole_of_phase(phase, self.of_phase);
        self.next = 0;
    }
}

impl<W: Windows> Iterator for Parts<W> {
    type Item = Part;

    #[inline(always)]
    fn next(&mut self) -> Option<Part> {
        let step = self.windows.phases();
        if self.next >= self.of_phase {
            if self.phase + 1 >= step.min(self.positions) {
                return None;
            }
            self.begin(self.phase + 1);
        }
        let first = self.phase + self.next * step;
        let count = if self.next == self.whole.start { self.whole.len().max(1) } else { 1 };
        self.next += count;
        Some(Part { first, step, x_step: self.windows.pair_step(), count, span: self.windows.span(first) })
    }
}
