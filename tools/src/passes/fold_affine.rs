//! Factors and terms that are constant per channel, such as those of BatchNormalization and
//! Rescaling, become part of the weights and bias of the convolution or product beside them.
//!
//! With `y[o] = bias[o] + Σ w[o, …, c] · x[c]`:
//!
//! | beside it | becomes |
//! |---|---|
//! | `y[o] · f[o]` | `w[o, …] · f[o]`, `bias[o] · f[o]` |
//! | `y[o] + t[o]` | `bias[o] + t[o]` |
//! | of `x[c] · f[c]` | `w[…, c] · f[c]` |
//! | of `x[c] + t[c]` | `bias[o] + Σ w[o, …, c] · t[c]`, where no padding stands for x |
//!
//! Sums are made in `f64` and rounded once.

use super::fuse_activation::{clamp, set_clamp};
use crate::graph::{Graph, Node, TensorId};
use crate::ops::{self, Linear};
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    let mut position = 0;
    while position < graph.nodes.len() {
        let found = [into_producer, into_consumer, past_reshape, merge, factor_first]
            .iter()
            .find_map(|fold| fold(graph, position));
        match found {
            Some(detail) => {
                details.push(detail);
                position = 0;
            }
            None => position += 1,
        }
    }
    details
}

/// `x · f` or `x + t` with a constant.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Affine {
    Factor,
    Term,
}

pub(super) struct AffineNode {
    pub(super) kind: Affine,
    pub(super) x: TensorId,
    /// The constant, made a factor or term: one element, or one per channel.
    pub(super) constant: Vec<f64>,
}

/// The node as a factor or term per channel, if it is one.
pub(super) fn affine(graph: &Graph, node: &Node) -> Option<AffineNode> {
    let &[a, b] = node.inputs.as_slice() else { return None };
    let (x, constant, swapped) = match (graph.is_constant(a), graph.is_constant(b)) {
        (false, true) => (a, b, false),
        (true, false) => (b, a, true),
        _ => return None,
    };
    if graph.dims(x) != graph.dims(node.output) {
        return None;
    }
    let (kind, of): (Affine, fn(f64) -> f64) = match (node.op, swapped) {
        (OpCode::Mul, _) => (Affine::Factor, |v| v),
        (OpCode::Add, _) => (Affine::Term, |v| v),
        (OpCode::Sub, false) => (Affine::Term, |v| -v),
        (OpCode::Div, false) => (Affine::Factor, |v| 1.0 / v),
        _ => return None,
    };
    let channels = *graph.dims(x).last()? as usize;
    let data = graph.data(constant)?;
    let (last, outer) = graph.dims(constant).split_last().map_or((1, &[][..]), |(l, o)| (*l as usize, o));
    if !(outer.iter().all(|&d| d == 1) && (last == 1 || last == channels)) {
        return None;
    }
    let constant: Vec<f64> = data.iter().map(|&v| of(f64::from(v))).collect();
    constant.iter().all(|v| v.is_finite()).then_some(AffineNode { kind, x, constant })
}

/// An element per channel.
fn channel(constant: &[f64], index: usize) -> f64 {
    constant[index.min(constant.len() - 1)]
}

/// What a linear node multiplies with: its weights and bias, if they are constant.
struct Weights {
    linear: Linear,
    outputs: usize,
    w: Vec<f64>,
    bias: Vec<f64>,
}

fn weights(graph: &Graph, node: &Node) -> Option<Weights> {
    let linear = ops::operator(node.op).linear?;
    let w = graph.data(*node.inputs.get(1)?)?;
    let outputs = *graph.dims(node.output).last()? as usize;
    let bias = match node.inputs.get(2) {
        Some(&bias) => graph.data(bias)?.iter().map(|&v| f64::from(v)).collect(),
        None => vec![0.0; outputs],
    };
    Some(Weights { linear, outputs, w: w.iter().map(|&v| f64::from(v)).collect(), bias })
}

