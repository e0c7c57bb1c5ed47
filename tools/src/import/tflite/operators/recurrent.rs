//! Operators that keep state from run to run.

use flatpack_format::OpCode;
use flatpack_format::ops::recurrence::Recurrence;
use flatpack_format::ops::svdf::SvdfParams;
use flatpack_format::ops::unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams;

use super::{Lower, one};
use crate::graph::{Data, TensorId};
use crate::import::Fault;
use crate::import::tflite::lower::{Lowering, Value, clamp, misfit};
use crate::import::tflite::model::Operator;
use crate::import::tflite::options::{Activation, Svdf, UnidirectionalSequenceLstm};
use crate::quant::Quant;

pub(super) const OPERATORS: &[(&str, Lower)] =
    &[("SVDF", svdf), ("UNIDIRECTIONAL_SEQUENCE_LSTM", unidirectional_sequence_lstm)];

/// Extents of a tensor of so many axes.
fn extents<const N: usize>(low: &Lowering<'_, '_>, id: TensorId, what: &str) -> Result<[u32; N], Fault> {
    let dims = low.graph.dims(id);
    dims.try_into().map_err(|_| misfit(what, format!("shape {dims:?}"), format!("{N} axes")))
}

fn svdf(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<Svdf>()?;
    let (x, w_feature, w_time) = (low.x(operator, 0)?, low.x(operator, 1)?, low.x(operator, 2)?);
    let [batch, _] = extents(low, x, "the input")?;
    let [filters, memory] = extents(low, w_time, "the weights of time")?;
    let rank = u32::try_from(options.rank).ok().filter(|&rank| rank > 0 && filters.is_multiple_of(rank));
    let rank =
        rank.ok_or_else(|| misfit("the rank", options.rank.to_string(), "a divisor of the filters"))?;
    let bias = match low.optional(operator, 3)? {
        Some(bias) => bias,
        None => {
            let units = filters / rank;
            low.count_made(units as usize)?;
            let zeros = match low.graph.quant(x) {
                Some(_) => Data::I32(vec![0; units as usize].into()),
                None => Data::F32(vec![0.0; units as usize].into()),
            };
            low.graph.add_stored("bias", &[units], zeros, None)
        }
    };
    let state = low.state(operator, 4, &[batch, filters, memory])?;
    let params = SvdfParams { rank, clamp: clamp(options.activation)? };
    one(low.node(OpCode::Svdf, params, &[x, w_feature, w_time, bias, state])?)
}

/// Four inputs, those of the gates, as one constant with a first axis of four.
fn gates(
    low: &mut Lowering<'_, '_>,
    operator: &Operator<'_>,
    inputs: [usize; 4],
    what: &str,
) -> Result<TensorId, Fault> {
    let wrong = |found: &str| misfit(what, found, "four constants of one shape and type");
    let mut parts = Vec::new();
    for input in inputs {
        let id = low.optional(operator, input)?.ok_or_else(|| wrong("a gate without"))?;
        parts.push(low.graph.tensor(id).clone());
    }
    let dims = [&[4], parts[0].dims()].concat();
    if dims.len() > flatpack_format::MAX_RANK || parts.iter().any(|part| part.dims() != &dims[1..]) {
        return Err(wrong("different shapes"));
    }
    let mut data = Vec::new();
    for part in &parts {
        let stored = part.data.as_ref().ok_or_else(|| wrong("one that is computed"))?;
        low.count_made(stored.len())?;
        data.push(stored);
    }
    let data = Data::concatenated(&data).ok_or_else(|| wrong("different types"))?;
    let quants: Vec<&Quant> = parts.iter().filter_map(|part| part.quant.as_ref()).collect();
    let quant = match quants.as_slice() {
        [] => None,
        all if all.len() == 4 && all.iter().all(|quant| quant.is_per_tensor()) => Some(Quant {
            scales: all.iter().map(|quant| quant.scale()).collect(),
            zero_points: all.iter().map(|quant| quant.zero_point()).collect(),
            axis: 0,
            ..all[0].clone()
        }),
        _ => return Err(wrong("some with other scales than one each")),
    };
    Ok(low.graph.add_stored(&format!("{} of gates", what), &dims, data, quant))
}

fn unidirectional_sequence_lstm(
    low: &mut Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Vec<Value>, Fault> {
    let options = operator.options::<UnidirectionalSequenceLstm>()?;
    let unsupported = |what: &str| Fault::Unsupported {
        what: format!("an LSTM with {what}"),
        remedy: "build the model of Keras' own LSTM layers and convert it again".into(),
    };
    for (inputs, what) in [(9..12, "peepholes"), (16..18, "a projection"), (20..24, "layer normalisation")] {
        if operator.inputs.get(inputs).into_iter().flatten().any(Option::is_some) {
            return Err(unsupported(what));
        }
    }
    if options.activation != Activation::Tanh {
        return Err(unsupported(&format!("the activation {:?}", options.activation)));
    }
    if options.diagonal_recurrent_tensors {
        return Err(unsupported("diagonal recurrent weights"));
    }
    let x = low.x(operator, 0)?;
    let [first, second, _] = extents(low, x, "the input")?;
    let batch = if options.time_major { second } else { first };
    let w = gates(low, operator, [1, 2, 3, 4], "the weights")?;
    let recurrent = gates(low, operator, [5, 6, 7, 8], "the recurrent weights")?;
    let bias = gates(low, operator, [12, 13, 14, 15], "the bias")?;
    let [_, units] = extents(low, bias, "the bias")?;
    let hidden = low.state(operator, 18, &[batch, units])?;
    let cell = low.state(operator, 19, &[batch, units])?;
    let params = UnidirectionalSequenceLstmParams {
        walk: Recurrence { time_major: options.time_major.into(), ..Recurrence::PLAIN },
        cell_clip: if options.cell_clip > 0.0 { options.cell_clip } else { f32::INFINITY },
    };
    one(low.node(OpCode::UnidirectionalSequenceLstm, params, &[x, w, recurrent, bias, hidden, cell])?)
}
