//! Activations of 8 bits in blocks of pixels: as they are, or as integers of 16 bits.

use crate::arch::{Image, Quad, Scratch};
use core::mem::MaybeUninit;
use core::slice;

/// Elements that are put at once.
pub(in crate::arch) const LEN: usize = 16;

/// So many elements: what activations become.
pub(in crate::arch) type Row<X> = [X; LEN];

/// Rows that there is room for: 32 KiB of bytes.
pub(in crate::arch) const MOST: usize = 2048;

/// The most pixels of a block.
pub(in crate::arch) const MOST_PIXELS: usize = 252;

/// Memory of a step, so that no register is loaded from two cache lines.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Room<X, const ROWS: usize = MOST>(pub(in crate::arch) [MaybeUninit<Row<X>>; ROWS]);

/// Rows of elements that need not be written yet.
pub(in crate::arch) type Rows<X> = [MaybeUninit<Row<X>>];

impl<X, const ROWS: usize> Room<X, ROWS> {
    /// Nothing is written.
    #[inline(always)]
    pub(in crate::arch) fn unwritten() -> Self {
        Self([const { MaybeUninit::uninit() }; ROWS])
    }

    /// As rows of other elements, as many as there is room for.
    #[inline(always)]
    pub(in crate::arch) fn rows<Y>(&mut self) -> &mut Rows<Y> {
        const { assert!(align_of::<Y>() <= align_of::<X>()) };
        let count = size_of::<Self>() / size_of::<Row<Y>>();
        // SAFETY: they are aligned and within the room, and none of them need be written.
        unsafe { slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), count) }
    }
}

impl<const ROWS: usize> Room<f32, ROWS> {
    /// So many rows of zeros.
    #[inline(always)]
    pub(in crate::arch) fn zeros(&mut self, count: usize) -> Option<&mut [Row<f32>]> {
        let rows = self.0.get_mut(..count)?;
        rows.fill(const { MaybeUninit::new([0.0; LEN]) });
        // SAFETY: they are written.
        Some(unsafe { slice::from_raw_parts_mut(rows.as_mut_ptr().cast(), count) })
    }
}

impl<X> Scratch for Room<X> {
    #[inline(always)]
    fn new() -> Self {
        Self::unwritten()
    }

    fn quads(&mut self, _: usize) -> &[Quad] {
        &[]
    }

    fn words(&mut self, _: usize) -> &mut [i32] {
        &mut []
    }
}

/// A block of pixels, and what they see.
#[derive(Clone, Copy, Debug)]
pub(in crate::arch) struct Block<'a, X> {
    /// Part of the image, with what taps beside it have, row by row, then zeros, [`LEN`] of them.
    pub(in crate::arch) seen: &'a [X],
    /// Elements of a row of it.
    pub(in crate::arch) row: usize,
    /// Where the first tap of each pixel begins.
    pub(in crate::arch) pixels: &'a [u32],
    /// Number of the first pixel; the others follow.
    pub(in crate::arch) first: usize,
}

/// How many windows of so many taps there are in so many positions.
fn windows(positions: usize, taps: usize, stride: usize) -> usize {
    positions.checked_sub(taps).and_then(|rest| rest.checked_div(stride)).map_or(0, |more| more + 1)
}