/// Gives a node new weights and a new bias, as constants of its own: others may share the old ones.
fn set_weights(graph: &mut Graph, position: usize, weights: &Weights) {
    let layer = graph.nodes[position].layer.clone();
    let old = graph.nodes[position].inputs[1];
    let (name, dims) = (graph.tensor(old).name.clone(), graph.dims(old).to_vec());
    let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let w = graph.add_constant(&name, &dims, narrow(&weights.w));
    let name = match graph.nodes[position].inputs.get(2) {
        Some(&bias) => graph.tensor(bias).name.clone(),
        None => format!("{layer}/bias"),
    };
    let bias = graph.add_constant(&name, &[weights.outputs as u32], narrow(&weights.bias));
    let inputs = &mut graph.nodes[position].inputs;
    inputs.truncate(1);
    inputs.extend([w, bias]);
}

/// A factor or term after a linear node.
fn into_producer(graph: &mut Graph, position: usize) -> Option<String> {
    let node = &graph.nodes[position];
    let found = affine(graph, node)?;
    let producer = graph.producer(found.x)?;
    graph.only_consumer(found.x)?;
    let linear = &graph.nodes[producer];
    if clamp(linear)? != Clamp::NONE {
        return None;
    }
    let mut weights = weights(graph, linear)?;
    match found.kind {
        Affine::Factor => {
            for index in 0..weights.w.len() {
                weights.w[index] *=
                    channel(&found.constant, (weights.linear.output_of)(graph, linear, index));
            }
            (0..).zip(&mut weights.bias).for_each(|(o, bias)| *bias *= channel(&found.constant, o));
        }
        Affine::Term => {
            (0..).zip(&mut weights.bias).for_each(|(o, bias)| *bias += channel(&found.constant, o))
        }
    }
    set_weights(graph, producer, &weights);
    let folded = graph.nodes.remove(position);
    let fused = clamp(&folded).unwrap_or(Clamp::NONE);
    let linear = &mut graph.nodes[producer];
    set_clamp(linear, fused);
    linear.output = folded.output;
    Some(format!("{}: {} into {} of {}", folded.layer, folded.op.name(), linear.op.name(), linear.layer))
}

/// A factor or term before a linear node.
fn into_consumer(graph: &mut Graph, position: usize) -> Option<String> {
    let node = &graph.nodes[position];
    let found = affine(graph, node)?;
    if clamp(node).is_some_and(|clamp| clamp != Clamp::NONE) {
        return None;
    }
    let consumer = graph.only_consumer(node.output)?;
    let linear = &graph.nodes[consumer];
    if linear.inputs[0] != node.output {
        return None;
    }
    let mut weights = weights(graph, linear)?;
    match found.kind {
        Affine::Factor => {
            for index in 0..weights.w.len() {
                weights.w[index] *= channel(&found.constant, (weights.linear.input_of)(graph, linear, index));
            }
        }
        Affine::Term => {
            if !(weights.linear.unpadded)(graph, linear) {
                return None;
            }
            for index in 0..weights.w.len() {
                let term = channel(&found.constant, (weights.linear.input_of)(graph, linear, index));
                weights.bias[(weights.linear.output_of)(graph, linear, index)] += weights.w[index] * term;
            }
        }
    }
    set_weights(graph, consumer, &weights);
    graph.nodes[consumer].inputs[0] = found.x;
    let folded = graph.nodes.remove(position);
    let linear = &graph.nodes[consumer - 1];
    Some(format!("{}: {} into {} of {}", folded.layer, folded.op.name(), linear.op.name(), linear.layer))
}

/// `reshape(x · f)` is `reshape(x) · f` for one factor: it gets nearer to a linear node.
fn past_reshape(graph: &mut Graph, position: usize) -> Option<String> {
    let node = &graph.nodes[position];
    let found = affine(graph, node)?;
    let consumer = graph.only_consumer(node.output)?;
    let reshape = &graph.nodes[consumer];
    if found.constant.len() != 1 || !matches!(reshape.op, OpCode::Reshape | OpCode::Transpose) {
        return None;
    }
    let constant = *node.inputs.iter().find(|&&id| graph.is_constant(id))?;
    let (reshaped_type, reshaped_name) = {
        let tensor = graph.tensor(reshape.output);
        (tensor.tensor_type, tensor.name.clone())
    };
    let value = graph.data(constant)?.to_vec();
    let scalar = graph.add_constant(&graph.tensor(constant).name.clone(), &[1], value);
    let between = graph.add_tensor(&reshaped_name, reshaped_type, None);
    let mut affine_node = graph.nodes.remove(position);
    let reshape = &mut graph.nodes[consumer - 1];
    let detail = format!("{}: {} after {}", affine_node.layer, affine_node.op.name(), reshape.op.name());
    affine_node.output = std::mem::replace(&mut reshape.output, between);
    reshape.inputs[0] = found.x;
    for input in &mut affine_node.inputs {
        *input = if *input == constant { scalar } else { between };
    }
    graph.nodes.insert(consumer, affine_node);
    Some(detail)
}

