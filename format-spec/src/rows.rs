//! Steps that write over the input that they read: how far the output must lie before or after it.

use crate::tensor::{Layout, TensorType};

/// Pixels that a convolution without a window computes at a time, where its output lies over its input.
pub const POINTS: u32 = 8;

/// How far the output of a step must begin before or after its first input where the two share memory.
///
/// Such a step computes its rows of outputs one after the other. If y begins before x, it begins with
/// the first row: when a row is written, those bytes of x below it have been read for the last time. If
/// y begins after x, it begins with the last row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Bytes from the begin of y to that of x, at least, if y begins before x.
    pub before: u32,
    /// Bytes from the begin of x to that of y, at least, if y begins after x.
    pub after: u32,
}

impl Overlap {
    /// Whether y at one offset may lie over x at the other.
    pub fn allows(&self, x: u32, y: u32) -> bool {
        match x.checked_sub(y) {
            Some(before) => before >= self.before,
            None => y.saturating_sub(x) >= self.after,
        }
    }
}

/// A step that computes images row by row, each row from rows of one image of x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowWise {
    /// Each pixel is computed by itself, and [`POINTS`] of them count as a row.
    pub points: bool,
    /// Images of x and of y.
    pub images: u32,
    /// Rows of an image of x.
    pub x_rows: u32,
    /// Bytes of a row of x.
    pub x_row_bytes: u32,
    /// Rows of an image of y.
    pub y_rows: u32,
    /// Bytes of a row of y.
    pub y_row_bytes: u32,
    /// Rows of x from the first that a row of y reads to that of the next.
    pub stride: u32,
    /// Rows of x from the first that a row of y reads to the last, both included.
    pub reach: u32,
    /// Rows before the first one of x that the first row of y reaches to.
    pub pad: u32,
}

impl RowWise {
    /// Convolution or pool of `[N, H, W, C]` to `[N, OH, OW, O]`, by windows of `taps` rows.
    #[inline(never)]
    pub fn windows(
        x: &TensorType,
        y: &TensorType,
        taps: u32,
        stride: u32,
        dilation: u32,
        pad: u32,
    ) -> Option<Self> {
        let (&[images, x_rows, ..], &[_, y_rows, ..]) = (x.shape.dims(), y.shape.dims()) else { return None };
        let row_bytes =
            |t: &TensorType, rows: u32| t.bytes(Layout::Rows)?.checked_div(images)?.checked_div(rows);
        let reach = taps.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        Some(Self {
            points: false,
            images,
            x_rows,
            x_row_bytes: row_bytes(x, x_rows)?,
            y_rows,
            y_row_bytes: row_bytes(y, y_rows)?,
            stride,
            reach,
            pad,
        })
    }

    /// A product of each pixel by itself, [`POINTS`] of them for a row.
    #[inline(never)]
    pub fn points(x: &TensorType, y: &TensorType) -> Option<Self> {
        let &[n, h, w, channels] = x.shape.dims() else { return None };
        let &[_, _, _, outputs] = y.shape.dims() else { return None };
        let rows = n.checked_mul(h)?.checked_mul(w)?.div_ceil(POINTS);
        let row_bytes =
            |channels: u32, t: &TensorType| channels.checked_mul(t.dtype.bytes().checked_mul(POINTS)?);
        Some(Self {
            points: true,
            images: 1,
            x_rows: rows,
            x_row_bytes: row_bytes(channels, x)?,
            y_rows: rows,
            y_row_bytes: row_bytes(outputs, y)?,
            stride: 1,
            reach: 1,
            pad: 0,
        })
    }

    /// All of x as one row, of which y is one.
    pub fn one(x_row_bytes: u32, y_row_bytes: u32) -> Self {
        Self {
            points: false,
            images: 1,
            x_rows: 1,
            x_row_bytes,
            y_rows: 1,
            y_row_bytes,
            stride: 1,
            reach: 1,
            pad: 0,
        }
    }

    /// The first row of its image that row `row` of y or a later one reads.
    pub fn first(&self, row: u32) -> u32 {
        row.saturating_mul(self.stride).saturating_sub(self.pad).min(self.x_rows)
    }

    /// The row after the last of its image that row `row` of y or an earlier one reads.
    pub fn end(&self, row: u32) -> u32 {
        let reach = row.saturating_mul(self.stride).saturating_add(self.reach);
        reach.saturating_sub(self.pad).min(self.x_rows)
    }

