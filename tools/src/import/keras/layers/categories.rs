//! Layers that make categories of numbers, and numbers of categories.

use flatpack_format::OpCode;
use flatpack_format::ops::gather::GatherParams;
use flatpack_format::ops::hash::{HashParams, MAX_BINS};
use flatpack_format::ops::{Clamp, fully_connected::FullyConnectedParams};
use serde_json::Value;

use super::Lower;
use super::operation::{hot, over, wrong};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::json::short;
use crate::import::keras::lower::{Lowering, constant_array, refuse_other_arguments, size_of_layer};
use crate::import::keras::network::{Call, Layer};

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("CategoryEncoding", Lower::Call(category_encoding)),
    ("Discretization", Lower::Map(discretization)),
    ("Hashing", Lower::Map(hashing)),
    ("IntegerLookup", Lower::Map(integer_lookup)),
];

/// Integers up to there are float32.
const MAX_INTEGER: u64 = 1 << 24;

/// Categories as the layer's `output_mode` has them. A category that is none of 0 to `count` − 1 counts nowhere.
fn encoded(
    low: &mut Lowering,
    x: TensorId,
    mode: &str,
    count: u32,
    weights: Option<TensorId>,
) -> Result<TensorId, Fault> {
    let dims = low.dims(x);
    match mode {
        "int" => Ok(x),
        "one_hot" => {
            let x = match dims.as_slice() {
                [outer @ .., 1] if !outer.is_empty() => low.reshape(x, outer)?,
                _ => x,
            };
            let last = low.graph.dims(x).len();
            hot(low, x, count, last)
        }
        "multi_hot" | "count" if dims.len() > 1 => {
            let mut hot = hot(low, x, count, dims.len())?;
            if mode == "multi_hot" {
                return over(low, OpCode::ReduceMax, hot, &[1], false);
            }
            if let Some(weights) = weights {
                let mut dims = low.dims(weights);
                dims.push(1);
                let weights = low.reshape(weights, &dims)?;
                hot = low.binary(OpCode::Mul, hot, weights)?;
            }
            over(low, OpCode::Sum, hot, &[1], false)
        }
        "multi_hot" | "count" => Err(wrong(
            "the call",
            format!("a tensor of shape {dims:?}"),
            "the categories of each sample on axis 1",
        )),
        other => Err(Fault::Unsupported {
            what: format!("the output mode {other:?}"),
            remedy: "use \"int\", \"one_hot\", \"multi_hot\" or \"count\"".into(),
        }),
    }
}

fn category_encoding(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let mut others = call.clone();
    others.kwargs.retain(|(name, _)| name != "count_weights");
    refuse_other_arguments(low.dialect, &others)?;
    let x = low.input(call)?;
    let weights = match call.kwarg("count_weights") {
        Some(weights) => Some(low.operand(weights)?),
        None => None,
    };
    let count = size_of_layer(layer, "num_tokens")?;
    Ok(vec![encoded(low, x, layer.config.str_or("output_mode", "multi_hot")?, count, weights)?])
}

/// How many of the boundaries are not greater.
fn discretization(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let boundaries = layer.config.get("bin_boundaries").ok_or_else(|| Fault::Unsupported {
        what: "boundaries that the layer learned from data and that are not in its config".into(),
        remedy: "build the layer with `bin_boundaries=layer.bin_boundaries`".into(),
    })?;
    let boundaries = constant_array(boundaries)?;
    let count = boundaries.len() as u32;
    let mut dims = low.dims(x);
    dims.push(1);
    let last = dims.len() - 1;
    let x = low.reshape(x, &dims)?;
    let boundaries = low.constant("boundaries", &[count], boundaries.values);
    let reached = low.binary(OpCode::GreaterEqual, x, boundaries)?;
    let bin = over(low, OpCode::Sum, reached, &[last], false)?;
    encoded(low, bin, layer.config.str_or("output_mode", "int")?, count + 1, None)
}

