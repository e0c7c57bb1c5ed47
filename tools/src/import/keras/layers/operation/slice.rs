//! Operations that take parts of a tensor: Python's indexing, splitting, flipping, taking.

use flatpack_format::OpCode;
use flatpack_format::ops::gather::GatherParams;
use serde_json::Value;

use super::super::embedding::gathered;
use super::super::merging::concatenated;
use super::super::reshaping::Slice;
use super::arithmetic::truncated;
use super::{int_or, two, wrong};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::json::short;
use crate::import::keras::lower::{Lowering, describe, refuse_operators_beyond_limit};
use crate::import::keras::network::{Arg, Config};

/// One entry of an index such as `[:, -1, ..., None]`.
enum Entry {
    /// One position; the axis goes.
    At(i64),
    /// `start:stop:step`.
    Range([Option<i64>; 3]),
    /// A new axis of length 1.
    NewAxis,
    /// All axes that no other entry speaks of.
    Ellipsis,
}

/// Python's indexing with integers, slices, `...` and `None`.
pub(super) fn get_item(low: &mut Lowering, _: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let [x, key] = args else {
        return Err(wrong("the call", format!("{} arguments", args.len()), "a tensor and an index"));
    };
    let x = low.operand(x)?;
    let entries = match key {
        Arg::List(args) => args.iter().map(entry).collect::<Result<Vec<_>, _>>()?,
        Arg::Constant(Value::Array(values)) => {
            values.iter().map(|value| entry(&Arg::Constant(value.clone()))).collect::<Result<Vec<_>, _>>()?
        }
        single => vec![entry(single)?],
    };
    let rank = low.graph.dims(x).len();
    let named = entries.iter().filter(|entry| matches!(entry, Entry::At(_) | Entry::Range(_))).count();
    let free = rank.checked_sub(named).ok_or_else(|| {
        wrong("the index", format!("{named} entries"), format!("at most {rank}, one for each axis"))
    })?;
    let mut slice = Slice::of(low, x);
    let mut dims = Vec::new();
    let mut axis = 0;
    let pass = |axis: &mut usize, dims: &mut Vec<u32>, slice: &Slice| {
        dims.extend(&slice.size[*axis..*axis + free]);
        *axis += free;
    };
    let mut open = true;
    for entry in entries {
        match entry {
            Entry::NewAxis => dims.push(1),
            Entry::Ellipsis if open => {
                open = false;
                pass(&mut axis, &mut dims, &slice);
            }
            Entry::Ellipsis => return Err(wrong("the index", "two ellipses", "at most one")),
            Entry::At(index) => {
                slice.begin[axis] = position(index, slice.size[axis])?;
                slice.size[axis] = 1;
                axis += 1;
            }
            Entry::Range(range) => {
                let (begin, step, len) = taken(range, slice.size[axis])?;
                (slice.begin[axis], slice.stride[axis], slice.size[axis]) = (begin, step, len);
                dims.push(len);
                axis += 1;
            }
        }
    }
    if open {
        pass(&mut axis, &mut dims, &slice);
    }
    let part = slice.take(low, x)?;
    Ok(vec![low.reshape(part, &dims)?])
}

fn entry(arg: &Arg) -> Result<Entry, Fault> {
    let unsupported = || Fault::Unsupported {
        what: format!("an index that is {}", describe(arg)),
        remedy: "use integers, slices with integer bounds, `...` and `None`".into(),
    };
    let bound = |arg: &Arg| match arg {
        Arg::Constant(Value::Null) => Ok(None),
        Arg::Constant(value) => value.as_i64().map(Some).ok_or_else(unsupported),
        _ => Err(unsupported()),
    };
    match arg {
        Arg::Ellipsis => Ok(Entry::Ellipsis),
        Arg::Constant(Value::Null) => Ok(Entry::NewAxis),
        Arg::Constant(value) => value.as_i64().map(Entry::At).ok_or_else(unsupported),
        Arg::Slice { start, stop, step } => Ok(Entry::Range([bound(start)?, bound(stop)?, bound(step)?])),
        _ => Err(unsupported()),
    }
}

/// A position among `extent` as Python counts it.
fn position(index: i64, extent: u32) -> Result<u32, Fault> {
    let counted = if index < 0 { index + i64::from(extent) } else { index };
    u32::try_from(counted)
        .ok()
        .filter(|&counted| counted < extent)
        .ok_or_else(|| wrong("the index", index.to_string(), format!("a position among {extent}")))
}

