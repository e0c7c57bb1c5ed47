//! Where each tensor lies at run time: the order of the steps, the blocks of arena memory that they
//! share, and the plan that gives each block its place.
//!
//! A *block* is memory that several tensors may take one after the other: a reshape's output is its
//! input's block seen with another shape, and an operator that works in place writes over the block
//! of an input that nobody reads any more.
//!
//! States lie outside of the arena, one after the other. The value that a run finds and the value that
//! it leaves are two blocks in the same memory: the step that writes the second runs after all that
//! read the first.

use crate::graph::{Graph, Node, TensorId};
use crate::ops;
use crate::passes::plan_memory::{self, Buffer, CheckError, Overlap, Plan, PlanError};
use crate::passes::schedule::{self, OrderError, Problem, Step};
use flatpack_format::{ALIGN, OpCode, TensorType};
use std::collections::{HashMap, HashSet};
use thiserror::Error;

/// Where tensors lie, and in which order steps run.
#[derive(Clone, Debug)]
pub struct MemoryPlan {
    /// The nodes that compute, in the order in which they run; reshapes that only rename memory are
    /// left out.
    pub steps: Vec<Node>,
    /// Offset of each activation in the arena.
    pub offsets: HashMap<TensorId, u32>,
    /// Which state's memory each tensor has that has such.
    pub in_state: HashMap<TensorId, usize>,
    /// Offset of each state in the state memory.
    pub state_offsets: Vec<u32>,
    /// Size of the arena.
    pub arena_bytes: u32,
    /// Size of the state memory.
    pub state_bytes: u32,
    /// The largest sum of blocks alive at one step: no plan for this order is smaller.
    pub lower_bound_bytes: u32,
    /// Whether it is proved that no plan for this order is smaller.
    pub optimal: bool,
    /// Whether it is proved that no other order has a smaller lower bound.
    pub order_optimal: bool,
    /// Number of reshapes that cost nothing.
    pub free_reshapes: usize,
    /// Number of steps that write over their input.
    pub in_place: usize,
    /// Number of steps whose output lies over a part of their input.
    pub over_input: usize,
}

/// Why there is no plan.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// The graph is not in order.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// There is no place for the blocks.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The plan is wrong.
    #[error("the memory plan is wrong: {0}")]
    Check(#[from] CheckError),
    /// The states need more memory than there can be.
    #[error("the states need more than 4 GiB")]
    StatesTooLarge,
    /// The order of the steps does not keep what a state held until it has been read.
    #[error("layer `{layer}` reads state `{state}`, which another step has changed before")]
    StateChanged {
        /// The layer of the step that reads too late.
        layer: String,
        /// Name of the state.
        state: String,
    },
}

/// Plans the memory of a graph.
///
/// # Errors
/// If the activations need more than 4 GiB, or the graph is not in order.
pub fn plan(graph: &Graph) -> Result<MemoryPlan, MemoryError> {
    let mut blocks = Blocks::new(graph);
    let (reshapes, mut steps): (Vec<&Node>, Vec<&Node>) =
        graph.nodes.iter().partition(|node| renames_memory(graph, node));
    for reshape in &reshapes {
        blocks.join(reshape.inputs[0], reshape.output);
    }
    blocks.set_states(graph);
    let order = schedule::order(&problem(graph, &mut blocks, &steps))?;
    steps = order.steps.iter().map(|&step| steps[step]).collect();

    let in_place = work_in_place(graph, &mut blocks, &steps);
    let (roots, buffers) = buffers(graph, &mut blocks, &steps);
    let overlaps = overlaps(graph, &mut blocks, &steps, &roots, &buffers);
    let Plan { offsets, arena_bytes, lower_bound_bytes, optimal } =
        plan_memory::plan(&buffers, &overlaps, ALIGN)?;
    plan_memory::check(&buffers, &overlaps, ALIGN, &offsets)?;
    let over_input = overlaps.iter().filter(|&&Overlap { input, output, .. }| {
        let end = |buffer: usize| offsets[buffer] + buffers[buffer].bytes;
        offsets[input] < end(output) && offsets[output] < end(input)
    });
    let over_input = over_input.count();
    let place: HashMap<usize, u32> = roots.into_iter().zip(offsets).collect();
    let tensors = || (0..graph.tensors.len()).map(TensorId);
    let in_state = tensors().filter_map(|id| Some((id, blocks.state(id)?))).collect();
    check_states(graph, &steps, &in_state)?;
    let mut state_offsets = Vec::new();
    let mut state_bytes = 0u32;
    for state in &graph.states {
        state_offsets.push(state_bytes);
        let end = state_bytes.checked_add(graph.bytes(state.value));
        state_bytes =
            end.and_then(|end| end.checked_next_multiple_of(ALIGN)).ok_or(MemoryError::StatesTooLarge)?;
    }
    Ok(MemoryPlan {
        steps: steps.into_iter().cloned().collect(),
        offsets: tensors().filter_map(|id| Some((id, *place.get(&blocks.root(id))?))).collect(),
        in_state,
        state_offsets,
        arena_bytes,
        state_bytes,
        lower_bound_bytes,
        optimal,
        order_optimal: order.optimal && over_input == 0,
        free_reshapes: reshapes.len(),
        in_place,
        over_input,
    })
}