/// Two factors are one, and two terms.
fn merge(graph: &mut Graph, position: usize) -> Option<String> {
    let first = &graph.nodes[position];
    let inner = affine(graph, first)?;
    let consumer = graph.only_consumer(first.output)?;
    let outer = affine(graph, &graph.nodes[consumer])?;
    if inner.kind != outer.kind || clamp(first).is_some_and(|clamp| clamp != Clamp::NONE) {
        return None;
    }
    let len = inner.constant.len().max(outer.constant.len());
    let values: Vec<f32> = (0..len)
        .map(|c| {
            let (a, b) = (channel(&inner.constant, c), channel(&outer.constant, c));
            (if inner.kind == Affine::Factor { a * b } else { a + b }) as f32
        })
        .collect();
    let name = graph.nodes[consumer].layer.clone();
    let constant = graph.add_constant(&name, &[len as u32], values);
    let first = graph.nodes.remove(position);
    let node = &mut graph.nodes[consumer - 1];
    node.op = if inner.kind == Affine::Factor { OpCode::Mul } else { OpCode::Add };
    node.inputs = vec![inner.x, constant];
    Some(format!("{}: {} into {} of {}", first.layer, first.op.name(), node.op.name(), node.layer))
}

/// `x · f + t` before a padded convolution is `(x + t / f) · f`: the factor folds, the term stays.
fn factor_first(graph: &mut Graph, position: usize) -> Option<String> {
    let factor_node = &graph.nodes[position];
    let factor = affine(graph, factor_node)?;
    let term_position = graph.only_consumer(factor_node.output)?;
    let term_node = &graph.nodes[term_position];
    let term = affine(graph, term_node)?;
    let unclamped = |node: &Node| clamp(node).is_none_or(|clamp| clamp == Clamp::NONE);
    if (factor.kind, term.kind) != (Affine::Factor, Affine::Term)
        || !(unclamped(factor_node) && unclamped(term_node))
        || factor.constant.iter().any(|f| f.abs() < 1e-6)
    {
        return None;
    }
    let linear = &graph.nodes[graph.only_consumer(term_node.output)?];
    if linear.inputs[0] != term_node.output || weights(graph, linear).is_none() {
        return None;
    }
    let len = factor.constant.len().max(term.constant.len());
    let quotients: Vec<f32> =
        (0..len).map(|c| (channel(&term.constant, c) / channel(&factor.constant, c)) as f32).collect();
    let factors: Vec<f32> = factor.constant.iter().map(|&f| f as f32).collect();
    let (factor_layer, term_layer) = (factor_node.layer.clone(), term_node.layer.clone());
    let term_constant = graph.add_constant(&term_layer, &[len as u32], quotients);
    let factor_constant = graph.add_constant(&factor_layer, &[factors.len() as u32], factors);
    let (moved, result) = (graph.nodes[position].output, graph.nodes[term_position].output);
    // The tensor between the two no longer has the value that the imported graph gives it.
    let between = graph.add_tensor(&graph.tensor(moved).name.clone(), graph.tensor(moved).tensor_type, None);
    let params = flatpack_format::ops::binary::BinaryParams { clamp: Clamp::NONE };
    let node = &mut graph.nodes[position];
    (node.op, node.inputs, node.output) = (OpCode::Add, vec![factor.x, term_constant], between);
    node.layer = term_layer;
    node.set_params(params);
    let node = &mut graph.nodes[term_position];
    (node.op, node.inputs, node.output) = (OpCode::Mul, vec![between, factor_constant], result);
    node.layer = factor_layer;
    node.set_params(params);
    Some(format!("{}: factor after term", graph.nodes[position].layer))
}
