//! Depthwise convolutions with windows of 3 × 3 or 5 × 5: of sixteen channels at a time, the rows that windows see are
//! put together, with zeros beside the image, which are multiplied, too: an infinite weight gives NaNs there, as in Keras.

use super::blocks::Room;
use super::{Apart, Sixteen, sixteen_of, tile_of};
use crate::arch::{Image, OutputsF32, PANEL_LEN};
use crate::weight::Weight;
use core::ops::Range;

/// Elements of x that are gone through for sixteen channels before the next ones: half of a second-level cache.
const NEAR: usize = if cfg!(test) { 1 << 8 } else { 1 << 17 };

/// The fewest rows of y that are, if there are so many.
const LEAST_ROWS: usize = if cfg!(test) { 2 } else { 4 };

/// Places of sixteen channels that there is room for: 32 KiB.
const ROOM: usize = if cfg!(test) { 64 } else { 512 };

/// [`depthwise_image`](super::depthwise_image) with windows of `K` × `K` taps, `S` from each other. `None` for fewer than
/// sixteen channels.
#[inline(always)]
pub(super) fn depthwise_rows<V: Sixteen, W: Weight, const K: usize, const S: usize>(
    image: &Image,
    w: &[W],
    outputs: &OutputsF32<'_>,
    x: &[f32],
    y: &mut [f32],
) -> Option<()> {
    let ([_, width, channels], [rows, columns, _]) = (image.x, image.y);
    let (last, _) = (channels.checked_sub(PANEL_LEN)?, rows.checked_sub(1)?);
    // Those whose windows there is room for, in parts alike.
    let most_columns = (ROOM / K - K) / S + 1;
    let some_columns = columns.div_ceil(columns.div_ceil(most_columns).max(1)).max(1);
    let most_rows = (NEAR / (width * channels).max(1) / S).max(LEAST_ROWS);
    let mut room = Room::<f32, ROOM>::unwritten();
    for column in (0..columns).step_by(some_columns) {
        let some_columns = some_columns.min(columns - column);
        let seen = Seen::of(image, [column * S, (some_columns - 1) * S + K], (rows - 1) * S + K);
        let room = room.zeros(seen.slots * seen.width)?;
        // Rows of y whose windows there is room for at once.
        let at_once = (seen.slots - K) / S + 1;
        for row in (0..rows).step_by(most_rows) {
            let end = rows.min(row + most_rows);
            for c in (0..last).step_by(PANEL_LEN).chain([last]) {
                let of_channels = Channels::<V, K>::of(w, outputs, c, channels)?;
                let mut rows_put = row * S;
                for first in (row..end).step_by(at_once) {
                    let some_rows = at_once.min(end - first);
                    let rows_seen = (first + some_rows - 1) * S + K;
                    let put = Put { image, seen: &seen, x, c, rows: rows_put..rows_seen };
                    V::apart(&put, room.as_flattened_mut())?;
                    rows_put = rows_seen;
                    let run = Run::<V, K, S> {
                        channels: &of_channels,
                        room,
                        seen: &seen,
                        first: first * S,
                        size: [some_rows, some_columns],
                        strides: [columns * channels, channels],
                    };
                    V::apart(&run, y.get_mut((first * columns + column) * channels + c..)?)?;
                }
            }
        }
    }
    Some(())
}

/// Where rows of an image are put, with what taps beside it have: each where the one before it was that is not seen any
/// longer.
struct Seen {
    /// How many rows there is a place for.
    slots: usize,
    /// Places of a row.
    width: usize,
    /// Those of the image among them.
    inside: Range<usize>,
    /// The column of the image that is the first of them.
    from: usize,
}

impl Seen {
    /// Of so many columns, the first one counted from the first window's first tap, and of rows, of which there need be
    /// places for no more than so many.
    #[inline(always)]
    fn of(image: &Image, [first, width]: [usize; 2], rows: usize) -> Self {
        let ([_, x_width, _], [_, pad]) = (image.x, image.pad);
        let before = pad.saturating_sub(first).min(width);
        let from = first.saturating_sub(pad);
        let inside = before..before + x_width.saturating_sub(from).min(width - before);
        Self { slots: rows.min(ROOM / width.max(1)), width, inside, from }
    }
}

/// Sixteen channels of rows of an image, to be put into a room.
struct Put<'a> {
    image: &'a Image,
    seen: &'a Seen,
    x: &'a [f32],
    /// The first of the channels.
    c: usize,
    /// Counted from the first window's first tap.
    rows: Range<usize>,
}

impl Apart for Put<'_> {
    #[inline(always)]
    fn run(&self, room: &mut [f32]) -> Option<()> {
        let Self { image, seen: Seen { slots, width, inside, from }, x, c, .. } = self;
        let ([height, x_width, channels], [pad, _]) = (image.x, image.pad);
        let (room, _) = room.as_chunks_mut::<PANEL_LEN>();
        for row in self.rows.clone() {
            let to = room.get_mut(row.checked_rem(*slots)? * width..)?.get_mut(inside.clone())?;
            match row.checked_sub(pad).filter(|row| *row < height) {
                None => to.fill([0.0; PANEL_LEN]),
                Some(row) => {
                    let x = x.get((row * x_width + from) * channels + c..)?;
                    for (column, to) in to.iter_mut().enumerate() {
                        *to = *x.get(column * channels..)?.first_chunk()?;
                    }
                }
            }
        }
        Some(())
    }
}

