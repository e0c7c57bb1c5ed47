//! Preparation of inputs: scaling, normalizing, resizing.

use flatpack_format::OpCode;
use flatpack_format::ops::resize_bilinear::ResizeBilinearParams;
use flatpack_format::ops::resize_nearest_neighbor::{HALF_PIXEL_CENTERS, ResizeNearestNeighborParams};
use serde_json::Value;

use super::Lower;
use super::reshaping::{cropped, padded};
use super::spatial::{channels_last, spatial_dims};
use crate::array::Array;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, Weights, constant_array, dims_of, size_of_layer};
use crate::import::keras::network::{Config, Layer};

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("CenterCrop", Lower::Map(center_crop)),
    ("Normalization", Lower::Map(normalization)),
    ("Rescaling", Lower::Map(rescaling)),
    ("Resizing", Lower::Map(resizing)),
];

/// Keras divides by no smaller standard deviation.
const MIN_DEVIATION: f32 = 1e-7;

/// `x · scale + offset`, with numbers or one value for each position of the last axes.
fn rescaling(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let argument = |key: &str, default: f32| {
        let array = layer.config.get(key).map(constant_array).transpose()?;
        Ok::<_, Fault>(array.unwrap_or_else(|| Array::new([], vec![default])))
    };
    let scaled = with_constant(low, OpCode::Mul, x, &argument("scale", 1.0)?, 1.0)?;
    with_constant(low, OpCode::Add, scaled, &argument("offset", 0.0)?, 0.0)
}

/// An operator of `x` and a constant, unless the constant is `neutral` throughout.
fn with_constant(
    low: &mut Lowering,
    op: OpCode,
    x: TensorId,
    constant: &Array,
    neutral: f32,
) -> Result<TensorId, Fault> {
    if constant.values.iter().all(|&value| value == neutral) {
        return Ok(x);
    }
    let constant = low.constant("constant", &dims_of(&constant.shape)?, constant.values.clone());
    low.binary(op, x, constant)
}

/// `(x − mean) / √variance`, or `x · √variance + mean` where inverted, with a mean and a variance for
/// each position along the axes kept.
fn normalization(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let axes = match layer.config.0.get("axis") {
        None => vec![-1],
        Some(Value::Null) => Vec::new(),
        Some(_) => layer.config.ints("axis")?,
    };
    let axes = if axes.is_empty() { Vec::new() } else { low.axes(x, &axes)? };
    let (mean, variance) = match layer.config.get("mean") {
        Some(mean) => {
            let variance = layer.config.get("variance").ok_or_else(|| Fault::Unexpected {
                place: "`variance`".into(),
                found: "nothing".into(),
                expected: "a variance, as there is a mean".into(),
            })?;
            (constant_array(mean)?, constant_array(variance)?)
        }
        None => {
            let kept: Vec<u32> = axes.iter().map(|&axis| low.graph.dims(x)[axis]).collect();
            let mut weights = Weights::of(layer);
            let mean = weights.take("mean", &kept)?;
            let variance = weights.take("variance", &kept)?;
            // How many samples they were taken from.
            weights.take_any("count")?;
            weights.end()?;
            ((*mean.array).clone(), (*variance.array).clone())
        }
    };
    let deviation = |variance: &f32| variance.sqrt().max(MIN_DEVIATION);
    let deviations = variance.values.iter().map(deviation).collect();
    let mean = along(low, x, &axes, "mean", mean)?;
    let deviation = along(low, x, &axes, "variance", Array::new(variance.shape, deviations))?;
    if layer.config.bool_or("invert", false)? {
        let scaled = low.binary(OpCode::Mul, x, deviation)?;
        return low.binary(OpCode::Add, scaled, mean);
    }
    let centred = low.binary(OpCode::Sub, x, mean)?;
    low.binary(OpCode::Div, centred, deviation)
}

/// A constant whose last axes are those of `x` that `axes` names, with ones for the others.
fn along(
    low: &mut Lowering,
    x: TensorId,
    axes: &[usize],
    name: &str,
    array: Array,
) -> Result<TensorId, Fault> {
    let given = dims_of(&array.shape)?;
    let rest = given.len().saturating_sub(axes.len());
    if given[..rest].iter().any(|&extent| extent != 1) {
        return Err(Fault::Unexpected {
            place: format!("`{name}`"),
            found: format!("an array of shape {given:?}"),
            expected: format!("one of at most {} axes, those of `axis`", axes.len()),
        });
    }
    let mut dims = vec![1; low.graph.dims(x).len()];
    for (&axis, &extent) in axes.iter().rev().zip(given.iter().rev()) {
        dims[axis] = extent;
    }
    // Constants broadcast from the last axis on.
    let first = axes.first().map_or(dims.len(), |&axis| axis);
    Ok(low.constant(name, &dims[first..], array.values))
}

