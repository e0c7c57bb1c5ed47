//! Convolutions of images: pixels of the output in the order in which they lie, as many at once as there is room
//! for their patches.

use super::Memory;
use super::gemm::{Products, TILE};
use super::patches::{Room, Taps};
use crate::arch::{Image, OutputsI8};
use crate::pieces::pieces_mut;
use crate::window::{Span, Windows};
use flatpack_format::ops::Multiplier;

/// See [`Arch::conv_image_i8`](crate::arch::Arch::conv_image_i8).
pub(super) fn conv_image_i8(
    memory: &mut Memory,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([h, width, channels], [oh, ow, len], [kh, kw]) = (image.x, image.y, image.taps);
    let depth = kh.checked_mul(kw)?.checked_mul(channels)?;
    let mut same = [Multiplier { mantissa: 0, shift: 0 }; TILE];
    let products = Products::of(w, depth, outputs, len, &mut same)?;
    if image.is_seen_at_once() {
        // SAFETY: the patch of the only window is x.
        return unsafe { products.one(x.get(..depth)?.as_ptr(), y) };
    }
    // Of points, all rows are one.
    let points =
        image.taps == [1; 2] && image.stride == [1; 2] && image.pad == [0; 2] && [oh, ow] == [h, width];
    let [oh, ow] = if points { [1, oh.checked_mul(ow)?] } else { [oh, ow] };
    let room = Room::of_memory(memory, depth, i8::try_from(image.x_zero_point).ok()?);
    let room = match room {
        Some(room) if !points || ow > 1 => room,
        _ if points => {
            let mut x = x.chunks_exact(depth);
            // SAFETY: each x has the elements of a patch.
            return pieces_mut(y, len).try_for_each(|y| unsafe { products.one(x.next()?.as_ptr(), y) });
        }
        _ => return None,
    };

    let mut batch = Batch { products, room, put: 0, y };
    let chunks = points || channels.is_multiple_of(16);
    let x_pixel = image.stride[1].checked_mul(channels)?;
    // `pixels` pixels of a row, which see the same taps.
    let mut segment = |pixels: usize, rows: &Span, columns: &Span| {
        let whole = [rows.count, columns.count] == [kh, kw];
        let at = (rows.tap * kw + columns.tap) * channels;
        let x = x.get((rows.input * width + columns.input) * channels..)?;
        let x_row = rows.input_step * width * channels;
        if rows.count == 0 || columns.count == 0 {
            return batch.take(pixels, false, chunks, x_pixel, []);
        }
        if columns.input_step == 1 || columns.count == 1 {
            // The taps of a row are neighbours.
            let taps = Taps::of(x, at, columns.count * channels, [x_row, kw * channels], rows.count);
            return batch.take(pixels, whole, chunks, x_pixel, [taps]);
        }
        let lines = (0..rows.count).map(|row| {
            let (x, at) = (x.get(row * x_row..)?, at + row * kw * channels);
            Taps::of(x, at, channels, [columns.input_step * channels, channels], columns.count)
        });
        batch.take(pixels, whole, chunks, x_pixel, lines)
    };
    if points {
        segment(ow, &Span::ONE, &Span::ONE)?;
    }
    let [h_windows, w_windows] = image.windows();
    let inner = image.whole(1);
    for row in 0..if points { 0 } else { oh } {
        let rows = h_windows.span(row);
        let mut column = 0;
        while column < ow {
            let pixels = if column == inner.start && inner.end > column { inner.end - column } else { 1 };
            segment(pixels, &rows, &w_windows.span(column))?;
            column += pixels;
        }
    }
    batch.run()
}

/// Pixels whose patches are put together, and then multiplied.
struct Batch<'m, 'y> {
    products: Products<'m>,
    room: Room<'m>,
    /// How many of them.
    put: usize,
    /// Outputs of these and of all that follow.
    y: &'y mut [i8],
}

impl Batch<'_, '_> {
    /// Puts the patches of pixels, `x_pixel` apart, which see these taps; the first of them those that are given.
    #[inline(always)]
    fn take<'x, L: IntoIterator<Item = Option<Taps<'x>>>>(
        &mut self,
        pixels: usize,
        whole: bool,
        chunks: bool,
        x_pixel: usize,
        lines: L,
    ) -> Option<()>
    where
        L::IntoIter: Clone,
    {
        let (lines, mut done) = (lines.into_iter(), 0);
        while done < pixels {
            let count = (pixels - done).min(self.room.pixels() - self.put);
            let taps = lines.clone().map(|taps| taps?.of_pixels(done, count, x_pixel));
            self.room.put(self.put, count, whole, chunks, taps)?;
            (self.put, done) = (self.put + count, done + count);
            if self.put == self.room.pixels() {
                self.run()?;
            }
        }
        Some(())
    }

    /// Multiplies what was put.
    #[inline(never)]
    fn run(&mut self) -> Option<()> {
        let (y, rest) =
            core::mem::take(&mut self.y).split_at_mut_checked(self.put * self.products.outputs())?;
        self.y = rest;
        // SAFETY: so many patches were put there.
        unsafe { self.products.run(self.room.start(), self.put, y)? };
        self.put = 0;
        Some(())
    }
}