/// Begin, step and number of the positions that `start:stop:step` takes of `extent`.
fn taken([start, stop, step]: [Option<i64>; 3], extent: u32) -> Result<(u32, i32, u32), Fault> {
    let step = step.unwrap_or(1);
    let len = i64::from(extent);
    let shown = || format!("{start:?}:{stop:?}:{step} of {extent}");
    let step_i32 = i32::try_from(step).ok().filter(|&step| step != 0);
    let step_i32 = step_i32.ok_or_else(|| wrong("the slice", shown(), "a step other than 0"))?;
    let counted = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let (begin, count) = if step > 0 {
        let begin = start.map_or(0, counted).clamp(0, len);
        let end = stop.map_or(len, counted).clamp(0, len);
        (begin, (end - begin + step - 1) / step)
    } else {
        let begin = start.map_or(len - 1, counted).clamp(-1, len - 1);
        let end = stop.map_or(-1, counted).clamp(-1, len - 1);
        (begin, (begin - end - step - 1) / -step)
    };
    match (u32::try_from(begin), u32::try_from(count)) {
        (Ok(begin), Ok(count)) if count > 0 => Ok((begin, step_i32, count)),
        _ => Err(wrong("the slice", shown(), "at least one element")),
    }
}

/// The tensor backwards along these axes; by default along all.
pub(super) fn flip(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let mut slice = Slice::of(low, x);
    let axes = match settings.get("axis") {
        None => (0..slice.size.len()).collect(),
        Some(_) => low.axes(x, &settings.ints("axis")?)?,
    };
    for axis in axes {
        slice.begin[axis] = slice.size[axis].saturating_sub(1);
        slice.stride[axis] = -1;
    }
    slice.take(low, x)
}

fn first(low: &mut Lowering, args: &[Arg]) -> Result<TensorId, Fault> {
    low.operand(args.first().ok_or_else(|| wrong("the call", "no tensor", "one"))?)
}

/// Equal parts along an axis, or parts that end at given positions.
pub(super) fn split(low: &mut Lowering, settings: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let x = first(low, args)?;
    let axis = low.axis(x, int_or(settings, "axis", 0)?)?;
    let extent = i64::from(low.graph.dims(x)[axis]);
    let sizes = match settings.get("indices_or_sections") {
        Some(Value::Array(_)) => {
            let mut ends = settings.ints("indices_or_sections")?;
            ends.push(extent);
            let begins = std::iter::once(0).chain(ends.iter().copied());
            ends.iter().zip(begins).map(|(end, begin)| end.saturating_sub(begin)).collect()
        }
        _ => equal_parts(extent, int_or(settings, "indices_or_sections", 0)?)?,
    };
    parts(low, x, axis, &sizes)
}

/// Equal parts along an axis, or parts of given sizes, one of which may be −1: what is left over.
pub(super) fn split_of_tensorflow(
    low: &mut Lowering,
    settings: &Config,
    args: &[Arg],
) -> Result<Vec<TensorId>, Fault> {
    let x = first(low, args)?;
    let axis = low.axis(x, int_or(settings, "axis", 0)?)?;
    let extent = i64::from(low.graph.dims(x)[axis]);
    let sizes = match settings.get("num_or_size_splits") {
        Some(Value::Array(_)) => {
            let sizes = settings.ints("num_or_size_splits")?;
            let known =
                sizes.iter().filter(|&&size| size >= 0).fold(0i64, |sum, &size| sum.saturating_add(size));
            sizes.into_iter().map(|size| if size == -1 { extent - known } else { size }).collect()
        }
        _ => equal_parts(extent, int_or(settings, "num_or_size_splits", 0)?)?,
    };
    parts(low, x, axis, &sizes)
}

fn equal_parts(extent: i64, count: i64) -> Result<Vec<i64>, Fault> {
    if count <= 0 || extent % count != 0 {
        return Err(wrong("the split", format!("{extent} elements in {count} parts"), "equal parts"));
    }
    let parts = usize::try_from(count).unwrap_or(usize::MAX);
    refuse_operators_beyond_limit(parts)?;
    Ok(vec![extent / count; parts])
}

/// Parts of these sizes, one after the other.
fn parts(low: &mut Lowering, x: TensorId, axis: usize, sizes: &[i64]) -> Result<Vec<TensorId>, Fault> {
    let whole = Slice::of(low, x);
    let extent = i64::from(whole.size[axis]);
    if sizes.iter().any(|&size| size <= 0 || size > extent) || sizes.iter().sum::<i64>() != extent {
        return Err(wrong(
            "the split",
            format!("parts of {sizes:?}"),
            format!("parts that make up {extent}"),
        ));
    }
    let mut begin = 0;
    let part = |&size: &i64| {
        let mut slice = Slice::of(low, x);
        (slice.begin[axis], slice.size[axis]) = (begin, size as u32);
        begin += size as u32;
        slice.take(low, x)
    };
    sizes.iter().map(part).collect()
}

/// Each position of an axis as a tensor.
pub(super) fn unstack(low: &mut Lowering, settings: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let x = first(low, args)?;
    let axis = low.axis(x, int_or(settings, "axis", 0)?)?;
    let extent = i64::from(low.graph.dims(x)[axis]);
    let layers = parts(low, x, axis, &equal_parts(extent, extent)?)?;
    let mut dims = low.dims(x);
    dims.remove(axis);
    layers.into_iter().map(|layer| low.reshape(layer, &dims)).collect()
}

