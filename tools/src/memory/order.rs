//! What the search for an order of the steps is to know of a graph.

use super::blocks::Blocks;
use crate::graph::{Graph, Node, TensorId};
use crate::ops;
use crate::passes::schedule::{Problem, Step};
use flatpack_format::ALIGN;
use std::collections::{HashMap, HashSet};

pub(super) fn problem(graph: &Graph, blocks: &mut Blocks, steps: &[&Node]) -> Problem {
    let mut index: HashMap<usize, usize> = HashMap::new();
    let mut buffer_bytes = Vec::new();
    let mut number = |blocks: &mut Blocks, id: TensorId| {
        let root = blocks.root(id);
        *index.entry(root).or_insert_with(|| {
            let bytes = if blocks.is_state(root) { 0 } else { aligned(graph.bytes(TensorId(root))) };
            buffer_bytes.push(bytes);
            buffer_bytes.len() - 1
        })
    };
    let found = graph.inputs.iter().copied().chain(graph.states.iter().map(|state| state.value));
    let inputs: Vec<usize> = found.map(|id| number(blocks, id)).collect();
    let readers: Vec<Vec<usize>> = graph
        .states
        .iter()
        .map(|state| {
            let block = blocks.root(state.value);
            (0..steps.len()).filter(|&step| blocks.reads(steps[step]).contains(&block)).collect()
        })
        .collect();
    // A step that changes a state runs after all others that read what the state held.
    let after = |position: usize, node: &Node| -> Vec<usize> {
        let changes = graph.states.iter().zip(&readers).filter(|(state, _)| {
            state.next == Some(node.output) || ops::updated(node).contains(&state.value)
        });
        let first: HashSet<usize> = changes.flat_map(|(_, readers)| readers.iter().copied()).collect();
        let mut first: Vec<usize> = first.into_iter().filter(|&reader| reader != position).collect();
        first.sort_unstable();
        first
    };
    let writers = writers(graph, steps);
    // A block of pieces is alive once one of them is: the first step writes all of it.
    let mut written: HashSet<usize> = inputs.iter().copied().collect();
    let steps = steps
        .iter()
        .enumerate()
        .map(|(position, node)| {
            let activations: Vec<TensorId> =
                node.inputs.iter().copied().filter(|&id| !graph.is_constant(id)).collect();
            let before = activations.iter().filter_map(|id| writers.get(id)).flatten().copied();
            let mut reads: Vec<usize> = activations.iter().map(|&id| number(blocks, id)).collect();
            let mut writes = vec![number(blocks, node.output)];
            let in_place = blocks.may_take(graph, node).first().map(|&id| number(blocks, id));
            if !written.insert(writes[0]) {
                reads.append(&mut writes);
            }
            let after = after(position, node).into_iter().chain(before).collect();
            Step { in_place, reads, writes, after }
        })
        .collect();
    let outputs = graph.outputs.iter().map(|&id| number(blocks, id)).collect();
    Problem { buffer_bytes, inputs, outputs, steps }
}

/// For each tensor, the steps that write a part of it.
fn writers(graph: &Graph, steps: &[&Node]) -> HashMap<TensorId, Vec<usize>> {
    let step_of: HashMap<TensorId, usize> =
        steps.iter().enumerate().map(|(position, node)| (node.output, position)).collect();
    let mut writers: HashMap<TensorId, Vec<usize>> = HashMap::new();
    for node in &graph.nodes {
        let of_node = match step_of.get(&node.output) {
            Some(&step) => vec![step],
            None => node.inputs.iter().filter_map(|input| writers.get(input)).flatten().copied().collect(),
        };
        writers.insert(node.output, of_node);
    }
    writers
}

/// A size rounded up to the alignment. The largest are rounded down: no plan has room for them.
fn aligned(bytes: u32) -> u32 {
    bytes.checked_next_multiple_of(ALIGN).unwrap_or(u32::MAX - u32::MAX % ALIGN)
}