/// Bins of integers, the first one for masked values where there are such and another bin is left.
fn hashing(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let count = size_of_layer(layer, "num_bins")?;
    let mask = match layer.config.get("mask_value") {
        Some(text @ Value::String(_)) => return Err(wrong("`mask_value`", short(text), "an integer")),
        Some(_) if count > 1 => layer.config.ints("mask_value")?.first().copied(),
        _ => None,
    };
    let bins = match mask {
        None => hashed(low, layer, x, count)?,
        Some(mask) => {
            within_float32(&[mask])?;
            let (bins, mask, one) =
                (hashed(low, layer, x, count - 1)?, low.scalar(mask as f32), low.scalar(1.0));
            let others = low.binary(OpCode::Add, bins, one)?;
            let unmasked = low.binary(OpCode::NotEqual, x, mask)?;
            low.binary(OpCode::Mul, others, unmasked)?
        }
    };
    encoded(low, bins, layer.config.str_or("output_mode", "int")?, count, None)
}

/// The bin of each integer among `bins`, by the layer's `salt`.
fn hashed(low: &mut Lowering, layer: &Layer, x: TensorId, bins: u32) -> Result<TensorId, Fault> {
    if bins > MAX_BINS {
        return Err(Fault::Unsupported {
            what: format!("{bins} bins, not all of which are a float32,"),
            remedy: "use 2²⁴ or fewer".into(),
        });
    }
    let salt = match layer.config.get("salt") {
        None => None,
        Some(salt) => Some(match *layer.config.ints("salt")? {
            [both] => [both, both],
            [first, second] => [first, second],
            _ => return Err(wrong("`salt`", short(salt), "one integer or two")),
        }),
    };
    let halves = |word: i64| [word as u32, (word >> 32) as u32];
    let [[a, b], [c, d]] = salt.unwrap_or_default().map(halves);
    low.node(OpCode::Hash, HashParams { bins, keyed: salt.is_some().into(), key: [a, b, c, d] }, &[x])
}

/// The vocabulary of a layer, without the tokens that stand for masked and for unknown values.
fn vocabulary(layer: &Layer, mask: Option<i64>, unknown: &[i64]) -> Result<Vec<i64>, Fault> {
    let given = match layer.config.get("vocabulary") {
        Some(Value::Array(_)) => layer.config.ints("vocabulary")?,
        Some(path @ Value::String(_)) => {
            return Err(Fault::Unsupported {
                what: format!("a vocabulary in a file of its own ({})", short(path)),
                remedy: "build the layer with the vocabulary as a list".into(),
            });
        }
        _ => match layer.weights.first() {
            Some(learned) => learned.array.values.iter().map(|&token| token as i64).collect(),
            None => {
                return Err(Fault::Unsupported {
                    what: "a vocabulary that the layer learned from data and that is not in the file".into(),
                    remedy: "save the model with `model.save(\"model.keras\")`, or build the layer with \
                             `vocabulary=layer.get_vocabulary()`"
                        .into(),
                });
            }
        },
    };
    let special: Vec<i64> = mask.into_iter().chain(unknown.iter().copied()).collect();
    let tokens = given.strip_prefix(special.as_slice()).unwrap_or(&given).to_vec();
    within_float32(&special)?;
    within_float32(&tokens)?;
    Ok(tokens)
}

/// Refuses integers that float32 does not hold, or not all of their neighbours.
pub(in crate::import::keras) fn within_float32(integers: &[i64]) -> Result<(), Fault> {
    match integers.iter().find(|integer| integer.unsigned_abs() > MAX_INTEGER) {
        None => Ok(()),
        Some(integer) => Err(Fault::Unsupported {
            what: format!("the integer {integer}, which is no float32,"),
            remedy: "use integers from −2²⁴ to 2²⁴".into(),
        }),
    }
}