/// Weights of sixteen channels, and what becomes of their sums.
struct Channels<V, const K: usize> {
    taps: [[V; K]; K],
    bias: V,
    /// What sums without bias are multiplied with, if anything.
    scale: Option<V>,
    low: V,
    high: V,
}

impl<V: Sixteen, const K: usize> Channels<V, K> {
    /// Those from c on, of so many.
    #[inline(always)]
    fn of<W: Weight>(w: &[W], outputs: &OutputsF32<'_>, c: usize, channels: usize) -> Option<Self> {
        let OutputsF32 { scales, bias, clamp } = *outputs;
        let bias = V::load(&sixteen_of(bias, c));
        let mut taps = [[bias; K]; K];
        for (tap, to) in taps.as_flattened_mut().iter_mut().enumerate() {
            *to = V::weights(w.get(tap * channels + c..)?.first_chunk()?);
        }
        let scale = match scales {
            _ if !W::SCALED => None,
            [one] => Some(V::splat(*one)),
            _ => Some(V::load(&sixteen_of(scales, c))),
        };
        Some(Self { taps, bias, scale, low: V::splat(clamp.min), high: V::splat(clamp.max) })
    }
}

/// Rows of y, of sixteen channels.
struct Run<'a, V, const K: usize, const S: usize> {
    channels: &'a Channels<V, K>,
    room: &'a [[f32; PANEL_LEN]],
    seen: &'a Seen,
    /// The first row that is seen.
    first: usize,
    /// Rows and columns of y.
    size: [usize; 2],
    /// From a row, and from a pixel, to the next one's in y.
    strides: [usize; 2],
}

impl<V: Sixteen, const K: usize, const S: usize> Apart for Run<'_, V, K, S> {
    #[inline(always)]
    fn run(&self, y: &mut [f32]) -> Option<()> {
        let [_, columns] = self.size;
        match tile_of(columns, if V::REGISTERS < 32 { &[4, 5] } else { &[7, 5, 4] }) {
            ..4 => self.rows::<1>(y),
            4 => self.rows::<4>(y),
            5 => self.rows::<5>(y),
            _ => self.rows::<7>(y),
        }
    }
}

impl<V: Sixteen, const K: usize, const S: usize> Run<'_, V, K, S> {
    /// `P` pixels at a time.
    #[inline(always)]
    fn rows<const P: usize>(&self, y: &mut [f32]) -> Option<()> {
        let &Self { room, seen: &Seen { slots, width, .. }, size: [rows, _], strides: [stride, _], .. } =
            self;
        let taps = self.channels.taps;
        // From the last one on: a core fetches what it would write next, which may be rows of another thread.
        for row in (0..rows).rev() {
            let slot = (self.first + row * S).checked_rem(slots)?;
            let mut seen = [&[][..]; K];
            for (tap, to) in seen.iter_mut().enumerate() {
                let slot = if slot + tap < slots { slot + tap } else { slot + tap - slots };
                *to = room.get(slot * width..)?.get(..width)?;
            }
            self.row::<P>(&taps, seen, y.get_mut(row * stride..)?)?;
        }
        Some(())
    }

    /// A row of y, with the rows that its windows see.
    #[inline(always)]
    fn row<const P: usize>(
        &self,
        taps: &[[V; K]; K],
        seen: [&[[f32; PANEL_LEN]]; K],
        y: &mut [f32],
    ) -> Option<()> {
        let &Self { channels: &Channels { bias, scale, low, high, .. }, size: [_, columns], .. } = self;
        let [_, stride] = self.strides;
        let start = if scale.is_some() { V::splat(0.0) } else { bias };
        let last = columns.checked_sub(P)?;
        let mut next = 0;
        while next < columns {
            // The last tile begins early enough to be a whole one.
            let at = next.min(last);
            next = at + P;
            let mut sums = [start; P];
            for (row, taps) in seen.iter().zip(taps) {
                let row = row.get(at * S..)?.get(..(P - 1) * S + K)?;
                for (tap, w) in taps.iter().enumerate() {
                    for (p, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.add_product(V::load(row.get(p * S + tap)?), *w);
                    }
                }
            }
            if let Some(scale) = scale {
                for sum in &mut sums {
                    *sum = bias.add_product(*sum, scale);
                }
            }
            let y = y.get_mut(at * stride..)?.get_mut(..(P - 1) * stride + PANEL_LEN)?;
            for (p, sum) in sums.into_iter().enumerate() {
                sum.max(low).min(high).store(y.get_mut(p * stride..)?.first_chunk_mut()?);
            }
        }
        Some(())
    }
}
