//! Shapes and positions, of tensors and of what is known.

use std::rc::Rc;

use serde_json::json;

use super::super::known::{self, Known};
use super::super::lower::{Lowering, Value};
use super::{Args, one, operation};
use crate::import::Fault;
use crate::import::keras::Argument;

/// The longest range.
const MAX_RANGE: f64 = 65536.0;

/// Which have the names that Keras gives them.
const REDUCTIONS: &[&str] = &["Max", "Mean", "Min", "Prod", "Sum"];

const OTHERS: &[&str] = &[
    "All",
    "Any",
    "BroadcastTo",
    "ConcatV2",
    "ExpandDims",
    "Fill",
    "GatherV2",
    "OnesLike",
    "Pack",
    "Pad",
    "PadV2",
    "Range",
    "Rank",
    "Reshape",
    "ReverseV2",
    "Shape",
    "Size",
    "Slice",
    "Split",
    "SplitV",
    "Squeeze",
    "StridedSlice",
    "Tile",
    "Transpose",
    "Unpack",
    "ZerosLike",
];

/// Names of the operations here.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OTHERS.iter().copied().chain(REDUCTIONS.iter().copied())
}

impl Lowering<'_, '_> {
    /// The extents of a tensor, or of what is known.
    pub(super) fn extents(&self, value: &Value) -> Result<Vec<usize>, Fault> {
        match value {
            Value::Tensor(tensor) => {
                Ok(self.builder.graph.dims(*tensor).iter().map(|&e| e as usize).collect())
            }
            Value::Known(known) => Ok(known.shape.clone()),
            Value::Phases(phases) => Ok(phases.extents(self)),
            Value::Variable(_) | Value::Digits(_) | Value::Rows(_) | Value::List(_) => {
                Err(Fault::Unsupported {
                    what: "the shape of a variable, a text or a list".into(),
                    remedy: "export a signature that takes and gives tensors".into(),
                })
            }
        }
    }

    /// The same elements in another shape.
    fn reshaped(&mut self, value: &Value, shape: Vec<usize>) -> Result<Value, Fault> {
        match value {
            Value::Known(known) if known.shape == shape => Ok(value.clone()),
            Value::Known(known) => {
                Ok(Value::Known(Known::new(&known.name, shape, known.values.clone(), known.is_integer)))
            }
            other => {
                if let Value::Phases(phases) = other
                    && let Some(made) = phases.reshaped(self, &shape)?
                {
                    return Ok(made);
                }
                let x = self.tensor(other)?;
                let dims: Vec<u32> = shape.into_iter().map(|extent| extent as u32).collect();
                Ok(Value::Tensor(self.builder.reshape(x, &dims)?))
            }
        }
    }
}

/// Element `index` of the first axis.
pub(super) fn row(low: &mut Lowering<'_, '_>, value: &Value, index: usize) -> Result<Value, Fault> {
    let shape = low.extents(value)?;
    if let Value::Known(x) = value {
        let len: usize = shape[1..].iter().product();
        let values = x.values[index * len..(index + 1) * len].to_vec();
        return Ok(Value::Known(Known::new(&x.name, shape[1..].to_vec(), values, x.is_integer)));
    }
    let x = low.tensor(value)?;
    let range = [Some(index as i64), Some(index as i64 + 1), None];
    let part = low.builder.foreign_operation(
        "GetItem",
        vec![Argument::Tensor(x), Argument::Ranges(vec![range])],
        json!({}),
    )?;
    let part = Value::Tensor(part[0]);
    low.reshaped(&part, shape[1..].to_vec())
}

