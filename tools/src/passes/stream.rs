//! A stream: from a graph over whole sequences the graph over one moment of them, whose recurrent operators go on
//! where the run before left them. Run once for each moment, it gives what the whole graph gives there.
//!
//! Windows over time, those of convolutions and pools, keep the moments that they reach back to. One with a stride makes
//! a run take as many moments; one that looks ahead makes what comes behind it late, and recurrent operators wait for it.

use crate::graph::{Data, Graph, Node, NodeError, TensorId};
use crate::ops;
use crate::ops::moment::{self, Window};
use flatpack_format::ops::Clamp;
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::ops::concatenate::ConcatenateParams;
use flatpack_format::ops::recurrence::{HELD, KEPT, REPEATED, Recurrence, ZEROS};
use flatpack_format::ops::strided_slice::StridedSliceParams;
use flatpack_format::{MAX_RANK, OpCode};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use thiserror::Error;

/// Why a graph cannot be run moment by moment.
#[derive(Debug, Error)]
pub enum NotAStream {
    /// There is no recurrent operator.
    #[error(
        "the model has no LSTM, GRU or SimpleRNN, so that there is nothing to keep from moment to moment (a ConvLSTM is \
         written out: built with `stateful=True` over one time step, it is a stream without this option)"
    )]
    NoSequence,
    /// No recurrent operator walks over the moments of an input.
    #[error(
        "layer `{layer}` does not walk over the time steps of an input one for one: layers before it make other steps \
         of them"
    )]
    NoWalk {
        /// The layer of the first recurrent operator.
        layer: String,
    },
    /// A layer looks at other moments than one after the other.
    #[error("layer `{layer}` ({}): {why}", .op.name())]
    Layer {
        /// The layer.
        layer: String,
        /// Its operator.
        op: OpCode,
        /// What is in the way, as the end of a sentence.
        why: &'static str,
    },
    /// An operator on one moment is none.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// The axis of an input that counts moments.
const TIME: usize = 1;

/// The most moments that one run takes.
const MAX_COUNT: u32 = 64;

/// How a stream is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// How many moments one run takes: as many as the strides of the layers before the recurrent ones ask for.
    pub moments: u32,
    /// How many runs a sequence takes that is as long as those of the whole graph: so many more than it has moments
    /// for as layers look ahead, which are run with zeros.
    pub runs: u32,
    /// How many moments such a sequence has.
    pub length: u32,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moments, runs, length } = self;
        let steps =
            |count: u32| if count == 1 { "1 time step".into() } else { format!("{count} time steps") };
        write!(f, "a stream: one run takes {}", steps(*moments))?;
        match runs.saturating_mul(*moments) {
            taken if taken > *length => {
                write!(f, "; {} with zeros follow the last one of a sequence", steps(taken - length))
            }
            taken if taken < *length => {
                write!(f, "; the last {} of {length} have no part in the result", length - taken)
            }
            _ => Ok(()),
        }
    }
}

/// What a tensor has of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// It is the same at all moments.
    None,
    /// Some moments at a time.
    Each(Moments),
    /// The last moment alone: in a stream, the one that is there.
    Last,
}

/// The moments of a tensor that a run has: in run `j`, counted from 0, those from `j · count − delay` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moments {
    axis: usize,
    count: u32,
    /// Of moments before the first, the values mean nothing.
    delay: u32,
}

/// Why a node cannot be run on so many moments.
enum Misfit {
    /// Its stride does not divide their number.
    Count,
    Why(&'static str),
    Node(NodeError),
}

impl From<&'static str> for Misfit {
    fn from(why: &'static str) -> Self {
        Self::Why(why)
    }
}

impl From<NodeError> for Misfit {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}

