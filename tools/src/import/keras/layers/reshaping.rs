//! Layers that move, repeat or leave out elements: flattening, padding, cropping, upsampling.

use flatpack_format::OpCode;
use flatpack_format::ops::broadcast_to::BroadcastToParams;
use flatpack_format::ops::pad::PadParams;
use flatpack_format::ops::resize_nearest_neighbor::{CORNERS, ResizeNearestNeighborParams};
use flatpack_format::ops::strided_slice::StridedSliceParams;
use serde_json::Value;

use super::Lower;
use super::preprocessing::resize;
use super::spatial::{channels_first, channels_last, spatial_dims};
use crate::graph::{TensorId, shape};
use crate::import::Fault;
use crate::import::keras::json::short;
use crate::import::keras::lower::{Lowering, dims_of, size_of_layer, sizes_of_layer};
use crate::import::keras::network::Layer;

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("Cropping1D", Lower::Map(cropping::<1>)),
    ("Cropping2D", Lower::Map(cropping::<2>)),
    ("Cropping3D", Lower::Map(cropping::<3>)),
    ("Flatten", Lower::Map(flatten)),
    ("Permute", Lower::Map(permute)),
    ("RepeatVector", Lower::Map(repeat_vector)),
    ("Reshape", Lower::Map(reshape)),
    ("UpSampling1D", Lower::Map(up_sampling::<1>)),
    ("UpSampling2D", Lower::Map(up_sampling::<2>)),
    ("UpSampling3D", Lower::Map(up_sampling::<3>)),
    ("ZeroPadding1D", Lower::Map(zero_padding::<1>)),
    ("ZeroPadding2D", Lower::Map(zero_padding::<2>)),
    ("ZeroPadding3D", Lower::Map(zero_padding::<3>)),
];

/// All axes after the batch as one; the channels vary fastest, wherever they are.
fn flatten(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let dims = low.dims(x);
    let x = if channels_first(layer)? && dims.len() > 2 {
        let order: Vec<usize> = [0].into_iter().chain(2..dims.len()).chain([1]).collect();
        low.transpose(x, &order)?
    } else {
        x
    };
    let inner = dims.iter().skip(1).product();
    low.reshape(x, &[dims[0], inner])
}

fn reshape(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let dims = low.dims(x);
    let inner = resolved(&layer.config.ints("target_shape")?, dims.iter().skip(1).product())?;
    let target: Vec<u32> = dims.iter().take(1).copied().chain(inner).collect();
    low.reshape(x, &target)
}

/// The extents of a shape for `len` elements in which one extent may be −1: what is left over.
pub(super) fn resolved(target: &[i64], len: u32) -> Result<Vec<u32>, Fault> {
    let wrong = || Fault::Unexpected {
        place: "the shape".into(),
        found: format!("{target:?}"),
        expected: format!("one of {len} elements"),
    };
    let known = target.iter().filter(|&&extent| extent != -1).try_fold(1i64, |len, &e| len.checked_mul(e));
    let known = known.filter(|&known| known > 0).ok_or_else(wrong)?;
    let open = target.iter().filter(|&&extent| extent == -1).count();
    let fits = match open {
        0 => known == i64::from(len),
        1 => i64::from(len) % known == 0,
        _ => false,
    };
    if !fits || target.iter().any(|&extent| extent < -1) {
        return Err(wrong());
    }
    let extent = |&extent: &i64| if extent == -1 { i64::from(len) / known } else { extent };
    target.iter().map(|e| u32::try_from(extent(e)).map_err(|_| wrong())).collect()
}

/// Axes after the batch in another order, counted from 1.
fn permute(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let axes = layer.config.ints("dims")?;
    let rank = low.graph.dims(x).len();
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(1..rank as i64) {
        return Err(Fault::Unexpected {
            place: "`dims`".into(),
            found: format!("{axes:?}"),
            expected: format!("the axes 1 to {} in some order", rank.saturating_sub(1)),
        });
    }
    let order: Vec<usize> = [0].into_iter().chain(axes.into_iter().map(|axis| axis as usize)).collect();
    low.transpose(x, &order)
}

