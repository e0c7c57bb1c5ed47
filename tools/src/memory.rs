//! Where each tensor lies at run time: the order of the steps, the blocks of arena memory that they
//! share, and the plan that gives each block its place.
//!
//! A *block* is memory that several tensors may take one after the other: a reshape's output is its
//! input's block seen with another shape, and an operator that works in place writes over the block
//! of an input that nobody reads any more. A tensor may also be a piece of a block: what a slice takes,
//! where its elements follow each other in memory, and what a concatenation puts one after the other.
//!
//! Where a board has a fast memory and a slow one, the blocks that are read and written most for their size
//! lie in the fast one.
//!
//! States lie outside of the arena, one after the other. The value that a run finds and the value that
//! it leaves are two blocks in the same memory: the step that writes the second runs after all that
//! read the first.

use crate::graph::{Graph, Node, State, TensorId};
use crate::ops;
use crate::passes::plan_memory::{self, Buffer, CheckError, DivideError, Division, Overlap, PlanError};
use crate::passes::schedule::{self, OrderError, Problem, Step};
use flatpack_format::ops::concatenate::ConcatenateParams;
use flatpack_format::ops::strided_slice::StridedSliceParams;
use flatpack_format::{ALIGN, OpCode, TensorType};
use std::collections::{HashMap, HashSet};
use thiserror::Error;

/// A memory of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// What the board calls it, such as `dtcm`.
    pub name: String,
    /// Its size.
    pub bytes: u32,
}

/// The memories of a board that a model may have, the faster one first: with more than two, the others are
/// not used.
pub type Regions = [Region];

/// Where tensors lie, and in which order steps run.
#[derive(Clone, Debug)]
pub struct MemoryPlan {
    /// The nodes that compute, in the order in which they run; reshapes, slices and concatenations that
    /// only rename memory are left out.
    pub steps: Vec<Node>,
    /// Offset of each activation in the arena, but those in the far arena.
    pub offsets: HashMap<TensorId, u32>,
    /// Offset of each activation in the far arena that lies there.
    pub far_offsets: HashMap<TensorId, u32>,
    /// Which state's memory each tensor has that has such.
    pub in_state: HashMap<TensorId, usize>,
    /// Offset of each state in the state memory.
    pub state_offsets: Vec<u32>,
    /// Size of the arena.
    pub arena_bytes: u32,
    /// Size of the state memory.
    pub state_bytes: u32,
    /// Size of the far arena.
    pub far_bytes: u32,
    /// Bytes of activations that a run reads and writes, each time that an operator's formula names them: in
    /// the arena, and in the far arena.
    pub touched_bytes: [u64; 2],
    /// The largest sum of blocks alive at one step: no plan for this order is smaller.
    pub lower_bound_bytes: u32,
    /// Whether it is proved that no plan for this order is smaller.
    pub optimal: bool,
    /// Whether it is proved that no other order has a smaller lower bound.
    pub order_optimal: bool,
    /// Number of reshapes that cost nothing.
    pub free_reshapes: usize,
    /// Number of slices and concatenations that cost nothing.
    pub free_pieces: usize,
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
    /// The states are larger than the region that they lie in.
    #[error("the states need {state_bytes} bytes and lie in the first region, `{}`, which has {}", .region.name, .region.bytes)]
    StatesDoNotFit {
        /// Bytes of the states.
        state_bytes: u32,
        /// The first region.
        region: Region,
    },
    /// The arena is larger than the only region.
    #[error(
        "arena and states need {needed_bytes} bytes, and region `{}` has {}: {} are missing",
        .region.name, .region.bytes, .needed_bytes - .region.bytes
    )]
    RegionTooSmall {
        /// Bytes that would do.
        needed_bytes: u32,
        /// The region.
        region: Region,
    },
    /// What does not fit in the first region does not fit in the second.
    #[error(
        "what `{}` ({} bytes) does not hold needs {far_bytes} bytes, and region `{}` has {}: {} are missing; \
         --region {}={far_bytes} would do, or --region {}={bytes} alone",
        .regions[0].name, .regions[0].bytes, .regions[1].name, .regions[1].bytes,
        .far_bytes - .regions[1].bytes, .regions[1].name, .regions[0].name
    )]
    RegionsTooSmall {
        /// Bytes of the second region that would do.
        far_bytes: u32,
        /// Bytes of the first region that would do.
        bytes: u32,
        /// The regions.
        regions: Box<[Region; 2]>,
    },
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
/// Slices and concatenations whose elements are in their places already cost nothing. But a piece keeps the
/// whole of its block alive: where the arena is smaller if they copy, they do.
///
/// # Errors
/// If the activations need more than 4 GiB, or the graph is not in order.
pub fn plan(graph: &Graph) -> Result<MemoryPlan, MemoryError> {
    plan_in(graph, &[])
}

