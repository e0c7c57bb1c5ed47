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

mod blocks;
mod buffers;
mod order;
mod states;

pub(crate) use blocks::renames_memory;

use crate::graph::{Graph, Node, TensorId};
use crate::passes::plan_memory::{self, Buffer, CheckError, DivideError, Division, Overlap, PlanError};
use crate::passes::schedule::{self, OrderError};
use blocks::Blocks;
use buffers::{buffers, overlaps, touched, work_in_place};
use flatpack_format::{ALIGN, OpCode, Target};
use order::problem;
use states::{check_states, state_offsets};
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
    plan_in(graph, &[], Target::Portable)
}

/// Plans the memory of a graph for a board with these regions; none stands for memory enough. States lie in
/// the first. On gateways no output lies over rows of its input: it would be computed a few rows at a time, which
/// takes longer there. Of the smallest plans for one memory, one is taken there in which two threads seldom write where
/// the other one was.
///
/// # Errors
/// As [`plan`], or if a region is too small.
pub fn plan_in(graph: &Graph, regions: &Regions, target: Target) -> Result<MemoryPlan, MemoryError> {
    let on_gateway = target == Target::Linux;
    let mut plans = Layout::all(graph).map(|mut layout| layout.plan(regions, on_gateway));
    let mut best = plans.next().unwrap_or_else(|| Layout::new(graph, &[]).plan(regions, on_gateway));
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
        let (_, buffers, overlaps) = self.buffers_and_overlaps(false);
        let loads = plan_memory::step_loads(&buffers, &overlaps, ALIGN)?;
        Ok(self.steps.iter().map(|step| step.output).zip(loads).collect())
    }

    fn work_in_place(&mut self) -> usize {
        work_in_place(self.graph, &mut self.blocks, &self.steps)
    }

    /// The blocks, and which may lie over which: none, if they are to be `apart`.
    fn buffers_and_overlaps(&mut self, apart: bool) -> (Vec<usize>, Vec<Buffer>, Vec<Overlap>) {
        let (graph, blocks, steps) = (self.graph, &mut self.blocks, &self.steps);
        let (roots, buffers) = buffers(graph, blocks, steps);
        let overlaps = if apart { Vec::new() } else { overlaps(graph, blocks, steps, &roots, &buffers) };
        (roots, buffers, overlaps)
    }

    fn plan(&mut self, regions: &Regions, on_gateway: bool) -> Result<MemoryPlan, MemoryError> {
        let graph = self.graph;
        let order = schedule::order(&problem(graph, &mut self.blocks, &self.steps))?;
        self.steps = order.steps.iter().map(|&step| self.steps[step]).collect();
        let in_place = self.work_in_place();
        let (roots, buffers, overlaps) = self.buffers_and_overlaps(on_gateway);
        let blocks = &mut self.blocks;
        let touched = touched(graph, blocks, &self.steps, &roots);
        let (state_offsets, state_bytes) = state_offsets(graph)?;
        let mut division = divide(&buffers, &overlaps, &touched, state_bytes, regions)?;
        if on_gateway && regions.is_empty() {
            division.arena_bytes[0] = plan_memory::keep_halves(&buffers, &mut division.offsets, ALIGN)?;
        }
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
        Ok(MemoryPlan {
            steps: self.steps.iter().copied().cloned().collect(),
            offsets,
            far_offsets,
            in_state,
            state_offsets,
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

#[cfg(test)]
mod tests;