/// The positions of an axis that a tensor names; by default of the flattened tensor.
fn take_at(low: &mut Lowering, settings: &Config, x: TensorId, indices: TensorId) -> Result<TensorId, Fault> {
    let dims = low.dims(x);
    if settings.get("axis").is_none() {
        let flat = low.reshape(x, &[dims.iter().product()])?;
        return gathered(low, indices, flat);
    }
    let axis = low.axis(x, int_or(settings, "axis", 0)?)?;
    let front: Vec<usize> =
        [axis].into_iter().chain((0..dims.len()).filter(|&other| other != axis)).collect();
    let table = low.transpose(x, &front)?;
    let taken = gathered(low, indices, table)?;
    // The axes of the indices go where the axis was.
    let of_indices = low.graph.dims(indices).len();
    let before = of_indices..of_indices + axis;
    let order: Vec<usize> =
        before.chain(0..of_indices).chain(of_indices + axis..of_indices + dims.len() - 1).collect();
    low.transpose(taken, &order)
}

/// The positions of an axis that constant indices name.
pub(super) fn take(low: &mut Lowering, settings: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let x = first(low, args)?;
    if int_or(settings, "batch_dims", 0)? != 0 {
        return Err(wrong("`batch_dims`", int_or(settings, "batch_dims", 0)?.to_string(), "0"));
    }
    let (axis, indices) = match args.get(1) {
        Some(Arg::Constant(value)) if settings.get("axis").is_some() => (int_or(settings, "axis", 0)?, value),
        Some(Arg::Constant(_)) => return Err(wrong("`axis`", "none", "an axis to take from")),
        Some(indices) => {
            let indices = low.operand(indices)?;
            return Ok(vec![take_at(low, settings, x, indices)?]);
        }
        None => return Err(wrong("the call", "no positions", "some")),
    };
    let axis = low.axis(x, axis)?;
    let mut at = |index: &Value| {
        let expected = "an integer or a list of integers";
        let index = index.as_i64().ok_or_else(|| wrong("the index", short(index), expected))?;
        let mut slice = Slice::of(low, x);
        slice.begin[axis] = position(index, slice.size[axis])?;
        slice.size[axis] = 1;
        slice.take(low, x)
    };
    match indices {
        Value::Array(indices) => {
            let taken: Vec<TensorId> = indices.iter().map(at).collect::<Result<_, _>>()?;
            Ok(vec![concatenated(low, &taken, axis as i64)?])
        }
        single => {
            let taken = at(single)?;
            let mut dims = low.dims(taken);
            dims.remove(axis);
            Ok(vec![low.reshape(taken, &dims)?])
        }
    }
}

/// `y[…, i, …] = x[…, indices[…, i, …], …]` along one axis; the others broadcast. Elements are found by their number
/// in the flattened tensor.
pub(super) fn take_along_axis(
    low: &mut Lowering,
    settings: &Config,
    args: &[Arg],
) -> Result<Vec<TensorId>, Fault> {
    let [x, indices] = two(low, args)?;
    if settings.get("axis").is_none() {
        return Err(wrong("`axis`", "none", "an axis to take along"));
    }
    let axis = low.axis(x, int_or(settings, "axis", 0)?)?;
    let (dims, extent) = (low.dims(x), low.dims(x)[axis]);
    let fits = |(at, (a, b)): (usize, (&u32, &u32))| at == axis || a == b || *a == 1 || *b == 1;
    let of_indices = low.dims(indices);
    if of_indices.len() != dims.len() || !dims.iter().zip(&of_indices).enumerate().all(fits) {
        let expected = format!("one that broadcasts to {dims:?} but for axis {axis}");
        return Err(wrong("the indices", format!("a tensor of shape {of_indices:?}"), expected));
    }
    if let Some(&beyond) = low.graph.data(indices).and_then(|known| {
        let extent = extent as f32;
        known.iter().find(|&&index| !(-extent..extent).contains(&index))
    }) {
        return Err(wrong("the indices", beyond.to_string(), format!("positions among {extent}")));
    }
    let index = truncated(low, indices)?;
    let (zero, len) = (low.scalar(0.0), low.scalar(extent as f32));
    let is_negative = low.binary(OpCode::Greater, zero, index)?;
    let from_end = low.binary(OpCode::Add, index, len)?;
    let index = low.node(OpCode::Select, (), &[is_negative, from_end, index])?;
    // The number of the first element along the axis, of each position along the others.
    let inner: u32 = dims[axis + 1..].iter().product();
    let outer: u32 = dims[..axis].iter().product();
    let begins =
        (0..outer).flat_map(|at| (0..inner).map(move |within| (at * extent * inner + within) as f32));
    let mut line = dims.clone();
    line[axis] = 1;
    let begins = low.constant("lines", &line, begins.collect());
    let stride = low.scalar(inner as f32);
    let offset = low.binary(OpCode::Mul, index, stride)?;
    let number = low.binary(OpCode::Add, offset, begins)?;
    let table = low.reshape(x, &[dims.iter().product()])?;
    Ok(vec![low.node(OpCode::Gather, GatherParams { from_end: 0 }, &[number, table])?])
}
