//! Attention: sums of values, weighted by how well their keys fit a query.

use flatpack_format::OpCode;
use flatpack_format::ops::batch_matmul::BatchMatmulParams;
use flatpack_format::ops::softmax::SoftmaxParams;
use flatpack_format::ops::{Clamp, fully_connected::FullyConnectedParams};
use serde_json::Value;

use super::Lower;
use super::operation::{over, wrong};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, Weights, dims_of, refuse_other_arguments, size_of_layer};
use crate::import::keras::network::{Arg, Call, Layer, Weight};
use crate::import::keras::version::Dialect;

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("AdditiveAttention", Lower::Call(additive_attention)),
    ("Attention", Lower::Call(attention)),
    ("GroupQueryAttention", Lower::Call(grouped_query_attention)),
    ("GroupedQueryAttention", Lower::Call(grouped_query_attention)),
    ("MultiHeadAttention", Lower::Call(multi_head_attention)),
];

/// What masked scores are lowered by, or become: `e` to that power is zero.
const MASKED: f32 = -1e9;

/// How a mask, which is 0 where positions do not count, meets scores.
#[derive(Clone, Copy, PartialEq)]
enum Masking {
    /// `scores + (1 − mask) · MASKED`.
    Lowers,
    /// `scores` where the mask is not 0, else `MASKED`.
    Replaces,
}

/// Scores of which those that the mask excludes do not count. All masks come here.
fn masked(
    low: &mut Lowering,
    scores: TensorId,
    mask: Option<TensorId>,
    masking: Masking,
) -> Result<TensorId, Fault> {
    let Some(mask) = mask else { return Ok(scores) };
    let bias = low.scalar(MASKED);
    if masking == Masking::Replaces {
        return low.node(OpCode::Select, (), &[mask, scores, bias]);
    }
    let one = low.scalar(1.0);
    let excluded = low.binary(OpCode::Sub, one, mask)?;
    let term = low.binary(OpCode::Mul, excluded, bias)?;
    low.binary(OpCode::Add, scores, term)
}

/// Where all masks that are there are 1.
fn all_of(
    low: &mut Lowering,
    masks: impl IntoIterator<Item = Option<TensorId>>,
) -> Result<Option<TensorId>, Fault> {
    masks.into_iter().flatten().try_fold(None, |all: Option<TensorId>, mask| {
        Ok(Some(match all {
            Some(all) => low.binary(OpCode::Mul, all, mask)?,
            None => mask,
        }))
    })
}

/// A constant mask `[1, T, S]`: 1 where position `s` counts for the query at `t`.
fn positions(low: &mut Lowering, queries: u32, values: u32, counts: impl Fn(u32, u32) -> bool) -> TensorId {
    let row = |t: u32| (0..values).map(move |s| (t, s));
    let mask = (0..queries).flat_map(row).map(|(t, s)| f32::from(u8::from(counts(t, s)))).collect();
    low.constant("mask", &[1, queries, values], mask)
}

/// A mask with an axis of length 1 more, before its `after` last axes.
fn expanded(low: &mut Lowering, mask: TensorId, after: usize) -> Result<TensorId, Fault> {
    let mut dims = low.dims(mask);
    dims.insert(dims.len().saturating_sub(after), 1);
    low.reshape(mask, &dims)
}

/// An argument that may be absent or null.
fn optional(low: &mut Lowering, call: &Call, at: usize, name: &str) -> Result<Option<TensorId>, Fault> {
    match call.argument(at, name) {
        None | Some(Arg::Constant(Value::Null)) => Ok(None),
        Some(arg) => low.operand(arg).map(Some),
    }
}

fn flag(call: &Call, at: usize, name: &str) -> Result<bool, Fault> {
    match call.argument(at, name) {
        None | Some(Arg::Constant(Value::Null)) => Ok(false),
        Some(Arg::Constant(Value::Bool(flag))) => Ok(*flag),
        Some(_) => Err(wrong(&format!("`{name}`"), "something else", "true or false")),
    }
}

/// Refuses arguments of a call that are not among these and could change the result.
fn refuse_but(low: &Lowering, call: &Call, known: &[&str]) -> Result<(), Fault> {
    let mut others = call.clone();
    others.kwargs.retain(|(name, _)| !known.contains(&name.as_str()));
    refuse_other_arguments(low.dialect, &others)
}

