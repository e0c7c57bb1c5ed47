//! A stream: from a graph over whole sequences the graph over one moment of them, whose recurrent operators go on
//! where the run before left them. Run once for each moment, it gives what the whole graph gives there.

use crate::graph::{Graph, Node, NodeError, TensorId};
use crate::ops;
use flatpack_format::OpCode;
use flatpack_format::ops::recurrence::{HELD, KEPT, REPEATED, Recurrence, ZEROS};
use std::collections::HashMap;
use thiserror::Error;

/// Why a graph cannot be run moment by moment.
#[derive(Debug, Error)]
pub enum NotAStream {
    /// There is no recurrent operator.
    #[error("the model has no recurrent layer, so that there is nothing to keep from moment to moment")]
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

/// What a tensor has of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// It is the same at all moments.
    None,
    /// Each moment, along an axis.
    Each(usize),
    /// The last moment alone: in a stream, the one that is there.
    Last,
}

/// Rewrites a graph over sequences, which are the inputs whose second axis is as long as that of the first input
/// of its first recurrent operator.
///
/// # Errors
/// The first layer that needs more than one moment at a time, and what was before.
pub fn run(graph: &mut Graph) -> Result<(), NotAStream> {
    let first = graph.nodes.iter().find(|node| is_recurrent(node)).ok_or(NotAStream::NoSequence)?;
    let time = graph.dims(first.inputs[0]).get(TIME).copied();
    let mut of: HashMap<TensorId, Of> = HashMap::new();
    let mut one = graph.clone();
    for &input in &graph.inputs {
        let is_sequence = graph.dims(input).get(TIME).copied() == time;
        of.insert(input, if is_sequence { Of::Each(TIME) } else { Of::Last });
        if is_sequence {
            let tensor = &mut one.tensors[input.0].tensor_type;
            tensor.shape = tensor.shape.with_dim(TIME, 1);
        }
    }
    for (node, made) in graph.nodes.iter().zip(&mut one.nodes) {
        let parts: Vec<Of> =
            node.inputs.iter().map(|input| of.get(input).copied().unwrap_or(Of::None)).collect();
        let (params, part) = moment(graph, node, &parts).map_err(|why| NotAStream::Layer {
            layer: node.layer.clone(),
            op: node.op,
            why,
        })?;
        made.params = params;
        of.insert(node.output, part);
    }
    let walks = |node: &Node| is_recurrent(node) && matches!(of.get(&node.inputs[0]), Some(Of::Each(_)));
    if !graph.nodes.iter().any(walks) {
        return Err(NotAStream::NoWalk { layer: first.layer.clone() });
    }
    for at in 0..one.nodes.len() {
        let Node { op, params, inputs, output, .. } = one.nodes[at].clone();
        one.tensors[output.0].tensor_type = one.infer(op, &params, &inputs)?;
    }
    *graph = one;
    Ok(())
}

/// Whether an operator walks over a sequence; its record begins with how.
fn is_recurrent(node: &Node) -> bool {
    use OpCode::{UnidirectionalSequenceGru, UnidirectionalSequenceLstm, UnidirectionalSequenceRnn};
    matches!(node.op, UnidirectionalSequenceGru | UnidirectionalSequenceLstm | UnidirectionalSequenceRnn)
}

/// The record of a node on one moment, and what its output then has of the sequence.
fn moment(graph: &Graph, node: &Node, parts: &[Of]) -> Result<(Vec<u8>, Of), &'static str> {
    let axes: Vec<Option<usize>> = parts
        .iter()
        .map(|part| match part {
            Of::Each(axis) => Some(*axis),
            _ => None,
        })
        .collect();
    let reads_last = parts.contains(&Of::Last);
    if axes.iter().all(Option::is_none) {
        let is_state = |input: &TensorId| graph.state(*input).is_some();
        if reads_last && node.inputs.iter().any(is_state) && !is_recurrent(node) {
            return Err("it keeps a state for whole sequences, not for moments");
        }
        return Ok((node.params.clone(), if reads_last { Of::Last } else { Of::None }));
    }
    if reads_last {
        return Err("it joins what is there at each moment with what the end of the sequence gives");
    }
    if is_recurrent(node) {
        return recurrent(node, &axes);
    }
    let made = ops::operator(node.op).moment.and_then(|moment| moment(graph, node, &axes));
    let made = made.ok_or("what it gives at one moment depends on others")?;
    Ok((made.params, made.axis.map_or(Of::Last, Of::Each)))
}

/// The record of a recurrent operator that goes on where the run before ended.
fn recurrent(node: &Node, axes: &[Option<usize>]) -> Result<(Vec<u8>, Of), &'static str> {
    let mut params = node.params.clone();
    let record = &mut params[..size_of::<Recurrence>()];
    let mut walk: Recurrence = bytemuck::pod_read_unaligned(record);
    let axis = if walk.time_major == 1 { 0 } else { 1 };
    let expected = |at: usize| if at == 0 || walk.mask_at() == Some(at) { Some(axis) } else { None };
    if axes.iter().enumerate().any(|(at, axis)| *axis != expected(at)) {
        return Err("it walks along another axis than that of the inputs' moments");
    }
    if walk.backwards == 1 {
        return Err("it begins at the end of the sequence, which a stream does not know");
    }
    if walk.states_after == 1 && walk.last_only == 0 {
        return Err("it gives its states at the end of the sequence beside what is there at each moment");
    }
    walk.start = match walk.start {
        ZEROS | KEPT => KEPT,
        _ => return Err("its states begin with what another layer gives"),
    };
    // The states began with zeros: what was given before is the hidden state.
    if walk.mask == REPEATED {
        walk.mask = HELD;
    }
    record.copy_from_slice(bytemuck::bytes_of(&walk));
    Ok((params, if walk.last_only == 1 { Of::Last } else { Of::Each(axis) }))
}
