//! Normalizations.

use flatpack_format::OpCode;
use flatpack_format::ops::group_normalization::GroupNormalizationParams;
use flatpack_format::ops::l2_normalization::L2NormalizationParams;
use flatpack_format::ops::layer_normalization::LayerNormalizationParams;
use flatpack_format::ops::mean::ReduceParams;

use super::Lower;
use crate::array::Array;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::Dialect;
use crate::import::keras::lower::{Lowering, Weights};
use crate::import::keras::network::{Inner, Layer, Weight};

pub(super) const LAYERS: &[(&str, Lower)] = &[
    // A mask changes what training learns alone.
    ("BatchNormalization", Lower::Masked(|low, layer, x, _| batch_normalization(low, layer, x))),
    ("GroupNormalization", Lower::Map(group_normalization)),
    ("LayerNormalization", Lower::Map(layer_normalization)),
    ("RMSNormalization", Lower::Map(rms_normalization)),
    ("SpectralNormalization", Lower::Map(spectral_normalization)),
    ("SyncBatchNormalization", Lower::Masked(|low, layer, x, _| batch_normalization(low, layer, x))),
    ("UnitNormalization", Lower::Map(unit_normalization)),
];

/// `(x − mean) / √(variance + epsilon) · gamma + beta` by channel, with constant mean and variance: one
/// product and one sum.
fn batch_normalization(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let dims = low.dims(x);
    let axes = low.axes(x, &axes_of(layer)?)?;
    let kept = |axis: usize| if axes.contains(&axis) { dims[axis] } else { 1 };
    // Constants broadcast from the last axis on.
    let broadcast: Vec<u32> = (axes[0]..dims.len()).map(kept).collect();
    let stored: Vec<u32> = match axes.as_slice() {
        [axis] => vec![dims[*axis]],
        _ => (0..dims.len()).map(kept).collect(),
    };
    let epsilon = layer.config.f64_or("epsilon", 1e-3)?;
    let mut weights = Weights::of(layer);
    let gamma = weights.take_if(layer.config.bool_or("scale", true)?, "gamma", &stored)?;
    let beta = weights.take_if(layer.config.bool_or("center", true)?, "beta", &stored)?;
    let mean = weights.take("moving_mean", &stored)?;
    let variance = weights.take("moving_variance", &stored)?;
    weights.end()?;
    let statistics = Statistics {
        gamma: gamma.map(|weight| &*weight.array),
        beta: beta.map(|weight| &*weight.array),
        mean: &mean.array,
        variance: &variance.array,
        epsilon,
    };
    let sources: Vec<&Weight> = [gamma, beta, Some(mean), Some(variance)].into_iter().flatten().collect();
    let form = |part: &str| format!("{part} {broadcast:?} {epsilon:?}");
    let name = |part: &str| format!("{}/{part}", layer.name);
    let factor =
        low.derived(&sources, &form("factor"), &name("factor"), &broadcast, |_| statistics.factors())?;
    let term = low.derived(&sources, &form("term"), &name("term"), &broadcast, |_| statistics.terms())?;
    let scaled = low.binary(OpCode::Mul, x, factor)?;
    low.binary(OpCode::Add, scaled, term)
}

/// What a batch normalization is made of, by channel.
struct Statistics<'a> {
    gamma: Option<&'a Array>,
    beta: Option<&'a Array>,
    mean: &'a Array,
    variance: &'a Array,
    epsilon: f64,
}

impl Statistics<'_> {
    fn factor(&self, channel: usize) -> f64 {
        let gamma = self.gamma.map_or(1.0, |gamma| f64::from(gamma.values[channel]));
        gamma / (f64::from(self.variance.values[channel]) + self.epsilon).sqrt()
    }

    fn factors(&self) -> Vec<f32> {
        (0..self.mean.len()).map(|channel| self.factor(channel) as f32).collect()
    }

    fn terms(&self) -> Vec<f32> {
        let term = |channel: usize| {
            let beta = self.beta.map_or(0.0, |beta| f64::from(beta.values[channel]));
            beta - f64::from(self.mean.values[channel]) * self.factor(channel)
        };
        (0..self.mean.len()).map(|channel| term(channel) as f32).collect()
    }
}

