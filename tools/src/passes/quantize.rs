//! From a graph of reals to the same graph on 8-bit integers: which tensors integers stand for, and by
//! which scales, after TensorFlow Lite's published scheme.
//!
//! - Activations have one scale, from the range of the values that samples gave them, and a zero point.
//! - Weights have a scale for each output, and no zero point; the bias has the product of both scales,
//!   and takes up what rounding the weights changes on average (`weights`).
//! - Operators that only select or move elements leave their scales as they are: all tensors that they
//!   join share one (`groups`).
//! - Some functions have outputs of a range that is known, such as softmax, and a fixed scale.
//! - Layers that the caller names stay as they are, with conversions where they meet the rest. So do
//!   quotients: what TensorFlow Lite Micro's kernel makes of some scales is not defined.
//!
//! The pass annotates tensors ([`crate::quant::Quant`]) and makes integers of constants; operators are
//! chosen by [`super::lower_integers`].

pub mod calibrate;
mod groups;
pub mod ranges;
mod weights;

use crate::graph::{Data, Graph, Node, TensorId};
use crate::ops::{self, OutputScale};
use crate::quant::Quant;
use calibrate::Statistics;
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::clip::ClipParams;
use ranges::Range;
use std::collections::HashMap;
use thiserror::Error;

/// What the caller feeds and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// Reals: the file converts them.
    Float32,
    /// The integers that the file computes with.
    Int8,
}

/// What the caller wants.
#[derive(Clone, Debug)]
pub struct Options {
    /// What inputs and outputs of the model are.
    pub io: Io,
    /// Layers that stay as they are: names, or what they begin with before a `/`.
    pub keep_float: Vec<String>,
}

/// Why a graph cannot be computed with integers.
#[derive(Debug, Error)]
pub enum QuantizeError {
    /// Operators that have no form on integers.
    #[error("{}", unsupported(.layers))]
    Unsupported {
        /// Layers and operators.
        layers: Vec<(String, OpCode)>,
    },
    /// A name that no layer has.
    #[error("no layer that computes is called `{name}` or begins with `{name}/`")]
    UnknownLayer {
        /// The name.
        name: String,
        /// The names that there are.
        layers: Vec<String>,
    },
    /// A layer whose values have no scale.
    #[error("layer `{layer}`: {reason}")]
    Layer {
        /// The layer.
        layer: String,
        /// What is in the way.
        reason: String,
    },
}

fn unsupported(layers: &[(String, OpCode)]) -> String {
    let layers: Vec<String> =
        layers.iter().map(|(layer, op)| format!("layer `{layer}` ({})", op.name())).collect();
    format!("{}: there is no such operator on 8-bit integers", layers.join(", "))
}

/// What the pass made.
#[derive(Clone, Debug, Default)]
pub struct Quantized {
    /// What it did, in a sentence for each conversion.
    pub details: Vec<String>,
    /// Which layers stay float32 without being asked to, and why.
    pub notes: Vec<String>,
    /// Tensors that hold the values of another, as reals or as other integers.
    pub same_as: HashMap<TensorId, TensorId>,
}

/// Which nodes compute with integers, by position.
///
/// # Errors
/// If an operator has no form on integers, a name to keep is that of no layer, or a layer keeps a state.
pub fn integer_nodes(graph: &Graph, options: &Options) -> Result<Vec<bool>, QuantizeError> {
    for name in &options.keep_float {
        if !graph.nodes.iter().any(|node| node.is_within(name)) {
            let mut layers: Vec<String> = graph.nodes.iter().map(|node| node.layer.clone()).collect();
            layers.dedup();
            return Err(QuantizeError::UnknownLayer { name: name.clone(), layers });
        }
    }
    let kept = |node: &Node| options.keep_float.iter().any(|name| node.is_within(name));
    let lacks = |node: &&Node| !kept(node) && !stays_float(node) && ops::operator(node.op).integer.is_none();
    let layers: Vec<(String, OpCode)> =
        graph.nodes.iter().filter(lacks).map(|node| (node.layer.clone(), node.op)).collect();
    if !layers.is_empty() {
        return Err(QuantizeError::Unsupported { layers });
    }
    let integer: Vec<bool> = graph.nodes.iter().map(|node| !kept(node) && !stays_float(node)).collect();
    let nexts = graph.states.iter().filter_map(|state| graph.producer(state.next?));
    if let Some(at) = nexts.into_iter().find(|&at| integer[at]) {
        let layer = graph.nodes[at].layer.clone();
        let reason = "it keeps a state from run to run, of which samples show the beginning alone".into();
        return Err(QuantizeError::Layer { layer, reason });
    }
    Ok(integer)
}

