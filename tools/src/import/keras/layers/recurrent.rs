//! Recurrent layers, the cells of `RNN`, and `Bidirectional`.

use flatpack_format::OpCode;
use flatpack_format::ops::recurrence::{
    Activation, GIVEN, KEPT, REPEATED, Recurrence, UNMASKED, ZEROED, ZEROS,
};
use flatpack_format::ops::unidirectional_sequence_gru::UnidirectionalSequenceGruParams;
use flatpack_format::ops::unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams;
use flatpack_format::ops::unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams;
use serde_json::Value;

use super::Lower;
use super::conv_lstm;
use super::merging::concatenated;
use super::reshaping::Slice;
use crate::graph::{Data, TensorId};
use crate::import::Fault;
use crate::import::keras::HARD_SIGMOID_KERAS2;
use crate::import::keras::json::short;
use crate::import::keras::lower::{Lowering, Weights, describe, size_of_layer};
use crate::import::keras::network::{Arg, Call, Layer};
use crate::import::keras::version::Dialect;

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("Bidirectional", Lower::Call(bidirectional)),
    ("ConvLSTM1D", Lower::Call(recurrent)),
    ("ConvLSTM2D", Lower::Call(recurrent)),
    ("ConvLSTM3D", Lower::Call(recurrent)),
    ("CuDNNGRU", Lower::Call(recurrent)),
    ("CuDNNLSTM", Lower::Call(recurrent)),
    ("GRU", Lower::Call(recurrent)),
    ("LSTM", Lower::Call(recurrent)),
    ("RNN", Lower::Call(recurrent)),
    ("SimpleRNN", Lower::Call(recurrent)),
];

/// Classes of cells, which `RNN` walks over a sequence.
pub(super) const CELLS: &[&str] = &["GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"];

/// What a recurrent layer is called with.
pub(super) struct Given {
    pub(super) x: TensorId,
    pub(super) mask: Option<TensorId>,
    /// The first values of the states; none for zeros.
    pub(super) states: Vec<TensorId>,
}

/// What a recurrent layer gives.
pub(super) struct Results {
    pub(super) y: TensorId,
    /// With `return_state`.
    pub(super) states: Vec<TensorId>,
}

fn recurrent(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let given = given(low, layer, call)?;
    let zeroed = layer.config.bool_or("zero_output_for_mask", false)?;
    let Results { y, states } = walked(low, layer, &given, zeroed, false)?;
    Ok([y].into_iter().chain(states).collect())
}

/// The masks of a layer's results, where its input has this one: sequences have it.
pub(in super::super) fn result_masks(
    layer: &Layer,
    mask: Option<TensorId>,
) -> Result<Vec<Option<TensorId>>, Fault> {
    let inner = if layer.class == "Bidirectional" { layer.inner.layers().first() } else { None };
    let sequences = inner.unwrap_or(layer).config.bool_or("return_sequences", false)?;
    // Without a merge mode, a result of each direction.
    let is_merged = inner.is_none() || layer.config.0.get("merge_mode").is_none_or(|mode| !mode.is_null());
    Ok(vec![mask.filter(|_| sequences); if is_merged { 1 } else { 2 }])
}