/// Rewrites a graph over sequences, which are the inputs whose second axis is as long as that of the first input
/// of its first recurrent operator, or of what that is made of.
///
/// # Errors
/// The first layer that needs more moments than those before, and what was before.
pub fn run(graph: &mut Graph) -> Result<Stream, NotAStream> {
    let first = graph.nodes.iter().find(|node| is_recurrent(node)).ok_or(NotAStream::NoSequence)?;
    let time = length(graph, first).ok_or_else(|| NotAStream::NoWalk { layer: first.layer.clone() })?;
    let mut count = 1;
    loop {
        let mut made = Made::new(graph, time, count);
        let mut fits = true;
        for node in &graph.nodes {
            match made.add(node) {
                Ok(()) => {}
                Err(Misfit::Count) if count < MAX_COUNT => {
                    fits = false;
                    break;
                }
                Err(Misfit::Node(error)) => return Err(error.into()),
                Err(other) => {
                    let why = match other {
                        Misfit::Why(why) => why,
                        _ => "its stride is more time steps than one run takes, 64",
                    };
                    return Err(NotAStream::Layer { layer: node.layer.clone(), op: node.op, why });
                }
            }
        }
        if fits {
            if !made.walks {
                return Err(NotAStream::NoWalk { layer: first.layer.clone() });
            }
            let stream = Stream { moments: count, runs: made.runs, length: time };
            *graph = made.one;
            return Ok(stream);
        }
        count += 1;
    }
}

/// The length of the sequences: that of a recurrent operator's input where an input of the graph has it, else that of
/// the first input which the operator's is made of.
fn length(graph: &Graph, recurrent: &Node) -> Option<u32> {
    let time = graph.dims(recurrent.inputs[0]).get(TIME).copied();
    if graph.inputs.iter().any(|&input| graph.dims(input).get(TIME).copied() == time) {
        return time;
    }
    let mut needed = vec![recurrent.inputs[0]];
    for node in graph.nodes.iter().rev() {
        if needed.contains(&node.output) {
            needed.extend(&node.inputs);
        }
    }
    let input = graph.inputs.iter().find(|input| needed.contains(input))?;
    graph.dims(*input).get(TIME).copied()
}

/// Whether an operator walks over a sequence; its record begins with how.
fn is_recurrent(node: &Node) -> bool {
    use OpCode::{UnidirectionalSequenceGru, UnidirectionalSequenceLstm, UnidirectionalSequenceRnn};
    matches!(node.op, UnidirectionalSequenceGru | UnidirectionalSequenceLstm | UnidirectionalSequenceRnn)
}

/// The graph over some moments, in the making.
struct Made<'a> {
    graph: &'a Graph,
    one: Graph,
    of: HashMap<TensorId, Of>,
    /// Masks by shape, axis and delay: 0 for moments before the first.
    masks: HashMap<(Vec<u32>, usize, u32), TensorId>,
    /// Whether a recurrent operator walks over moments.
    walks: bool,
    /// How many runs a whole sequence takes.
    runs: u32,
}

impl<'a> Made<'a> {
    fn new(graph: &'a Graph, time: u32, count: u32) -> Self {
        let mut one = graph.clone();
        one.nodes.clear();
        let mut of = HashMap::new();
        for &input in &graph.inputs {
            let is_sequence = graph.dims(input).get(TIME) == Some(&time);
            let moments = Of::Each(Moments { axis: TIME, count, delay: 0 });
            of.insert(input, if is_sequence { moments } else { Of::Last });
            if is_sequence {
                let tensor = &mut one.tensors[input.0].tensor_type;
                tensor.shape = tensor.shape.with_dim(TIME, count);
            }
        }
        Self { graph, one, of, masks: HashMap::new(), walks: false, runs: 0 }
    }

    /// Adds a node of the whole graph on moments.
    fn add(&mut self, node: &Node) -> Result<(), Misfit> {
        let parts: Vec<Of> =
            node.inputs.iter().map(|input| self.of.get(input).copied().unwrap_or(Of::None)).collect();
        let mut made = node.clone();
        let part = self.moments(&mut made, &parts)?;
        self.of.insert(node.output, part);
        self.one.tensors[node.output.0].tensor_type = self.one.infer(made.op, &made.params, &made.inputs)?;
        self.one.nodes.push(made);
        if let Of::Each(moments) = part
            && self.graph.is_kept(node.output)
        {
            self.ends_with(self.graph.dims(node.output)[moments.axis], moments);
        }
        Ok(())
    }

    /// Counts the runs until all of so many moments are there.
    fn ends_with(&mut self, len: u32, moments: Moments) {
        self.runs = self.runs.max((len + moments.delay).div_ceil(moments.count));
    }

