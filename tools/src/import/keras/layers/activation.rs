//! Activation functions: by name, as an argument of other layers, and as layers of their own.

use flatpack_format::OpCode;
use flatpack_format::ops::celu::CeluParams;
use flatpack_format::ops::clip::ClipParams;
use flatpack_format::ops::elu::EluParams;
use flatpack_format::ops::gelu::GeluParams;
use flatpack_format::ops::hard_sigmoid::HardSigmoidParams;
use flatpack_format::ops::leaky_relu::LeakyReluParams;
use flatpack_format::ops::log_softmax::LogSoftmaxParams;
use flatpack_format::ops::softmax::SoftmaxParams;
use flatpack_format::ops::sparsemax::SparsemaxParams;
use flatpack_format::ops::squareplus::SquareplusParams;
use flatpack_format::ops::strided_slice::StridedSliceParams;
use flatpack_format::ops::thresholded_relu::ThresholdedReluParams;
use flatpack_format::ops::{Clamp, binary::BinaryParams};
use serde_json::Value;

use super::Lower;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::HARD_SIGMOID_KERAS2;
use crate::import::keras::json::short;
use crate::import::keras::lower::{Lowering, Weights};
use crate::import::keras::network::{Config, Layer};
use crate::import::keras::version::Dialect;

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("Activation", Lower::Map(of_layer)),
    ("ELU", Lower::Map(|low, layer, x| elu(low, &layer.config, x))),
    ("LeakyReLU", Lower::Map(|low, layer, x| leaky_relu_layer(low, &layer.config, x))),
    ("PReLU", Lower::Map(prelu)),
    ("ReLU", Lower::Map(|low, layer, x| relu(low, &layer.config, x))),
    ("Softmax", Lower::Masked(masked_softmax)),
    ("ThresholdedReLU", Lower::Map(|low, layer, x| thresholded_relu(low, &layer.config, x))),
];

/// An activation function: its arguments, which all have defaults, and what it is applied to.
type Function = fn(&mut Lowering, &Config, TensorId) -> Result<TensorId, Fault>;

/// Keras' activation functions by name.
const FUNCTIONS: &[(&str, Function)] = &[
    ("celu", celu),
    ("elu", elu),
    ("exponential", |low, _, x| low.unary(OpCode::Exp, x)),
    ("gelu", gelu),
    ("glu", glu),
    ("hard_shrink", hard_shrink),
    ("hard_sigmoid", |low, _, x| hard_sigmoid(low, 1.0 / 6.0, x)),
    (HARD_SIGMOID_KERAS2, |low, _, x| hard_sigmoid(low, 0.2, x)),
    ("hard_silu", |low, _, x| low.unary(OpCode::HardSwish, x)),
    ("hard_swish", |low, _, x| low.unary(OpCode::HardSwish, x)),
    ("hard_tanh", |low, _, x| clip(low, -1.0, 1.0, x)),
    ("leaky_relu", |low, args, x| leaky_relu(low, args.f64_or("negative_slope", 0.2)?, x)),
    ("linear", |_, _, x| Ok(x)),
    ("log_sigmoid", log_sigmoid),
    ("log_softmax", log_softmax),
    ("mish", |low, _, x| low.unary(OpCode::Mish, x)),
    ("relu", relu),
    ("relu6", |low, _, x| clip(low, 0.0, 6.0, x)),
    ("selu", |low, _, x| low.unary(OpCode::Selu, x)),
    ("sigmoid", |low, _, x| low.unary(OpCode::Logistic, x)),
    ("silu", |low, _, x| low.unary(OpCode::Swish, x)),
    ("soft_shrink", soft_shrink),
    ("softmax", |low, args, x| softmax(low, axis_argument(args)?, x)),
    // The name that TensorFlow's own softmax is stored under.
    ("softmax_v2", |low, args, x| softmax(low, axis_argument(args)?, x)),
    ("softplus", |low, _, x| low.unary(OpCode::Softplus, x)),
    ("softsign", |low, _, x| low.unary(OpCode::Softsign, x)),
    ("sparse_plus", sparse_plus),
    ("sparse_sigmoid", |low, _, x| hard_sigmoid(low, 0.5, x)),
    ("sparsemax", sparsemax),
    ("squareplus", squareplus),
    ("swish", |low, _, x| low.unary(OpCode::Swish, x)),
    ("tanh", |low, _, x| low.unary(OpCode::Tanh, x)),
    ("tanh_shrink", tanh_shrink),
    ("threshold", threshold),
];