/// Plans the memory of a graph for a board with these regions; none stands for memory enough. States lie in
/// the first.
///
/// # Errors
/// As [`plan`], or if a region is too small.
pub fn plan_in(graph: &Graph, regions: &Regions) -> Result<MemoryPlan, MemoryError> {
    let mut plans = Layout::all(graph).map(|mut layout| layout.plan(regions));
    let mut best = plans.next().unwrap_or_else(|| Layout::new(graph, &[]).plan(regions));
    let taken = |plan: &MemoryPlan| (plan.far_bytes, plan.arena_bytes);
    for plan in plans {
        let is_better = match (&plan, &best) {
            (Ok(plan), Ok(best)) => taken(plan) < taken(best),
            (found, best) => found.is_ok() && best.is_err(),
        };
        if is_better {
            best = plan;
        }
    }
    best
}

/// The bytes that are alive at each step of a graph in its own order, with the output of the step, where the
/// largest of them is as small as slices and concatenations allow. Few plans for this order are smaller than
/// that.
///
/// # Errors
/// If the activations need more than 4 GiB.
pub(crate) fn loads(graph: &Graph) -> Result<Vec<(TensorId, u64)>, MemoryError> {
    let mut best: Option<Vec<(TensorId, u64)>> = None;
    let most = |loads: &[(TensorId, u64)]| loads.iter().map(|&(_, load)| load).max();
    for mut layout in Layout::all(graph) {
        let loads = layout.loads()?;
        if best.as_ref().is_none_or(|best| most(&loads) < most(best)) {
            best = Some(loads);
        }
    }
    Ok(best.unwrap_or_default())
}

/// The steps of a graph and the blocks of its tensors, before places are sought.
struct Layout<'a> {
    graph: &'a Graph,
    blocks: Blocks,
    steps: Vec<&'a Node>,
    free_reshapes: usize,
    /// Slices that cost nothing, and concatenations.
    free_pieces: [usize; 2],
}

impl<'a> Layout<'a> {
    /// Every choice of the operators that may only rename memory.
    fn all(graph: &'a Graph) -> impl Iterator<Item = Self> {
        const CHOICES: [&[OpCode]; 4] = [
            &[OpCode::StridedSlice, OpCode::Concatenate],
            &[OpCode::StridedSlice],
            &[OpCode::Concatenate],
            &[],
        ];
        let mut known = HashSet::new();
        let layouts = CHOICES.into_iter().map(|free| Self::new(graph, free));
        layouts.filter(move |layout| known.insert(layout.free_pieces))
    }

    /// The steps in the order of the graph; operators in `free` are none where they only rename memory.
    fn new(graph: &'a Graph, free: &[OpCode]) -> Self {
        let mut blocks = Blocks::new(graph);
        let (reshapes, mut steps): (Vec<&Node>, Vec<&Node>) =
            graph.nodes.iter().partition(|node| renames_memory(graph, node));
        for reshape in &reshapes {
            blocks.join(reshape.inputs[0], reshape.output);
        }
        blocks.set_states(graph);
        let mut free_pieces = [0; 2];
        // From the last to the first: what a piece is put into may be a piece itself.
        steps.reverse();
        steps.retain(|node| {
            let joins = free.contains(&node.op) && blocks.joins_pieces(graph, node);
            free_pieces[usize::from(node.op == OpCode::Concatenate)] += usize::from(joins);
            !joins
        });
        steps.reverse();
        Self { graph, blocks, steps, free_reshapes: reshapes.len(), free_pieces }
    }