/// The middle of each image. Of an image too small: the largest middle part of the right
/// proportions, resized.
fn center_crop(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let size = [size_of_layer(layer, "height")?, size_of_layer(layer, "width")?];
    channels_last(low, layer, x, |low, x| {
        let (_, input, _) = spatial_dims::<2>(low, x)?;
        if input.iter().zip(&size).all(|(input, size)| input >= size) {
            let cut = |axis: usize| {
                let before = (input[axis] - size[axis]) / 2;
                [before, input[axis] - size[axis] - before]
            };
            return cropped(low, x, 1, &[cut(0), cut(1)]);
        }
        let middle = crop_to_aspect_ratio(low, x, size)?;
        resize(low, middle, size, "bilinear")
    })
}

fn resizing(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let size = [size_of_layer(layer, "height")?, size_of_layer(layer, "width")?];
    channels_last(low, layer, x, |low, x| resized(low, &layer.config, x, size))
}

/// `x` `[N, H, W, C]` at another size, with the arguments that Keras has for that.
pub(super) fn resized(
    low: &mut Lowering,
    args: &Config,
    x: TensorId,
    size: [u32; 2],
) -> Result<TensorId, Fault> {
    for (key, what) in [
        ("antialias", "resizing with antialiasing"),
        ("preserve_aspect_ratio", "resizing that preserves the aspect ratio"),
    ] {
        if args.bool_or(key, false)? {
            return Err(Fault::Unsupported {
                what: what.into(),
                remedy: "resize the images before they enter the model".into(),
            });
        }
    }
    let x = if args.bool_or("crop_to_aspect_ratio", false)? {
        crop_to_aspect_ratio(low, x, size)?
    } else if args.bool_or("pad_to_aspect_ratio", false)? {
        pad_to_aspect_ratio(low, x, size, args.f64_or("fill_value", 0.0)? as f32)?
    } else {
        x
    };
    resize(low, x, size, args.str_or("interpolation", "bilinear")?)
}

/// The largest middle part of `x` that has the proportions of `size`.
fn crop_to_aspect_ratio(low: &mut Lowering, x: TensorId, size: [u32; 2]) -> Result<TensorId, Fault> {
    let (_, input, _) = spatial_dims::<2>(low, x)?;
    let cut = |axis: usize| {
        // As many rows as the columns ask for, and the other way round.
        let fitting = u64::from(input[1 - axis]) * u64::from(size[axis]) / u64::from(size[1 - axis].max(1));
        let taken = fitting.clamp(1, u64::from(input[axis])) as u32;
        let before = (input[axis] - taken) / 2;
        [before, input[axis] - taken - before]
    };
    cropped(low, x, 1, &[cut(0), cut(1)])
}

/// `x` with as much of `value` on either side as it takes to have the proportions of `size`.
fn pad_to_aspect_ratio(
    low: &mut Lowering,
    x: TensorId,
    size: [u32; 2],
    value: f32,
) -> Result<TensorId, Fault> {
    let (_, input, _) = spatial_dims::<2>(low, x)?;
    let pads = [0, 1].map(|axis| {
        // As many rows as the columns ask for, and the other way round, rounded as Keras does.
        let asked = (input[1 - axis] as f32 * size[axis] as f32 / size[1 - axis].max(1) as f32) as u32;
        [asked.saturating_sub(input[axis]) / 2; 2]
    });
    padded(low, x, 1, &pads, value)
}

/// `x` `[N, H, W, C]` with another height and width; positions are those of the elements' centres.
pub(super) fn resize(
    low: &mut Lowering,
    x: TensorId,
    size: [u32; 2],
    interpolation: &str,
) -> Result<TensorId, Fault> {
    let (_, input, _) = spatial_dims::<2>(low, x)?;
    if input == size {
        return Ok(x);
    }
    match interpolation.to_ascii_lowercase().as_str() {
        "bilinear" => {
            low.node(OpCode::ResizeBilinear, ResizeBilinearParams { size, grid: HALF_PIXEL_CENTERS }, &[x])
        }
        "nearest" => {
            let params = ResizeNearestNeighborParams { size, grid: HALF_PIXEL_CENTERS };
            low.node(OpCode::ResizeNearestNeighbor, params, &[x])
        }
        other => Err(Fault::Unsupported {
            what: format!("the interpolation {other:?}"),
            remedy: "use \"bilinear\" or \"nearest\"".into(),
        }),
    }
}
