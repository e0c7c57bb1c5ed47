//! Operators that take parts of a tensor.

use super::{Lower, one};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::tflite::lower::statics::{slice_of, strided_slice_of};
use crate::import::tflite::lower::{Lowering, Taken, Value, axis_of, misfit};
use crate::import::tflite::model::Operator;
use crate::import::tflite::options::{Gather, Split, Unpack};

pub(super) const OPERATORS: &[(&str, Lower)] = &[
    ("GATHER", gather),
    ("REVERSE_V2", reverse),
    ("SLICE", |low, operator| {
        let x = low.x(operator, 0)?;
        let (taken, _) = slice_of(low, operator, &low.dims(x))?;
        one(low.slice(x, &taken)?)
    }),
    ("SPLIT", |low, operator| {
        let (axis, x) = (low.integer(operator, 0)?, low.x(operator, 1)?);
        let axis = low.axis(x, axis)?;
        let (extent, count) = (low.graph.dims(x)[axis], operator.outputs.len() as u32);
        if count == 0 || extent % count != 0 || operator.options::<Split>()?.num_splits != count as i32 {
            return Err(misfit("the parts", count.to_string(), format!("a divisor of {extent}")));
        }
        split(low, operator, x, axis, &vec![extent / count; count as usize])
    }),
    ("SPLIT_V", split_v),
    ("STRIDED_SLICE", |low, operator| {
        let x = low.x(operator, 0)?;
        let (taken, dims) = strided_slice_of(low, operator, &low.dims(x))?;
        let x = low.slice(x, &taken)?;
        one(low.reshape(x, &dims)?)
    }),
    ("UNPACK", unpack),
];

fn split(
    low: &mut Lowering<'_, '_>,
    operator: &Operator<'_>,
    x: TensorId,
    axis: usize,
    sizes: &[u32],
) -> Result<Vec<Value>, Fault> {
    let mut begin = 0u32;
    let mut parts = Vec::new();
    for (number, &size) in sizes.iter().enumerate() {
        low.begin_output(operator, number);
        parts.push(Value::Tensor(low.part(x, axis, begin, size)?));
        begin = begin.saturating_add(size);
    }
    Ok(parts)
}

fn split_v(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let (x, sizes, axis) = (low.x(operator, 0)?, low.integers(operator, 1)?, low.integer(operator, 2)?);
    let axis = low.axis(x, axis)?;
    let extent = low.graph.dims(x)[axis];
    let known: i64 =
        sizes.values.iter().filter(|&&size| size > 0).fold(0, |sum, &size| sum.saturating_add(size));
    let rest = i64::from(extent).saturating_sub(known);
    let sizes: Option<Vec<u32>> =
        sizes.values.iter().map(|&size| u32::try_from(if size == -1 { rest } else { size }).ok()).collect();
    let is_whole = |sizes: &Vec<u32>| {
        sizes.iter().try_fold(0u32, |sum, &size| sum.checked_add(size)) == Some(extent) && !sizes.contains(&0)
    };
    match sizes.filter(is_whole) {
        Some(sizes) if sizes.len() == operator.outputs.len() => split(low, operator, x, axis, &sizes),
        _ => Err(misfit("the sizes", "other ones", format!("parts of {extent} elements"))),
    }
}

fn unpack(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let x = low.x(operator, 0)?;
    let axis = low.axis(x, operator.options::<Unpack>()?.axis.into())?;
    let mut dims = low.dims(x);
    let count = dims.remove(axis);
    if count as usize != operator.outputs.len() {
        let found = format!("{} outputs", operator.outputs.len());
        return Err(misfit("the operator", found, count.to_string()));
    }
    let mut parts = Vec::new();
    for number in 0..count {
        low.begin_output(operator, number as usize);
        let part = low.part(x, axis, number, 1)?;
        parts.push(Value::Tensor(low.reshape(part, &dims)?));
    }
    Ok(parts)
}

fn reverse(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let (x, axes) = (low.x(operator, 0)?, low.integers(operator, 1)?);
    let mut taken: Vec<Taken> = low.graph.dims(x).iter().map(|&dim| Taken::all(dim)).collect();
    for &axis in &axes.values {
        let axis = low.axis(x, axis)?;
        let dim = taken[axis].size;
        taken[axis] = Taken { begin: dim.saturating_sub(1), stride: -1, size: dim };
    }
    one(low.slice(x, &taken)?)
}

/// Parts of an axis at known positions: runs of equal steps, one after the other.
fn gather(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<Gather>()?;
    let (x, indices) = (low.x(operator, 0)?, low.integers(operator, 1)?);
    let dims = low.dims(x);
    let axis = axis_of(dims.len(), options.axis.into())?;
    if options.batch_dims != 0 {
        return Err(Fault::Unsupported {
            what: "GATHER with batch_dims".into(),
            remedy: "build the model without it and convert it again".into(),
        });
    }
    let wrong = || misfit("the indices", "other ones", format!("positions of {} elements", dims[axis]));
    let positions = indices.extents()?;
    if positions.is_empty() || positions.iter().any(|&position| position >= dims[axis]) {
        return Err(wrong());
    }
    let mut parts = Vec::new();
    for Taken { begin, stride, size } in runs(&positions) {
        let mut taken: Vec<Taken> = dims.iter().map(|&dim| Taken::all(dim)).collect();
        taken[axis] = Taken { begin, stride, size };
        parts.push(low.slice(x, &taken)?);
    }
    let y = low.concatenated(&parts, axis)?;
    let mut shape = dims;
    shape.splice(axis..=axis, indices.dims.iter().copied());
    one(low.reshape(y, &shape)?)
}

/// Positions as runs of equal steps, the longest from the first on.
fn runs(positions: &[u32]) -> Vec<Taken> {
    let mut runs: Vec<Taken> = Vec::new();
    for &position in positions {
        if let Some(run) = runs.last_mut() {
            let last = i64::from(run.begin) + i64::from(run.stride) * i64::from(run.size - 1);
            let step = i32::try_from(i64::from(position) - last).unwrap_or(0);
            if step != 0 && (run.size == 1 || step == run.stride) {
                (run.stride, run.size) = (step, run.size + 1);
                continue;
            }
        }
        runs.push(Taken { begin: position, stride: 1, size: 1 });
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_runs() {
        let of = |begin, stride, size| Taken { begin, stride, size };
        assert_eq!(runs(&[0, 1, 2, 3]), [of(0, 1, 4)]);
        assert_eq!(runs(&[5, 3, 1, 7]), [of(5, -2, 3), of(7, 1, 1)]);
        assert_eq!(runs(&[2, 2]), [of(2, 1, 1), of(2, 1, 1)]);
    }
}