fn repeat_vector(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let times = size_of_layer(layer, "n")?;
    let &[batch, features] = low.graph.dims(x) else {
        return Err(Fault::Unexpected {
            place: "the call".into(),
            found: format!("a tensor of shape {:?}", low.graph.dims(x)),
            expected: "batch and one more axis".into(),
        });
    };
    let x = low.reshape(x, &[batch, 1, features])?;
    broadcast(low, x, &[batch, times, features])
}

/// `x` repeated to these extents by NumPy's broadcasting rule.
pub(super) fn broadcast(low: &mut Lowering, x: TensorId, dims: &[u32]) -> Result<TensorId, Fault> {
    if low.graph.dims(x) == dims {
        return Ok(x);
    }
    let extents: Vec<usize> = dims.iter().map(|&extent| extent as usize).collect();
    dims_of(&extents)?;
    match shape(&extents) {
        Some(shape) => low.node(OpCode::BroadcastTo, BroadcastToParams::new(&shape), &[x]),
        None => Ok(x),
    }
}

/// The first spatial axis of a layer's input.
fn first_axis(layer: &Layer) -> Result<usize, Fault> {
    Ok(if channels_first(layer)? { 2 } else { 1 })
}

fn zero_padding<const N: usize>(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let pads = borders::<N>(layer, "padding")?;
    spatial_dims::<N>(low, x)?;
    padded(low, x, first_axis(layer)?, &pads, 0.0)
}

fn cropping<const N: usize>(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let cuts = borders::<N>(layer, "cropping")?;
    spatial_dims::<N>(low, x)?;
    cropped(low, x, first_axis(layer)?, &cuts)
}

/// Numbers before and after each of `N` axes: one number for all, one for each axis, or pairs.
fn borders<const N: usize>(layer: &Layer, key: &str) -> Result<[[u32; 2]; N], Fault> {
    let value = layer.config.get(key).unwrap_or(&Value::Null);
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([before, after]) => Some([number(before)?, number(after)?]),
        Some(_) => None,
        None => number(value).map(|both| [both; 2]),
    };
    let found: Option<Vec<[u32; 2]>> = match value {
        Value::Array(values) if N == 1 && values.len() == 2 => pair(value).map(|pair| vec![pair]),
        // Keras 1: before and after each axis, all in one list.
        Value::Array(values) if N > 1 && values.len() == 2 * N => {
            values.chunks(2).map(|chunk| Some([number(&chunk[0])?, number(&chunk[1])?])).collect()
        }
        Value::Array(values) => values.iter().map(pair).collect(),
        single => number(single).map(|all| vec![[all; 2]; N]),
    };
    found.and_then(|found| found.try_into().ok()).ok_or_else(|| Fault::Unexpected {
        place: format!("`{key}`"),
        found: short(value),
        expected: format!("a non-negative integer, {N} of them, or {N} pairs"),
    })
}

/// `x` with `pads` elements of `value` before and after its axes from `first` on.
pub(super) fn padded(
    low: &mut Lowering,
    x: TensorId,
    first: usize,
    pads: &[[u32; 2]],
    value: f32,
) -> Result<TensorId, Fault> {
    if pads.iter().all(|pad| *pad == [0, 0]) {
        return Ok(x);
    }
    let side = |side: usize| {
        std::array::from_fn(|axis| {
            axis.checked_sub(first).and_then(|at| pads.get(at)).map_or(0, |pad| pad[side])
        })
    };
    low.node(OpCode::Pad, PadParams { before: side(0), after: side(1), value }, &[x])
}