    fn loads(&mut self) -> Result<Vec<(TensorId, u64)>, MemoryError> {
        self.work_in_place();
        let (_, buffers, overlaps) = self.buffers_and_overlaps();
        let loads = plan_memory::step_loads(&buffers, &overlaps, ALIGN)?;
        Ok(self.steps.iter().map(|step| step.output).zip(loads).collect())
    }

    fn work_in_place(&mut self) -> usize {
        work_in_place(self.graph, &mut self.blocks, &self.steps)
    }

    fn buffers_and_overlaps(&mut self) -> (Vec<usize>, Vec<Buffer>, Vec<Overlap>) {
        let (graph, blocks, steps) = (self.graph, &mut self.blocks, &self.steps);
        let (roots, buffers) = buffers(graph, blocks, steps);
        let overlaps = overlaps(graph, blocks, steps, &roots, &buffers);
        (roots, buffers, overlaps)
    }

    fn plan(&mut self, regions: &Regions) -> Result<MemoryPlan, MemoryError> {
        let graph = self.graph;
        let order = schedule::order(&problem(graph, &mut self.blocks, &self.steps))?;
        self.steps = order.steps.iter().map(|&step| self.steps[step]).collect();
        let in_place = self.work_in_place();
        let (roots, buffers, overlaps) = self.buffers_and_overlaps();
        let blocks = &mut self.blocks;
        let touched = touched(graph, blocks, &self.steps, &roots);
        let state_bytes = state_bytes(graph)?;
        let division = divide(&buffers, &overlaps, &touched, state_bytes, regions)?;
        plan_memory::check_division(&buffers, &overlaps, ALIGN, &division)?;
        let Division { far, offsets, arena_bytes: [arena_bytes, far_bytes], lower_bound_bytes, optimal } =
            division;
        let over_input = overlaps.iter().filter(|&&Overlap { input, output, .. }| {
            let end = |buffer: usize| offsets[buffer] + buffers[buffer].bytes;
            far[input] == far[output] && offsets[input] < end(output) && offsets[output] < end(input)
        });
        let over_input = over_input.count();
        let mut touched_bytes = [0u64; 2];
        far.iter().zip(touched).for_each(|(&far, touched)| touched_bytes[usize::from(far)] += touched);
        let place: HashMap<usize, (bool, u32)> =
            roots.into_iter().zip(far.into_iter().zip(offsets)).collect();
        let tensors = || (0..graph.tensors.len()).map(TensorId);
        let in_state = tensors().filter_map(|id| Some((id, blocks.state(id)?))).collect();
        check_states(graph, &self.steps, &in_state)?;
        let (mut offsets, mut far_offsets) = (HashMap::new(), HashMap::new());
        for id in tensors() {
            let (root, at) = blocks.place(id);
            if let Some(&(is_far, offset)) = place.get(&root) {
                if is_far { &mut far_offsets } else { &mut offsets }.insert(id, offset + at);
            }
        }
        let mut end = 0;
        let mut state_offset = |state: &State| {
            let offset = end;
            end = (end + graph.bytes(state.value)).next_multiple_of(ALIGN);
            offset
        };
        Ok(MemoryPlan {
            steps: self.steps.iter().copied().cloned().collect(),
            offsets,
            far_offsets,
            in_state,
            state_offsets: graph.states.iter().map(&mut state_offset).collect(),
            arena_bytes,
            state_bytes,
            far_bytes,
            touched_bytes,
            lower_bound_bytes,
            optimal,
            order_optimal: order.optimal && over_input == 0 && self.free_pieces == [0; 2],
            free_reshapes: self.free_reshapes,
            free_pieces: self.free_pieces.iter().sum(),
            in_place,
            over_input,
        })
    }
}

/// Bytes of all states, one after the other.
fn state_bytes(graph: &Graph) -> Result<u32, MemoryError> {
    let mut states = graph.states.iter();
    let bytes = states.try_fold(0u32, |end, state| {
        end.checked_add(graph.bytes(state.value))?.checked_next_multiple_of(ALIGN)
    });
    bytes.ok_or(MemoryError::StatesTooLarge)
}