/// The arguments of a call.
fn given(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Given, Fault> {
    let mut states = Vec::new();
    for (name, arg) in &call.kwargs {
        match (name.as_str(), arg) {
            ("inputs" | "sequences" | "mask" | "training" | "initial_state", _) => {}
            (_, Arg::Constant(Value::Null | Value::Bool(false))) => {}
            (name, arg) => {
                return Err(Fault::Unsupported {
                    what: format!("the argument `{name}` ({})", describe(arg)),
                    remedy: "build the model without it, copy the weights with `set_weights` and save it"
                        .into(),
                });
            }
        }
    }
    if let Some(arg) = call.kwarg("initial_state") {
        flatten(low, arg, &mut states)?;
    }
    if layer.config.bool_or("stateful", false)? && call.node > 0 {
        return Err(Fault::Unsupported {
            what: "a stateful layer that is called more than once".into(),
            remedy: "call it once, or build the model with `stateful=False`".into(),
        });
    }
    let x = match (low.inputs(call)?.as_slice(), call.args.get(1..)) {
        (&[x], None | Some([])) => x,
        (inputs, more) => {
            return Err(Fault::Unexpected {
                place: "the call".into(),
                found: format!("{} arguments", inputs.len() + more.unwrap_or_default().len()),
                expected: "a sequence; masks and states are named".into(),
            });
        }
    };
    // Keras 3 does not look for the mask of a sequence that comes with other tensors.
    let is_sought = low.dialect < Dialect::Keras3 || states.is_empty() || call.kwarg("mask").is_some();
    let mask = if is_sought { low.mask_of(call)? } else { None };
    Ok(Given { x, mask, states })
}

/// The tensors of an argument, whatever lists they are in.
fn flatten(low: &mut Lowering, arg: &Arg, found: &mut Vec<TensorId>) -> Result<(), Fault> {
    match arg {
        Arg::List(args) => args.iter().try_for_each(|arg| flatten(low, arg, found)),
        Arg::Constant(Value::Null) => Ok(()),
        arg => {
            found.push(low.operand(arg)?);
            Ok(())
        }
    }
}

/// The cells that a layer walks over a sequence, in their order.
fn cells(layer: &Layer) -> Result<Vec<&Layer>, Fault> {
    match (layer.class.as_str(), layer.inner.layers()) {
        ("RNN", [cell]) => cells(cell),
        ("StackedRNNCells", inner @ [_, ..]) => {
            let cells: Result<Vec<Vec<&Layer>>, Fault> = inner.iter().map(cells).collect();
            Ok(cells?.concat())
        }
        (class, []) if states(class).is_some() => Ok(vec![layer]),
        (class, _) => Err(Fault::Unsupported {
            what: format!("a recurrent layer of the cell `{class}`"),
            remedy: "build it of LSTM, GRU or SimpleRNN, or of their cells".into(),
        }),
    }
}

/// The number of states of a cell, or of the layer that has it inside.
fn states(class: &str) -> Option<usize> {
    match class {
        "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" | "CuDNNLSTM" | "LSTM" | "LSTMCell" => Some(2),
        "CuDNNGRU" | "GRU" | "GRUCell" | "SimpleRNN" | "SimpleRNNCell" => Some(1),
        _ => None,
    }
}

/// A layer over a sequence; `turned`: a sequence of outputs is turned around in time.
fn walked(
    low: &mut Lowering,
    layer: &Layer,
    given: &Given,
    zeroed: bool,
    turned: bool,
) -> Result<Results, Fault> {
    let cells = cells(layer)?;
    let counts: Vec<usize> = cells.iter().filter_map(|cell| states(&cell.class)).collect();
    let count: usize = counts.iter().sum();
    if !given.states.is_empty() && given.states.len() != count {
        return Err(Fault::Unexpected {
            place: "`initial_state`".into(),
            found: format!("{} tensors", given.states.len()),
            expected: format!("{count}: one for each state"),
        });
    }
    if let Some(walk) = conv_lstm::walk_of(&layer.class) {
        return walk(low, layer, given, zeroed, turned);
    }
    let flag = |key: &str| layer.config.bool_or(key, false);
    let (sequences, backwards, time_major) =
        (flag("return_sequences")?, flag("go_backwards")?, flag("time_major")?);
    let mask = match (given.mask, zeroed) {
        (None, _) => UNMASKED,
        (_, false) => REPEATED,
        (_, true) => ZEROED,
    };
    let mut walk = Recurrence {
        time_major: time_major.into(),
        backwards: backwards.into(),
        start: match (given.states.is_empty(), flag("stateful")?) {
            (false, _) => GIVEN,
            (true, true) => KEPT,
            (true, false) => ZEROS,
        },
        states_after: flag("return_state")?.into(),
        mask,
        ..Recurrence::PLAIN
    };
    let mut results = Results { y: given.x, states: Vec::new() };
    let (mut first, last) = (0, cells.len() - 1);
    for (at, (cell, count)) in cells.into_iter().zip(counts).enumerate() {
        walk.last_only = u32::from(at == last && !sequences);
        let begin = given.states.get(first..first + count).unwrap_or_default();
        first += count;
        let y = one(low, cell, walk, &[&[results.y][..], given.mask.as_slice(), begin].concat())?;
        results.y = split(low, walk, y, count, &mut results.states)?;
    }
    // The operator gives each output at its own moment.
    if sequences && backwards != turned {
        results.y = reversed(low, results.y, if time_major { 0 } else { 1 })?;
    }
    Ok(results)
}

/// The outputs of a step without the states behind them, which go to `states`.
fn split(
    low: &mut Lowering,
    walk: Recurrence,
    y: TensorId,
    count: usize,
    states: &mut Vec<TensorId>,
) -> Result<TensorId, Fault> {
    if walk.states_after == 0 {
        return Ok(y);
    }
    let axis = if walk.time_major == 1 { 0 } else { 1 };
    let moments = low.graph.dims(y)[axis] - count as u32;
    let taken = |low: &mut Lowering, begin: u32, size: u32, is_sequence: bool| {
        let mut slice = Slice::of(low, y);
        (slice.begin[axis], slice.size[axis]) = (begin, size);
        let part = slice.take(low, y)?;
        let mut dims = low.dims(part);
        if !is_sequence {
            dims.remove(axis);
        }
        low.reshape(part, &dims)
    };
    for state in 0..count as u32 {
        states.push(taken(low, moments + state, 1, false)?);
    }
    taken(low, 0, moments, walk.last_only == 0)
}

/// A tensor turned around along an axis.
fn reversed(low: &mut Lowering, x: TensorId, axis: usize) -> Result<TensorId, Fault> {
    let mut slice = Slice::of(low, x);
    slice.begin[axis] = slice.size[axis] - 1;
    slice.stride[axis] = -1;
    slice.take(low, x)
}

/// The operator of one cell on x, and the mask and first values of states that `walk` speaks of.
fn one(
    low: &mut Lowering,
    cell: &Layer,
    mut walk: Recurrence,
    inputs: &[TensorId],
) -> Result<TensorId, Fault> {
    let units = size_of_layer(cell, "units")?;
    let &[first, second, depth] = low.graph.dims(inputs[0]) else {
        return Err(Fault::Unexpected {
            place: "the call".into(),
            found: format!("a tensor of shape {:?}", low.graph.dims(inputs[0])),
            expected: "batch, time steps and features".into(),
        });
    };
    let batch = if walk.time_major == 1 { second } else { first };
    walk.activation = function(cell, "activation", Some("tanh"))? as u32;
    let class = cell.class.trim_start_matches("CuDNN").trim_end_matches("Cell");
    if class == "SimpleRNN" {
        walk.gate_activation = Activation::Linear as u32;
    } else {
        walk.gate_activation = function(cell, "recurrent_activation", Some("sigmoid"))? as u32;
    }
    let gates = match class {
        "LSTM" => 4,
        "GRU" => 3,
        _ => 1,
    };
    let reset_after = class == "GRU" && cell.config.bool_or("reset_after", false)?;
    let biases = if reset_after { 4 } else { gates };

    let mut weights = Weights::of(cell);
    let columns = units.saturating_mul(gates);
    let kernel = weights.take("kernel", &[depth, columns])?;
    let recurrent = weights.take("recurrent kernel", &[units, columns])?;
    let bias_shape = if reset_after { vec![2, columns] } else { vec![columns] };
    let bias = weights.take_if(cell.config.bool_or("use_bias", true)?, "bias", &bias_shape)?;
    weights.end()?;
    let w = low.weight_as(kernel, &[1, 0], &[gates, units, depth])?;
    let recurrent = low.weight_as(recurrent, &[1, 0], &[gates, units, units])?;
    let bias = match bias {
        None => low.constant("bias", &[biases, units], vec![0.0; (biases * units) as usize]),
        Some(bias) if reset_after => {
            let of_both = 2 * units as usize;
            low.derived(&[bias], "bias of gates", &bias.name, &[biases, units], |arrays| {
                let (of_x, of_h) = arrays[0].values.split_at(arrays[0].len() / 2);
                let gates = of_x[..of_both].iter().zip(of_h).map(|(x, h)| x + h);
                gates.chain(of_x[of_both..].iter().copied()).chain(of_h[of_both..].iter().copied()).collect()
            })?
        }
        Some(bias) => low.weight_as(bias, &[0], &[biases, units])?,
    };
    let mut operands = vec![inputs[0], w, recurrent, bias];
    operands.extend(&inputs[1..]);
    let room = if class == "GRU" && !reset_after { vec![batch, 2, units] } else { vec![batch, units] };
    for state in 0..states(class).unwrap_or_default() {
        let name = format!("{} {}", low.layer_path(), ["hidden", "cell"][state]);
        let zeros = vec![0.0; room.iter().product::<u32>() as usize];
        operands.push(low.graph.add_state(&name, &room, Data::F32(zeros.into()), None));
    }
    match class {
        "LSTM" => {
            let params = UnidirectionalSequenceLstmParams { walk, cell_clip: f32::INFINITY };
            low.node(OpCode::UnidirectionalSequenceLstm, params, &operands)
        }
        "GRU" => {
            let params = UnidirectionalSequenceGruParams { walk, reset_after: reset_after.into() };
            low.node(OpCode::UnidirectionalSequenceGru, params, &operands)
        }
        _ => low.node(OpCode::UnidirectionalSequenceRnn, UnidirectionalSequenceRnnParams { walk }, &operands),
    }
}

/// Keras' activation functions that recurrent operators have.
const FUNCTIONS: &[(&str, Activation)] = &[
    ("celu", Activation::Elu),
    ("elu", Activation::Elu),
    ("exponential", Activation::Exp),
    ("gelu", Activation::Gelu),
    ("hard_sigmoid", Activation::HardSigmoid),
    (HARD_SIGMOID_KERAS2, Activation::SteepHardSigmoid),
    ("hard_silu", Activation::HardSwish),
    ("hard_swish", Activation::HardSwish),
    ("hard_tanh", Activation::HardTanh),
    ("leaky_relu", Activation::LeakyRelu),
    ("linear", Activation::Linear),
    ("mish", Activation::Mish),
    ("relu", Activation::Relu),
    ("relu6", Activation::Relu6),
    ("selu", Activation::Selu),
    ("sigmoid", Activation::Logistic),
    ("silu", Activation::Swish),
    ("softplus", Activation::Softplus),
    ("softsign", Activation::Softsign),
    ("swish", Activation::Swish),
    ("tanh", Activation::Tanh),
];

/// The function under `key`; where there is no such key, the default.
fn function(cell: &Layer, key: &str, default: Option<&str>) -> Result<Activation, Fault> {
    let name = match (cell.config.0.get(key), default) {
        (None, Some(default)) => default,
        (None | Some(Value::Null), _) => "linear",
        (Some(value), _) => {
            let name = match value {
                Value::Object(object) => object.get("config").and_then(Value::as_str),
                value => value.as_str(),
            };
            name.ok_or_else(|| unsupported(key, value))?
        }
    };
    let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
    known.map(|(_, function)| *function).ok_or_else(|| unsupported(key, &name.into()))
}

fn unsupported(key: &str, found: &Value) -> Fault {
    let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
    Fault::Unsupported {
        what: format!("{} as `{key}` of a recurrent layer", short(found)),
        remedy: format!("recurrent layers may have {}", names.join(", ")),
    }
}

/// One layer over a sequence and another one over the same sequence from its end.
fn bidirectional(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let [forward, backward] = layer.inner.layers() else {
        return Err(Fault::Unexpected {
            place: "the layer".into(),
            found: format!("{} layers inside", layer.inner.layers().len()),
            expected: "one for each direction".into(),
        });
    };
    let mut given = given(low, forward, call)?;
    let states = std::mem::take(&mut given.states);
    let (of_forward, of_backward) = states.split_at(states.len() / 2);
    let mut outputs = Vec::new();
    let mut after = Vec::new();
    for (layer, states, turned) in [(forward, of_forward, false), (backward, of_backward, true)] {
        let given = Given { states: states.to_vec(), ..given };
        // Whatever the layer says of itself.
        let zeroed = layer.config.bool_or("return_sequences", false)?;
        let results = low.within(layer, |low| walked(low, layer, &given, zeroed, turned))?;
        outputs.push(results.y);
        after.extend(results.states);
    }
    let &[a, b] = outputs.as_slice() else { unreachable!("two directions") };
    let merge_mode = layer.config.0.get("merge_mode").cloned().unwrap_or("concat".into());
    let merged = match merge_mode.as_str() {
        Some("concat") => vec![concatenated(low, &[a, b], -1)?],
        Some("sum") => vec![low.binary(OpCode::Add, a, b)?],
        Some("mul") => vec![low.binary(OpCode::Mul, a, b)?],
        Some("ave") => {
            let (sum, half) = (low.binary(OpCode::Add, a, b)?, low.scalar(0.5));
            vec![low.binary(OpCode::Mul, sum, half)?]
        }
        None if merge_mode.is_null() => vec![a, b],
        _ => {
            return Err(Fault::Unexpected {
                place: "`merge_mode`".into(),
                found: short(&merge_mode),
                expected: "concat, sum, mul, ave or none".into(),
            });
        }
    };
    Ok(merged.into_iter().chain(after).collect())
}
