//! Operators that give the same elements another shape, order or number.

use flatpack_format::MAX_RANK;

use super::{Lower, one};
use crate::graph::{Data, TensorId};
use crate::import::Fault;
use crate::import::tflite::lower::{Lowering, Taken, Value, axis_of, misfit};
use crate::import::tflite::model::Operator;
use crate::import::tflite::options::{MirrorPad, Reshape, Squeeze};

/// The most elements of a constant that a file describes by its shape alone.
const MAX_FILLED: u32 = 1 << 20;

pub(super) const OPERATORS: &[(&str, Lower)] = &[
    ("BROADCAST_TO", |low, operator| {
        let (x, dims) = (low.x(operator, 0)?, low.integers(operator, 1)?.extents()?);
        one(low.broadcast(x, &dims)?)
    }),
    ("EXPAND_DIMS", expand_dims),
    ("FILL", fill),
    ("MIRROR_PAD", mirror_pad),
    ("PAD", pad),
    ("PADV2", pad),
    ("RESHAPE", reshape),
    ("SQUEEZE", squeeze),
    ("TILE", tile),
    ("TRANSPOSE", transpose),
    ("ZEROS_LIKE", |low, operator| {
        let x = low.x(operator, 0)?;
        let dims = low.dims(x);
        filled(low, &dims, 0.0)
    }),
];

fn filled(low: &mut Lowering<'_, '_>, dims: &[u32], value: f32) -> Result<Vec<Value>, Fault> {
    let count = dims.iter().try_fold(1u32, |count, &dim| count.checked_mul(dim)).unwrap_or(u32::MAX);
    if count > MAX_FILLED || count == 0 || dims.len() > MAX_RANK {
        return Err(Fault::Unsupported {
            what: format!("a constant of shape {dims:?} and one value"),
            remedy: format!("such constants have 1 to {MAX_FILLED} elements"),
        });
    }
    low.count_values(count as usize)?;
    one(low.graph.add_constant("constant", dims, vec![value; count as usize]))
}

fn fill(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let dims = low.integers(operator, 0)?.extents()?;
    let x = low.x(operator, 1)?;
    match constant(low, x)?.as_slice() {
        [value] => filled(low, &dims, *value),
        several => Err(misfit("the value", format!("{} elements", several.len()), "one")),
    }
}

/// The reals of a small constant.
fn constant(low: &Lowering<'_, '_>, x: TensorId) -> Result<Vec<f32>, Fault> {
    let tensor = low.graph.tensor(x);
    let is_small = |data: &Data| data.len() <= 1024;
    let reals = tensor.data.as_ref().filter(|data| is_small(data)).and_then(|_| tensor.reals());
    reals.ok_or_else(|| misfit("the value", format!("`{}`", tensor.name), "a small constant"))
}

fn expand_dims(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let x = low.x(operator, 0)?;
    let mut dims = low.dims(x);
    let axis = axis_of(dims.len() + 1, low.integer(operator, 1)?)?;
    dims.insert(axis, 1);
    one(low.reshape(x, &dims)?)
}

fn squeeze(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let x = low.x(operator, 0)?;
    let dims = low.dims(x);
    let mut dropped = Vec::new();
    for axis in operator.options::<Squeeze>()?.squeeze_dims {
        let axis = low.axis(x, axis.into())?;
        if dims[axis] != 1 {
            return Err(misfit("the axis", format!("{axis} of {dims:?}"), "one of length 1"));
        }
        dropped.push(axis);
    }
    let stays = |axis: usize, dim: u32| if dropped.is_empty() { dim != 1 } else { !dropped.contains(&axis) };
    let dims: Vec<u32> =
        dims.iter().enumerate().filter(|&(axis, &dim)| stays(axis, dim)).map(|(_, &dim)| dim).collect();
    one(low.reshape(x, &dims)?)
}

