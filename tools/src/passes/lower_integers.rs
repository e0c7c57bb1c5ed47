//! From operators on reals to operators on integers, where integers stand for the reals of an
//! activation: each operator says itself which operator on integers gives TensorFlow Lite's results.
//!
//! Tensors of unsigned bytes become signed ones, 128 lower, which changes no result; only inputs and
//! outputs of the model stay as the source has them.

use crate::graph::{Data, Graph, Node, TensorId};
use crate::ops;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::clip::ClipParams;
use flatpack_format::{DType, OpCode};
use thiserror::Error;

/// A node that cannot be computed with integers.
#[derive(Debug, Error)]
#[error("layer `{layer}` ({}): {reason}", .op.name())]
pub struct Refused {
    /// The layer.
    pub layer: String,
    /// The operator on reals.
    pub op: OpCode,
    /// What is in the way.
    pub reason: String,
}

/// Runs the pass.
///
/// # Errors
/// The first node that cannot be computed with integers as it is quantised.
pub fn run(graph: &mut Graph) -> Result<Vec<String>, Refused> {
    if !graph.has_integers() {
        return Ok(Vec::new());
    }
    make_signed(graph);
    for tensor in &mut graph.tensors {
        if let (None, Some(quant)) = (&tensor.data, &tensor.quant) {
            tensor.tensor_type.dtype = quant.dtype;
        }
    }
    let mut details = Vec::new();
    // Until all are lowered, the graph has the nodes on reals.
    let mut nodes = graph.nodes.clone();
    for node in &mut nodes {
        let of_integers = |&id: &TensorId| !graph.is_constant(id) && graph.quant(id).is_some();
        if !node.inputs.iter().chain([&node.output]).any(of_integers) {
            continue;
        }
        let refused = |reason| Refused { layer: node.layer.clone(), op: node.op, reason };
        let lower = ops::operator(node.op)
            .integer
            .ok_or_else(|| refused("there is no such operator on 8-bit integers".to_owned()))?;
        let lowered = lower(graph, node).map_err(refused)?;
        let made = graph.infer(lowered.op, &lowered.params, &lowered.inputs);
        let made = made.map_err(|error| refused(error.to_string()))?;
        if made != graph.tensor(node.output).tensor_type {
            return Err(refused(format!("makes {made:?}, not {:?}", graph.tensor(node.output).tensor_type)));
        }
        if lowered.op != node.op {
            details.push(format!("{}: {} becomes {}", node.layer, node.op.name(), lowered.op.name()));
        }
        *node = lowered;
    }
    graph.nodes = nodes;
    Ok(details)
}

/// Unsigned activations inside the graph become signed.
fn make_signed(graph: &mut Graph) {
    for number in 0..graph.tensors.len() {
        let id = TensorId(number);
        let unsigned = graph.quant(id).is_some_and(|quant| quant.dtype == DType::U8);
        if !unsigned || graph.is_constant(id) {
            continue;
        }
        let mut signed = graph.tensor(id).clone();
        if let Some(quant) = &mut signed.quant {
            (quant.dtype, quant.unsigned) = (DType::I8, true);
            quant.zero_points.iter_mut().for_each(|zero_point| *zero_point -= 128);
        }
        for state in graph.states.iter_mut().filter(|state| state.value == id) {
            if let Data::U8(init) = &state.init {
                state.init = Data::I8(init.iter().map(|v| (v ^ 0x80) as i8).collect());
            }
        }
        let (is_input, is_output) = (graph.inputs.contains(&id), graph.outputs.contains(&id));
        if !is_input && !is_output {
            graph.tensors[number] = signed;
            continue;
        }
        let inside = graph.add(signed);
        let producer = graph.producer(id);
        for input in graph.nodes.iter_mut().flat_map(|node| &mut node.inputs).filter(|input| **input == id) {
            *input = inside;
        }
        for next in graph.states.iter_mut().filter_map(|state| state.next.as_mut()).filter(|n| **n == id) {
            *next = inside;
        }
        let params = bytemuck::bytes_of(&ClipParams { clamp: Clamp::NONE }).to_vec();
        let layer = graph.tensor(id).name.clone();
        let between = |input, output| Node { layer, op: OpCode::Clip, params, inputs: vec![input], output };
        match producer {
            None => graph.nodes.insert(0, between(id, inside)),
            Some(producer) => {
                graph.nodes[producer].output = inside;
                graph.nodes.insert(producer + 1, between(inside, id));
            }
        }
    }
}

#[cfg(test)]
mod tests;