/// Layers that serve as activation functions of other layers.
const LAYER_FUNCTIONS: &[(&str, Function)] = &[
    ("ELU", elu),
    ("LeakyReLU", leaky_relu_layer),
    ("ReLU", relu),
    ("Softmax", softmax_layer),
    ("ThresholdedReLU", thresholded_relu),
];

/// The activation function called `name`, with arguments, of `x`.
pub(super) fn named(low: &mut Lowering, name: &str, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let functions = || FUNCTIONS.iter().chain(LAYER_FUNCTIONS);
    match functions().find(|(known, _)| *known == name) {
        Some((_, function)) => function(low, args, x),
        None => Err(Fault::Unsupported {
            what: format!("the activation function `{name}`"),
            remedy: "a function of your own is Python code, which flatpack never runs; \
                     replace it by one of Keras' own activations"
                .into(),
        }),
    }
}

/// Functions whose values depend on positions along an axis.
const ALONG_AXIS: &[&str] = &["glu", "log_softmax", "softmax", "softmax_v2", "sparsemax", "Softmax"];

/// Whether the activation under `key` maps each element alone.
pub(super) fn is_elementwise(config: &Config, key: &str) -> bool {
    let name = match config.get(key) {
        Some(Value::Object(object)) => match object.get("config") {
            Some(name @ Value::String(_)) => name.as_str(),
            _ => object.get("class_name").and_then(Value::as_str),
        },
        Some(name) => name.as_str(),
        None => None,
    };
    name.is_none_or(|name| !ALONG_AXIS.contains(&name))
}

/// The activation that a layer has as its argument `activation`, of `x`.
pub(super) fn of_layer(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    of_argument(low, &layer.config, "activation", x)
}

/// The activation under `key`: a name, a layer as `{class_name, config}`, or none.
pub(super) fn of_argument(
    low: &mut Lowering,
    config: &Config,
    key: &str,
    x: TensorId,
) -> Result<TensorId, Fault> {
    let wrong = |value: &Value| Fault::Unexpected {
        place: format!("`{key}`"),
        found: short(value),
        expected: "the name of an activation function, or a layer".into(),
    };
    match config.get(key) {
        None => Ok(x),
        Some(Value::String(name)) => named(low, name, &Config::default(), x),
        Some(value @ Value::Object(object)) => {
            let class = object.get("class_name").and_then(Value::as_str).ok_or_else(|| wrong(value))?;
            match object.get("config") {
                // A function of its own, by name.
                Some(Value::String(name)) => named(low, name, &Config::default(), x),
                Some(Value::Object(args)) => named(low, class, &Config(args.clone()), x),
                _ => named(low, class, &Config::default(), x),
            }
        }
        Some(value) => Err(wrong(value)),
    }
}

/// A softmax of which what the mask excludes gets nothing: it is broadcast from the last axis on.
fn masked_softmax(
    low: &mut Lowering,
    layer: &Layer,
    x: TensorId,
    mask: Option<TensorId>,
) -> Result<TensorId, Fault> {
    let Some(mask) = mask else { return softmax_layer(low, &layer.config, x) };
    let least = low.scalar(-1e9);
    let x = if low.dialect == Dialect::Keras3 {
        low.node(OpCode::Select, (), &[mask, x, least])?
    } else {
        let one = low.scalar(1.0);
        let excluded = low.binary(OpCode::Sub, one, mask)?;
        let lowered = low.binary(OpCode::Mul, excluded, least)?;
        low.binary(OpCode::Add, x, lowered)?
    };
    softmax_layer(low, &layer.config, x)
}