    /// Makes a node one on moments, and gives what its output then has of the sequence.
    fn moments(&mut self, node: &mut Node, parts: &[Of]) -> Result<Of, Misfit> {
        let each: Vec<Option<Moments>> = parts
            .iter()
            .map(|part| match part {
                Of::Each(moments) => Some(*moments),
                _ => None,
            })
            .collect();
        let axes: Vec<Option<usize>> = each.iter().map(|moments| moments.map(|m| m.axis)).collect();
        let reads_last = parts.contains(&Of::Last);
        let Some(first) = each.iter().flatten().next().copied() else {
            let is_state = |input: &TensorId| self.graph.state(*input).is_some();
            if reads_last && node.inputs.iter().any(is_state) && !is_recurrent(node) {
                return Err("it keeps a state for whole sequences, not for moments".into());
            }
            return Ok(if reads_last { Of::Last } else { Of::None });
        };
        if reads_last {
            return Err(
                "it joins what is there at each moment with what the end of the sequence gives".into()
            );
        }
        if each.iter().flatten().any(|other| (other.count, other.delay) != (first.count, first.delay)) {
            return Err("it joins layers of which one looks further ahead, or takes larger steps".into());
        }
        if is_recurrent(node) {
            return self.recurrent(node, &axes, first);
        }
        let operator = ops::operator(node.op);
        let alone = moment::first_alone(&axes);
        let window = operator.window.zip(alone).and_then(|(window, axis)| window(self.graph, node, axis));
        if let Some(window) = window {
            return self.window(node, window, first);
        }
        let made = operator.moment.and_then(|moment| moment(self.graph, node, &axes, first.count));
        let made = made.ok_or("what it gives at one moment depends on others")?;
        node.params = made.params;
        Ok(made.axis.map_or(Of::Last, |axis| Of::Each(Moments { axis, ..first })))
    }

    /// A window over the moments of this run and those before, which are kept from run to run.
    fn window(&mut self, node: &mut Node, window: Window, moments: Moments) -> Result<Of, Misfit> {
        let Moments { axis, count, delay } = moments;
        let Window { params, stride, reach, pads: [before, after] } = window;
        if !count.is_multiple_of(stride) {
            return Err(Misfit::Count);
        }
        if delay > 0 && (before, after) != (0, 0) {
            return Err("it has padding behind a layer that looks ahead".into());
        }
        let (len, windows) = (self.graph.dims(node.inputs[0])[axis], self.graph.dims(node.output)[axis]);
        let reads_beyond = (windows - 1) * stride + reach > before + len;
        if reads_beyond && !self.is_of_input(node.inputs[0]) {
            return Err(
                "it has padding behind the end of the sequence, which a stream does not know: use causal or \
                        valid padding"
                    .into(),
            );
        }
        let ahead = (reach + delay).checked_sub(before).filter(|&ahead| ahead > 0);
        let ahead = ahead.ok_or("it has more padding than its window is long")?;
        // The last window that ends among the moments that are there.
        let later = ahead.div_ceil(stride) - 1;
        let held = later * stride + before - delay;
        node.params = params;
        if held > 0 {
            node.inputs[0] = self.after_those_held(&node.layer, node.inputs[0], axis, held)?;
        }
        Ok(Of::Each(Moments { axis, count: count / stride, delay: later }))
    }

    /// Moments that were held, zeros at first, and then those of `x`, of which the last are held for the next run.
    fn after_those_held(
        &mut self,
        layer: &str,
        x: TensorId,
        axis: usize,
        held: u32,
    ) -> Result<TensorId, NodeError> {
        let mut dims = self.one.dims(x).to_vec();
        let count = std::mem::replace(&mut dims[axis], held);
        let zeros = vec![0.0; dims.iter().product::<u32>() as usize];
        let state = self.one.add_state(&format!("{layer}/held"), &dims, Data::F32(zeros.into()), None);
        let params = ConcatenateParams { axis: axis as u32 };
        let all = self.one.add_node(layer, OpCode::Concatenate, params, &[state, x])?;
        let last = self.part(layer, all, axis, count..count + held)?;
        let kept = self.one.states.iter_mut().find(|kept| kept.value == state);
        kept.expect("the state was added").next = Some(last);
        Ok(all)
    }