/// `x` without the `cuts` elements before and after its axes from `first` on.
pub(super) fn cropped(
    low: &mut Lowering,
    x: TensorId,
    first: usize,
    cuts: &[[u32; 2]],
) -> Result<TensorId, Fault> {
    let mut slice = Slice::of(low, x);
    for (at, &[before, after]) in cuts.iter().enumerate() {
        let extent = slice.size[first + at];
        let left = extent.checked_sub(before).and_then(|left| left.checked_sub(after));
        let left = left.filter(|&left| left > 0).ok_or_else(|| Fault::Unexpected {
            place: "the cropping".into(),
            found: format!("{before} and {after} of {extent} elements"),
            expected: "something to be left".into(),
        })?;
        (slice.begin[first + at], slice.size[first + at]) = (before, left);
    }
    slice.take(low, x)
}

/// A part of a tensor: for each axis, where it begins, its stride and how many elements it takes.
pub(super) struct Slice {
    pub(super) begin: Vec<u32>,
    pub(super) stride: Vec<i32>,
    pub(super) size: Vec<u32>,
}

impl Slice {
    /// All of `x`.
    pub(super) fn of(low: &Lowering, x: TensorId) -> Self {
        let size = low.dims(x);
        Self { begin: vec![0; size.len()], stride: vec![1; size.len()], size }
    }

    /// This part of `x`.
    pub(super) fn take(&self, low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
        if self.size == low.graph.dims(x) && self.stride.iter().all(|&stride| stride == 1) {
            return Ok(x);
        }
        let params = StridedSliceParams {
            begin: std::array::from_fn(|axis| self.begin.get(axis).copied().unwrap_or(0)),
            stride: std::array::from_fn(|axis| self.stride.get(axis).copied().unwrap_or(1)),
            size: std::array::from_fn(|axis| self.size.get(axis).copied().unwrap_or(1)),
        };
        low.node(OpCode::StridedSlice, params, &[x])
    }
}

fn up_sampling<const N: usize>(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let times = sizes_of_layer(layer, "size", [2; N])?;
    spatial_dims::<N>(low, x)?;
    match layer.config.str_or("interpolation", "nearest")?.to_ascii_lowercase().as_str() {
        "nearest" => repeated(low, x, first_axis(layer)?, &times),
        interpolation => channels_last(low, layer, x, |low, x| {
            let (_, input, _) = spatial_dims::<2>(low, x)?;
            let size = [0, 1].map(|axis| input[axis].saturating_mul(times.get(axis).copied().unwrap_or(1)));
            resize(low, x, size, interpolation)
        }),
    }
}

/// `x` with each element of its axes from `first` on repeated so many times, side by side.
pub(super) fn repeated(
    low: &mut Lowering,
    x: TensorId,
    first: usize,
    times: &[u32],
) -> Result<TensorId, Fault> {
    let mut x = x;
    // Two axes at a time are the rows and columns of an image.
    for (at, times) in times.chunks(2).enumerate() {
        let axis = first + 2 * at;
        let dims = low.dims(x);
        let rest = &dims[axis + times.len()..];
        let size = [times[0], times.get(1).copied().unwrap_or(1)];
        let columns = if times.len() == 2 { dims[axis + 1] } else { 1 };
        let (rows, outer) = (dims[axis], dims[..axis].iter().product());
        let size = [rows.saturating_mul(size[0]), columns.saturating_mul(size[1])];
        if size == [rows, columns] {
            continue;
        }
        let image = low.reshape(x, &[outer, rows, columns, rest.iter().product()])?;
        let params = ResizeNearestNeighborParams { size, grid: CORNERS };
        let y = low.node(OpCode::ResizeNearestNeighbor, params, &[image])?;
        let repeated: Vec<u32> = dims[..axis]
            .iter()
            .copied()
            .chain(size[..times.len()].iter().copied())
            .chain(rest.to_vec())
            .collect();
        x = low.reshape(y, &repeated)?;
    }
    Ok(x)
}
