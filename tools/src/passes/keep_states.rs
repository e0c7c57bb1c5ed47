//! Sees to it that a step leaves the next value of each state in the memory of the state: the step that
//! computes it, where all steps that read the value before it come first in any order; else a copy.

use crate::graph::{Graph, Node, TensorId};
use crate::memory::renames_memory;
use flatpack_format::ops::reshape::ReshapeParams;
use flatpack_format::ops::strided_slice::StridedSliceParams;
use flatpack_format::{MAX_RANK, OpCode};
use std::collections::HashSet;

/// Runs the pass, the last before memory is planned.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    let nexts: Vec<(usize, TensorId)> =
        graph.states.iter().enumerate().filter_map(|(at, state)| Some((at, state.next?))).collect();
    // What a state holds is read before any copy into a state: two states may change places.
    for (at, next) in nexts {
        if graph.state(reshaped(graph, next)).is_none() {
            continue;
        }
        let mut params =
            StridedSliceParams { begin: [0; MAX_RANK], stride: [1; MAX_RANK], size: [1; MAX_RANK] };
        params.size.iter_mut().zip(graph.dims(next)).for_each(|(size, dim)| *size = *dim);
        let copied = copy(graph, next, OpCode::StridedSlice, bytemuck::bytes_of(&params));
        graph.states[at].next = Some(copied);
    }
    for at in 0..graph.states.len() {
        let Some(next) = graph.states[at].next else { continue };
        if !is_left_there(graph, at, next) {
            let params = ReshapeParams::new(&graph.tensor(next).shape());
            let stored = copy(graph, next, OpCode::Reshape, bytemuck::bytes_of(&params));
            graph.states[at].next = Some(stored);
            details.push(format!("{}: a copy to the state", graph.tensor(next).name));
        }
    }
    details
}

/// What a tensor is another shape of: itself, or what the first of a chain of reshapes reads.
fn reshaped(graph: &Graph, mut id: TensorId) -> TensorId {
    let reshape =
        |id| graph.producer(id).map(|at| &graph.nodes[at]).filter(|node| node.op == OpCode::Reshape);
    while let Some(node) = reshape(id) {
        id = node.inputs[0];
    }
    id
}

/// Adds a node that gives what it reads.
fn copy(graph: &mut Graph, source: TensorId, op: OpCode, params: &[u8]) -> TensorId {
    let tensor = graph.tensor(source).clone();
    let layer = tensor.name.clone();
    let output = graph.add_tensor(&layer, tensor.tensor_type, None);
    graph.tensors[output.0].quant = tensor.quant;
    graph.nodes.push(Node { layer, op, params: params.to_vec(), inputs: vec![source], output });
    output
}

/// Whether the node that computes `next` may write it into the memory of state `at`.
fn is_left_there(graph: &Graph, at: usize, next: TensorId) -> bool {
    let taken = graph.outputs.contains(&next) || graph.states[..at].iter().any(|s| s.next == Some(next));
    let value = graph.states[at].value;
    let Some(producer) = graph.producer(next).filter(|_| !taken) else { return false };
    let mut first: HashSet<TensorId> = HashSet::from([next]);
    for node in graph.nodes[..=producer].iter().rev() {
        if first.contains(&node.output) {
            first.extend(&node.inputs);
        }
    }
    let mut names = HashSet::from([value]);
    for node in &graph.nodes {
        let reads = node.inputs.iter().filter(|input| names.contains(input)).count();
        if reads == 0 {
            continue;
        }
        if renames_memory(graph, node) {
            names.insert(node.output);
        } else if node.output == next {
            let in_place = node.op.rule().in_place;
            let mut inputs = node.inputs.iter().enumerate();
            let allowed = inputs.any(|(at, input)| names.contains(input) && in_place >> at & 1 == 1);
            if reads > 1 || !allowed || graph.bytes(value) != graph.bytes(next) {
                return false;
            }
        } else if !first.contains(&node.output) {
            return false;
        }
    }
    true
}