    /// Some of what is along an axis.
    fn part(
        &mut self,
        layer: &str,
        x: TensorId,
        axis: usize,
        range: Range<u32>,
    ) -> Result<TensorId, NodeError> {
        let mut params =
            StridedSliceParams { begin: [0; MAX_RANK], size: [1; MAX_RANK], stride: [1; MAX_RANK] };
        let dims = self.one.dims(x);
        params.size[..dims.len()].copy_from_slice(dims);
        (params.begin[axis], params.size[axis]) = (range.start, range.end - range.start);
        self.one.add_node(layer, OpCode::StridedSlice, params, &[x])
    }

    /// Whether a tensor has the elements of an input and no others, so that zeros of the input are zeros in it.
    fn is_of_input(&self, mut x: TensorId) -> bool {
        for node in self.graph.nodes.iter().rev() {
            if node.output == x {
                if !matches!(node.op, OpCode::Reshape | OpCode::Transpose) {
                    return false;
                }
                x = node.inputs[0];
            }
        }
        self.graph.inputs.contains(&x)
    }

    /// A recurrent operator that goes on where the run before ended.
    fn recurrent(&mut self, node: &mut Node, axes: &[Option<usize>], moments: Moments) -> Result<Of, Misfit> {
        let mut walk: Recurrence = bytemuck::pod_read_unaligned(&node.params[..size_of::<Recurrence>()]);
        let axis = if walk.time_major == 1 { 0 } else { 1 };
        let expected = |at: usize| if at == 0 || walk.mask_at() == Some(at) { Some(axis) } else { None };
        if axes.iter().enumerate().any(|(at, axis)| *axis != expected(at)) {
            return Err("it walks along another axis than that of the inputs' moments".into());
        }
        if walk.backwards == 1 {
            return Err("it begins at the end of the sequence, which a stream does not know".into());
        }
        if walk.states_after == 1 && walk.last_only == 0 {
            return Err(
                "it gives its states at the end of the sequence beside what is there at each moment".into()
            );
        }
        walk.start = match walk.start {
            ZEROS | KEPT => KEPT,
            _ => return Err("its states begin with what another layer gives".into()),
        };
        if moments.delay > 0 {
            let begun = self.begun(&node.layer, node.inputs[0], axis, moments)?;
            match walk.mask_at() {
                Some(at) => {
                    let params = BinaryParams { clamp: Clamp::NONE };
                    let inputs = [node.inputs[at], begun];
                    node.inputs[at] = self.one.add_node(&node.layer, OpCode::Mul, params, &inputs)?;
                }
                None => {
                    walk.mask = HELD;
                    node.inputs.insert(walk.mask_at().unwrap_or_default(), begun);
                }
            }
        }
        // The states began with zeros: what was given before is the hidden state.
        if walk.mask == REPEATED {
            walk.mask = HELD;
        }
        node.params[..size_of::<Recurrence>()].copy_from_slice(bytemuck::bytes_of(&walk));
        self.walks = true;
        self.ends_with(self.graph.dims(node.inputs[0])[axis], moments);
        Ok(if walk.last_only == 1 { Of::Last } else { Of::Each(Moments { axis, ..moments }) })
    }

    /// A mask of the moments of `x`: 0 before the first.
    fn begun(
        &mut self,
        layer: &str,
        x: TensorId,
        axis: usize,
        Moments { count, delay, .. }: Moments,
    ) -> Result<TensorId, NodeError> {
        let dims = self.one.dims(x)[..2].to_vec();
        let key = (dims.clone(), axis, delay);
        if let Some(&mask) = self.masks.get(&key) {
            return Ok(mask);
        }
        let ones = vec![1.0; dims.iter().product::<u32>() as usize];
        let ones = self.one.add_constant(&format!("{layer}/moments"), &dims, ones);
        let all = self.after_those_held(layer, ones, axis, delay)?;
        let mask = self.part(layer, all, axis, 0..count)?;
        self.masks.insert(key, mask);
        Ok(mask)
    }
}
