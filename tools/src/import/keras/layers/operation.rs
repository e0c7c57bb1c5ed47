//! Operations of functional graphs: `x * 2`, `x[:, 0]`, `ops.mean(x, axis=1)`, and the TensorFlow
//! functions that have the same meaning.

mod arithmetic;
mod comparison;
mod reduction;
mod shape;
mod slice;

use flatpack_format::OpCode;
use serde_json::Value;

pub(super) use self::comparison::hot;
pub(super) use self::reduction::over;
use super::activation;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, describe};
use crate::import::keras::network::{Arg, Call, Config, Layer};
use crate::import::keras::operations::short_name;
use crate::import::keras::snake_case::snake_case;

/// What an operation becomes.
#[derive(Clone, Copy)]
enum Rule {
    /// The tensor itself: operations that matter to training or to Python alone.
    Identity,
    /// An operator of each element.
    Unary(OpCode),
    /// An operator of two tensors or numbers, broadcast.
    Binary(OpCode),
    /// Likewise, with the second first.
    Swapped(OpCode),
    /// The activation function of this name.
    Activation(&'static str),
    /// A reduction over some axes.
    Reduce(OpCode),
    /// A function of one tensor.
    Map(fn(&mut Lowering, &Config, TensorId) -> Result<TensorId, Fault>),
    /// Anything else.
    Call(Lowered),
}

/// What an operation becomes, given its settings and arguments.
type Lowered = fn(&mut Lowering, &Config, &[Arg]) -> Result<Vec<TensorId>, Fault>;

use Rule::{Activation, Binary, Identity, Map, Reduce, Swapped, Unary};

/// An operation: its class in Keras 3, or its name in TensorFlow; its positional arguments; the
/// settings that it has in its config or as keyword arguments.
type Operation = (&'static str, &'static [&'static str], &'static [&'static str], Rule);

const X: &[&str] = &["x"];
const X1_X2: &[&str] = &["x1", "x2"];
const X_Y: &[&str] = &["x", "y"];
const FEATURES: &[&str] = &["features"];
const TENSOR: &[&str] = &["tensor"];
const VALUE: &[&str] = &["value"];
const AXIS: &[&str] = &["axis"];
const REDUCTION: &[&str] = &["axis", "keepdims"];
const REDUCED: &[&str] = &["input_tensor"];
const OPERANDS: &[&str] = &["1", "2", "3", "4", "5", "6", "7", "8"];

const OPERATIONS: &[Operation] = &[
    // Two tensors.
    ("Add", X1_X2, &[], Binary(OpCode::Add)),
    ("Divide", X1_X2, &[], Binary(OpCode::Div)),
    ("FloorDivide", X1_X2, &[], Rule::Call(arithmetic::floor_divide)),
    ("Matmul", X1_X2, &["transpose_a", "transpose_b"], Rule::Call(arithmetic::matmul)),
    ("Maximum", X1_X2, &[], Binary(OpCode::Maximum)),
    ("Minimum", X1_X2, &[], Binary(OpCode::Minimum)),
    ("Multiply", X1_X2, &[], Binary(OpCode::Mul)),
    ("Power", X1_X2, &[], Rule::Call(arithmetic::power)),
    ("Subtract", X1_X2, &[], Binary(OpCode::Sub)),
    ("TrueDivide", X1_X2, &[], Binary(OpCode::Div)),
    // Comparisons and selection.
    ("Equal", X1_X2, &[], Binary(OpCode::Equal)),
    ("Greater", X1_X2, &[], Binary(OpCode::Greater)),
    ("GreaterEqual", X1_X2, &[], Binary(OpCode::GreaterEqual)),
    ("Isfinite", X, &[], Map(|low, _, x| comparison::is_finite(low, x))),
    ("Isinf", X, &[], Map(|low, _, x| comparison::is_infinite(low, x))),
    ("Isnan", X, &[], Map(|low, _, x| low.binary(OpCode::NotEqual, x, x))),
    ("Less", X1_X2, &[], Swapped(OpCode::Greater)),
    ("LessEqual", X1_X2, &[], Swapped(OpCode::GreaterEqual)),
    ("LogicalAnd", X1_X2, &[], Rule::Call(comparison::and)),
    ("LogicalNot", X, &[], Map(|low, _, x| comparison::not(low, x))),
    ("LogicalOr", X1_X2, &[], Rule::Call(comparison::or)),
    ("LogicalXor", X1_X2, &[], Rule::Call(comparison::exclusive_or)),
    ("NotEqual", X1_X2, &[], Binary(OpCode::NotEqual)),
    ("OneHot", X, &["num_classes", "axis", "sparse"], Map(comparison::one_hot)),
    ("Where", &["condition", "x1", "x2"], &[], Rule::Call(comparison::select)),
    ("one_hot", &["indices"], &["depth", "on_value", "off_value", "axis"], Map(comparison::one_hot)),
    // Sums of products.
    ("Cumsum", X, &["axis"], Map(arithmetic::running_sum)),
    ("Dot", X1_X2, &[], Rule::Call(arithmetic::dot)),
    ("Einsum", OPERANDS, &["subscripts"], Rule::Call(arithmetic::einsum)),
    ("math.squared_difference", X_Y, &[], Rule::Call(arithmetic::squared_difference)),
    ("nn.bias_add", &["value", "bias"], &[], Binary(OpCode::Add)),
    // Each element.
    ("Abs", X, &[], Unary(OpCode::Abs)),
    ("Absolute", X, &[], Unary(OpCode::Abs)),
    ("Ceil", X, &[], Unary(OpCode::Ceil)),
    ("Clip", X, &["x_min", "x_max"], Map(arithmetic::clip)),
    ("Cos", X, &[], Unary(OpCode::Cos)),
    ("Erf", X, &[], Unary(OpCode::Erf)),
    ("Exp", X, &[], Unary(OpCode::Exp)),
    ("Floor", X, &[], Unary(OpCode::Floor)),
    ("Log", X, &[], Unary(OpCode::Log)),
    ("Expm1", X, &[], Map(|low, _, x| arithmetic::shifted(low, OpCode::Exp, x, [0.0, -1.0]))),
    ("Log1p", X, &[], Map(|low, _, x| arithmetic::shifted(low, OpCode::Log, x, [1.0, 0.0]))),
    ("Log10", X, &[], Map(|low, _, x| arithmetic::log(low, x, std::f32::consts::LN_10))),
    ("Log2", X, &[], Map(|low, _, x| arithmetic::log(low, x, std::f32::consts::LN_2))),
    ("Negative", X, &[], Unary(OpCode::Neg)),
    ("Reciprocal", X, &[], Map(|low, _, x| arithmetic::reciprocal(low, x))),
    ("Round", X, &["decimals"], Map(arithmetic::round)),
    ("Rsqrt", X, &[], Unary(OpCode::Rsqrt)),
    ("Sign", X, &[], Unary(OpCode::Sign)),
    ("Sin", X, &[], Unary(OpCode::Sin)),
    ("Sqrt", X, &[], Unary(OpCode::Sqrt)),
    ("Square", X, &[], Unary(OpCode::Square)),
    ("math.ceil", X, &[], Unary(OpCode::Ceil)),
    ("math.erf", X, &[], Unary(OpCode::Erf)),
    ("math.floor", X, &[], Unary(OpCode::Floor)),
    ("math.reciprocal", X, &[], Map(|low, _, x| arithmetic::reciprocal(low, x))),
    ("math.round", X, &[], Unary(OpCode::Round)),
    ("math.sign", X, &[], Unary(OpCode::Sign)),
    // Activation functions.
    ("Celu", X, &["alpha"], Activation("celu")),
    ("Elu", X, &["alpha"], Activation("elu")),
    ("Gelu", X, &["approximate"], Map(|low, args, x| gelu(low, args, x, true))),
    ("Glu", X, AXIS, Activation("glu")),
    ("HardShrink", X, &["threshold"], Activation("hard_shrink")),
    ("HardSigmoid", X, &[], Activation("hard_sigmoid")),
    ("HardSilu", X, &[], Activation("hard_silu")),
    ("HardTanh", X, &[], Activation("hard_tanh")),
    ("LeakyRelu", X, &["negative_slope"], Activation("leaky_relu")),
    ("LogSigmoid", X, &[], Activation("log_sigmoid")),
    ("LogSoftmax", X, AXIS, Activation("log_softmax")),
    ("Mish", X, &[], Activation("mish")),
    ("ReLU", X, &["negative_slope", "max_value", "threshold"], Activation("relu")),
    ("Relu", X, &[], Activation("relu")),
    ("Relu6", X, &[], Activation("relu6")),
    ("Selu", X, &[], Activation("selu")),
    ("Sigmoid", X, &[], Activation("sigmoid")),
    ("Silu", X, &[], Activation("silu")),
    ("SoftShrink", X, &["threshold"], Activation("soft_shrink")),
    ("Softmax", X, AXIS, Activation("Softmax")),
    ("Softplus", X, &[], Activation("softplus")),
    ("Softsign", X, &[], Activation("softsign")),
    ("SparsePlus", X, &[], Activation("sparse_plus")),
    ("SparseSigmoid", X, &[], Activation("sparse_sigmoid")),
    ("Sparsemax", X, AXIS, Activation("sparsemax")),
    ("Squareplus", X, &["b"], Activation("squareplus")),
    ("Tanh", X, &[], Activation("tanh")),
    ("TanhShrink", X, &[], Activation("tanh_shrink")),
    ("Threshold", X, &["threshold", "default_value"], Activation("threshold")),
    ("math.log_sigmoid", X, &[], Activation("log_sigmoid")),
    ("nn.gelu", FEATURES, &["approximate"], Map(|low, args, x| gelu(low, args, x, false))),
    ("nn.log_softmax", &["logits"], AXIS, Activation("log_softmax")),
    ("nn.silu", FEATURES, &[], Activation("silu")),
    ("nn.swish", FEATURES, &[], Activation("silu")),
    // Reductions.
    ("All", X, REDUCTION, Map(|low, args, x| comparison::any_or_all(low, OpCode::ReduceMin, args, x))),
    ("Amax", X, REDUCTION, Reduce(OpCode::ReduceMax)),
    ("Amin", X, REDUCTION, Reduce(OpCode::ReduceMin)),
    ("Any", X, REDUCTION, Map(|low, args, x| comparison::any_or_all(low, OpCode::ReduceMax, args, x))),
    ("Argmax", X, REDUCTION, Map(|low, args, x| comparison::arg(low, OpCode::ReduceMax, args, x))),
    ("Argmin", X, REDUCTION, Map(|low, args, x| comparison::arg(low, OpCode::ReduceMin, args, x))),
    ("Logsumexp", X, REDUCTION, Map(reduction::log_sum_exp)),
    ("Max", X, REDUCTION, Reduce(OpCode::ReduceMax)),
    ("Mean", X, REDUCTION, Reduce(OpCode::Mean)),
    ("Min", X, REDUCTION, Reduce(OpCode::ReduceMin)),
    ("Normalize", X, &["axis", "order", "epsilon"], Map(reduction::normalize)),
    ("Prod", X, REDUCTION, Reduce(OpCode::ReduceProd)),
    ("Std", X, REDUCTION, Map(reduction::standard_deviation)),
    ("Sum", X, REDUCTION, Reduce(OpCode::Sum)),
    ("Var", X, REDUCTION, Map(reduction::variance)),
    ("math.argmax", &["input"], AXIS, Map(|low, args, x| comparison::arg(low, OpCode::ReduceMax, args, x))),
    ("math.argmin", &["input"], AXIS, Map(|low, args, x| comparison::arg(low, OpCode::ReduceMin, args, x))),
    ("math.l2_normalize", X, &["axis", "epsilon"], Map(reduction::l2_normalize)),
    ("math.reduce_logsumexp", REDUCED, REDUCTION, Map(reduction::log_sum_exp)),
    ("math.reduce_std", REDUCED, REDUCTION, Map(reduction::standard_deviation)),
    ("math.reduce_variance", REDUCED, REDUCTION, Map(reduction::variance)),
    // Shapes and positions.
    ("BroadcastTo", X, &["shape"], Map(shape::broadcast_to)),
    ("Concatenate", &["xs"], AXIS, Rule::Call(shape::concatenate)),
    ("DepthToSpace", X, &["block_size", "data_format"], Map(shape::depth_to_space)),
    ("ExpandDims", X, AXIS, Map(shape::expand_dims)),
    ("Flip", X, AXIS, Map(slice::flip)),
    ("GetItem", &["x", "key"], &[], Rule::Call(slice::get_item)),
    ("Moveaxis", X, &["source", "destination"], Map(shape::move_axes)),
    ("Pad", &["x", "constant_values"], &["pad_width", "mode"], Rule::Call(shape::pad)),
    ("Ravel", X, &[], Map(shape::ravel)),
    ("Repeat", X, &["repeats", "axis"], Map(shape::repeat)),
    ("Reshape", X, &["newshape"], Map(shape::reshape)),
    ("Resize", &["images"], shape::RESIZE, Map(shape::resize)),
    ("SpaceToDepth", X, &["block_size", "data_format"], Map(shape::space_to_depth)),
    ("Split", X, &["indices_or_sections", "axis"], Rule::Call(slice::split)),
    ("Squeeze", X, AXIS, Map(shape::squeeze)),
    ("Stack", X, AXIS, Rule::Call(shape::stack)),
    ("Swapaxes", X, &["axis1", "axis2"], Map(shape::swap_axes)),
    ("Take", &["x", "indices"], AXIS, Rule::Call(slice::take)),
    ("TakeAlongAxis", &["x", "indices"], AXIS, Rule::Call(slice::take_along_axis)),
    ("Tile", X, &["repeats"], Map(|low, args, x| shape::tile(low, args, "repeats", x))),
    ("Transpose", X, &["axes"], Map(shape::transpose)),
    ("Unstack", X, &["num", "axis"], Rule::Call(slice::unstack)),
    ("broadcast_to", &["input"], &["shape"], Map(shape::broadcast_to)),
    ("gather", &["params", "indices"], &["axis", "batch_dims"], Rule::Call(slice::take)),
    ("image.resize", &["images"], &["size", "method"], Map(shape::image_resize)),
    ("nn.depth_to_space", &["input"], &["block_size", "data_format"], Map(shape::depth_to_space)),
    ("nn.space_to_depth", &["input"], &["block_size", "data_format"], Map(shape::space_to_depth)),
    ("pad", TENSOR, &["paddings", "mode", "constant_values"], Map(shape::pad_of_tensorflow)),
    ("repeat", &["input"], &["repeats", "axis"], Map(shape::repeat)),
    ("reverse", TENSOR, AXIS, Map(slice::flip)),
    ("split", VALUE, &["num_or_size_splits", "axis"], Rule::Call(slice::split_of_tensorflow)),
    ("tile", &["input"], &["multiples"], Map(|low, args, x| shape::tile(low, args, "multiples", x))),
    ("unstack", VALUE, &["num", "axis"], Rule::Call(slice::unstack)),
    // For training, or for Python alone.
    ("Cast", X, &["dtype"], Map(arithmetic::cast)),
    ("ConvertToTensor", X, &["dtype"], Map(arithmetic::cast)),
    ("Copy", X, &[], Identity),
    ("FullLike", &["x", "fill_value"], &["dtype"], Rule::Call(shape::full_like)),
    ("OnesLike", X, &["dtype"], Map(|low, _, x| shape::filled(low, x, 1.0))),
    ("ZerosLike", X, &["dtype"], Map(|low, _, x| shape::filled(low, x, 0.0))),
    ("StopGradient", &["variable"], &[], Identity),
    ("convert_to_tensor", VALUE, &["dtype"], Map(arithmetic::cast)),
    ("identity", &["input"], &[], Identity),
    ("stop_gradient", &["input"], &[], Identity),
];

/// The class of Keras' operation that Python calls `name`, its tensors, and its settings in their order.
pub(in super::super) fn called(
    name: &str,
) -> Option<(&'static str, &'static [&'static str], &'static [&'static str])> {
    let is_called =
        |class: &str| class.starts_with(|c: char| c.is_ascii_uppercase()) && snake_case(class) == name;
    let (class, tensors, settings, _) = OPERATIONS.iter().find(|(class, ..)| is_called(class))?;
    // What is filled in comes last in Python.
    Some((class, if *class == "Pad" { X } else { tensors }, settings))
}

/// Likewise of TensorFlow's function, for those that are no operation of Keras.
pub(in super::super) fn function_called(
    name: &str,
) -> Option<(&'static str, &'static [&'static str], &'static [&'static str])> {
    let is_called = |known: &str| known == name && known.starts_with(|c: char| c.is_ascii_lowercase());
    let (name, tensors, settings, _) = OPERATIONS.iter().find(|(known, ..)| is_called(known))?;
    Some((name, tensors, settings))
}

/// Names of the operations that are read.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, ..)| *name)
}

/// Lowers a call of an operation.
pub(super) fn lower(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let name = short_name(layer.config.str_or("function", &layer.class)?);
    let Some((_, names, settings, rule)) = OPERATIONS.iter().find(|(known, ..)| *known == name) else {
        return Err(Fault::Unsupported {
            what: format!("the operation `{name}`"),
            remedy:
                "replace it by layers, or leave it out of the model and compute it where the model is used"
                    .into(),
        });
    };
    let (args, settings) = arguments(layer, call, names, settings)?;
    let x =
        |low: &mut Lowering| low.operand(args.first().ok_or_else(|| wrong("the call", "no tensor", "one"))?);
    Ok(vec![match *rule {
        Identity => x(low)?,
        Unary(op) => {
            let x = x(low)?;
            low.unary(op, x)?
        }
        Binary(op) => {
            let [a, b] = two(low, &args)?;
            low.binary(op, a, b)?
        }
        Swapped(op) => {
            let [a, b] = two(low, &args)?;
            low.binary(op, b, a)?
        }
        Activation(name) => {
            let x = x(low)?;
            activation::named(low, name, &settings, x)?
        }
        Reduce(op) => {
            let x = x(low)?;
            reduction::reduce(low, op, &settings, x)?
        }
        Map(map) => {
            let x = x(low)?;
            map(low, &settings, x)?
        }
        Rule::Call(lower) => return lower(low, &settings, &args),
    }])
}

/// The arguments of a call that an operation names, and its settings: those of its config and
/// those among the keyword arguments.
fn arguments(
    layer: &Layer,
    call: &Call,
    names: &[&str],
    known: &[&str],
) -> Result<(Vec<Arg>, Config), Fault> {
    if call.args.len() > names.len() {
        let found = format!("{} arguments", call.args.len());
        return Err(wrong("the call", found, format!("{} ({})", names.len(), names.join(", "))));
    }
    let mut args = call.args.clone();
    for name in &names[args.len()..] {
        match call.kwarg(name) {
            Some(arg) => args.push(arg.clone()),
            None => break,
        }
    }
    let mut settings = Config::default();
    // What every layer has, unless the operation has a setting of that name.
    let common = ["name", "trainable", "dtype", "function"];
    for (key, value) in &layer.config.0 {
        if known.contains(&key.as_str()) {
            settings.0.insert(key.clone(), value.clone());
        } else if !common.contains(&key.as_str()) && !value.is_null() && *value != Value::Bool(false) {
            return Err(unknown(key, value.to_string()));
        }
    }
    for (key, arg) in &call.kwargs {
        match arg {
            _ if names.contains(&key.as_str()) => {}
            Arg::Constant(value) if known.contains(&key.as_str()) => {
                settings.0.insert(key.clone(), value.clone());
            }
            Arg::Constant(Value::Null | Value::Bool(false)) => {}
            other => return Err(unknown(key, describe(other))),
        }
    }
    Ok((args, settings))
}

fn unknown(key: &str, value: String) -> Fault {
    Fault::Unsupported {
        what: format!("the argument `{key}` ({value})"),
        remedy: "use numbers that are known when the model is built, and no other arguments".into(),
    }
}

/// The two operands of an operation.
fn two(low: &mut Lowering, args: &[Arg]) -> Result<[TensorId; 2], Fault> {
    let [a, b] = args else {
        return Err(wrong("the call", format!("{} arguments", args.len()), "two tensors or numbers"));
    };
    Ok([low.operand(a)?, low.operand(b)?])
}

/// The tensors of an operation that takes a list of them.
fn list(low: &mut Lowering, args: &[Arg]) -> Result<Vec<TensorId>, Fault> {
    match args {
        [Arg::List(args)] => args.iter().map(|arg| low.operand(arg)).collect(),
        [single] => Ok(vec![low.operand(single)?]),
        _ => Err(wrong("the call", format!("{} arguments", args.len()), "a list of tensors")),
    }
}

/// The one integer under `key`.
fn int_or(settings: &Config, key: &str, default: i64) -> Result<i64, Fault> {
    if settings.get(key).is_none() {
        return Ok(default);
    }
    match settings.ints(key)?.as_slice() {
        [single] => Ok(*single),
        several => Err(wrong(&format!("`{key}`"), format!("{several:?}"), "one integer")),
    }
}

pub(super) fn wrong(place: &str, found: impl Into<String>, expected: impl Into<String>) -> Fault {
    Fault::Unexpected { place: place.into(), found: found.into(), expected: expected.into() }
}

/// Keras' operation approximates unless told otherwise, TensorFlow's function does not.
fn gelu(low: &mut Lowering, settings: &Config, x: TensorId, approximate: bool) -> Result<TensorId, Fault> {
    let mut settings = settings.clone();
    settings.0.entry("approximate").or_insert(Value::Bool(approximate));
    activation::named(low, "gelu", &settings, x)
}