/// The argument `axis`: an axis or several, by default the last.
fn axes_of(layer: &Layer) -> Result<Vec<i64>, Fault> {
    if layer.config.get("axis").is_some() { layer.config.ints("axis") } else { Ok(vec![-1]) }
}

/// The extents of these axes of `x`, in their order.
fn extents_of(low: &Lowering, x: TensorId, axes: &[i64]) -> Result<Vec<u32>, Fault> {
    axes.iter().map(|&axis| Ok(low.graph.dims(x)[low.axis(x, axis)?])).collect()
}

/// Scale and bias for an operator that takes both or neither.
fn affine(
    low: &mut Lowering,
    layer: &Layer,
    gamma: Option<&Weight>,
    beta: Option<&Weight>,
    len: u32,
) -> Result<Vec<TensorId>, Fault> {
    if gamma.is_none() && beta.is_none() {
        return Ok(Vec::new());
    }
    let mut of = |weight: Option<&Weight>, name: &str, neutral: f32| match weight {
        Some(weight) => low.flat(weight),
        None => Ok(low.constant(&format!("{}/{name}", layer.name), &[len], vec![neutral; len as usize])),
    };
    Ok(vec![of(gamma, "gamma", 1.0)?, of(beta, "beta", 0.0)?])
}

/// Normalizes over all positions of some axes together; gamma and beta have the extents of these axes.
fn layer_normalization(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let epsilon = layer.config.f64_or("epsilon", 1e-3)? as f32;
    let by_variance = layer.config.bool_or("rms_scaling", false)?;
    let axes = axes_of(layer)?;
    let stored = extents_of(low, x, &axes)?;
    let mut weights = Weights::of(layer);
    let scale = layer.config.bool_or("scale", true)? || by_variance;
    let center = layer.config.bool_or("center", true)? && !by_variance;
    let gamma = weights.take_if(scale, "gamma", &stored)?;
    let beta = weights.take_if(center, "beta", &stored)?;
    weights.end()?;
    low.over_last_axes(x, &axes, |low, x, axis_count| {
        if let (true, Some(gamma)) = (by_variance, gamma) {
            return scaled_by_variance(low, x, axis_count, epsilon, gamma);
        }
        let mut operands = vec![x];
        operands.extend(affine(low, layer, gamma, beta, stored.iter().product())?);
        let params = LayerNormalizationParams { axis_count: axis_count as u32, epsilon };
        low.node(OpCode::LayerNormalization, params, &operands)
    })
}

/// `x / √(variance(x) + epsilon) · gamma`: what `rms_scaling` of Keras 3 does, without centring x.
fn scaled_by_variance(
    low: &mut Lowering,
    x: TensorId,
    axis_count: usize,
    epsilon: f32,
    gamma: &Weight,
) -> Result<TensorId, Fault> {
    let dims = low.dims(x);
    let first = dims.len() - axis_count;
    let mean = ReduceParams { axis: first as u32, axis_count: axis_count as u32, keep_dims: 1 };
    let means = low.node(OpCode::Mean, mean, &[x])?;
    let centred = low.binary(OpCode::Sub, x, means)?;
    let squares = low.unary(OpCode::Square, centred)?;
    let variance = low.node(OpCode::Mean, mean, &[squares])?;
    let epsilon = low.scalar(epsilon);
    let shifted = low.binary(OpCode::Add, variance, epsilon)?;
    let inverse = low.unary(OpCode::Rsqrt, shifted)?;
    let scaled = low.binary(OpCode::Mul, x, inverse)?;
    let as_it_is: Vec<usize> = (0..gamma.array.shape.len()).collect();
    let gamma = low.weight_as(gamma, &as_it_is, &dims[first..])?;
    low.binary(OpCode::Mul, scaled, gamma)
}