fn attention(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let [query, value, key] = query_value_key(low, call)?;
    let mode = layer.config.str_or("score_mode", "dot")?;
    let mut weights = Weights::of(layer);
    let scale = weights.take_if(layer.config.bool_or("use_scale", false)?, "scale", &[])?;
    let factor = weights.take_if(mode == "concat", "weight of the scores", &[])?;
    weights.end()?;
    let scale = scale.map(|scale| low.weight(scale)).transpose()?;
    let scaled = |low: &mut Lowering, x: TensorId| match scale {
        Some(scale) => low.binary(OpCode::Mul, x, scale),
        None => Ok(x),
    };
    let scores = match mode {
        "dot" => {
            let scores =
                low.node(OpCode::BatchMatmul, BatchMatmulParams { transpose_b: 1 }, &[query, key])?;
            scaled(low, scores)?
        }
        "concat" => {
            let sum = sums(low, query, key)?;
            let sum = scaled(low, sum)?;
            let bounded = low.unary(OpCode::Tanh, sum)?;
            let last = low.graph.dims(bounded).len() - 1;
            let scores = over(low, OpCode::Sum, bounded, &[last], false)?;
            match factor {
                Some(factor) => {
                    let factor = low.weight(factor)?;
                    low.binary(OpCode::Mul, factor, scores)?
                }
                None => scores,
            }
        }
        other => return Err(wrong("`score_mode`", format!("{other:?}"), "\"dot\" or \"concat\"")),
    };
    attended(low, layer, call, scores, value)
}

fn additive_attention(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let [query, value, key] = query_value_key(low, call)?;
    let depth = low.graph.tensor(query).shape().last();
    let mut weights = Weights::of(layer);
    let scale = weights.take_if(layer.config.bool_or("use_scale", true)?, "scale", &[depth])?;
    weights.end()?;
    let sum = sums(low, query, key)?;
    let bounded = low.unary(OpCode::Tanh, sum)?;
    let dims = low.dims(bounded);
    let scores = match scale {
        Some(scale) => {
            let scale = low.weight_as(scale, &[0], &[1, depth])?;
            let params = FullyConnectedParams { clamp: Clamp::NONE };
            let scores = low.node(OpCode::FullyConnected, params, &[bounded, scale])?;
            low.reshape(scores, &dims[..dims.len() - 1])?
        }
        None => over(low, OpCode::Sum, bounded, &[dims.len() - 1], false)?,
    };
    attended(low, layer, call, scores, value)
}

/// The tensors of `[query, value]` or `[query, value, key]`; the key is the value if there is none.
fn query_value_key(low: &Lowering, call: &Call) -> Result<[TensorId; 3], Fault> {
    match low.inputs(call)?.as_slice() {
        &[query, value] => Ok([query, value, value]),
        &[query, value, key] => Ok([query, value, key]),
        others => Err(wrong("the call", format!("{} tensors", others.len()), "query, value and perhaps key")),
    }
}

/// The sum of each query and each key: `[…, T, S, D]`.
fn sums(low: &mut Lowering, query: TensorId, key: TensorId) -> Result<TensorId, Fault> {
    let (query, key) = (expanded(low, query, 1)?, expanded(low, key, 2)?);
    low.binary(OpCode::Add, query, key)
}