pub(super) fn evaluate(low: &mut Lowering<'_, '_>, args: &Args<'_>) -> Result<Vec<Value>, Fault> {
    let op = args.node.op.as_str();
    let x = args.get(0)?;
    Ok(vec![match op {
        "Shape" => {
            let shape = low.extents(x)?;
            Value::Known(Known::ints(vec![shape.len()], shape.into_iter().map(|extent| extent as i64)))
        }
        "Size" => Value::Known(Known::ints(vec![], [low.extents(x)?.iter().product::<usize>() as i64])),
        "Rank" => Value::Known(Known::ints(vec![], [low.extents(x)?.len() as i64])),
        "Range" => {
            let number =
                |number: usize| -> Result<f64, Fault> { Ok(args.known(number)?.scalar().unwrap_or(0.0)) };
            let [start, limit, step] = [number(0)?, number(1)?, number(2)?];
            let count = ((limit - start) / step).ceil();
            if step == 0.0 || count.is_nan() || count > MAX_RANGE {
                return Err(args.damage("an impossible range"));
            }
            let count = count.max(0.0) as usize;
            let values = (0..count).map(|index| start + index as f64 * step).collect();
            Value::Known(Known::new("range", vec![count], values, args.known(0)?.is_integer))
        }
        "Fill" => {
            let shape = extents_of(args, &args.integers(0)?)?;
            let value = args.known(1)?;
            filled(args, shape, value.scalar().unwrap_or(0.0), value.is_integer)?
        }
        "ZerosLike" => filled(args, low.extents(x)?, 0.0, false)?,
        "OnesLike" => filled(args, low.extents(x)?, 1.0, false)?,
        "Reshape" => {
            let shape = low.extents(x)?;
            let count: usize = shape.iter().product();
            let mut target = args.integers(1)?;
            let rest: i64 = target.iter().filter(|&&extent| extent >= 0).product();
            if let Some(open) = target.iter_mut().find(|extent| **extent < 0) {
                *open = if rest > 0 { count as i64 / rest } else { 0 };
            }
            let target = extents_of(args, &target)?;
            if target.iter().product::<usize>() != count {
                return Err(args.damage("a shape of another number of elements"));
            }
            low.reshaped(x, target)?
        }
        "ExpandDims" => {
            let mut shape = low.extents(x)?;
            let axis = args.axis(args.known(1)?.scalar().unwrap_or(0.0) as i64, shape.len() + 1)?;
            shape.insert(axis, 1);
            low.reshaped(x, shape)?
        }
        "Squeeze" => {
            let shape = low.extents(x)?;
            let named = args.node.ints("squeeze_dims").or_else(|| args.node.ints("axis")).unwrap_or_default();
            let axes =
                named.iter().map(|&axis| args.axis(axis, shape.len())).collect::<Result<Vec<_>, _>>()?;
            let stays = |axis: usize| if axes.is_empty() { shape[axis] != 1 } else { !axes.contains(&axis) };
            if axes.iter().any(|&axis| shape[axis] != 1) {
                return Err(args.damage("an axis that is longer than 1"));
            }
            let kept = (0..shape.len()).filter(|&axis| stays(axis)).map(|axis| shape[axis]).collect();
            low.reshaped(x, kept)?
        }
        "Transpose" => {
            let rank = low.extents(x)?.len();
            let axes = args.integers(1)?;
            let axes = axes.iter().map(|&axis| args.axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
            let mut sorted = axes.clone();
            sorted.sort_unstable();
            if !sorted.into_iter().eq(0..rank) {
                return Err(args.damage("axes in an order that is none"));
            }
            match x {
                Value::Known(known) => Value::Known(known::transposed(known, &axes)),
                other => {
                    let x = low.tensor(other)?;
                    Value::Tensor(low.builder.transpose(x, &axes)?)
                }
            }
        }
        "Pack" => {
            let rank = low.extents(x)?.len() + 1;
            let axis = args.axis(args.node.int("axis").unwrap_or(0), rank)?;
            let mut lifted = Vec::new();
            for value in &args.inputs {
                let mut shape = low.extents(value)?;
                if axis > shape.len() {
                    return Err(args.damage("parts of different shapes"));
                }
                shape.insert(axis, 1);
                lifted.push(low.reshaped(value, shape)?);
            }
            concatenated(low, args, &lifted, axis)?
        }
        "ConcatV2" => {
            let (axis, parts) = args.inputs.split_last().ok_or_else(|| args.damage("no inputs"))?;
            let Value::Known(axis) = axis else { return Err(args.unsupported()) };
            let rank = low.extents(&parts.first().cloned().ok_or_else(|| args.damage("no parts"))?)?.len();
            let axis = args.axis(axis.scalar().unwrap_or(0.0) as i64, rank)?;
            concatenated(low, args, parts, axis)?
        }
        "Unpack" => {
            let shape = low.extents(x)?;
            let axis = args.axis(args.node.int("axis").unwrap_or(0), shape.len())?;
            let parts = split(low, args, x, axis, &vec![1; shape[axis]])?;
            let mut rest = shape;
            rest.remove(axis);
            return parts.iter().map(|part| low.reshaped(part, rest.clone())).collect();
        }
        "Split" => {
            let (axis, x) = (args.known(0)?, args.get(1)?);
            let shape = low.extents(x)?;
            let axis = args.axis(axis.scalar().unwrap_or(0.0) as i64, shape.len())?;
            let count = usize::try_from(args.node.int("num_split").unwrap_or(1)).unwrap_or(0);
            if count == 0 || !shape[axis].is_multiple_of(count) {
                return Err(args.damage("parts that are not equal"));
            }
            return split(low, args, x, axis, &vec![shape[axis] / count; count]);
        }
        "SplitV" => {
            let shape = low.extents(x)?;
            let axis = args.axis(args.known(2)?.scalar().unwrap_or(0.0) as i64, shape.len())?;
            let mut sizes = args.integers(1)?;
            let rest = shape[axis] as i64 - sizes.iter().filter(|&&size| size >= 0).sum::<i64>();
            sizes.iter_mut().filter(|size| **size < 0).for_each(|size| *size = rest);
            let sizes = extents_of(args, &sizes)?;
            if sizes.iter().sum::<usize>() != shape[axis] {
                return Err(args.damage("parts that are not all of it"));
            }
            return split(low, args, x, axis, &sizes);
        }
        "StridedSlice" => strided_slice(low, args)?,
        "Slice" => {
            let (begin, size) = (args.integers(1)?, args.integers(2)?);
            let ranges = begin
                .iter()
                .zip(&size)
                .map(|(&begin, &size)| [Some(begin), (size >= 0).then(|| begin.saturating_add(size)), None]);
            taken(low, args, ranges.collect())?
        }
        "GatherV2" => {
            let (Value::Known(indices), axis) = (args.get(1)?, args.known(2)?) else {
                return gathered(low, args).map(|made| vec![made]);
            };
            let indices = indices.clone();
            let shape = low.extents(x)?;
            let axis = args.axis(axis.scalar().unwrap_or(0.0) as i64, shape.len())?;
            let parts = indices.integers().into_iter().map(|index| {
                let at = args.axis(index, shape[axis])?;
                let sizes = [at, 1, shape[axis] - at - 1];
                let used: Vec<usize> = sizes.into_iter().filter(|&size| size > 0).collect();
                let parts = split(low, args, x, axis, &used)?;
                Ok(parts[usize::from(at > 0)].clone())
            });
            let parts = parts.collect::<Result<Vec<_>, Fault>>()?;
            let whole = concatenated(low, args, &parts, axis)?;
            let mut target = shape[..axis].to_vec();
            target.extend(&indices.shape);
            target.extend(&shape[axis + 1..]);
            low.reshaped(&whole, target)?
        }
        "ReverseV2" => {
            let settings = json!({"axis": args.integers(1)?});
            Value::Tensor(operation(low, args, "Flip", settings)?)
        }
        "Tile" => match x {
            Value::Known(known) if args.integers(1)?.iter().all(|&times| times == 1) => {
                Value::Known(known.clone())
            }
            _ => Value::Tensor(operation(low, args, "Tile", json!({"repeats": args.integers(1)?}))?),
        },
        "BroadcastTo" => {
            let shape = extents_of(args, &args.integers(1)?)?;
            match x {
                Value::Known(known) if known.scalar().is_some() => {
                    filled(args, shape, known.scalar().unwrap_or(0.0), known.is_integer)?
                }
                _ => Value::Tensor(operation(low, args, "BroadcastTo", json!({"shape": shape}))?),
            }
        }
        "Pad" | "PadV2" => {
            let pads = args.known(1)?;
            let pairs: Vec<&[f64]> = pads.values.chunks_exact(2).collect();
            let pairs: Vec<[i64; 2]> = pairs.iter().map(|pair| [pair[0] as i64, pair[1] as i64]).collect();
            let value = if op == "PadV2" { args.known(2)?.scalar().unwrap_or(0.0) } else { 0.0 };
            let x = args.tensor(low, 0)?;
            let operands = vec![Argument::Tensor(x), Argument::Value(value.into())];
            let made = low.builder.foreign_operation("Pad", operands, json!({"pad_width": pairs}))?;
            Value::Tensor(one(made, args)?)
        }
        _ => {
            let keep_dims = args.node.bool("keep_dims").unwrap_or(false);
            let rank = low.extents(x)?.len();
            let axes = args.integers(1)?;
            let mut axes = axes.iter().map(|&axis| args.axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
            axes.sort_unstable();
            axes.dedup();
            if let Value::Known(known) = x
                && let Some(made) = known::reduced(op, known, &axes, keep_dims)
            {
                return Ok(vec![Value::Known(made)]);
            }
            if !REDUCTIONS.contains(&op) {
                return Err(args.unsupported());
            }
            Value::Tensor(operation(low, args, op, json!({"axis": axes, "keepdims": keep_dims}))?)
        }
    }])
}

/// Rows of a table by numbers that the model computes.
fn gathered(low: &mut Lowering<'_, '_>, args: &Args<'_>) -> Result<Value, Fault> {
    let (table, indices) = (args.tensor(low, 0)?, args.tensor(low, 1)?);
    let axis = args.known(2)?.scalar().unwrap_or(0.0) as i64;
    let operands = vec![Argument::Tensor(table), Argument::Tensor(indices)];
    let made = low.builder.foreign_operation("Take", operands, json!({"axis": axis}))?;
    Ok(Value::Tensor(one(made, args)?))
}

fn extents_of(args: &Args<'_>, extents: &[i64]) -> Result<Vec<usize>, Fault> {
    let known: Option<Vec<usize>> = extents.iter().map(|&extent| usize::try_from(extent).ok()).collect();
    let bounded = known.filter(|extents| {
        let count = extents.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
        count.is_some_and(|count| count <= 1 << 30)
    });
    bounded.ok_or_else(|| args.damage("an impossible shape"))
}

fn filled(args: &Args<'_>, shape: Vec<usize>, value: f64, is_integer: bool) -> Result<Value, Fault> {
    let count: usize = shape.iter().product();
    if count > 1 << 24 {
        return Err(args.damage("an impossible shape"));
    }
    Ok(Value::Known(Known::new(&args.node.name, shape, vec![value; count], is_integer)))
}

fn concatenated(
    low: &mut Lowering<'_, '_>,
    args: &Args<'_>,
    parts: &[Value],
    axis: usize,
) -> Result<Value, Fault> {
    if let [single] = parts {
        return Ok(single.clone());
    }
    let known: Option<Vec<Rc<Known>>> = parts
        .iter()
        .map(|part| match part {
            Value::Known(known) => Some(known.clone()),
            _ => None,
        })
        .collect();
    if let Some(known) = known {
        let made = known::concatenated(&known, axis);
        return made.map(Value::Known).ok_or_else(|| args.damage("parts of different shapes"));
    }
    let tensors = parts.iter().map(|part| low.tensor(part)).collect::<Result<Vec<_>, _>>()?;
    let made = low.builder.foreign_operation(
        "Concatenate",
        vec![Argument::Tensors(tensors)],
        json!({"axis": axis}),
    )?;
    Ok(Value::Tensor(one(made, args)?))
}

fn split(
    low: &mut Lowering<'_, '_>,
    args: &Args<'_>,
    x: &Value,
    axis: usize,
    sizes: &[usize],
) -> Result<Vec<Value>, Fault> {
    if let Value::Known(known) = x {
        return Ok(known::split(known, axis, sizes).into_iter().map(Value::Known).collect());
    }
    let x = low.tensor(x)?;
    let settings = json!({"num_or_size_splits": sizes, "axis": axis});
    let made = low.builder.foreign_operation("split", vec![Argument::Tensor(x)], settings)?;
    if made.len() != sizes.len() {
        return Err(args.damage("parts that are not all of it"));
    }
    Ok(made.into_iter().map(Value::Tensor).collect())
}

/// What Python's slices take.
fn taken(low: &mut Lowering<'_, '_>, args: &Args<'_>, ranges: Vec<[Option<i64>; 3]>) -> Result<Value, Fault> {
    let x = args.get(0)?;
    let Value::Known(known) = x else {
        let x = low.tensor(x)?;
        let operands = vec![Argument::Tensor(x), Argument::Ranges(ranges)];
        let made = low.builder.foreign_operation("GetItem", operands, json!({}))?;
        return Ok(Value::Tensor(one(made, args)?));
    };
    let mut x = known.clone();
    for (axis, &[start, stop, step]) in ranges.iter().enumerate() {
        let extent = *x.shape.get(axis).ok_or_else(|| args.damage("more axes than its tensor"))? as i64;
        let step = step.unwrap_or(1);
        if step == 0 {
            return Err(args.damage("a step of 0"));
        }
        let bounds = if step > 0 { (0, extent) } else { (-1, extent - 1) };
        let clamp = |value: Option<i64>, open: i64| match value {
            None => open,
            Some(value) if value < 0 => (value.saturating_add(extent)).clamp(bounds.0, bounds.1),
            Some(value) => value.clamp(bounds.0, bounds.1),
        };
        let (first, end) = if step > 0 {
            (clamp(start, 0), clamp(stop, extent))
        } else {
            (clamp(start, extent - 1), clamp(stop, -1))
        };
        let mut parts = Vec::new();
        let mut at = first;
        while (step > 0 && at < end) || (step < 0 && at > end) {
            parts.push(at as usize);
            at += step;
        }
        let inner: usize = x.shape[axis + 1..].iter().product();
        let row = x.shape[axis] * inner;
        let rows = x.values.chunks_exact(row.max(1));
        let values =
            rows.flat_map(|row| parts.iter().flat_map(move |&at| &row[at * inner..(at + 1) * inner]));
        let values = values.copied().collect();
        let mut shape = x.shape.clone();
        shape[axis] = parts.len();
        x = Known::new(&x.name, shape, values, x.is_integer);
    }
    Ok(Value::Known(x))
}

/// Slices whose masks say what is open, new, or one element of its axis.
fn strided_slice(low: &mut Lowering<'_, '_>, args: &Args<'_>) -> Result<Value, Fault> {
    let x = args.get(0)?.clone();
    let [begin, end, strides] = [args.integers(1)?, args.integers(2)?, args.integers(3)?];
    let has = |mask: &str, entry: usize| {
        args.node.int(mask).unwrap_or(0).checked_shr(entry as u32).unwrap_or(0) & 1 == 1
    };
    let shape = low.extents(&x)?;
    let entries = begin.len();
    if end.len() != entries || strides.len() != entries || entries > 32 {
        return Err(args.damage("slices of different lengths"));
    }
    let is_new = |entry: usize| has("new_axis_mask", entry) && !has("ellipsis_mask", entry);
    let named = (0..entries).filter(|&entry| !is_new(entry) && !has("ellipsis_mask", entry)).count();
    let rest = shape.len().checked_sub(named).ok_or_else(|| args.damage("more axes than its tensor"))?;
    let mut ranges = Vec::new();
    // Of each axis of the result: the axis it is, or a new one.
    let mut result: Vec<Option<usize>> = Vec::new();
    for entry in 0..entries {
        if has("ellipsis_mask", entry) {
            for _ in 0..rest {
                result.push(Some(ranges.len()));
                ranges.push([None, None, None]);
            }
        } else if is_new(entry) {
            result.push(None);
        } else if has("shrink_axis_mask", entry) {
            let axis = args.axis(begin[entry], *shape.get(ranges.len()).unwrap_or(&0))? as i64;
            ranges.push([Some(axis), Some(axis + 1), None]);
        } else {
            let bound = |mask: &str, value: i64| (!has(mask, entry)).then_some(value);
            result.push(Some(ranges.len()));
            ranges.push([
                bound("begin_mask", begin[entry]),
                bound("end_mask", end[entry]),
                Some(strides[entry]).filter(|&step| step != 1),
            ]);
        }
    }
    result.extend((ranges.len()..shape.len()).map(Some));
    let part = taken(low, args, ranges)?;
    let extents = low.extents(&part)?;
    let target = result.into_iter().map(|axis| axis.map_or(1, |axis| extents[axis])).collect();
    low.reshaped(&part, target)
}