    /// How far y must lie before or after x; `None` where that takes more than 32 bits.
    ///
    /// `before` is the largest `end of row r of y − begin of the rows of x that r or later rows read`,
    /// `after` the largest `end of the rows of x that r or earlier rows read − begin of row r of y`, both
    /// counted from the begin of the tensor.
    pub fn overlap(&self) -> Option<Overlap> {
        Some(Overlap { before: self.before()?, after: self.after()? })
    }

    /// Whether y at one offset may lie over x at the other.
    pub fn allows(&self, x: u32, y: u32) -> bool {
        match x.checked_sub(y) {
            Some(distance) => self.before().is_some_and(|before| distance >= before),
            None => self.after().is_some_and(|after| y.saturating_sub(x) >= after),
        }
    }

    fn before(&self) -> Option<u32> {
        self.largest(true)
    }

    fn after(&self) -> Option<u32> {
        self.largest(false)
    }

    /// The largest distance between a row of y and the rows of x that decide: `before`, or else `after`.
    ///
    /// It is linear in the row, but for where windows begin to reach over the borders of x. So a few rows of
    /// the first and the last image decide.
    #[inline(never)]
    fn largest(&self, before: bool) -> Option<u32> {
        let last = self.y_rows.checked_sub(1)?;
        let last_image = self.images.checked_sub(1)?;
        let turn = |at: u32| at.saturating_sub(if before { 0 } else { self.reach }).checked_div(self.stride);
        let (begin, end) = (turn(self.pad)?, turn(self.x_rows.saturating_add(self.pad))?);
        let rows = [0, begin, begin.saturating_add(1), end, end.saturating_add(1), last];
        let mut largest = 0;
        for image in [0, last_image].iter().take(1 + usize::from(last_image > 0)) {
            let (x, y) = (self.x_rows.checked_mul(*image)?, self.y_rows.checked_mul(*image)?);
            for row in rows {
                let row = row.min(last);
                let (x_row, y_row) =
                    if before { (self.first(row), row.saturating_add(1)) } else { (self.end(row), row) };
                let x_at = x.checked_add(x_row)?.checked_mul(self.x_row_bytes)?;
                let y_at = y.checked_add(y_row)?.checked_mul(self.y_row_bytes)?;
                let distance = if before { y_at.saturating_sub(x_at) } else { x_at.saturating_sub(y_at) };
                largest = largest.max(distance);
            }
        }
        Some(largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By trying every row.
    fn by_trial(s: &RowWise) -> Overlap {
        let [x_row, y_row] = [s.x_row_bytes, s.y_row_bytes].map(i64::from);
        let (mut before, mut after) = (0, 0);
        for image in 0..i64::from(s.images) {
            let x = image * x_row * i64::from(s.x_rows);
            let y = image * y_row * i64::from(s.y_rows);
            for row in 0..i64::from(s.y_rows) {
                let begin = row * i64::from(s.stride) - i64::from(s.pad);
                let later = |at: &i64| *at >= begin;
                let earlier = |at: &i64| *at < begin + i64::from(s.reach);
                let rows = || 0..i64::from(s.x_rows);
                let first = rows().find(later).unwrap_or(s.x_rows.into());
                let end = rows().rev().find(earlier).map_or(0, |at| at + 1);
                before = before.max(y + (row + 1) * y_row - x - first * x_row);
                after = after.max(x + end * x_row - y - row * y_row);
            }
        }
        Overlap { before: before as u32, after: after as u32 }
    }

    proptest! {
        #[test]
        fn a_few_rows_decide(
            images in 1u32..4, x_rows in 1u32..14, x_row_bytes in 1u32..9, y_rows in 1u32..14,
            y_row_bytes in 1u32..9, stride in 1u32..5, reach in 1u32..8, pad in 0u32..12,
        ) {
            let s = RowWise { points: false, images, x_rows, x_row_bytes, y_rows, y_row_bytes, stride, reach, pad };
            let overlap = by_trial(&s);
            prop_assert_eq!(s.overlap(), Some(overlap));
            for (x, y) in [(overlap.before, 0), (overlap.before.saturating_sub(1), 0), (0, overlap.after)] {
                prop_assert_eq!(s.allows(x, y), overlap.allows(x, y));
            }
            prop_assert!(overlap.after == 0 || !s.allows(1, overlap.after));
        }
    }

    #[test]
    fn rows_of_the_largest_sizes_overflow_nothing() {
        for stride in [1, 7, u32::MAX] {
            let max = u32::MAX;
            let s = RowWise {
                points: false,
                images: max,
                x_rows: max,
                x_row_bytes: max,
                y_rows: max,
                y_row_bytes: max,
                stride,
                reach: max,
                pad: max,
            };
            assert_eq!(s.overlap(), None);
        }
    }
}