/// Divides the blocks between the regions; without any, all lie in one memory.
fn divide(
    buffers: &[Buffer],
    overlaps: &[Overlap],
    touched: &[u64],
    state_bytes: u32,
    regions: &Regions,
) -> Result<Division, MemoryError> {
    let near_bytes = match regions.first() {
        None => u32::MAX,
        Some(region) => region
            .bytes
            .checked_sub(state_bytes)
            .ok_or_else(|| MemoryError::StatesDoNotFit { state_bytes, region: region.clone() })?,
    };
    let far_bytes = regions.get(1).map_or(0, |region| region.bytes);
    let division = plan_memory::divide(buffers, overlaps, touched, ALIGN, [near_bytes, far_bytes]);
    division.map_err(|error| match (error, regions) {
        (DivideError::Plan(error), _) => MemoryError::Plan(error),
        (DivideError::DoesNotFit { far_bytes, bytes }, [near, far, ..]) => MemoryError::RegionsTooSmall {
            far_bytes,
            bytes: bytes.saturating_add(state_bytes),
            regions: Box::new([near.clone(), far.clone()]),
        },
        (DivideError::DoesNotFit { bytes, .. }, _) => MemoryError::RegionTooSmall {
            needed_bytes: bytes.saturating_add(state_bytes),
            region: regions.first().cloned().unwrap_or(Region { name: "arena".into(), bytes: near_bytes }),
        },
    })
}