/// Calls f with blocks of all pixels, which see so many elements: of `few` pixels or more, if there are so many. `None` if
/// there is no room.
#[inline(always)]
pub(in crate::arch) fn each_block<X: From<i8> + Copy>(
    room: &mut Rows<X>,
    image: &Image,
    x: &[i8],
    [few, elements]: [usize; 2],
    mut f: impl FnMut(Block<'_, X>) -> Option<()>,
) -> Option<()> {
    let ([_, _, channels], [rows, columns, _]) = (image.x, image.y);
    let ([kh, kw], [stride_h, stride_w]) = (image.reach()?, image.stride);
    // What is seen is followed by a row.
    let most = room.len().checked_sub(1)? * LEN;
    let are_whole = || image.whole(0) == (0..rows) && image.whole(1) == (0..columns);
    if [kh, kw] == [1; 2] && image.stride != [1; 2] && are_whole() {
        let pixels = |room: usize| room.checked_div(channels).unwrap_or_default();
        return each_apart(room, image, x, pixels(elements).max(pixels(most).min(few)).min(MOST_PIXELS), f);
    }
    let across = |room: usize| windows(room / (kh * channels).max(1), kw, stride_w).min(columns);
    let most_columns = across(elements).max(across(most).min(few)).min(MOST_PIXELS);
    let width = |columns: usize| (columns - 1) * stride_w + kw;
    let most_rows = match most_columns {
        0 => return None,
        _ if most_columns < columns => 1,
        _ => {
            let positions = elements / (width(columns) * channels).max(1);
            windows(positions, kh, stride_h).min(MOST_PIXELS / columns).clamp(1, rows.max(1))
        }
    };
    // The pixels of so many rows and columns: blocks that follow have as many.
    let (mut pixels, mut pixels_of) = ([0; MOST_PIXELS], [0; 2]);
    for row in (0..rows).step_by(most_rows) {
        let some_rows = most_rows.min(rows - row);
        for column in (0..columns).step_by(most_columns) {
            let some_columns = most_columns.min(columns - column);
            let width = width(some_columns);
            let size = [(some_rows - 1) * stride_h + kh, width];
            let seen = widened(room, image, x, [row * stride_h, column * stride_w], size)?;
            if pixels_of != [some_rows, some_columns] {
                pixels_of = [some_rows, some_columns];
                let mut to = pixels.iter_mut();
                for row in 0..some_rows {
                    for (column, to) in (0..some_columns).zip(&mut to) {
                        *to = ((row * stride_h * width + column * stride_w) * channels) as u32;
                    }
                }
            }
            let pixels = pixels.get(..some_rows * some_columns)?;
            // More than one row is of whole rows, which follow each other.
            f(Block { seen, row: width * channels, pixels, first: row * columns + column })?;
        }
    }
    Some(())
}

/// [`each_block`] of windows of one tap that do not follow each other, so many at a time: what lies between them is left out.
#[inline(always)]
fn each_apart<X: From<i8> + Copy>(
    room: &mut Rows<X>,
    image: &Image,
    x: &[i8],
    most: usize,
    mut f: impl FnMut(Block<'_, X>) -> Option<()>,
) -> Option<()> {
    let ([_, width, channels], [rows, columns, _], [stride_h, stride_w]) = (image.x, image.y, image.stride);
    if most == 0 {
        return None;
    }
    let mut pixels = [0; MOST_PIXELS];
    pixels.iter_mut().enumerate().for_each(|(at, pixel)| *pixel = (at * channels) as u32);
    for first in (0..rows * columns).step_by(most) {
        let count = most.min(rows * columns - first);
        let mut seen = Seen::in_room(room.get_mut(..(count * channels).div_ceil(LEN) + 1)?);
        for pixel in first..first + count {
            let at = pixel / columns * stride_h * width + pixel % columns * stride_w;
            seen.take(x.get(at * channels..)?.get(..channels)?)?;
        }
        seen.fill(0, LEN)?;
        let seen = seen.written(count * channels + LEN)?;
        f(Block { seen, row: channels, pixels: pixels.get(..count)?, first })?;
    }
    Some(())
}

/// A part of an image, with what taps beside it have: so many rows and columns, the first ones counted from the first
/// window's first tap.
#[inline(always)]
fn widened<'r, X: From<i8> + Copy>(
    room: &'r mut Rows<X>,
    image: &Image,
    x: &[i8],
    [first_row, first_column]: [usize; 2],
    [rows, columns]: [usize; 2],
) -> Option<&'r [X]> {
    let ([height, width, channels], [pad_h, pad_w]) = (image.x, image.pad);
    let zero = i8::try_from(image.x_zero_point).ok()?;
    let all = rows * columns * channels;
    let mut seen = Seen::in_room(room.get_mut(..all.div_ceil(LEN) + 1)?);
    // Columns before, in, and after the image.
    let before = pad_w.saturating_sub(first_column).min(columns);
    let from = (first_column + before).saturating_sub(pad_w);
    let inside = width.saturating_sub(from).min(columns - before);
    let after = columns - before - inside;
    for row in first_row..first_row + rows {
        match row.checked_sub(pad_h).filter(|row| *row < height) {
            None => seen.fill(zero, columns * channels)?,
            Some(row) => {
                let x = x.get((row * width + from) * channels..)?.get(..inside * channels)?;
                seen.fill(zero, before * channels)?;
                seen.take(x)?;
                seen.fill(zero, after * channels)?;
            }
        }
    }
    seen.fill(0, LEN)?;
    seen.written(all + LEN)
}