/// `x / √(mean(x²) + epsilon) · scale` over some axes. The scale has the extents of these axes, and
/// broadcasts from the last axis of x on.
fn rms_normalization(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let epsilon = layer.config.f64_or("epsilon", 1e-6)? as f32;
    let axes = axes_of(layer)?;
    let mut weights = Weights::of(layer);
    let scale = weights.take("scale", &extents_of(low, x, &axes)?)?;
    weights.end()?;
    let rank = low.graph.dims(x).len();
    let at_end = axes
        .iter()
        .enumerate()
        .all(|(position, &axis)| low.axis(x, axis).is_ok_and(|axis| axis + axes.len() == rank + position));
    let normalized = low.over_last_axes(x, &axes, |low, x, axis_count| {
        let params = LayerNormalizationParams { axis_count: axis_count as u32, epsilon };
        let mut operands = vec![x];
        if at_end {
            operands.push(low.flat(scale)?);
        }
        low.node(OpCode::RmsNormalization, params, &operands)
    })?;
    if at_end {
        return Ok(normalized);
    }
    let scale = low.weight(scale)?;
    low.binary(OpCode::Mul, normalized, scale)
}

/// Normalizes groups of channels, each over all positions.
fn group_normalization(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let epsilon = layer.config.f64_or("epsilon", 1e-3)? as f32;
    let axis = match axes_of(layer)?.as_slice() {
        [axis] => low.axis(x, *axis)?,
        several => {
            return Err(Fault::Unexpected {
                place: "`axis`".into(),
                found: format!("{several:?}"),
                expected: "one axis".into(),
            });
        }
    };
    let channels = low.graph.dims(x)[axis];
    let groups = match layer.config.get("groups") {
        Some(_) => layer.config.ints("groups")?.first().copied().unwrap_or(32),
        None => 32,
    };
    let groups = match u32::try_from(groups) {
        Ok(groups) if channels.checked_rem(groups) == Some(0) => groups,
        // One group for each channel.
        Err(_) if groups == -1 => channels,
        _ => {
            return Err(Fault::Unexpected {
                place: "`groups`".into(),
                found: groups.to_string(),
                expected: format!("−1, or a number that divides the {channels} channels"),
            });
        }
    };
    let mut weights = Weights::of(layer);
    let gamma = weights.take_if(layer.config.bool_or("scale", true)?, "gamma", &[channels])?;
    let beta = weights.take_if(layer.config.bool_or("center", true)?, "beta", &[channels])?;
    weights.end()?;
    low.over_last_axes(x, &[axis as i64], |low, x, _| {
        let mut operands = vec![x];
        operands.extend(affine(low, layer, gamma, beta, channels)?);
        low.node(OpCode::GroupNormalization, GroupNormalizationParams { groups, epsilon }, &operands)
    })
}

/// `x` divided by its Euclidean norm over some axes.
///
/// Keras 3 bounds the norm by 10⁻¹² from below, Keras 2 its square.
fn unit_normalization(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let epsilon = if low.dialect == Dialect::Keras3 { 1e-24 } else { 1e-12 };
    let axes = low.axes(x, &axes_of(layer)?)?;
    l2_normalized(low, x, &axes, epsilon)
}

/// `x / √max(Σ x², epsilon)` over these axes, in rising order.
pub(super) fn l2_normalized(
    low: &mut Lowering,
    x: TensorId,
    axes: &[usize],
    epsilon: f32,
) -> Result<TensorId, Fault> {
    let (Some(&first), Some(&last)) = (axes.first(), axes.last()) else { return Ok(x) };
    let axis_count = axes.len() as u32;
    if last - first + 1 == axes.len() {
        let params = L2NormalizationParams { axis: first as u32, axis_count, epsilon };
        return low.node(OpCode::L2Normalization, params, &[x]);
    }
    let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
    low.over_last_axes(x, &axes, |low, x, _| {
        let axis = low.graph.dims(x).len() as u32 - axis_count;
        low.node(OpCode::L2Normalization, L2NormalizationParams { axis, axis_count, epsilon }, &[x])
    })
}

/// The layer inside, whose kernel was normalized while it was trained.
fn spectral_normalization(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let wrong = |found: String| Fault::Unexpected {
        place: "the wrapped layer".into(),
        found,
        expected: "one layer with one output".into(),
    };
    let Inner::Layers(inside) = &layer.inner else { return Err(wrong("none".into())) };
    let [inside] = inside.as_slice() else { return Err(wrong(format!("{} layers", inside.len()))) };
    match low.apply(inside, &[x])?.as_slice() {
        [y] => Ok(*y),
        several => Err(wrong(format!("{} outputs", several.len()))),
    }
}
