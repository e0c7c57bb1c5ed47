//! What a slice takes of each axis, as TensorFlow counts it.

use super::misfit;
use crate::import::Fault;
use crate::import::tflite::options::StridedSlice;

/// What is taken of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The first index.
    pub(crate) begin: u32,
    /// From one index to the next; backwards if negative.
    pub(crate) stride: i32,
    /// How many.
    pub(crate) size: u32,
}

impl Taken {
    /// All of an axis.
    pub(crate) fn all(dim: u32) -> Self {
        Self { begin: 0, stride: 1, size: dim }
    }

    /// Whether this is all of an axis, in order.
    pub(crate) fn is_all_of(self, dim: u32) -> bool {
        self.begin == 0 && self.size == dim && (self.stride == 1 || dim == 1)
    }
}

/// What a slice takes of a tensor of extents `dims`, and the extents of the result, in which axes may
/// be new or dropped.
pub(crate) fn strided(
    dims: &[u32],
    begin: &[i64],
    end: &[i64],
    stride: &[i64],
    options: &StridedSlice,
) -> Result<(Vec<Taken>, Vec<u32>), Fault> {
    let entries = begin.len();
    if end.len() != entries || stride.len() != entries || entries > 32 {
        let found = format!("{entries} beginnings, {} ends, {} strides", end.len(), stride.len());
        return Err(misfit("the slice", found, "as many of each"));
    }
    let has = |mask: i32, entry: usize| mask.checked_shr(entry as u32).is_some_and(|bits| bits & 1 == 1);
    let is_new = |entry: usize| has(options.new_axis_mask, entry) && !has(options.ellipsis_mask, entry);
    let axes = (0..entries).filter(|&entry| !is_new(entry) && !has(options.ellipsis_mask, entry)).count();
    let Some(rest) = dims.len().checked_sub(axes) else {
        return Err(misfit("the slice", format!("{axes} axes"), format!("at most {}", dims.len())));
    };
    let (mut taken, mut result) = (Vec::new(), Vec::new());
    for entry in 0..entries {
        if has(options.ellipsis_mask, entry) {
            for &dim in dims.iter().skip(taken.len()).take(rest) {
                taken.push(Taken::all(dim));
                result.push(dim);
            }
            continue;
        }
        if is_new(entry) {
            result.push(1);
            continue;
        }
        let Some(&dim) = dims.get(taken.len()) else {
            return Err(misfit("the slice", "several ellipses", "one at most"));
        };
        let wanted = Entry {
            begin: (!has(options.begin_mask, entry)).then_some(begin[entry]),
            end: (!has(options.end_mask, entry)).then_some(end[entry]),
            stride: stride[entry],
            is_one: has(options.shrink_axis_mask, entry),
            is_offset: options.offset,
        };
        let one = wanted.taken(dim)?;
        taken.push(one);
        if !wanted.is_one {
            result.push(one.size);
        }
    }
    for &dim in dims.iter().skip(taken.len()) {
        taken.push(Taken::all(dim));
        result.push(dim);
    }
    Ok((taken, result))
}

/// What one axis is asked for.
struct Entry {
    begin: Option<i64>,
    end: Option<i64>,
    stride: i64,
    is_one: bool,
    is_offset: bool,
}

impl Entry {
    fn taken(&self, dim: u32) -> Result<Taken, Fault> {
        let wrong = |found: String, expected: &str| misfit("the slice", found, expected);
        let extent = i64::from(dim);
        let stride = i32::try_from(self.stride).ok().filter(|&stride| stride != 0);
        let stride = stride.ok_or_else(|| wrong(format!("the stride {}", self.stride), "not 0"))?;
        // The least and the greatest position, of which one is past the last element.
        let (low, high) = if stride > 0 { (0, extent) } else { (-1, extent - 1) };
        let place = |at: i64| if at < 0 { at.saturating_add(extent) } else { at }.clamp(low, high);
        let begin = match self.begin {
            Some(begin) => place(begin),
            None if stride > 0 => 0,
            None => extent - 1,
        };
        let end = match self.end {
            _ if self.is_one => begin.saturating_add(stride.signum().into()),
            Some(end) if self.is_offset => place(end.saturating_add(begin)),
            Some(end) => place(end),
            None if stride > 0 => extent,
            None => -1,
        };
        let steps = i64::from(stride);
        let size =
            if steps > 0 { (end - begin + steps - 1) / steps } else { (begin - end - steps - 1) / -steps };
        match (u32::try_from(begin), u32::try_from(size)) {
            (Ok(begin), Ok(size)) if size > 0 && begin < dim => Ok(Taken { begin, stride, size }),
            _ => Err(wrong(format!("nothing of {dim} elements"), "one element or more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_as_in_python() {
        let none = StridedSlice::default();
        let of = |begin, end, stride| strided(&[10], &[begin], &[end], &[stride], &none).map(|(t, _)| t[0]);
        assert_eq!(of(2, 7, 2).unwrap(), Taken { begin: 2, stride: 2, size: 3 });
        assert_eq!(of(-3, 100, 1).unwrap(), Taken { begin: 7, stride: 1, size: 3 });
        assert_eq!(of(-1, -100, -4).unwrap(), Taken { begin: 9, stride: -4, size: 3 });
        assert!(of(5, 5, 1).is_err());
        assert!(of(0, 5, 0).is_err());
        assert!(of(0, 5, i64::MAX).is_err());
        assert!(of(i64::MIN, i64::MAX, 1).is_ok());
    }

    #[test]
    fn masks_open_drop_and_add_axes() {
        let masks = StridedSlice { begin_mask: 1, end_mask: 1, shrink_axis_mask: 4, ..Default::default() };
        let (taken, dims) = strided(&[2, 3, 4], &[1, 1, -1], &[1, 3, 0], &[1, 1, 1], &masks).unwrap();
        assert_eq!(taken[0], Taken::all(2));
        assert_eq!(taken[1], Taken { begin: 1, stride: 1, size: 2 });
        assert_eq!(taken[2], Taken { begin: 3, stride: 1, size: 1 });
        assert_eq!(dims, [2, 2]);
        let masks = StridedSlice { ellipsis_mask: 2, new_axis_mask: 1, ..Default::default() };
        let (taken, dims) = strided(&[2, 3, 4], &[0, 0, 1], &[0, 0, 3], &[1, 1, 1], &masks).unwrap();
        assert_eq!(taken[..2], [Taken::all(2), Taken::all(3)]);
        assert_eq!(dims, [1, 2, 3, 2]);
    }
}