fn reshape(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let x = low.x(operator, 0)?;
    let wanted: Vec<i64> = if operator.inputs.get(1).copied().flatten().is_some() {
        low.integers(operator, 1)?.values.clone()
    } else {
        operator.options::<Reshape>()?.new_shape.into_iter().map(i64::from).collect()
    };
    let len = low.graph.tensor(x).shape().len().unwrap_or(0);
    // Old converters write a scalar's shape as one 0.
    let wanted = if wanted == [0] { Vec::new() } else { wanted };
    let wrong = || misfit("the shape", format!("{wanted:?}"), format!("extents of {len} elements"));
    let mut known = wanted.iter().filter(|&&extent| extent != -1);
    let known = known.try_fold(1u32, |product, &extent| product.checked_mul(u32::try_from(extent).ok()?));
    let open = wanted.iter().filter(|&&extent| extent == -1).count();
    let rest = match (known, open) {
        (Some(known), 0) if known == len => 1,
        (Some(known), 1) if known > 0 && len.is_multiple_of(known) => len / known,
        _ => return Err(wrong()),
    };
    let dims: Vec<u32> = wanted.iter().map(|&extent| u32::try_from(extent).unwrap_or(rest)).collect();
    one(low.reshape(x, &dims)?)
}

fn transpose(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let x = low.x(operator, 0)?;
    let perm = low.integers(operator, 1)?;
    let rank = low.graph.dims(x).len();
    let order = perm.values.iter().map(|&axis| axis_of(rank, axis)).collect::<Result<Vec<_>, _>>()?;
    if order.len() != rank {
        return Err(misfit("the axes", format!("{order:?}"), format!("{rank} of them")));
    }
    one(low.transpose(x, &order)?)
}

/// The pairs of a tensor of paddings, as many as `x` has axes.
fn pads(low: &mut Lowering<'_, '_>, operator: &Operator<'_>, rank: usize) -> Result<Vec<[u32; 2]>, Fault> {
    let pads = low.integers(operator, 1)?;
    let pairs = pads.extents()?.as_chunks::<2>().0.to_vec();
    if pads.dims != [rank as u32, 2] || pairs.len() != rank {
        return Err(misfit("the paddings", format!("shape {:?}", pads.dims), format!("[{rank}, 2]")));
    }
    Ok(pairs)
}

fn pad(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let x = low.x(operator, 0)?;
    let pairs = pads(low, operator, low.graph.dims(x).len())?;
    let value = match low.optional(operator, 2)? {
        None => 0.0,
        Some(value) => match constant(low, value)?.as_slice() {
            [value] => *value,
            several => return Err(misfit("the value", format!("{} elements", several.len()), "one")),
        },
    };
    one(low.padded(x, &pairs, value)?)
}

fn mirror_pad(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let mut x = low.x(operator, 0)?;
    let dims = low.dims(x);
    let pairs = pads(low, operator, dims.len())?;
    // With the edge itself, or from its neighbour on.
    let skipped = u32::from(!operator.options::<MirrorPad>()?.is_symmetric);
    for (axis, (&[before, after], &dim)) in pairs.iter().zip(&dims).enumerate() {
        if before.max(after) > dim.saturating_sub(skipped) {
            return Err(misfit("the paddings", format!("{before} and {after}"), format!("those of {dim}")));
        }
        let mut parts = Vec::new();
        if before > 0 {
            parts.push(reversed(low, x, axis, skipped + before - 1, before)?);
        }
        parts.push(x);
        if after > 0 {
            parts.push(reversed(low, x, axis, dim - 1 - skipped, after)?);
        }
        x = low.concatenated(&parts, axis)?;
    }
    one(x)
}

/// `size` elements of an axis, from the last one back.
fn reversed(
    low: &mut Lowering<'_, '_>,
    x: TensorId,
    axis: usize,
    begin: u32,
    size: u32,
) -> Result<TensorId, Fault> {
    let mut taken: Vec<Taken> = low.graph.dims(x).iter().map(|&dim| Taken::all(dim)).collect();
    taken[axis] = Taken { begin, stride: -1, size };
    low.slice(x, &taken)
}

fn tile(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let mut x = low.x(operator, 0)?;
    let times = low.integers(operator, 1)?.extents()?;
    let mut dims = low.dims(x);
    if times.len() != dims.len() || times.contains(&0) {
        return Err(misfit("the multiples", format!("{times:?}"), format!("{} of them", dims.len())));
    }
    for (axis, times) in times.into_iter().enumerate() {
        let (outer, inner): (u32, u32) = (dims[..axis].iter().product(), dims[axis..].iter().product());
        dims[axis] = dims[axis].saturating_mul(times);
        if times > 1 {
            let row = low.reshape(x, &[outer, 1, inner])?;
            let rows = low.broadcast(row, &[outer, times, inner])?;
            x = low.reshape(rows, &dims)?;
        }
    }
    one(x)
}
