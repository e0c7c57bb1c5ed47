//! An image in rectangles of pixels whose windows see the same taps.

use crate::arch::Image;
use crate::window::{Span, Window, Windows};
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

/// An image as these loops see it.
#[derive(Debug)]
pub(in crate::arch) struct Rectangles<'a> {
    image: &'a Image,
    windows: [Window; 2],
    whole: [Range<usize>; 2],
    /// Taps side by side are one long tap, in x and in the weights.
    joined: bool,
    /// The most pixels of a block.
    pub(in crate::arch) most: usize,
}

/// Pixels whose windows see the same taps.
#[derive(Debug)]
pub(in crate::arch) struct Rectangle<'a> {
    image: &'a Image,
    rows: Range<usize>,
    columns: Range<usize>,
    spans: [Span; 2],
}

impl<'a> Rectangles<'a> {
    /// `None` for more taps than these loops take. `joined`: taps side by side may be one.
    pub(in crate::arch) fn of(image: &'a Image, joined: bool) -> Option<Self> {
        let ([_, _, channels], [kh, kw]) = (image.x, image.taps);
        let ([_, stride], [_, dilation]) = (image.stride, image.dilation);
        let joined = joined && dilation == 1;
        let whole = [image.whole(0), image.whole(1)];
        let most = (SEEN / (channels * stride).max(1)).clamp(24, MOST_PIXELS);
        let taps = kh.checked_mul(if joined { 1 } else { kw })?;
        (taps <= MOST_TAPS).then_some(Self { image, windows: image.windows(), whole, joined, most })
    }

    /// From the first row to the last.
    #[inline(always)]
    pub(in crate::arch) fn each(&self) -> impl Iterator<Item = Rectangle<'a>> {
        let &Self { image, windows: [h_windows, w_windows], ref whole, .. } = self;
        let ([y_rows, y_columns, _], [whole_rows, whole_columns]) = (image.y, whole.clone());
        let (down, across) = (parts(&whole_rows, y_rows), parts(&whole_columns, y_columns));
        let rectangle = move |number: usize| {
            let rows = part(&whole_rows, number / across);
            let columns = part(&whole_columns, number % across);
            let spans = [h_windows.span(rows.start), w_windows.span(columns.start)];
            Rectangle { image, rows, columns, spans }
        };
        (0..down * across).map(rectangle).filter(|one| !one.rows.is_empty() && !one.columns.is_empty())
    }

    /// The taps of a rectangle, and how many elements each has.
    pub(in crate::arch) fn taps<'r>(
        &self,
        rectangle: &Rectangle<'_>,
        room: &'r mut [Tap; MOST_TAPS],
    ) -> (&'r [Tap], usize) {
        let ([_, width, channels], [_, kw], [dilation_h, dilation_w]) =
            (self.image.x, self.image.taps, self.image.dilation);
        let [row, column] = rectangle.spans;
        let (columns, len) = if self.joined {
            (column.count.min(1), column.count * channels)
        } else {
            (column.count, channels)
        };
        let mut room_left = room.iter_mut();
        for r in 0..row.count {
            for (c, to) in (0..columns).zip(&mut room_left) {
                let x = (r * dilation_h * width + c * dilation_w) * channels;
                let w = ((row.tap + r) * kw + column.tap + c) * channels;
                *to = Tap { x: x as u32, w: w as u32 };
            }
        }
        (room.get(..row.count * columns).unwrap_or_default(), len)
    }
}

impl Rectangle<'_> {
    /// Number of pixels.
    pub(in crate::arch) fn len(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// As many of the pixels from number `first` on as there is room for.
    pub(in crate::arch) fn pixels<'r>(&self, first: usize, room: &'r mut [Pixel]) -> &'r [Pixel] {
        let ([_, width, channels], [_, y_width, outputs]) = (self.image.x, self.image.y);
        let ([stride_h, stride_w], [row, column]) = (self.image.stride, self.spans);
        let across = self.columns.len().max(1);
        let len = (self.len() - first).min(room.len());
        let room = room.get_mut(..len).unwrap_or_default();
        let (mut r, mut c) = (first / across, first % across);
        let mut rest = &mut *room;
        // Row by row: within one, each pixel is as far from the one before.
        while !rest.is_empty() {
            let x = (row.input + r * stride_h) * width + column.input + c * stride_w;
            let y = (self.rows.start + r) * y_width + self.columns.start + c;
            let (mut x, mut y) = ((x * channels) as u32, (y * outputs) as u32);
            let (of_row, after) = rest.split_at_mut(rest.len().min(across - c));
            for to in of_row {
                *to = Pixel { x, y };
                (x, y) = (x.wrapping_add((stride_w * channels) as u32), y.wrapping_add(outputs as u32));
            }
            (rest, r, c) = (after, r + 1, 0);
        }
        room
    }
}

/// How many parts an axis has: positions whose windows are whole are one, each other is one by itself.
fn parts(whole: &Range<usize>, len: usize) -> usize {
    whole.start + 1 + (len - whole.end)
}

/// One of the parts of an axis.
fn part(whole: &Range<usize>, number: usize) -> Range<usize> {
    match number.checked_sub(whole.start) {
        None => number..number + 1,
        Some(0) => whole.clone(),
        Some(after) => whole.end + after - 1..whole.end + after,
    }
}