/// The values, weighted by the softmax of their scores `[…, T, S]`; on demand, the weights too.
fn attended(
    low: &mut Lowering,
    layer: &Layer,
    call: &Call,
    scores: TensorId,
    value: TensorId,
) -> Result<Vec<TensorId>, Fault> {
    refuse_but(low, call, &["mask", "return_attention_scores", "use_causal_mask"])?;
    let [of_query, of_value] = match call.argument(1, "mask") {
        Some(Arg::List(masks)) => {
            let mut of = |at: usize| match masks.get(at) {
                None | Some(Arg::Constant(Value::Null)) => Ok(None),
                Some(mask) => low.operand(mask).map(Some),
            };
            [of(0)?, of(1)?]
        }
        _ => {
            let masks = low.masks_of(call);
            [0, 1].map(|at| masks.get(at).copied().flatten())
        }
    };
    let of_value = match of_value {
        Some(mask) => Some(expanded(low, mask, 1)?),
        None => None,
    };
    let dims = low.dims(scores);
    let &[.., queries, values] = dims.as_slice() else {
        return Err(wrong("the call", format!("scores of shape {dims:?}"), "queries and values"));
    };
    let causal = flag(call, 4, "use_causal_mask")? || layer.config.bool_or("causal", false)?;
    let causal = causal.then(|| positions(low, queries, values, |t, s| s <= t));
    let mask = all_of(low, [of_value, causal])?;
    let scores = masked(low, scores, mask, Masking::Lowers)?;
    let axis = dims.len() as u32 - 1;
    let weights = low.node(OpCode::Softmax, SoftmaxParams { axis }, &[scores])?;
    let mut y = low.node(OpCode::BatchMatmul, BatchMatmulParams { transpose_b: 0 }, &[weights, value])?;
    if let Some(mask) = of_query {
        let (mask, zero) = (expanded(low, mask, 0)?, low.scalar(0.0));
        y = low.node(OpCode::Select, (), &[mask, y, zero])?;
    }
    Ok(if flag(call, 3, "return_attention_scores")? { vec![y, weights] } else { vec![y] })
}

/// The arguments of a layer with heads.
struct Heads {
    /// Heads of the queries.
    queries: u32,
    /// Heads of keys and values: each serves as many heads of the queries.
    keys: u32,
    /// Extent of queries and keys.
    key_dim: u32,
    /// Extent of values.
    value_dim: u32,
    /// Extents of the output's last axes.
    output: Vec<u32>,
    /// The axes along which positions attend to each other.
    axes: Vec<usize>,
}

fn multi_head_attention(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let query = query_of(low, call)?;
    let rank = low.graph.dims(query).len();
    let heads = size_of_layer(layer, "num_heads")?;
    let key_dim = size_of_layer(layer, "key_dim")?;
    let value_dim =
        if layer.config.get("value_dim").is_some() { size_of_layer(layer, "value_dim")? } else { key_dim };
    let output = match layer.config.get("output_shape") {
        None => vec![low.graph.tensor(query).shape().last()],
        Some(_) => {
            let extents = layer.config.ints("output_shape")?;
            let extents: Result<Vec<u32>, _> = extents.iter().map(|&extent| u32::try_from(extent)).collect();
            extents.map_err(|_| wrong("`output_shape`", "a negative extent", "extents"))?
        }
    };
    let axes = match layer.config.get("attention_axes") {
        None => (1..rank - 1).collect(),
        Some(_) => {
            let axes = layer.config.ints("attention_axes")?;
            if low.dialect != Dialect::Keras3 && axes.iter().any(|&axis| axis < 0) {
                // There they count from the last axis of the heads, and may name that of the heads.
                return Err(wrong("`attention_axes`", format!("{axes:?}"), "axes that are not negative"));
            }
            axes.into_iter().map(|axis| low.axis(query, axis)).collect::<Result<Vec<_>, _>>()?
        }
    };
    let heads = Heads { queries: heads, keys: heads, key_dim, value_dim, output, axes };
    with_heads(low, layer, call, &heads)
}

fn grouped_query_attention(low: &mut Lowering, layer: &Layer, call: &Call) -> Result<Vec<TensorId>, Fault> {
    let query = query_of(low, call)?;
    let head_dim = size_of_layer(layer, "head_dim")?;
    let heads = Heads {
        queries: size_of_layer(layer, "num_query_heads")?,
        keys: size_of_layer(layer, "num_key_value_heads")?,
        key_dim: head_dim,
        value_dim: head_dim,
        output: vec![low.graph.tensor(query).shape().last()],
        axes: vec![1],
    };
    with_heads(low, layer, call, &heads)
}

fn query_of(low: &mut Lowering, call: &Call) -> Result<TensorId, Fault> {
    let query = optional(low, call, 0, "query")?;
    let query = query.ok_or_else(|| wrong("the call", "no query", "one"))?;
    match low.graph.dims(query).len() {
        3.. => Ok(query),
        _ => Err(wrong(
            "the call",
            format!("a query of shape {:?}", low.graph.dims(query)),
            "three axes or more",
        )),
    }
}