/// Elements by pieces of so many, and what is left of both.
#[inline(always)]
fn take_pieces<'r, 'x, X: From<i8>, const N: usize>(
    room: &'r mut [MaybeUninit<X>],
    x: &'x [i8],
) -> (&'r mut [MaybeUninit<X>], &'x [i8]) {
    let (to, room) = room.as_chunks_mut::<N>();
    let (from, x) = x.as_chunks::<N>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.map(|x| MaybeUninit::new(x.into()));
    }
    (room, x)
}

/// Elements one after the other, as far as they are written.
pub(in crate::arch) struct Seen<'a, X> {
    room: &'a mut Rows<X>,
    /// Elements that are written.
    len: usize,
}

impl<'a, X: From<i8> + Copy> Seen<'a, X> {
    /// Nothing yet.
    #[inline(always)]
    pub(in crate::arch) fn in_room(room: &'a mut Rows<X>) -> Self {
        Self { room, len: 0 }
    }

    /// More elements.
    #[inline(always)]
    pub(in crate::arch) fn take(&mut self, x: &[i8]) -> Option<()> {
        let room = self.elements(x.len())?;
        let (room, rest) = take_pieces::<_, { 4 * LEN }>(room, x);
        let (room, rest) = take_pieces::<_, LEN>(room, rest);
        take_pieces::<_, 1>(room, rest);
        self.len += x.len();
        Some(())
    }

    /// So many more rows, if nothing but rows was written.
    #[inline(always)]
    pub(in crate::arch) fn rows(&mut self, count: usize, rows: impl Iterator<Item = Row<X>>) -> Option<()> {
        let room = self.room.get_mut(self.len / LEN..)?.get_mut(..count)?;
        for (to, row) in room.iter_mut().zip(rows) {
            to.write(row);
            self.len += LEN;
        }
        Some(())
    }

    /// One more row, if nothing but rows was written.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(in crate::arch) fn row(&mut self, row: Row<X>) -> Option<()> {
        self.room.get_mut(self.len / LEN)?.write(row);
        self.len += LEN;
        Some(())
    }

    /// The same element so many times.
    #[inline(always)]
    pub(in crate::arch) fn fill(&mut self, x: i8, count: usize) -> Option<()> {
        self.elements(count)?.fill(MaybeUninit::new(x.into()));
        self.len += count;
        Some(())
    }

    /// Zeros up to the next whole row.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(in crate::arch) fn end_row(&mut self) -> Option<()> {
        self.fill(0, self.len.next_multiple_of(LEN) - self.len)
    }

    /// Room for so many more elements.
    #[inline(always)]
    fn elements(&mut self, count: usize) -> Option<&mut [MaybeUninit<X>]> {
        let all = self.room.len() * LEN;
        // SAFETY: rows are their elements one after the other, none of which need be written.
        let elements = unsafe { slice::from_raw_parts_mut(self.room.as_mut_ptr().cast(), all) };
        elements.get_mut(self.len..)?.get_mut(..count)
    }

    /// The elements, if so many are written.
    #[inline(always)]
    pub(in crate::arch) fn written(self, count: usize) -> Option<&'a [X]> {
        if count > self.len {
            return None;
        }
        // SAFETY: the first `len` elements are written.
        Some(unsafe { slice::from_raw_parts(self.room.as_ptr().cast(), count) })
    }
}