/// Whether a node is a reshape that gives memory another shape. One of a constant copies, and so does
/// one whose output has a place of its own: the next value of a state, or an output of the model that
/// would lie in the memory of a state.
pub(crate) fn renames_memory(graph: &Graph, node: &Node) -> bool {
    let is_next = |id: TensorId| graph.states.iter().any(|state| state.next == Some(id));
    if node.op != OpCode::Reshape || graph.is_constant(node.inputs[0]) || is_next(node.output) {
        return false;
    }
    let origin = origin(graph, node.inputs[0]);
    let in_state = graph.state(origin).is_some() || is_next(origin);
    !(in_state && graph.outputs.contains(&node.output))
}

/// What a tensor is another shape of: itself, or what the first of a chain of reshapes reads, as far as
/// they do not copy to a state.
fn origin(graph: &Graph, mut id: TensorId) -> TensorId {
    while let Some(producer) = graph.producer(id).map(|position| &graph.nodes[position]) {
        let is_next = graph.states.iter().any(|state| state.next == Some(id));
        if producer.op != OpCode::Reshape || is_next {
            break;
        }
        id = producer.inputs[0];
    }
    id
}

/// Proves that the order of the steps keeps what a state held until it has been read: follows what the
/// memory of each state holds.
fn check_states(
    graph: &Graph,
    steps: &[&Node],
    in_state: &HashMap<TensorId, usize>,
) -> Result<(), MemoryError> {
    let mut changed = vec![false; graph.states.len()];
    let next_of = |id: TensorId| graph.states.iter().position(|state| state.next == Some(id));
    for step in steps {
        for input in &step.inputs {
            let Some(&at) = in_state.get(input) else { continue };
            let holds_next = next_of(origin(graph, *input)).is_some();
            if changed[at] != holds_next {
                let state = graph.tensor(graph.states[at].value).name.clone();
                return Err(MemoryError::StateChanged { layer: step.layer.clone(), state });
            }
        }
        let updated = ops::updated(step).iter().chain([&step.output]);
        updated.filter_map(|id| in_state.get(id)).for_each(|&at| changed[at] = true);
    }
    Ok(())
}

/// Which tensors share a block: a union-find.
struct Blocks {
    parent: Vec<usize>,
    constant: Vec<bool>,
    /// The state whose memory the block with this root is.
    states: HashMap<usize, usize>,
}

impl Blocks {
    fn new(graph: &Graph) -> Self {
        Self {
            parent: (0..graph.tensors.len()).collect(),
            constant: graph.tensors.iter().map(|tensor| tensor.data.is_some()).collect(),
            states: HashMap::new(),
        }
    }

    /// Takes the blocks that are now those of states out of the arena.
    fn set_states(&mut self, graph: &Graph) {
        for (at, state) in graph.states.iter().enumerate() {
            for id in [Some(state.value), state.next].into_iter().flatten() {
                let root = self.root(id);
                self.states.insert(root, at);
            }
        }
    }

    fn state(&mut self, id: TensorId) -> Option<usize> {
        let root = self.root(id);
        self.states.get(&root).copied()
    }

    fn root(&mut self, id: TensorId) -> usize {
        let mut root = id.0;
        while self.parent[root] != root {
            self.parent[root] = self.parent[self.parent[root]];
            root = self.parent[root];
        }
        root
    }

    fn join(&mut self, first: TensorId, second: TensorId) {
        let (first, second) = (self.root(first), self.root(second));
        self.parent[second] = first;
    }

    /// The blocks of a node's inputs that are no constants.
    fn reads(&mut self, node: &Node) -> Vec<usize> {
        let activations: Vec<TensorId> =
            node.inputs.iter().copied().filter(|id| !self.constant[id.0]).collect();
        activations.into_iter().map(|id| self.root(id)).collect()
    }

    /// Inputs of the node whose memory its output may take if nobody else needs it: those that the
    /// kernel can stand, that are no constants, as large as the output, and read once. Nothing takes
    /// the memory of a state, and a state takes no other.
    fn may_take(&mut self, graph: &Graph, node: &Node) -> Vec<TensorId> {
        let reads = self.reads(node);
        let in_state = self.state(node.output).is_some();
        let allowed = if in_state { 0 } else { node.op.rule().in_place };
        let inputs = node.inputs.iter().enumerate().filter(|(at, _)| allowed >> at & 1 == 1);
        inputs
            .map(|(_, &input)| input)
            .filter(|&input| {
                let block = self.root(input);
                !self.constant[input.0]
                    && !self.states.contains_key(&block)
                    && graph.bytes(input) == graph.bytes(node.output)
                    && reads.iter().filter(|&&read| read == block).count() == 1
            })
            .collect()
    }
}

