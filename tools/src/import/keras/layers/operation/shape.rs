//! Operations that change shapes: the elements stay, or are repeated.

use serde_json::{Value, json};

use super::super::merging::concatenated;
use super::super::preprocessing::resized;
use super::super::reshaping::{broadcast, padded, repeated, resolved};
use super::{int_or, list, wrong};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::Lowering;
use crate::import::keras::network::{Arg, Config};

pub(super) fn reshape(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let len = low.graph.dims(x).iter().product();
    let dims = resolved(&settings.ints("newshape")?, len)?;
    low.reshape(x, &dims)
}

pub(super) fn ravel(low: &mut Lowering, _: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let len = low.graph.dims(x).iter().product();
    low.reshape(x, &[len])
}

/// The axes in another order; by default from last to first.
pub(super) fn transpose(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let rank = low.graph.dims(x).len();
    let order: Vec<usize> = match settings.get("axes") {
        None => (0..rank).rev().collect(),
        Some(_) => {
            settings.ints("axes")?.into_iter().map(|axis| low.axis(x, axis)).collect::<Result<_, _>>()?
        }
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(wrong(
            "`axes`",
            format!("{order:?}"),
            format!("the axes 0 to {} in some order", rank - 1),
        ));
    }
    low.transpose(x, &order)
}

pub(super) fn swap_axes(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let first = low.axis(x, int_or(settings, "axis1", 0)?)?;
    let second = low.axis(x, int_or(settings, "axis2", 0)?)?;
    let mut order: Vec<usize> = (0..low.graph.dims(x).len()).collect();
    order.swap(first, second);
    low.transpose(x, &order)
}

/// Each source axis goes to its destination; the others keep their order.
pub(super) fn move_axes(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let counted = |key: &str| -> Result<Vec<usize>, Fault> {
        settings.ints(key)?.into_iter().map(|axis| low.axis(x, axis)).collect()
    };
    let (source, destination) = (counted("source")?, counted("destination")?);
    let rank = low.graph.dims(x).len();
    let mut others = (0..rank).filter(|axis| !source.contains(axis));
    let from = |to: usize| match destination.iter().position(|&axis| axis == to) {
        Some(at) => source.get(at).copied(),
        None => others.next(),
    };
    match (0..rank).map(from).collect::<Option<Vec<_>>>() {
        Some(order) if source.len() == destination.len() => low.transpose(x, &order),
        _ => Err(wrong("`source`", format!("{source:?} to {destination:?}"), "as many axes on both sides")),
    }
}

/// Axes of length 1 at these positions of the result.
pub(super) fn expand_dims(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let axes = settings.ints("axis")?;
    let dims = low.dims(x);
    let dims = expanded(&dims, &axes)
        .ok_or_else(|| wrong("`axis`", format!("{axes:?}"), "different axes of the result"))?;
    low.reshape(x, &dims)
}

fn expanded(dims: &[u32], axes: &[i64]) -> Option<Vec<u32>> {
    let rank = (dims.len() + axes.len()) as i64;
    let counted = |axis: i64| if axis < 0 { axis + rank } else { axis };
    let mut extents = dims.iter();
    let made: Option<Vec<u32>> = (0..rank)
        .map(
            |to| if axes.iter().any(|&axis| counted(axis) == to) { Some(1) } else { extents.next().copied() },
        )
        .collect();
    made.filter(|_| extents.next().is_none())
}

/// Without these axes, of length 1; by default without all such axes after the batch.
pub(super) fn squeeze(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let dims = low.dims(x);
    let axes = match settings.get("axis") {
        None => (1..dims.len()).filter(|&axis| dims[axis] == 1).collect(),
        Some(_) => low.axes(x, &settings.ints("axis")?)?,
    };
    if axes.iter().any(|&axis| dims[axis] != 1) {
        return Err(wrong("`axis`", format!("{axes:?} of a tensor of shape {dims:?}"), "axes of length 1"));
    }
    let left: Vec<u32> = (0..dims.len()).filter(|axis| !axes.contains(axis)).map(|axis| dims[axis]).collect();
    low.reshape(x, &left)
}

pub(super) fn concatenate(
    low: &mut Lowering,
    settings: &Config,
    args: &[Arg],
) -> Result<Vec<TensorId>, Fault> {
    let tensors = list(low, args)?;
    Ok(vec![concatenated(low, &tensors, int_or(settings, "axis", 0)?)?])
}