/// `max(x, 0)` with Keras' three arguments:
/// `min(x, max_value)` where x > threshold, else `negative_slope · (x − threshold)`.
fn relu(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let argument = |key: &str, default: f64| {
        let value = args.f64_or(key, default)?;
        if value >= 0.0 {
            return Ok(value as f32);
        }
        Err(Fault::Unexpected {
            place: format!("`{key}`"),
            found: value.to_string(),
            expected: "a number that is not negative".into(),
        })
    };
    let slope = argument("negative_slope", 0.0)?;
    let threshold = argument("threshold", 0.0)?;
    let max = argument("max_value", f64::INFINITY)?;
    if threshold == 0.0 && slope == 0.0 {
        return clip(low, 0.0, max, x);
    }
    if threshold == 0.0 && max == f32::INFINITY {
        return low.node(OpCode::LeakyRelu, LeakyReluParams { alpha: slope }, &[x]);
    }
    low.node(OpCode::ThresholdedRelu, ThresholdedReluParams { threshold, slope, max }, &[x])
}

/// `x` where x > threshold, else 0.
fn passing_above(low: &mut Lowering, threshold: f32, x: TensorId) -> Result<TensorId, Fault> {
    let params = ThresholdedReluParams { threshold, slope: 0.0, max: f32::INFINITY };
    low.node(OpCode::ThresholdedRelu, params, &[x])
}

/// `x` where x > theta, else 0.
fn thresholded_relu(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let theta = args.f64_or("theta", 1.0)? as f32;
    passing_above(low, theta, x)
}

fn leaky_relu(low: &mut Lowering, slope: f64, x: TensorId) -> Result<TensorId, Fault> {
    low.node(OpCode::LeakyRelu, LeakyReluParams { alpha: slope as f32 }, &[x])
}

/// The layer's default slope is not the function's. Before Keras 3 the slope is called `alpha`.
fn leaky_relu_layer(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let slope = args.f64_or("negative_slope", args.f64_or("alpha", 0.3)?)?;
    leaky_relu(low, slope, x)
}

/// `x` where x ≥ 0, else `alpha · x` with an alpha for each position; equal ones along the shared axes.
fn prelu(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let mut shape = low.dims(x).get(1..).unwrap_or_default().to_vec();
    if layer.config.get("shared_axes").is_some() {
        for axis in layer.config.ints("shared_axes")? {
            match low.axis(x, axis)? {
                0 => {
                    return Err(Fault::Unexpected {
                        place: "`shared_axes`".into(),
                        found: "the batch".into(),
                        expected: "axes after the batch".into(),
                    });
                }
                axis => shape[axis - 1] = 1,
            }
        }
    }
    let mut weights = Weights::of(layer);
    let alpha = weights.take("alpha", &shape)?;
    weights.end()?;
    let alpha = low.weight(alpha)?;
    low.node(OpCode::Prelu, (), &[x, alpha])
}

fn clip(low: &mut Lowering, min: f32, max: f32, x: TensorId) -> Result<TensorId, Fault> {
    low.node(OpCode::Clip, ClipParams { clamp: Clamp { min, max } }, &[x])
}

fn celu(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    low.node(OpCode::Celu, CeluParams { alpha: args.f64_or("alpha", 1.0)? as f32 }, &[x])
}

fn elu(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    low.node(OpCode::Elu, EluParams { alpha: args.f64_or("alpha", 1.0)? as f32 }, &[x])
}

fn gelu(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let approximate = u32::from(args.bool_or("approximate", false)?);
    low.node(OpCode::Gelu, GeluParams { approximate }, &[x])
}