/// A size rounded up to the alignment. The largest are rounded down: no plan has room for them.
fn aligned(bytes: u32) -> u32 {
    bytes.checked_next_multiple_of(ALIGN).unwrap_or(u32::MAX - u32::MAX % ALIGN)
}

fn problem(graph: &Graph, blocks: &mut Blocks, steps: &[&Node]) -> Problem {
    let mut index: HashMap<usize, usize> = HashMap::new();
    let mut buffer_bytes = Vec::new();
    let mut number = |blocks: &mut Blocks, id: TensorId| {
        let root = blocks.root(id);
        *index.entry(root).or_insert_with(|| {
            let in_arena = !blocks.states.contains_key(&root);
            let bytes = if in_arena { aligned(graph.bytes(TensorId(root))) } else { 0 };
            buffer_bytes.push(bytes);
            buffer_bytes.len() - 1
        })
    };
    let found = graph.inputs.iter().copied().chain(graph.states.iter().map(|state| state.value));
    let inputs = found.map(|id| number(blocks, id)).collect();
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
    let steps = steps
        .iter()
        .enumerate()
        .map(|(position, node)| {
            let activations: Vec<TensorId> =
                node.inputs.iter().copied().filter(|&id| !graph.is_constant(id)).collect();
            Step {
                in_place: blocks.may_take(graph, node).first().map(|&id| number(blocks, id)),
                reads: activations.into_iter().map(|id| number(blocks, id)).collect(),
                writes: vec![number(blocks, node.output)],
                after: after(position, node),
            }
        })
        .collect();
    let outputs = graph.outputs.iter().map(|&id| number(blocks, id)).collect();
    Problem { buffer_bytes, inputs, outputs, steps }
}

/// Joins outputs with inputs that die there; gives how many.
fn work_in_place(graph: &Graph, blocks: &mut Blocks, steps: &[&Node]) -> usize {
    let mut count = 0;
    for (position, node) in steps.iter().enumerate() {
        let taken = blocks.may_take(graph, node).into_iter().find(|&input| {
            let block = blocks.root(input);
            let read_later = steps[position + 1..].iter().any(|later| blocks.reads(later).contains(&block));
            let is_output = graph.outputs.iter().any(|&output| blocks.root(output) == block);
            !read_later && !is_output
        });
        if let Some(input) = taken {
            blocks.join(input, node.output);
            count += 1;
        }
    }
    count
}

/// Outputs that may lie over the input that their step is the last to read: of operators that go row by
/// row.
fn overlaps(
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
        let (x_block, y_block) = (blocks.root(x), blocks.root(y));
        let is_output = graph.outputs.iter().any(|&output| blocks.root(output) == x_block);
        let read_twice = blocks.reads(node).iter().filter(|&&read| read == x_block).count() != 1;
        let (Some(&input), Some(&output)) = (index.get(&x_block), index.get(&y_block)) else { continue };
        let last = buffers[input].last_step == position && buffers[output].first_step == position;
        if last && !is_output && !read_twice && input != output {
            overlaps.push(Overlap { input, output, distances });
        }
    }
    overlaps
}

/// The blocks with their lifetimes. Inputs are alive from the first step, since all are written
/// before it; outputs to the last.
fn buffers(graph: &Graph, blocks: &mut Blocks, steps: &[&Node]) -> (Vec<usize>, Vec<Buffer>) {
    let mut lifetimes: Vec<(usize, u32, u32)> = Vec::new();
    let states: HashSet<usize> = blocks.states.keys().copied().collect();
    let mut alive = |root: usize, step: u32| match lifetimes.iter_mut().find(|(r, _, _)| *r == root) {
        Some((_, first, last)) => (*first, *last) = ((*first).min(step), (*last).max(step)),
        None if states.contains(&root) => {}
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
    let buffer = |&(root, first_step, last_step): &(usize, u32, u32)| Buffer {
        bytes: graph.bytes(TensorId(root)),
        first_step,
        last_step,
    };
    (lifetimes.iter().map(|l| l.0).collect(), lifetimes.iter().map(buffer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::Shape;

    #[test]
    fn the_largest_tensors_have_no_plan() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[u32::MAX / 4]).unwrap());
        let y = graph.add_node("y", OpCode::Abs, (), &[x]).unwrap();
        graph.outputs.push(y);
        assert!(matches!(plan(&graph), Err(MemoryError::Plan(PlanError::TooLarge { .. }))));
    }
}
