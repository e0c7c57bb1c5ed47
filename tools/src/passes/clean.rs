//! Takes out what computes nothing: operators that give back their input, operators whose output and
//! states whose value nobody reads. A state that stays as it is becomes a constant.

use crate::graph::{Graph, Node, State};
use crate::ops;
use flatpack_format::OpCode;
use flatpack_format::ops::clip::ClipParams;
use flatpack_format::ops::strided_slice::StridedSliceParams;
use flatpack_format::ops::transpose::TransposeParams;

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    while let Some(position) = graph.nodes.iter().position(|node| removable(graph, node)) {
        let node = graph.nodes.remove(position);
        details.push(format!("{}: {} gives back its input", node.layer, node.op.name()));
        graph.replace_uses(node.output, node.inputs[0]);
    }
    details.extend(drop_unread(graph));
    for position in (0..graph.states.len()).rev() {
        let State { value, next, .. } = graph.states[position];
        let readers = graph.consumers(value);
        let stays = next.is_none_or(|next| next == value)
            && !readers.iter().any(|&reader| ops::updated(&graph.nodes[reader]).contains(&value));
        let others = graph.states.iter().filter(|other| other.value != value);
        let unread = readers.is_empty()
            && !graph.outputs.contains(&value)
            && !others.filter_map(|other| other.next).any(|next| next == value);
        if unread || stays {
            let state = graph.states.remove(position);
            let name = &graph.tensor(value).name;
            details.push(format!(
                "{name}: {} its state",
                if unread { "nothing reads" } else { "nothing changes" }
            ));
            graph.tensors[value.0].data = Some(state.init);
        }
    }
    details
}

/// Takes out operators whose output nobody reads, and those that only they read.
pub(crate) fn drop_unread(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    for position in (0..graph.nodes.len()).rev() {
        let output = graph.nodes[position].output;
        let read = graph.nodes[position..].iter().any(|node| node.inputs.contains(&output));
        if !read && !graph.is_kept(output) {
            let node = graph.nodes.remove(position);
            details.push(format!("{}: nothing reads {}", node.layer, node.op.name()));
        }
    }
    details
}

/// Whether a node gives back its first input and may go. One that copies an input of the model, a
/// constant or a state to an output stays: an output has memory of its own.
fn removable(graph: &Graph, node: &Node) -> bool {
    let source = node.inputs[0];
    let has_memory =
        graph.inputs.contains(&source) || graph.is_constant(source) || graph.state(source).is_some();
    let copies_out = graph.outputs.contains(&node.output) && (has_memory || graph.outputs.contains(&source));
    !copies_out && graph.quant(source) == graph.quant(node.output) && is_identity(graph, node)
}

fn is_identity(graph: &Graph, node: &Node) -> bool {
    let same_shape = graph.dims(node.inputs[0]) == graph.dims(node.output);
    match node.op {
        OpCode::Reshape | OpCode::BroadcastTo | OpCode::Pad => same_shape,
        OpCode::Concatenate => node.inputs.len() == 1,
        OpCode::StridedSlice => {
            same_shape && node.params::<StridedSliceParams>().stride.iter().all(|&s| s > 0)
        }
        OpCode::Transpose => {
            (0..).zip(node.params::<TransposeParams>().perm).all(|(axis, from)| axis == from)
        }
        OpCode::Clip => {
            let clamp = node.params::<ClipParams>().clamp;
            clamp.min == f32::NEG_INFINITY && clamp.max == f32::INFINITY
        }
        _ => false,
    }
}