/// `a · sigmoid(b)` for the halves a, b of `x` along one axis.
fn glu(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let axis = low.axis(x, axis_argument(args)?)?;
    let dims = low.dims(x);
    if !dims[axis].is_multiple_of(2) {
        return Err(Fault::Unexpected {
            place: "`glu`".into(),
            found: format!("a tensor of shape {dims:?}"),
            expected: format!("an even extent of axis {axis}"),
        });
    }
    let mut half = StridedSliceParams {
        begin: [0; _],
        stride: [1; _],
        size: std::array::from_fn(|axis| dims.get(axis).copied().unwrap_or(1)),
    };
    half.size[axis] /= 2;
    let a = low.node(OpCode::StridedSlice, half, &[x])?;
    half.begin[axis] = half.size[axis];
    let b = low.node(OpCode::StridedSlice, half, &[x])?;
    let gate = low.unary(OpCode::Logistic, b)?;
    low.binary(OpCode::Mul, a, gate)
}

/// `x` where |x| > threshold, else 0.
fn hard_shrink(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let threshold = args.f64_or("threshold", 0.5)? as f32;
    if threshold < 0.0 {
        return Ok(x);
    }
    let above = passing_above(low, threshold, x)?;
    let mirrored = low.unary(OpCode::Neg, x)?;
    let below = passing_above(low, threshold, mirrored)?;
    low.binary(OpCode::Sub, above, below)
}

/// `slope · x + 0.5`, cut to 0 … 1.
fn hard_sigmoid(low: &mut Lowering, slope: f32, x: TensorId) -> Result<TensorId, Fault> {
    low.node(OpCode::HardSigmoid, HardSigmoidParams { slope, offset: 0.5 }, &[x])
}

/// `ln(1 / (1 + e^−x)) = −softplus(−x)`.
fn log_sigmoid(low: &mut Lowering, _: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let mirrored = low.unary(OpCode::Neg, x)?;
    let softplus = low.unary(OpCode::Softplus, mirrored)?;
    low.unary(OpCode::Neg, softplus)
}

/// `x − threshold` where x > threshold, `x + threshold` where x < −threshold, else 0:
/// what is left of x beyond the bounds ± threshold.
fn soft_shrink(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let threshold = args.f64_or("threshold", 0.5)? as f32;
    let bounded = clip(low, -threshold, threshold, x)?;
    low.binary(OpCode::Sub, x, bounded)
}

/// 0 where x ≤ −1, `x` where x ≥ 1, `(x + 1)² / 4` between: with c = x cut to −1 … 1,
/// `(c + 1)² / 4 + (x − 1 where positive)`.
fn sparse_plus(low: &mut Lowering, _: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let one = low.scalar(1.0);
    let half = low.scalar(0.5);
    let middle = clip(low, -1.0, 1.0, x)?;
    let shifted = low.binary(OpCode::Add, middle, one)?;
    let halved = low.binary(OpCode::Mul, shifted, half)?;
    let bend = low.unary(OpCode::Square, halved)?;
    let positive = BinaryParams { clamp: Clamp { min: 0.0, max: f32::INFINITY } };
    let line = low.node(OpCode::Sub, positive, &[x, one])?;
    low.binary(OpCode::Add, bend, line)
}

fn squareplus(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    low.node(OpCode::Squareplus, SquareplusParams { b: args.f64_or("b", 4.0)? as f32 }, &[x])
}

fn tanh_shrink(low: &mut Lowering, _: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let tanh = low.unary(OpCode::Tanh, x)?;
    low.binary(OpCode::Sub, x, tanh)
}

/// `x` where x > threshold, else `default_value`.
fn threshold(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let threshold = args.f64("threshold")? as f32;
    let default_value = args.f64("default_value")? as f32;
    let passed = passing_above(low, threshold, x)?;
    if default_value == 0.0 {
        return Ok(passed);
    }
    // 1 where x > threshold, else 0: the sign of the difference, without −1.
    let bound = low.scalar(threshold);
    let above = low.binary(OpCode::Sub, x, bound)?;
    let sign = low.unary(OpCode::Sign, above)?;
    let passes = clip(low, 0.0, 1.0, sign)?;
    let (minus, value) = (low.scalar(-default_value), low.scalar(default_value));
    let taken = low.binary(OpCode::Mul, passes, minus)?;
    let rest = low.binary(OpCode::Add, taken, value)?;
    low.binary(OpCode::Add, passed, rest)
}

