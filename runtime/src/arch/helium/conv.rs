//! Convolutions of images: pixels of the output in pairs, in the order in which they lie.

use super::Memory;
use super::gemm::{Products, TILE};
use super::patches::{Place, Room, Taps};
use crate::arch::{ImageI8, OutputsI8};
use crate::pieces::pieces_mut;
use crate::window::{Span, Windows};
use flatpack_format::ops::Multiplier;

/// See [`Arch::conv_image_i8`](crate::arch::Arch::conv_image_i8).
pub(super) fn conv_image_i8(
    memory: &mut Memory,
    image: &ImageI8,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([_, width, channels], [oh, ow, len], [kh, kw]) = (image.x, image.y, image.taps);
    let depth = kh.checked_mul(kw)?.checked_mul(channels)?;
    let mut same = [Multiplier { mantissa: 0, shift: 0 }; TILE];
    let products = Products::of(w, depth, outputs, len, &mut same)?;
    let room = Room::of_memory(memory, depth, i8::try_from(image.x_zero_point).ok()?)?;
    let [h_windows, w_windows] = image.windows();
    let chunks = channels.is_multiple_of(16);
    let put = |place: Place, rows: &Span, columns: &Span| {
        let whole = [rows.count, columns.count] == [kh, kw];
        let at = (rows.tap * kw + columns.tap) * channels;
        let x = x.get((rows.input * width + columns.input) * channels..)?;
        let x_row = rows.input_step * width * channels;
        if rows.count == 0 || columns.count == 0 {
            return room.put(place, false, chunks, []);
        }
        if columns.input_step == 1 || columns.count == 1 {
            // The taps of a row are neighbours.
            let taps = Taps::of(x, at, columns.count * channels, [x_row, kw * channels], rows.count);
            return room.put(place, whole, chunks, [taps]);
        }
        let lines = (0..rows.count).map(|row| {
            let (x, at) = (x.get(row * x_row..)?, at + row * kw * channels);
            Taps::of(x, at, channels, [columns.input_step * channels, channels], columns.count)
        });
        room.put(place, whole, chunks, lines)
    };

    let pairs = room.has_place(Place::InTurns(1), chunks);
    let mut left = oh.checked_mul(ow)?;
    let mut rest = pieces_mut(y, len);
    let mut waiting = None;
    for row in 0..oh {
        let rows = h_windows.span(row);
        for column in 0..ow {
            let columns = w_windows.span(column);
            let y = rest.next()?;
            left -= 1;
            if let Some(y0) = waiting.take() {
                put(Place::InTurns(1), &rows, &columns)?;
                // SAFETY: both patches were put there.
                unsafe { products.run(room.start(), &mut [y0, y])? };
            } else if pairs && left > 0 {
                put(Place::InTurns(0), &rows, &columns)?;
                waiting = Some(y);
            } else if [kh, kw, rows.count, columns.count] == [1; 4] {
                let x = x.get((rows.input * width + columns.input) * channels..)?.get(..depth)?;
                // SAFETY: x has the elements of the patch, which are one tap.
                unsafe { products.run(x.as_ptr(), &mut [y])? };
            } else {
                put(Place::Alone, &rows, &columns)?;
                // SAFETY: the patch was just put there.
                unsafe { products.run(room.start(), &mut [y])? };
            }
        }
    }
    Some(())
}
