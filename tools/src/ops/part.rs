//! Some rows of an operator's output: the parameters that compute them alone, and what they read.
//!
//! Rows are counted along axis 1, the height of images `[N, H, W, C]`.

use crate::graph::{Graph, Node};
use flatpack_format::TensorType;
use std::ops::Range;

/// An operator that computes some rows of its output, with the results that it has for them where it
/// computes all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its parameter record.
    pub params: Vec<u8>,
    /// The rows that it reads of each input; `None` where it reads the input as it is.
    pub reads: Vec<Option<Range<u32>>>,
}

/// Each row is computed from the same row of every input; inputs of one row broadcast.
pub(crate) fn same_rows(graph: &Graph, node: &Node, rows: Range<u32>) -> Option<Part> {
    let y = graph.dims(node.output);
    let reads = node.inputs.iter().map(|&input| {
        let x = graph.dims(input);
        // Shapes are aligned at their last axes.
        let height = (1 + x.len()).checked_sub(y.len()).map_or(1, |axis| x[axis]);
        match (height == y[1], graph.is_constant(input)) {
            (true, false) => Some(Some(rows.clone())),
            (true, true) if height > 1 => None,
            _ => Some(None),
        }
    });
    Some(Part { params: node.params.clone(), reads: reads.collect::<Option<_>>()? })
}

/// Rows are computed by windows over the first input, whose padding the record has as `[before, after]`
/// from byte `PAD_H` on.
pub(crate) fn windows<const PAD_H: usize>(graph: &Graph, node: &Node, rows: Range<u32>) -> Option<Part> {
    let types: Vec<TensorType> = node.inputs.iter().map(|&id| graph.tensor(id).tensor_type).collect();
    let by_rows = (node.op.rule().rows)(&node.params, &types, &graph.tensor(node.output).tensor_type)?;
    let (stride, reach, pad) =
        if by_rows.points { (1, 1, 0) } else { (by_rows.stride, by_rows.reach, by_rows.pad) };
    let (read, pads) = window(graph.dims(node.inputs[0])[1], rows, [stride, reach, pad])?;
    let mut params = node.params.clone();
    params.get_mut(PAD_H..PAD_H + size_of_val(&pads))?.copy_from_slice(bytemuck::bytes_of(&pads));
    let mut reads = vec![None; node.inputs.len()];
    reads[0] = Some(read);
    Some(Part { params, reads })
}

/// The rows that windows read which go to `rows`, and how many rows of padding they have before and after.
/// `None` where they read padding alone.
pub(crate) fn window(
    x_rows: u32,
    rows: Range<u32>,
    [stride, reach, pad]: [u32; 3],
) -> Option<(Range<u32>, [u32; 2])> {
    let [first, last] = [rows.start, rows.end.checked_sub(1)?].map(|row| i64::from(row) * i64::from(stride));
    let (begin, end) = (first - i64::from(pad), last + i64::from(reach) - i64::from(pad));
    let (from, to) = (begin.max(0), end.min(x_rows.into()));
    let narrow = |count: i64| u32::try_from(count).ok();
    let read = narrow(from)?..narrow(to)?;
    let pads = [narrow(from - begin)?, narrow(end - to)?];
    (!read.is_empty()).then_some((read, pads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_at_the_edges_keep_their_padding_and_others_have_none() {
        // Nine rows, windows of three with stride two, one row of padding on either side: five outputs.
        let windows = |rows| window(9, rows, [2, 3, 1]);
        assert_eq!(windows(0..2), Some((0..4, [1, 0])));
        assert_eq!(windows(2..4), Some((3..8, [0, 0])));
        assert_eq!(windows(4..5), Some((7..9, [0, 1])));
        assert_eq!(windows(0..5), Some((0..9, [1, 1])));
    }

    #[test]
    fn rows_of_padding_alone_are_none() {
        assert_eq!(window(4, 0..1, [1, 1, 2]), None);
        assert_eq!(window(4, 0..3, [1, 1, 2]), Some((0..1, [2, 0])));
        assert_eq!(window(4, 6..8, [1, 1, 2]), None);
    }
}