/// Whether a node computes with reals without being asked to. `div` does though there is an operator on
/// integers: that shifts by a number of places which the scales decide, and which C++ does not define beyond
/// the width of a word. Comparisons, indices and hashes mean what they say only before anything is rounded.
fn stays_float(node: &Node) -> bool {
    use OpCode as Op;
    let exact =
        matches!(node.op, Op::Equal | Op::NotEqual | Op::Greater | Op::GreaterEqual | Op::Gather | Op::Hash);
    node.op == Op::Div || node.op == Op::Select || exact
}

/// Runs the pass, by the statistics of every activation.
///
/// # Errors
/// If [`integer_nodes`] refuses, or values or weights of a layer have no scale.
pub fn run(
    graph: &mut Graph,
    statistics: &Statistics,
    options: &Options,
) -> Result<Quantized, QuantizeError> {
    let integer = integer_nodes(graph, options)?;
    let mut made = Quantized::default();
    for node in graph.nodes.iter().filter(|node| stays_float(node)) {
        made.notes.push(format!("layer `{}` ({}) is computed in float32", node.layer, node.op.name()));
    }
    let quants = groups::scales(graph, &integer, &statistics.ranges, options.io)?;
    convert(graph, &integer, &quants, options.io, &mut made);
    let of_layer = |graph: &Graph, position: usize, reason| QuantizeError::Layer {
        layer: graph.nodes[position].layer.clone(),
        reason,
    };
    for position in 0..graph.nodes.len() {
        let touched = |id: &TensorId| graph.quant(*id).is_some();
        let node = &graph.nodes[position];
        // A conversion has no other inputs.
        if !touched(&node.output) || !touched(&node.inputs[0]) && node.inputs.len() == 1 {
            continue;
        }
        let x = graph.nodes[position].inputs[0];
        let x = made.same_as.get(&x).unwrap_or(&x);
        let mean = statistics.means.get(x).map(Vec::as_slice);
        constants(graph, position, mean).map_err(|reason| of_layer(graph, position, reason))?;
    }
    Ok(made)
}

/// The quantisation of tensors, and what is read as other integers.
#[derive(Clone, Debug, Default)]
struct Scales {
    /// Of a tensor, as its producer writes it, or as its readers want it where its producer computes
    /// with reals.
    of: HashMap<TensorId, Quant>,
    /// Of a tensor with a fixed scale, as operators that join it with others want it.
    joined: HashMap<TensorId, Quant>,
}

/// The node that makes reals of integers, integers of reals, or other integers of integers.
fn conversion(layer: &str, input: TensorId, output: TensorId) -> Node {
    let params = bytemuck::bytes_of(&ClipParams { clamp: Clamp::NONE }).to_vec();
    Node { layer: layer.to_owned(), op: OpCode::Clip, params, inputs: vec![input], output }
}

/// Annotates activations, and puts conversions between tensors and those that want other integers, or
/// reals.
fn convert(graph: &mut Graph, integer: &[bool], scales: &Scales, io: Io, made: &mut Quantized) {
    let old = std::mem::take(&mut graph.nodes);
    let of_integers_outside = io == Io::Int8;
    let mut forms = Forms { graph, made, nodes: Vec::new(), known: HashMap::new() };
    for input in forms.graph.inputs.clone() {
        if of_integers_outside && let Some(quant) = scales.of.get(&input) {
            forms.graph.tensors[input.0].quant = Some(quant.clone());
        }
    }
    for (mut node, &integer) in old.into_iter().zip(integer) {
        let joins = ops::operator(node.op).scale == OutputScale::OfInputs;
        for input in &mut node.inputs {
            if forms.graph.is_constant(*input) {
                continue;
            }
            let wanted = match integer {
                false => None,
                true if joins => scales.joined.get(input).or_else(|| scales.of.get(input)),
                true => scales.of.get(input),
            };
            *input = forms.form(*input, wanted);
        }
        if integer {
            forms.graph.tensors[node.output.0].quant = scales.of.get(&node.output).cloned();
        }
        forms.nodes.push(node);
    }
    for position in 0..forms.graph.outputs.len() {
        let output = forms.graph.outputs[position];
        let wanted = if of_integers_outside { scales.of.get(&output) } else { None };
        forms.graph.outputs[position] = forms.form(output, wanted);
    }
    let nodes = forms.nodes;
    graph.nodes = nodes;
}