/// A kernel `[inputs…, outputs…]`, and a bias for each output.
struct Projection<'a> {
    kernel: &'a Weight,
    bias: Option<&'a Weight>,
    inputs: usize,
}

impl<'a> Projection<'a> {
    fn take(
        weights: &mut Weights<'a>,
        use_bias: bool,
        inputs: &[u32],
        outputs: &[u32],
    ) -> Result<Self, Fault> {
        let kernel = weights.take("kernel", &[inputs, outputs].concat())?;
        let bias = weights.take_if(use_bias, "bias", outputs)?;
        Ok(Self { kernel, bias, inputs: inputs.len() })
    }

    /// `x`, whose last axis is all inputs, with all outputs in its place.
    fn of(&self, low: &mut Lowering, x: TensorId) -> Result<TensorId, Fault> {
        let dims = dims_of(&self.kernel.array.shape)?;
        let axes: Vec<usize> = (self.inputs..dims.len()).chain(0..self.inputs).collect();
        let [depth, outputs] = [&dims[..self.inputs], &dims[self.inputs..]].map(|dims| dims.iter().product());
        let mut operands = vec![x, low.weight_as(self.kernel, &axes, &[outputs, depth])?];
        if let Some(bias) = self.bias {
            operands.push(low.flat(bias)?);
        }
        low.node(OpCode::FullyConnected, FullyConnectedParams { clamp: Clamp::NONE }, &operands)
    }
}

/// The axes of a tensor with heads, apart and together: `[batch…, attended…, features]` as
/// `[batch, heads, attended, features]`.
struct Layout {
    batch: Vec<usize>,
    attended: Vec<usize>,
    dims: Vec<u32>,
}

impl Layout {
    fn of(low: &Lowering, x: TensorId, axes: &[usize]) -> Result<Self, Fault> {
        let dims = low.dims(x);
        let inner = dims.len() - 1;
        let twice = axes.iter().enumerate().any(|(at, axis)| axes[..at].contains(axis));
        if twice || axes.is_empty() || axes.iter().any(|&axis| axis == 0 || axis >= inner) {
            return Err(wrong(
                "`attention_axes`",
                format!("{axes:?}"),
                "different axes between batch and features",
            ));
        }
        let batch = (0..inner).filter(|axis| !axes.contains(axis)).collect();
        Ok(Self { batch, attended: axes.to_vec(), dims })
    }

    fn extents(&self, axes: &[usize]) -> Vec<u32> {
        axes.iter().map(|&axis| self.dims[axis]).collect()
    }

    /// The batch, and what is attended to, each as one extent.
    fn lens(&self) -> [u32; 2] {
        [&self.batch, &self.attended].map(|axes| self.extents(axes).iter().product())
    }

    fn order(&self) -> Vec<usize> {
        let heads = self.dims.len() - 1;
        let batch = self.batch.iter().copied();
        batch.chain([heads]).chain(self.attended.iter().copied()).chain([heads + 1]).collect()
    }

    /// `x`, whose last axis is heads times features, as `[batch, heads, attended, features]`.
    fn split(&self, low: &mut Lowering, x: TensorId, heads: u32, features: u32) -> Result<TensorId, Fault> {
        let outer = &self.dims[..self.dims.len() - 1];
        let x = low.reshape(x, &[outer, &[heads, features]].concat())?;
        let x = low.transpose(x, &self.order())?;
        let [batch, attended] = self.lens();
        low.reshape(x, &[batch, heads, attended, features])
    }

    /// The reverse of [`Layout::split`].
    fn merged(&self, low: &mut Lowering, x: TensorId, heads: u32, features: u32) -> Result<TensorId, Fault> {
        let apart =
            [&self.extents(&self.batch)[..], &[heads], &self.extents(&self.attended), &[features]].concat();
        let x = low.reshape(x, &apart)?;
        let order = self.order();
        let mut back = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, &from)| back[from] = to);
        let x = low.transpose(x, &back)?;
        low.reshape(x, &[&self.dims[..self.dims.len() - 1], &[heads * features]].concat())
    }
}