/// The argument `axis`: by default the last.
fn axis_argument(args: &Config) -> Result<i64, Fault> {
    Ok(if args.get("axis").is_some() { args.ints("axis")?.first().copied().unwrap_or(-1) } else { -1 })
}

fn softmax(low: &mut Lowering, axis: i64, x: TensorId) -> Result<TensorId, Fault> {
    let axis = low.axis(x, axis)? as u32;
    low.node(OpCode::Softmax, SoftmaxParams { axis }, &[x])
}

fn log_softmax(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let axis = low.axis(x, axis_argument(args)?)? as u32;
    low.node(OpCode::LogSoftmax, LogSoftmaxParams { axis }, &[x])
}

fn sparsemax(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    let axis = low.axis(x, axis_argument(args)?)? as u32;
    low.node(OpCode::Sparsemax, SparsemaxParams { axis }, &[x])
}

/// Softmax over one axis, or over all positions of several axes together.
fn softmax_layer(low: &mut Lowering, args: &Config, x: TensorId) -> Result<TensorId, Fault> {
    if args.get("axis").is_none() {
        return softmax(low, -1, x);
    }
    match args.ints("axis")?.as_slice() {
        [axis] => softmax(low, *axis, x),
        axes => low.over_last_axes(x, axes, |low, x, axis_count| {
            let dims = low.dims(x);
            let (outer, inner) = dims.split_at(dims.len() - axis_count);
            let merged: Vec<u32> = outer.iter().copied().chain([inner.iter().product()]).collect();
            let x = low.reshape(x, &merged)?;
            let y = softmax(low, -1, x)?;
            low.reshape(y, &dims)
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::import::keras::Dialect;
    use crate::reference::Predictor;
    use flatpack_format::Shape;

    /// The bounds of every piecewise function are among these.
    const X: [f32; 14] = [-7.0, -3.0, -2.5, -1.0, -0.7, -0.5, 0.0, 0.3, 0.5, 1.0, 2.5, 3.0, 6.0, 9.0];

    fn computed(activation: Value) -> Vec<f32> {
        let mut low = Lowering::new("m", Dialect::Keras3);
        let x = low.graph.add_input("x", Shape::new(&[1, X.len() as u32]).unwrap());
        let config = json!({ "activation": activation });
        let Value::Object(config) = config else { unreachable!() };
        let y = of_argument(&mut low, &Config(config), "activation", x).unwrap();
        if y == x {
            return X.to_vec();
        }
        Predictor::new(&low.graph).unwrap().predict(&[X.to_vec()]).unwrap().remove(&y).unwrap()
    }

    fn assert_is(activation: Value, formula: impl Fn(f64) -> f64) {
        for (x, computed) in X.iter().zip(computed(activation.clone())) {
            let expected = formula(f64::from(*x));
            let off = (f64::from(computed) - expected).abs();
            assert!(off <= 2e-6 * expected.abs().max(1.0), "{activation} of {x}: {computed} for {expected}");
        }
    }

    type Formula = fn(f64) -> f64;

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    fn softplus(x: f64) -> f64 {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    }

    #[test]
    fn functions_that_map_each_element_are_what_their_formulas_say() {
        let formulas: &[(&str, Formula)] = &[
            ("celu", |x| if x < 0.0 { x.exp_m1() } else { x }),
            ("elu", |x| if x < 0.0 { x.exp_m1() } else { x }),
            ("exponential", f64::exp),
            ("gelu", |x| x * 0.5 * (1.0 + libm::erf(x / 2f64.sqrt()))),
            ("hard_shrink", |x| if x.abs() > 0.5 { x } else { 0.0 }),
            ("hard_sigmoid", |x| (x + 3.0).clamp(0.0, 6.0) / 6.0),
            (HARD_SIGMOID_KERAS2, |x| (0.2 * x + 0.5).clamp(0.0, 1.0)),
            ("hard_silu", |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            ("hard_swish", |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            ("hard_tanh", |x| x.clamp(-1.0, 1.0)),
            ("leaky_relu", |x| if x < 0.0 { 0.2 * x } else { x }),
            ("linear", |x| x),
            ("log_sigmoid", |x| -softplus(-x)),
            ("mish", |x| x * softplus(x).tanh()),
            ("relu", |x| x.max(0.0)),
            ("relu6", |x| x.clamp(0.0, 6.0)),
            ("selu", |x| 1.0507009873554805 * if x < 0.0 { 1.6732632423543772 * x.exp_m1() } else { x }),
            ("sigmoid", sigmoid),
            ("silu", |x| x * sigmoid(x)),
            ("soft_shrink", |x| if x.abs() > 0.5 { x - 0.5 * x.signum() } else { 0.0 }),
            ("softplus", softplus),
            ("softsign", |x| x / (1.0 + x.abs())),
            ("sparse_plus", |x| if x.abs() < 1.0 { (x + 1.0).powi(2) / 4.0 } else { x.max(0.0) }),
            ("sparse_sigmoid", |x| (0.5 * (x + 1.0)).clamp(0.0, 1.0)),
            ("squareplus", |x| (x + (x * x + 4.0).sqrt()) / 2.0),
            ("swish", |x| x * sigmoid(x)),
            ("tanh", f64::tanh),
            ("tanh_shrink", |x| x - x.tanh()),
        ];
        for (name, formula) in formulas {
            assert_is(json!(name), formula);
        }
        let tested = |name: &str| formulas.iter().any(|(known, _)| *known == name);
        let untested: Vec<&str> =
            FUNCTIONS.iter().map(|(name, _)| *name).filter(|name| !tested(name)).collect();
        assert_eq!(untested, ["glu", "log_softmax", "softmax", "softmax_v2", "sparsemax", "threshold"]);
    }

    #[test]
    fn functions_along_an_axis_are_what_their_formulas_say() {
        let sum: f64 = X.iter().map(|&x| f64::from(x).exp()).sum();
        for name in ["softmax", "softmax_v2"] {
            assert_is(json!(name), |x| x.exp() / sum);
        }
        assert_is(json!("log_softmax"), |x| x - sum.ln());
        // Of X, only 9 is in the support.
        assert_is(json!("sparsemax"), |x| (x - 8.0).max(0.0));
        let (a, b) = X.split_at(X.len() / 2);
        let expected = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * sigmoid(f64::from(b)));
        for (computed, expected) in computed(json!("glu")).into_iter().zip(expected) {
            assert!((f64::from(computed) - expected).abs() < 2e-6);
        }
    }

    #[test]
    fn arguments_change_what_a_function_computes() {
        let of = |class: &str, config: Value| json!({"class_name": class, "config": config});
        assert_is(of("LeakyReLU", json!({})), |x| if x < 0.0 { 0.3 * x } else { x });
        assert_is(of("LeakyReLU", json!({"negative_slope": 0.1})), |x| if x < 0.0 { 0.1 * x } else { x });
        assert_is(of("ELU", json!({"alpha": 0.5})), |x| if x < 0.0 { 0.5 * x.exp_m1() } else { x });
        assert_is(of("ThresholdedReLU", json!({"theta": 0.5})), |x| if x > 0.5 { x } else { 0.0 });
        assert_is(of("threshold", json!({"threshold": 0.5, "default_value": -2.0})), |x| {
            if x > 0.5 { x } else { -2.0 }
        });
        assert_is(of("gelu", json!({"approximate": true})), |x| {
            x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        });
        for (config, max) in [
            (json!({"threshold": 0.5, "negative_slope": 0.1}), f64::INFINITY),
            (json!({"threshold": 0.5, "negative_slope": 0.1, "max_value": 2.0}), 2.0),
            (json!({"threshold": 0.5, "negative_slope": 0.1, "max_value": 0.25}), 0.25),
        ] {
            assert_is(of("ReLU", config), |x| if x > 0.5 { x.min(max) } else { 0.1 * (x - 0.5) });
        }
    }
}