/// The forms in which the values of a tensor are there.
struct Forms<'a> {
    graph: &'a mut Graph,
    made: &'a mut Quantized,
    nodes: Vec<Node>,
    known: HashMap<(TensorId, Option<[u32; 2]>), TensorId>,
}

impl Forms<'_> {
    /// A tensor with the values of `id` in the form that is wanted: it, or one that is converted.
    fn form(&mut self, id: TensorId, wanted: Option<&Quant>) -> TensorId {
        if self.graph.quant(id) == wanted {
            return id;
        }
        let key = wanted.map(|quant| [quant.scale().to_bits(), quant.zero_point() as u32]);
        if let Some(&known) = self.known.get(&(id, key)) {
            return known;
        }
        let mut tensor = self.graph.tensor(id).clone();
        let what = match (&tensor.quant, wanted) {
            (None, _) => "integers of reals",
            (_, None) => "reals of integers",
            _ => "integers of another scale",
        };
        self.made.details.push(format!("{}: {what}", tensor.name));
        tensor.quant = wanted.cloned();
        let layer = tensor.name.clone();
        let made = self.graph.add(tensor);
        self.nodes.push(conversion(&layer, id, made));
        self.made.same_as.insert(made, id);
        self.known.insert((id, key), made);
        made
    }
}