fn with_heads(low: &mut Lowering, layer: &Layer, call: &Call, heads: &Heads) -> Result<Vec<TensorId>, Fault> {
    refuse_but(
        low,
        call,
        &["query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask"]
            .into_iter()
            .chain(["return_attention_scores", "use_causal_mask"])
            .collect::<Vec<_>>(),
    )?;
    let query = query_of(low, call)?;
    let value = optional(low, call, 1, "value")?.ok_or_else(|| wrong("the call", "no value", "one"))?;
    let key = optional(low, call, 2, "key")?.unwrap_or(value);
    let Heads { queries, keys, key_dim, value_dim, ref output, ref axes } = *heads;
    let groups = queries.checked_div(keys).filter(|groups| groups * keys == queries && queries > 0);
    let groups = groups.ok_or_else(|| {
        wrong("the heads", format!("{queries} of queries and {keys} of keys"), "a multiple of them")
    })?;

    let last = |low: &Lowering, x: TensorId| low.graph.tensor(x).shape().last();
    let use_bias = layer.config.bool_or("use_bias", true)?;
    let use_gate = layer.config.bool_or("use_gate", false)?;
    let mut weights = Weights::of(layer);
    let mut take =
        |inputs: &[u32], outputs: &[u32]| Projection::take(&mut weights, use_bias, inputs, outputs);
    let of_query = take(&[last(low, query)], &[queries, key_dim])?;
    let of_key = take(&[last(low, key)], &[keys, key_dim])?;
    let of_gate = if use_gate { Some(take(&[last(low, query)], &[queries, value_dim])?) } else { None };
    let of_value = take(&[last(low, value)], &[keys, value_dim])?;
    let of_output = take(&[queries, value_dim], output)?;
    weights.end()?;

    let (asked, given) = (Layout::of(low, query, axes)?, Layout::of(low, value, axes)?);
    let ([batch, query_len], [value_batch, value_len]) = (asked.lens(), given.lens());
    let outer = |x: TensorId| low.graph.dims(x).split_last().map(|(_, outer)| outer.to_vec());
    if batch != value_batch || outer(key) != outer(value) {
        let found = format!("shapes {:?}, {:?}, {:?}", low.dims(query), low.dims(value), low.dims(key));
        return Err(wrong(
            "the call",
            found,
            "query, value and key with the same axes but for those attended to",
        ));
    }
    let mask = mask_of(low, layer, call, &asked, &given, [query, value])?;

    // The factor comes before the heads are split, so that it becomes part of the kernel.
    let projected = of_query.of(low, query)?;
    let factor = low.scalar(1.0 / (key_dim as f32).sqrt());
    let projected = low.binary(OpCode::Mul, projected, factor)?;
    let q = asked.split(low, projected, queries, key_dim)?;
    let projected = of_key.of(low, key)?;
    let k = given.split(low, projected, keys, key_dim)?;
    let projected = of_value.of(low, value)?;
    let v = given.split(low, projected, keys, value_dim)?;

    // The heads of queries that share a head of keys are rows of one matrix.
    let q = low.reshape(q, &[batch, keys, groups * query_len, key_dim])?;
    let scores = low.node(OpCode::BatchMatmul, BatchMatmulParams { transpose_b: 1 }, &[q, k])?;
    let scores = low.reshape(scores, &[batch, queries, query_len, value_len])?;
    let masking = if low.dialect == Dialect::Keras3 { Masking::Replaces } else { Masking::Lowers };
    let scores = masked(low, scores, mask, masking)?;
    let shares = low.node(OpCode::Softmax, SoftmaxParams { axis: 3 }, &[scores])?;
    let rows = low.reshape(shares, &[batch, keys, groups * query_len, value_len])?;
    let y = low.node(OpCode::BatchMatmul, BatchMatmulParams { transpose_b: 0 }, &[rows, v])?;

    let y = low.reshape(y, &[batch, queries, query_len, value_dim])?;
    let mut y = asked.merged(low, y, queries, value_dim)?;
    if let Some(of_gate) = of_gate {
        let gate = of_gate.of(low, query)?;
        let gate = low.unary(OpCode::Logistic, gate)?;
        y = low.binary(OpCode::Mul, y, gate)?;
    }
    let y = of_output.of(low, y)?;
    let y = low.reshape(y, &[&asked.dims[..asked.dims.len() - 1], output].concat())?;
    let at = if low.dialect == Dialect::Keras3 { 7 } else { 4 };
    if !flag(call, at, "return_attention_scores")? {
        return Ok(vec![y]);
    }
    let apart =
        [&asked.extents(&asked.batch)[..], &[queries], &asked.extents(axes), &given.extents(axes)].concat();
    Ok(vec![y, low.reshape(shares, &apart)?])
}