/// Tensors one after the other along a new axis.
pub(super) fn stack(low: &mut Lowering, settings: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let axis = int_or(settings, "axis", 0)?;
    let tensors = list(low, args)?;
    let lifted = tensors.into_iter().map(|x| {
        let dims = expanded(low.graph.dims(x), &[axis])
            .ok_or_else(|| wrong("`axis`", axis.to_string(), "an axis of the result"))?;
        low.reshape(x, &dims)
    });
    let lifted: Vec<TensorId> = lifted.collect::<Result<_, _>>()?;
    Ok(vec![concatenated(low, &lifted, axis)?])
}

/// Padding with a constant.
pub(super) fn pad(low: &mut Lowering, settings: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let value = match args.get(1) {
        None => 0.0,
        Some(Arg::Constant(value)) => value.as_f64().unwrap_or(0.0),
        Some(_) => return Err(wrong("`constant_values`", "a tensor", "a number")),
    };
    let x = args.first().ok_or_else(|| wrong("the call", "no tensor", "one"))?;
    let x = low.operand(x)?;
    Ok(vec![padded_by(low, settings, "pad_width", value, x)?])
}

pub(super) fn pad_of_tensorflow(
    low: &mut Lowering,
    settings: &Config,
    x: TensorId,
) -> Result<TensorId, Fault> {
    padded_by(low, settings, "paddings", settings.f64_or("constant_values", 0.0)?, x)
}

fn padded_by(
    low: &mut Lowering,
    settings: &Config,
    key: &str,
    value: f64,
    x: TensorId,
) -> Result<TensorId, Fault> {
    let mode = settings.str_or("mode", "constant")?;
    if !mode.eq_ignore_ascii_case("constant") {
        return Err(Fault::Unsupported {
            what: format!("padding by {mode:?}"),
            remedy: "pad with a constant".into(),
        });
    }
    let rank = low.graph.dims(x).len();
    let found = settings.get(key).unwrap_or(&Value::Null);
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([before, after]) => Some([number(before)?, number(after)?]),
        Some([both]) => number(both).map(|both| [both; 2]),
        _ => None,
    };
    let pads: Option<Vec<[u32; 2]>> = match found {
        Value::Array(values) if values.iter().all(Value::is_array) => values.iter().map(pair).collect(),
        Value::Array(_) => pair(found).map(|pair| vec![pair]),
        single => number(single).map(|all| vec![[all; 2]]),
    };
    let pads = match pads {
        Some(pads) if pads.len() == rank => pads,
        Some(pads) if pads.len() == 1 => vec![pads[0]; rank],
        _ => return Err(wrong(&format!("`{key}`"), found.to_string(), format!("{rank} pairs of numbers"))),
    };
    padded(low, x, 0, &pads, value as f32)
}

/// Each element so many times, side by side.
pub(super) fn repeat(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let times = int_or(settings, "repeats", 1)?;
    let times = u32::try_from(times)
        .ok()
        .filter(|&times| times > 0)
        .ok_or_else(|| wrong("`repeats`", times.to_string(), "a positive number"))?;
    match settings.get("axis") {
        Some(_) => {
            let axis = low.axis(x, int_or(settings, "axis", 0)?)?;
            repeated(low, x, axis, &[times])
        }
        None => {
            let flat = ravel(low, settings, x)?;
            repeated(low, flat, 0, &[times])
        }
    }
}

/// The whole tensor so many times along each axis.
pub(super) fn tile(low: &mut Lowering, settings: &Config, key: &str, x: TensorId) -> Result<TensorId, Fault> {
    let times = settings.ints(key)?;
    let counts: Option<Vec<u32>> =
        times.iter().map(|&times| u32::try_from(times).ok().filter(|&times| times > 0)).collect();
    let mut counts =
        counts.ok_or_else(|| wrong(&format!("`{key}`"), format!("{times:?}"), "positive numbers"))?;
    let mut dims = low.dims(x);
    let rank = dims.len().max(counts.len());
    counts.splice(0..0, std::iter::repeat_n(1, rank - counts.len()));
    dims.splice(0..0, std::iter::repeat_n(1, rank - dims.len()));
    let mut x = low.reshape(x, &dims)?;
    for (axis, times) in counts.into_iter().enumerate() {
        let (outer, inner): (u32, u32) = (dims[..axis].iter().product(), dims[axis..].iter().product());
        dims[axis] = dims[axis].saturating_mul(times);
        if times > 1 {
            let row = low.reshape(x, &[outer, 1, inner])?;
            let rows = broadcast(low, row, &[outer, times, inner])?;
            x = low.reshape(rows, &dims)?;
        }
    }
    Ok(x)
}

