//! Steps that go row by row: some of their rows at a time, and also where the output lies over the input.

use crate::kernel::Node;
use crate::operands::{Operands, Reads};
use bytemuck::Pod;
use core::ops::Range;
use flatpack_format::{OpRule, RowWise};

/// x and y of a step: memory of their own, or one piece of memory where both begin somewhere.
enum Memory<'r, T> {
    Apart { x: &'r [T], y: &'r mut [T] },
    Shared { memory: &'r mut [T], x: Range<usize>, y: Range<usize> },
}

impl<T> Memory<'_, T> {
    /// The elements of x from `x_from` on, as far as they do not lie past the first or before the last of
    /// `y`, and the elements `y` of y.
    #[inline(never)]
    fn cut(&mut self, x_from: usize, y: Range<usize>) -> Option<(&[T], &mut [T])> {
        match self {
            Self::Apart { x, y: all } => Some((x.get(x_from..)?, all.get_mut(y)?)),
            Self::Shared { memory, x, y: all } => {
                let x_from = x.start.checked_add(x_from)?;
                let (y_start, y_end) = (all.start.checked_add(y.start)?, all.start.checked_add(y.end)?);
                if y_end <= x_from {
                    let (low, high) = memory.split_at_mut_checked(y_end)?;
                    let x = high.get(x_from.checked_sub(y_end)?..x.end.checked_sub(y_end)?)?;
                    Some((x, low.get_mut(y_start..)?))
                } else {
                    let (low, high) = memory.split_at_mut_checked(y_start)?;
                    let x_end = x.end.min(y_start);
                    Some((low.get(x_from.min(x_end)..x_end)?, high.get_mut(..y.len())?))
                }
            }
        }
    }
}

/// A step that goes row by row, with its memory.
pub(crate) struct Rows<'r, T> {
    memory: Memory<'r, T>,
    row_wise: RowWise,
    /// Elements of a row of x and of y.
    row: [usize; 2],
    y_len: usize,
    /// Which of the rows of all images are to be computed, in the order in which they are.
    turns: Range<u32>,
}

/// Rows of one image that are computed at once.
pub(crate) struct Band<'b, T> {
    /// x from row `first` of the image on, to the last row that is read or further.
    pub(crate) x: &'b [T],
    /// The first row of x.
    pub(crate) first: usize,
    /// The first row of y.
    pub(crate) row: usize,
    pub(crate) y: &'b mut [T],
}

impl<'r, T: Pod> Rows<'r, T> {
    /// The rows of a step that its check has found fit, and its other inputs.
    #[inline(never)]
    pub(crate) fn of(node: &Node<'_>, rule: &OpRule, operands: Operands<'r>) -> Option<(Reads<'r>, Self)> {
        let (x, y) = (node.input(0)?, node.output()?);
        let size = size_of::<T>().max(1);
        let y_len = y.bytes() as usize / size;
        let shared = x.overlaps(&y);
        // One pixel, as streams have, is one row without the rule.
        let row_wise = match y.shape().dims() {
            [1, 1, 1, _] if !shared => RowWise::one(x.bytes(), y.bytes()),
            _ => rule.row_wise(node.step())?,
        };
        let (reads, memory) = if shared {
            let first = x.offset().min(y.offset());
            let end = x.offset().saturating_add(x.bytes()).max(y.offset().saturating_add(y.bytes()));
            let (reads, memory) = operands.write_range(y.place(), first..end)?;
            let start = |offset: u32| offset.saturating_sub(first) as usize / size;
            let (x_start, y_start) = (start(x.offset()), start(y.offset()));
            let memory = bytemuck::try_cast_slice_mut(memory).ok()?;
            let x = x_start..x_start.saturating_add(x.bytes() as usize / size);
            (reads, Memory::Shared { memory, x, y: y_start..y_start.saturating_add(y_len) })
        } else {
            let (reads, y) = operands.write(y)?;
            let x = reads.get(x)?;
            (reads, Memory::Apart { x, y })
        };
        let rows = row_wise.images.saturating_mul(row_wise.y_rows);
        let turns = node.rows();
        let turns = turns.start.min(rows)..turns.end.min(rows);
        let row = [row_wise.x_row_bytes, row_wise.y_row_bytes].map(|bytes| bytes as usize / size);
        Some((reads, Self { memory, row_wise, row, y_len, turns }))
    }

    /// Whether each pixel is computed by itself; one alone may be said not to be.
    pub(crate) fn are_points(&self) -> bool {
        self.row_wise.points
    }

    /// Calls `f` for all rows, as many at once as the memory allows: all of an image, but where y lies over
    /// x.
    ///
    /// If `f` gives `None`, its rows and those after them are left, for another call.
    pub(crate) fn each(&mut self, mut f: impl FnMut(Band<'_, T>) -> Option<()>) -> Option<()> {
        while !self.turns.is_empty() {
            let (image, rows) = self.next()?;
            let count = rows.end.saturating_sub(rows.start);
            let [x_row, y_row] = self.row;
            let first = self.row_wise.first(rows.start) as usize;
            let x_from = image.saturating_mul(self.row_wise.x_rows) as usize;
            let y_from = image.saturating_mul(self.row_wise.y_rows) as usize;
            let x_from = x_from.saturating_add(first).saturating_mul(x_row);
            let at = |row: u32| y_from.saturating_add(row as usize).saturating_mul(y_row).min(self.y_len);
            let (x, y) = self.memory.cut(x_from, at(rows.start)..at(rows.end))?;
            f(Band { x, first, row: rows.start as usize, y })?;
            self.turns.start = self.turns.start.saturating_add(count);
        }
        Some(())
    }

    /// Of the rows that are left, those of one image that can be computed at once. `None` where y lies too near
    /// to x, which the step's check excludes.
    #[inline(never)]
    fn next(&self) -> Option<(u32, Range<u32>)> {
        let RowWise { images, x_rows, y_rows, .. } = self.row_wise;
        let turn = self.turns.start;
        let left = self.turns.end.saturating_sub(turn);
        let [x_row, y_row] = self.row;
        let x_at = |image: u32, row: u32| {
            (image.saturating_mul(x_rows).saturating_add(row) as usize).saturating_mul(x_row)
        };
        let (image, rows) = match &self.memory {
            Memory::Shared { x, y, .. } if x.start < y.start => {
                // From the last row to the first: turn 0 is the last row of all.
                let end = images.saturating_mul(y_rows).checked_sub(turn)?;
                let image = end.checked_sub(1)?.checked_div(y_rows)?;
                let before = image.saturating_mul(y_rows);
                let end = end.checked_sub(before)?;
                let x_end = x.start.saturating_add(x_at(image, self.row_wise.end(end.checked_sub(1)?)));
                let lowest = x_end.saturating_sub(y.start).div_ceil(y_row.max(1)) as u32;
                (image, lowest.saturating_sub(before).max(end.saturating_sub(left))..end)
            }
            memory => {
                let image = turn.checked_div(y_rows)?;
                let before = image.saturating_mul(y_rows);
                let begin = turn.checked_sub(before)?;
                let mut end = begin.saturating_add(left).min(y_rows);
                if let Memory::Shared { x, y, .. } = memory {
                    let x_begin = x.start.saturating_add(x_at(image, self.row_wise.first(begin)));
                    let room = x_begin.checked_sub(y.start)?.checked_div(y_row)?;
                    end = end.min((room as u32).saturating_sub(before));
                }
                (image, begin..end)
            }
        };
        (!rows.is_empty()).then_some((image, rows))
    }
}
