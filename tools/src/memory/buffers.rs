//! What the search for places in memory is to know of a graph: blocks, lifetimes, what may lie over what.

use super::blocks::Blocks;
use crate::graph::{Graph, Node, TensorId};
use crate::passes::plan_memory::{Buffer, Overlap};
use flatpack_format::TensorType;
use std::collections::HashMap;

/// Joins outputs with inputs that die there; gives how many.
pub(super) fn work_in_place(graph: &Graph, blocks: &mut Blocks, steps: &[&Node]) -> usize {
    let mut count = 0;
    for (position, node) in steps.iter().enumerate() {
        let taken = blocks.may_take(graph, node).into_iter().find(|&input| {
            let block = blocks.root(input);
            let read_later = steps[position + 1..].iter().any(|later| blocks.reads(later).contains(&block));
            let is_output = graph.outputs.iter().any(|&output| blocks.root(output) == block);
            !read_later && !is_output
        });
        if taken.is_some_and(|input| blocks.join(input, node.output)) {
            count += 1;
        }
    }
    count
}

/// Outputs that may lie over the input that their step is the last to read: of operators that go row by
/// row.
pub(super) fn overlaps(
    graph: &Graph,
    blocks: &mut Blocks,
    steps: &[&Node],
    roots: &[usize],
    buffers: &[Buffer],
) -> Vec<Overlap> {
    let index: HashMap<usize, usize> = roots.iter().enumerate().map(|(at, &root)| (root, at)).collect();
    let mut overlaps = Vec::new();
    for (position, node) in (0..).zip(steps) {
        let (x, y) = (node.inputs[0], node.output);
        let types: Vec<TensorType> = node.inputs.iter().map(|&id| graph.tensor(id).tensor_type).collect();
        let rows = (node.op.rule().rows)(&node.params, &types, &graph.tensor(y).tensor_type);
        let Some(distances) = rows.and_then(|rows| rows.overlap()) else { continue };
        let ((x_block, x_at), (y_block, y_at)) = (blocks.place(x), blocks.place(y));
        let is_output = graph.outputs.iter().any(|&output| blocks.root(output) == x_block);
        let read_twice = blocks.reads(node).iter().filter(|&&read| read == x_block).count() != 1;
        let (Some(&input), Some(&output)) = (index.get(&x_block), index.get(&y_block)) else { continue };
        let last = buffers[input].last_step == position && buffers[output].first_step == position;
        if last && !is_output && !read_twice && input != output {
            // Distances of the tensors, as those of their blocks.
            let between = |bytes: u32, from: u32, to: u32| bytes.saturating_add(to).saturating_sub(from);
            let distances = flatpack_format::Overlap {
                before: between(distances.before, x_at, y_at),
                after: between(distances.after, y_at, x_at),
            };
            overlaps.push(Overlap { input, output, distances });
        }
    }
    overlaps
}

/// The blocks with their lifetimes. Inputs are alive from the first step, since all are written
/// before it; outputs to the last.
pub(super) fn buffers(graph: &Graph, blocks: &mut Blocks, steps: &[&Node]) -> (Vec<usize>, Vec<Buffer>) {
    let mut lifetimes: Vec<(usize, u32, u32)> = Vec::new();
    let mut alive = |root: usize, step: u32| match lifetimes.iter_mut().find(|(r, _, _)| *r == root) {
        Some((_, first, last)) => (*first, *last) = ((*first).min(step), (*last).max(step)),
        None => lifetimes.push((root, step, step)),
    };
    for &input in &graph.inputs {
        alive(blocks.root(input), 0);
    }
    for (step, node) in (0..).zip(steps) {
        for read in blocks.reads(node) {
            alive(read, step);
        }
        alive(blocks.root(node.output), step);
    }
    for &output in &graph.outputs {
        alive(blocks.root(output), steps.len().saturating_sub(1) as u32);
    }
    lifetimes.retain(|(root, ..)| !blocks.is_state(*root));
    let buffer = |&(root, first_step, last_step): &(usize, u32, u32)| Buffer {
        bytes: graph.bytes(TensorId(root)),
        first_step,
        last_step,
    };
    (lifetimes.iter().map(|l| l.0).collect(), lifetimes.iter().map(buffer).collect())
}

/// For each of the blocks with these roots, the bytes that a run reads and writes in it: an operator reads an
/// input once for each of its multiply-accumulates, but every element once at least, and writes its output
/// once.
pub(super) fn touched(graph: &Graph, blocks: &mut Blocks, steps: &[&Node], roots: &[usize]) -> Vec<u64> {
    let mut touched = vec![0u64; roots.len()];
    let mut add = |root: usize, bytes: u64| {
        if let Some(at) = roots.iter().position(|&other| other == root) {
            touched[at] = touched[at].saturating_add(bytes);
        }
    };
    for node in steps {
        let macs = graph.macs(node);
        for &input in &node.inputs {
            let element_bytes = u64::from(graph.tensor(input).tensor_type.dtype.bytes());
            let read = macs.saturating_mul(element_bytes).max(graph.bytes(input).into());
            add(blocks.root(input), read);
        }
        add(blocks.root(node.output), graph.bytes(node.output).into());
    }
    touched
}