pub(super) fn broadcast_to(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let extents = settings.ints("shape")?;
    let dims: Result<Vec<u32>, _> = extents.iter().map(|&extent| u32::try_from(extent)).collect();
    let dims = dims.map_err(|_| wrong("`shape`", format!("{extents:?}"), "extents that are not negative"))?;
    broadcast(low, x, &dims)
}

/// A constant of the shape of `x`.
pub(super) fn filled(low: &mut Lowering, x: TensorId, value: f32) -> Result<TensorId, Fault> {
    let dims = low.dims(x);
    let value = low.scalar(value);
    broadcast(low, value, &dims)
}

/// A number, or a tensor that broadcasts, in the shape of `x`.
pub(super) fn full_like(low: &mut Lowering, _: &Config, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    let [x, value] = args else {
        return Err(wrong("the call", format!("{} arguments", args.len()), "a tensor and a value"));
    };
    let (x, value) = (low.operand(x)?, low.operand(value)?);
    let dims = low.dims(x);
    Ok(vec![broadcast(low, value, &dims)?])
}

/// Settings of Keras' `Resize`.
pub(super) const RESIZE: &[&str] = &[
    "size",
    "interpolation",
    "antialias",
    "crop_to_aspect_ratio",
    "pad_to_aspect_ratio",
    "fill_mode",
    "fill_value",
    "data_format",
];

fn size_of(settings: &Config) -> Result<[u32; 2], Fault> {
    let size = settings.extents::<2>("size", [0; 2])?;
    let wrong = |_| wrong("`size`", format!("{size:?}"), "a height and a width");
    Ok([u32::try_from(size[0]).map_err(wrong)?, u32::try_from(size[1]).map_err(wrong)?])
}

pub(super) fn resize(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let size = size_of(settings)?;
    in_channels_last(low, settings, x, |low, x| resized(low, settings, x, size))
}

/// `tf.image.resize`.
pub(super) fn image_resize(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let method = settings.str_or("method", "bilinear")?;
    let mut args = Config::default();
    args.0.insert("interpolation".into(), json!(method));
    resized(low, &args, x, size_of(settings)?)
}

/// `f` of `x` with the channels last, wherever they are.
fn in_channels_last(
    low: &mut Lowering,
    settings: &Config,
    x: TensorId,
    f: impl FnOnce(&mut Lowering, TensorId) -> Result<TensorId, Fault>,
) -> Result<TensorId, Fault> {
    match settings.str_or("data_format", "channels_last")? {
        "channels_last" | "NHWC" => f(low, x),
        "channels_first" | "NCHW" => low.over_last_axes(x, &[1], |low, x, _| f(low, x)),
        other => Err(wrong("`data_format`", format!("{other:?}"), "\"channels_last\" or \"channels_first\"")),
    }
}

/// Extents of `x` `[N, H, W, C]`, and the edge of a block.
fn blocks(low: &Lowering, settings: &Config, x: TensorId) -> Result<([u32; 4], u32), Fault> {
    let edge = int_or(settings, "block_size", 0)?;
    let dims = low.dims(x);
    match (<[u32; 4]>::try_from(dims.as_slice()), u32::try_from(edge)) {
        (Ok(dims), Ok(edge)) if (1..1 << 15).contains(&edge) => Ok((dims, edge)),
        _ => Err(wrong(
            "`block_size`",
            format!("{edge} for a tensor of shape {dims:?}"),
            "an edge of blocks of images",
        )),
    }
}

/// The channels of each position become a block of positions.
pub(super) fn depth_to_space(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    in_channels_last(low, settings, x, |low, x| {
        let ([batch, height, width, channels], edge) = blocks(low, settings, x)?;
        let depth = channels / (edge * edge);
        let x = low.reshape(x, &[batch, height, width, edge, edge, depth])?;
        let x = low.transpose(x, &[0, 1, 3, 2, 4, 5])?;
        low.reshape(x, &[batch, height * edge, width * edge, depth])
    })
}

/// A block of positions becomes channels of one position.
pub(super) fn space_to_depth(low: &mut Lowering, settings: &Config, x: TensorId) -> Result<TensorId, Fault> {
    in_channels_last(low, settings, x, |low, x| {
        let ([batch, height, width, channels], edge) = blocks(low, settings, x)?;
        let (rows, columns) = (height / edge, width / edge);
        let x = low.reshape(x, &[batch, rows, edge, columns, edge, channels])?;
        let x = low.transpose(x, &[0, 1, 3, 2, 4, 5])?;
        low.reshape(x, &[batch, rows, columns, edge * edge * channels])
    })
}