/// Makes integers of the constants of a node that computes with integers, and whose first input has this
/// mean.
fn constants(graph: &mut Graph, position: usize, mean: Option<&[f32]>) -> Result<(), String> {
    let mut node = graph.nodes[position].clone();
    let operator = ops::operator(node.op);
    let (x, y) = (graph.quant(node.inputs[0]).cloned(), graph.quant(node.output).cloned());
    match (operator.linear, x, &y) {
        (Some(linear), Some(x), Some(y)) => weights::quantize(graph, &mut node, &linear, [&x, y], mean)?,
        _ => {
            for input in &mut node.inputs {
                let tensor = graph.tensor(*input);
                let (None, Some(reals)) = (&tensor.quant, tensor.reals()) else { continue };
                let (name, dims) = (tensor.name.clone(), tensor.dims().to_vec());
                if !reals.iter().all(|v| v.is_finite()) {
                    return Err(format!("its constant `{name}` holds infinities or NaNs"));
                }
                let quant = match (operator.scale, &y) {
                    (OutputScale::OfInputs, Some(y)) => y.clone(),
                    _ => Range::of(&reals).quant()?,
                };
                let integers: Vec<i8> = reals.iter().map(|&v| quant.quantize(v) as i8).collect();
                *input = graph.add_stored(&name, &dims, Data::I8(integers.into()), Some(quant));
            }
        }
    }
    graph.nodes[position] = node;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::Shape;
    use flatpack_format::ops::binary::BinaryParams;
    use flatpack_format::ops::fully_connected::FullyConnectedParams;
    use flatpack_format::ops::softmax::SoftmaxParams;

    /// Two fully connected layers `net/a` and `net/b`, and softmax.
    fn net() -> Graph {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 2]).unwrap());
        let params = FullyConnectedParams { clamp: Clamp::NONE };
        let mut y = x;
        for layer in ["net/a", "net/b"] {
            let w = graph.add_constant("w", &[2, 2], vec![0.5, -0.25, 1.0, 0.125]);
            let bias = graph.add_constant("bias", &[2], vec![0.1, 0.2]);
            y = graph.add_node(layer, OpCode::FullyConnected, params, &[y, w, bias]).unwrap();
        }
        y = graph.add_node("softmax", OpCode::Softmax, SoftmaxParams { axis: 1 }, &[y]).unwrap();
        graph.outputs.push(y);
        graph
    }

    fn quantized(keep: &[&str], io: Io) -> Result<Graph, QuantizeError> {
        let mut graph = net();
        let range = Range { min: -1.0, max: 1.0 };
        let ranges = (0..graph.tensors.len()).map(|n| (TensorId(n), range)).collect();
        let statistics = Statistics { ranges, means: HashMap::new() };
        let keep_float = keep.iter().map(|&name| name.to_owned()).collect();
        run(&mut graph, &statistics, &Options { io, keep_float })?;
        Ok(graph)
    }

    /// Operators in order, with `i` before and after for integers, `r` for reals.
    fn shape_of(graph: &Graph) -> Vec<String> {
        let letter = |id: TensorId| if graph.quant(id).is_some() { 'i' } else { 'r' };
        let shape =
            |node: &Node| format!("{}{}{}", letter(node.inputs[0]), node.op.name(), letter(node.output));
        graph.nodes.iter().map(shape).collect()
    }

    #[test]
    fn layers_that_are_kept_have_conversions_around_them() {
        let graph = quantized(&["net/b", "softmax"], Io::Float32).unwrap();
        assert_eq!(
            shape_of(&graph),
            ["rclipi", "ifully_connectedi", "iclipr", "rfully_connectedr", "rsoftmaxr"]
        );
        let graph = quantized(&["net/a", "softmax"], Io::Int8).unwrap();
        let converted = ["iclipr", "rfully_connectedr", "rclipi", "ifully_connectedi", "iclipr", "rsoftmaxr"];
        assert_eq!(shape_of(&graph)[..6], converted);
        assert_eq!(shape_of(&graph)[6..], ["rclipi"]);
        // A name stands for all that lies within it.
        let graph = quantized(&["net", "softmax"], Io::Float32).unwrap();
        assert_eq!(shape_of(&graph), ["rfully_connectedr", "rfully_connectedr", "rsoftmaxr"]);
    }

    #[test]
    fn constants_are_integers_where_their_layer_is() {
        let graph = quantized(&["net/b", "softmax"], Io::Float32).unwrap();
        let stored = |position: usize, input: usize| {
            graph.tensor(graph.nodes[position].inputs[input]).data.as_ref().unwrap().dtype().name()
        };
        assert_eq!([stored(1, 1), stored(1, 2)], ["i8", "i32"]);
        assert_eq!([stored(3, 1), stored(3, 2)], ["f32", "f32"]);
    }

    #[test]
    fn quotients_stay_float() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 4]).unwrap());
        let params = BinaryParams { clamp: Clamp::NONE };
        let sum = graph.add_node("sum", OpCode::Add, params, &[x, x]).unwrap();
        let ratio = graph.add_node("ratio", OpCode::Div, params, &[x, sum]).unwrap();
        let y = graph.add_node("y", OpCode::Add, params, &[ratio, x]).unwrap();
        graph.outputs.push(y);
        let range = Range { min: 1.0, max: 4.0 };
        let ranges = [x, sum, ratio, y].map(|id| (id, range)).into();
        let statistics = Statistics { ranges, means: HashMap::new() };
        let options = Options { io: Io::Int8, keep_float: Vec::new() };
        let made = run(&mut graph, &statistics, &options).unwrap();
        assert_eq!(shape_of(&graph), ["iaddi", "iclipr", "iclipr", "rdivr", "rclipi", "iaddi"]);
        assert_eq!(made.notes, ["layer `ratio` (div) is computed in float32"]);
    }

    #[test]
    fn layers_that_keep_a_state_are_refused_unless_they_are_kept_float() {
        let mut graph = net();
        let state = graph.add_state("kept", &[1, 2], Data::F32([0.0; 2].into()), None);
        let params = BinaryParams { clamp: Clamp::NONE };
        let next = graph.add_node("sum", OpCode::Add, params, &[graph.outputs[0], state]).unwrap();
        graph.states[0].next = Some(next);
        let of = |keep: &[&str]| {
            let keep_float = keep.iter().map(|&name| name.to_owned()).collect();
            integer_nodes(&graph, &Options { io: Io::Int8, keep_float }).map_err(|error| error.to_string())
        };
        assert_eq!(of(&["sum"]), Ok(vec![true, true, true, false]));
        assert!(of(&[]).unwrap_err().contains("layer `sum`: it keeps a state"));
    }

    #[test]
    fn names_that_no_layer_has_are_refused() {
        for name in ["ne", "net/", "net/a/b", ""] {
            let error = quantized(&[name], Io::Float32).unwrap_err();
            assert!(matches!(error, QuantizeError::UnknownLayer { .. }), "{name}: {error}");
        }
    }
}
