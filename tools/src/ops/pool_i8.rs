//! What the pools of 8-bit integers have in common.

use crate::exact::{Operand, Values};

/// A window: height, then width.
pub(crate) struct Window {
    pub(crate) size: [u32; 2],
    pub(crate) stride: [u32; 2],
    /// Positions before the first.
    pub(crate) pad: [u32; 2],
}

/// `f` of the elements of each channel under the window at each position of an output of extents `dims`.
pub(crate) fn pooled(x: Operand<'_>, window: &Window, dims: &[u32], f: impl Fn(&[i64]) -> i64) -> Values {
    let [batch, oh, ow, channels] = [0, 1, 2, 3].map(|axis| dims[axis] as usize);
    let under = |position: usize, axis: usize| {
        let first = position * window.stride[axis] as usize;
        let (end, pad) = (first + window.size[axis] as usize, window.pad[axis] as usize);
        // A window may be much larger than x.
        let inside = first.max(pad)..end.min(pad + x.dims[axis + 1] as usize);
        inside.map(|at| at - pad).collect::<Vec<_>>()
    };
    let mut y = Vec::with_capacity(batch * oh * ow * channels);
    for n in 0..batch {
        for row in 0..oh {
            for column in 0..ow {
                let (rows, columns) = (under(row, 0), under(column, 1));
                for c in 0..channels {
                    let covered: Vec<i64> = rows
                        .iter()
                        .flat_map(|&h| columns.iter().map(move |&w| x.at(&[n, h, w, c])))
                        .collect();
                    y.push(f(&covered) as i32);
                }
            }
        }
    }
    Values::Integers(y)
}