/// The masks of a layer with heads, as one that broadcasts to scores `[batch, heads, T, S]`.
fn mask_of(
    low: &mut Lowering,
    layer: &Layer,
    call: &Call,
    asked: &Layout,
    given: &Layout,
    [query, value]: [TensorId; 2],
) -> Result<Option<TensorId>, Fault> {
    let keras3 = low.dialect == Dialect::Keras3;
    let never = usize::MAX;
    let [at_query, at_value, at_key, at_both, at_causal] =
        if keras3 { [3, 4, 5, 6, 9] } else { [never, never, never, 3, 6] };
    // A mask that is no argument comes with the tensor; that of a key counts where it is not the value.
    let along = |low: &Lowering, at: usize, name: &str| {
        call.argument(at, name).and_then(|arg| low.mask_of_argument(arg))
    };
    let is_value = call.argument(2, "key") == call.argument(1, "value");
    let of_query = optional(low, call, at_query, "query_mask")?.or_else(|| along(low, 0, "query"));
    let of_value = optional(low, call, at_value, "value_mask")?.or_else(|| along(low, 1, "value"));
    let of_key = optional(low, call, at_key, "key_mask")?;
    let of_key = of_key.or_else(|| if is_value { None } else { along(low, 2, "key") });
    let of_query = match of_query {
        Some(mask) => Some(expanded(low, mask, 0)?),
        None => None,
    };
    let mut of_values = [of_value, of_key];
    for mask in of_values.iter_mut().flatten() {
        *mask = expanded(low, *mask, 1)?;
    }
    let [queries, values] = [query, value].map(|x| low.graph.dims(x)[1]);
    let causal = flag(call, at_causal, "use_causal_mask")?;
    let window =
        layer.config.get("sliding_window").map(|_| size_of_layer(layer, "sliding_window")).transpose()?;
    let constant = (causal || window.is_some()).then(|| {
        let near = |t: u32, s: u32| window.is_none_or(|window| t.abs_diff(s) < window);
        positions(low, queries, values, |t, s| (!causal || s <= t) && near(t, s))
    });
    let both = optional(low, call, at_both, "attention_mask")?;
    let Some(mask) = all_of(low, [both, of_query, of_values[0], of_values[1], constant])? else {
        return Ok(None);
    };
    // Axes of length 1 come in front of the axes attended along, until there is one for each of the scores.
    let dims = low.dims(mask);
    let unfit = || {
        let expected = "one for batch, heads, queries and values";
        wrong("the mask", format!("shape {dims:?}"), expected)
    };
    let count = asked.attended.len();
    let along = dims.len().checked_sub(2 * count).ok_or_else(unfit)?;
    let (outer, attended) = dims.split_at(along);
    let (of_batch, of_heads) = match outer.len().checked_sub(asked.batch.len()) {
        Some(1) => (&outer[..outer.len() - 1], outer[outer.len() - 1]),
        None | Some(0) => (outer, 1),
        Some(_) => return Err(unfit()),
    };
    // Several axes are one extent if all of them are there, or none.
    let together = |dims: &[u32], whole: &[u32]| {
        let len: u32 = dims.iter().product();
        (len == 1 || dims == whole).then_some(len).ok_or_else(unfit)
    };
    let batch = together(of_batch, &asked.extents(&asked.batch))?;
    let (of_queries, of_values) = attended.split_at(count);
    let rows = together(of_queries, &asked.extents(&asked.attended))?;
    let columns = together(of_values, &given.extents(&given.attended))?;
    low.reshape(mask, &[batch, of_heads, rows, columns]).map(Some)
}