/// The place of an integer in a vocabulary, or the integer at a place where inverted.
fn integer_lookup(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let int = |key: &str| match layer.config.get(key) {
        None => Ok(None),
        Some(_) => layer.config.ints(key).map(|values| values.first().copied()),
    };
    let mode = layer.config.str_or("output_mode", "int")?;
    let (mask, unknown) = (int("mask_token")?, int("oov_token")?.unwrap_or(-1));
    let unknowns = layer.config.usize_or("num_oov_indices", 1)?;
    // Masked values have a place of their own, the first, only where the result is that place.
    let own_place = mask.filter(|_| mode == "int");
    let tokens = vocabulary(layer, own_place, &vec![unknown; unknowns])?;
    let first = usize::from(own_place.is_some()) + unknowns;
    if layer.config.bool_or("invert", false)? {
        return at_places(low, x, &tokens, own_place, unknown, first);
    }

    let (mut known, mut places): (Vec<f32>, Vec<f32>) =
        tokens.iter().enumerate().map(|(at, &token)| (token as f32, (first + at) as f32)).unzip();
    if let Some(mask) = mask {
        known.push(mask as f32);
        // A place that is none, so that it counts nowhere.
        places.push(if own_place.is_some() { 0.0 } else { -1.0 });
    }
    let count = known.len() as u32;
    if count == 0 {
        return Err(wrong("`vocabulary`", "no token", "one or more"));
    }
    let mut dims = low.dims(x);
    dims.push(1);
    let column = low.reshape(x, &dims)?;
    let known = low.constant("vocabulary", &[count], known);
    let found = low.binary(OpCode::Equal, column, known)?;
    // Where x is unknown, nothing is added to the place of such.
    let start = if unknowns == 0 { -1.0 } else { f32::from(u8::from(own_place.is_some())) };
    let place = if unknowns <= 1 {
        let beyond = places.iter().map(|place| place - start).collect();
        let weights = low.constant("places", &[1, count], beyond);
        let start = low.constant("place of unknown integers", &[1], vec![start]);
        let params = FullyConnectedParams { clamp: Clamp::NONE };
        low.node(OpCode::FullyConnected, params, &[found, weights, start])?
    } else {
        let weights = low.constant("places", &[1, count], places);
        let params = FullyConnectedParams { clamp: Clamp::NONE };
        let place = low.node(OpCode::FullyConnected, params, &[found, weights])?;
        let rest = match layer.config.str_or("oov_method", "floormod")? {
            "floormod" => rest_of(low, column, unknowns)?,
            "farmhash" => hashed(low, layer, column, size_of_layer(layer, "num_oov_indices")?)?,
            other => {
                return Err(Fault::Unsupported {
                    what: format!("the method {other:?} for unknown integers (`oov_method`)"),
                    remedy: "use \"floormod\" or \"farmhash\"".into(),
                });
            }
        };
        let start = low.scalar(start);
        let other = low.binary(OpCode::Add, rest, start)?;
        let last = dims.len() - 1;
        let is_known = over(low, OpCode::ReduceMax, found, &[last], true)?;
        low.node(OpCode::Select, (), &[is_known, place, other])?
    };
    let place = low.reshape(place, &dims[..dims.len() - 1])?;
    let size = (first + tokens.len()) as u32;
    let padded = layer.config.bool_or("pad_to_max_tokens", false)?;
    let size = if padded { size_of_layer(layer, "max_tokens")? } else { size };
    encoded(low, place, mode, size, None)
}

/// x − n · ⌊x / n⌋, which is exact for integers.
fn rest_of(low: &mut Lowering, x: TensorId, n: usize) -> Result<TensorId, Fault> {
    let n = low.scalar(n as f32);
    let quotient = low.binary(OpCode::Div, x, n)?;
    let quotient = low.unary(OpCode::Floor, quotient)?;
    let whole = low.binary(OpCode::Mul, quotient, n)?;
    low.binary(OpCode::Sub, x, whole)
}

/// The tokens at these places; what is no place, and those of unknown integers, give the unknown token.
fn at_places(
    low: &mut Lowering,
    x: TensorId,
    tokens: &[i64],
    mask: Option<i64>,
    unknown: i64,
    first: usize,
) -> Result<TensorId, Fault> {
    let places = mask.into_iter().chain(std::iter::repeat(unknown));
    let table: Vec<f32> =
        places.take(first).chain(tokens.iter().copied()).map(|token| (token - unknown) as f32).collect();
    // A row that the table lacks is 0.
    let table = low.constant("vocabulary", &[table.len() as u32], table);
    let beyond = low.node(OpCode::Gather, GatherParams { from_end: 0 }, &[x, table])?;
    let unknown = low.scalar(unknown as f32);
    low.binary(OpCode::Add, beyond, unknown)
}

/// Why a layer that computes with text is refused: tensors hold numbers.
pub(super) fn on_text(class: &str) -> Fault {
    let what = match class {
        "HashedCrossing" => format!("the layer {class}, which hashes several values together,"),
        _ => format!("the layer {class}, which takes text,"),
    };
    Fault::Unsupported { what, remedy: "do this before the model, and feed it numbers".into() }
}