/// For each of the blocks with these roots, the bytes that a run reads and writes in it: an operator reads an
/// input once for each of its multiply-accumulates, but every element once at least, and writes its output
/// once.
fn touched(graph: &Graph, blocks: &mut Blocks, steps: &[&Node], roots: &[usize]) -> Vec<u64> {
    let mut touched = vec![0u64; roots.len()];
    let mut add = |root: usize, bytes: u64| {
        if let Some(at) = roots.iter().position(|&other| other == root) {
            touched[at] = touched[at].saturating_add(bytes);
        }
    };
    for node in steps {
        let types: Vec<TensorType> = node.inputs.iter().map(|&id| graph.tensor(id).tensor_type).collect();
        let macs = (node.op.rule().macs)(&node.params, &types, &graph.tensor(node.output).tensor_type);
        for &input in &node.inputs {
            let element_bytes = u64::from(graph.tensor(input).tensor_type.dtype.bytes());
            let read = macs.saturating_mul(element_bytes).max(graph.bytes(input).into());
            add(blocks.root(input), read);
        }
        add(blocks.root(node.output), graph.bytes(node.output).into());
    }
    touched
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

/// Which tensors share a block: a union-find, with the place of each tensor in its block. The root of a
/// block is as large as the block.
struct Blocks {
    parent: Vec<usize>,
    /// First byte of each tensor in its parent.
    at: Vec<u32>,
    bytes: Vec<u32>,
    constant: Vec<bool>,
    /// The state whose memory the block with this root is.
    states: HashMap<usize, usize>,
}

impl Blocks {
    fn new(graph: &Graph) -> Self {
        let count = graph.tensors.len();
        Self {
            parent: (0..count).collect(),
            at: vec![0; count],
            bytes: (0..count).map(|id| graph.bytes(TensorId(id))).collect(),
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

    /// The root of a tensor's block, and the first byte of the tensor in it.
    fn place(&mut self, id: TensorId) -> (usize, u32) {
        let (mut root, mut at) = (id.0, 0);
        while self.parent[root] != root {
            at += self.at[root];
            root = self.parent[root];
        }
        (self.parent[id.0], self.at[id.0]) = (root, at);
        (root, at)
    }

    fn root(&mut self, id: TensorId) -> usize {
        self.place(id).0
    }

    /// The root of a tensor's block, if the tensor is the whole of it.
    fn whole(&mut self, id: TensorId) -> Option<usize> {
        let root = self.root(id);
        (self.bytes[root] == self.bytes[id.0]).then_some(root)
    }

    /// Makes the block of `inner` a piece of that of `outer`, from a byte of `outer` on.
    fn put(&mut self, inner: usize, outer: TensorId, byte: u32) {
        let (root, at) = self.place(outer);
        (self.parent[inner], self.at[inner]) = (root, at + byte);
    }

    /// Makes one block of those of two tensors as large as each other, of which at least one is the whole of
    /// its block. Whether that is so.
    fn join(&mut self, first: TensorId, second: TensorId) -> bool {
        if let Some(second) = self.whole(second) {
            self.put(second, first, 0);
            return true;
        }
        let first = self.whole(first);
        first.inspect(|&first| self.put(first, second, 0)).is_some()
    }

    /// Whether a node is a slice or a concatenation whose output need only be a name for memory, or whose
    /// inputs can be computed in their places in the output: then it makes them pieces of one block.
    fn joins_pieces(&mut self, graph: &Graph, node: &Node) -> bool {
        let Some(pieces) = pieces(graph, node) else { return false };
        let mut roots = HashSet::new();
        for &(inner, outer, byte) in &pieces {
            let in_arena = [inner, outer].iter().all(|&id| !self.constant[id.0] && self.state(id).is_none());
            let whole = self.whole(inner).filter(|&root| root != self.root(outer) && roots.insert(root));
            if !in_arena || whole.is_none() || !byte.is_multiple_of(ALIGN) {
                return false;
            }
        }
        for (inner, outer, byte) in pieces {
            let inner = self.root(inner);
            self.put(inner, outer, byte);
        }
        true
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

/// What is a piece of what if a node is a slice or a concatenation whose elements follow each other in
/// memory: inner tensor, outer tensor, and the byte of the outer with which the inner begins.
fn pieces(graph: &Graph, node: &Node) -> Option<Vec<(TensorId, TensorId, u32)>> {
    let bytes_of_index = |id: TensorId, axis: usize| {
        let inner = graph.dims(id)[axis + 1..].iter().product::<u32>();
        inner * graph.tensor(id).tensor_type.dtype.bytes()
    };
    let y = node.output;
    match node.op {
        OpCode::Concatenate => {
            let axis = node.params::<ConcatenateParams>().axis as usize;
            let is_outermost = graph.dims(y)[..axis].iter().all(|&dim| dim == 1);
            let mut end = 0;
            let mut piece = |&x: &TensorId| {
                let begin = end;
                end += graph.bytes(x);
                (x, y, begin)
            };
            is_outermost.then(|| node.inputs.iter().map(&mut piece).collect())
        }
        OpCode::StridedSlice => {
            let StridedSliceParams { begin, stride, .. } = node.params();
            let (x, sizes) = (node.inputs[0], graph.dims(y));
            // Up to an axis single indices, after it all of them.
            let axis = sizes.iter().position(|&size| size != 1).unwrap_or(0);
            let all = (axis + 1..sizes.len()).all(|axis| sizes[axis] == graph.dims(x)[axis]);
            let forward = (axis..sizes.len()).all(|axis| stride[axis] == 1 || sizes[axis] == 1);
            let first = (0..sizes.len()).map(|axis| begin[axis] * bytes_of_index(x, axis)).sum();
            (all && forward).then(|| vec![(y, x, first)])
        }
        _ => None,
    }
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
        if taken.is_some_and(|input| blocks.join(input, node.output)) {
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

    fn planned(make: impl FnOnce(&mut Graph, TensorId) -> TensorId, dims: &[u32]) -> (Graph, MemoryPlan) {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(dims).unwrap());
        let y = make(&mut graph, x);
        graph.outputs.push(y);
        let plan = plan(&graph).unwrap();
        (graph, plan)
    }

    fn concatenated(dims: &[u32], axis: u32) -> (Graph, MemoryPlan) {
        planned(
            |graph, x| {
                let a = graph.add_node("a", OpCode::Exp, (), &[x]).unwrap();
                let b = graph.add_node("b", OpCode::Neg, (), &[x]).unwrap();
                graph.add_node("y", OpCode::Concatenate, ConcatenateParams { axis }, &[a, b]).unwrap()
            },
            dims,
        )
    }

    #[test]
    fn what_is_computed_in_its_place_is_not_concatenated() {
        let (graph, plan) = concatenated(&[1, 32], 1);
        let offset = |node: usize| plan.offsets[&graph.nodes[node].output];
        assert_eq!((plan.steps.len(), plan.free_pieces), (2, 1));
        assert_eq!((offset(0), offset(1)), (offset(2), offset(2) + 128));
        // The input of both lies where the second is to be, which is written over it.
        assert_eq!((plan.offsets[&graph.inputs[0]], plan.in_place, plan.arena_bytes), (offset(1), 1, 256));
    }

    #[test]
    fn what_does_not_follow_each_other_in_memory_is_concatenated() {
        let (_, plan) = concatenated(&[2, 32], 1);
        assert_eq!((plan.steps.len(), plan.free_pieces), (3, 0));
    }

    #[test]
    fn what_would_not_be_aligned_is_concatenated() {
        let (_, plan) = concatenated(&[1, 33], 1);
        assert_eq!((plan.steps.len(), plan.free_pieces), (3, 0));
    }

    #[test]
    fn what_is_there_twice_is_concatenated() {
        let twice = |graph: &mut Graph, x| {
            let a = graph.add_node("a", OpCode::Exp, (), &[x]).unwrap();
            graph.add_node("y", OpCode::Concatenate, ConcatenateParams { axis: 1 }, &[a, a]).unwrap()
        };
        let (_, plan) = planned(twice, &[1, 32]);
        assert_eq!((plan.steps.len(), plan.free_pieces), (2, 0));
    }

    fn sliced(begin: u32, stride: i32) -> (Graph, MemoryPlan) {
        let slice = |graph: &mut Graph, x| {
            let a = graph.add_node("a", OpCode::Exp, (), &[x]).unwrap();
            let mut params = StridedSliceParams { begin: [0; 6], stride: [1; 6], size: [1; 6] };
            (params.begin[1], params.stride[1], params.size[1], params.size[2]) = (begin, stride, 4, 6);
            let part = graph.add_node("part", OpCode::StridedSlice, params, &[a]).unwrap();
            graph.add_node("y", OpCode::Neg, (), &[part]).unwrap()
        };
        planned(slice, &[1, 16, 6])
    }

    #[test]
    fn a_slice_of_whole_rows_lies_in_what_it_is_taken_from() {
        let (graph, plan) = sliced(8, 1);
        let offset = |node: usize| plan.offsets[&graph.nodes[node].output];
        assert_eq!((plan.steps.len(), plan.free_pieces), (2, 1));
        assert_eq!(offset(1), offset(0) + 8 * 24);
        // The steps write over their inputs, the last one over a part of the memory.
        assert_eq!((offset(2), plan.in_place, plan.arena_bytes), (offset(1), 2, 16 * 24));
    }

    #[test]
    fn a_slice_that_is_not_aligned_or_has_gaps_is_copied() {
        for (begin, stride) in [(5, 1), (8, 2), (8, -1)] {
            let (_, plan) = sliced(begin, stride);
            assert_eq!((plan.steps.len(), plan.free_pieces), (3, 0), "{begin} {stride}");
        }
    }

    #[test]
    fn a_slice_is_not_written_over_while_others_read_it() {
        let two = |graph: &mut Graph, x| {
            let a = graph.add_node("a", OpCode::Exp, (), &[x]).unwrap();
            let mut params = StridedSliceParams { begin: [0; 6], stride: [1; 6], size: [1; 6] };
            (params.begin[1], params.size[1]) = (16, 16);
            let part = graph.add_node("part", OpCode::StridedSlice, params, &[a]).unwrap();
            let negative = graph.add_node("negative", OpCode::Neg, (), &[part]).unwrap();
            let inputs = [a, negative];
            graph.add_node("y", OpCode::Concatenate, ConcatenateParams { axis: 1 }, &inputs).unwrap()
        };
        let (graph, plan) = planned(two, &[1, 32]);
        let range = |id: TensorId| plan.offsets[&id]..plan.offsets[&id] + graph.bytes(id);
        let [a, negative] = [0, 2].map(|node: usize| range(graph.nodes[node].output));
        assert!(a.end <= negative.start || negative.end <= a.start, "{a:?} {negative:?}");
    }
}
