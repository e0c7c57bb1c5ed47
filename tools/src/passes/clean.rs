//! Takes out what computes nothing: operators that give back their input, operators whose output and
//! states whose value nobody reads. A state that stays as it is becomes a constant.

use crate::graph::{Graph, Node, State, TensorId};
use crate::ops;
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::ops::clip::ClipParams;
use flatpack_format::ops::strided_slice::StridedSliceParams;
use flatpack_format::ops::transpose::TransposeParams;

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    while let Some((position, source)) =
        (0..).zip(&graph.nodes).find_map(|(position, node)| Some((position, removable(graph, node)?)))
    {
        let node = graph.nodes.remove(position);
        details.push(format!("{}: {} gives back its input", node.layer, node.op.name()));
        graph.replace_uses(node.output, source);
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

/// The input that a node gives back, if it may go. One that copies an input of the model, a constant or a state to an
/// output stays: an output has memory of its own.
fn removable(graph: &Graph, node: &Node) -> Option<TensorId> {
    let source = identity_of(graph, node)?;
    let has_memory =
        graph.inputs.contains(&source) || graph.is_constant(source) || graph.state(source).is_some();
    let copies_out = graph.outputs.contains(&node.output) && (has_memory || graph.outputs.contains(&source));
    (!copies_out && graph.quant(source) == graph.quant(node.output)).then_some(source)
}

/// The input that a node gives back as it is.
fn identity_of(graph: &Graph, node: &Node) -> Option<TensorId> {
    let x = node.inputs[0];
    let same_shape = |x: TensorId| graph.dims(x) == graph.dims(node.output);
    let is_identity = match node.op {
        OpCode::Reshape | OpCode::BroadcastTo | OpCode::Pad => same_shape(x),
        OpCode::Concatenate => node.inputs.len() == 1,
        OpCode::StridedSlice => {
            same_shape(x) && node.params::<StridedSliceParams>().stride.iter().all(|&s| s > 0)
        }
        OpCode::Transpose => {
            (0..).zip(node.params::<TransposeParams>().perm).all(|(axis, from)| axis == from)
        }
        OpCode::Clip => node.params::<ClipParams>().clamp == Clamp::NONE,
        OpCode::Mul | OpCode::Div => {
            let y = node.inputs[1];
            let are_ones = |id| graph.data(id).is_some_and(|data| data.iter().all(|&v| v == 1.0));
            if node.params::<BinaryParams>().clamp != Clamp::NONE {
                return None;
            }
            if node.op == OpCode::Mul && are_ones(x) && same_shape(y) {
                return Some(y);
            }
            are_ones(y) && same_shape(x)
        }
        _ => false,
    };
    is_identity.then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::Shape;

    /// The operators that are left of one on a tensor and a constant, the tensor `first` or second.
    fn left(op: OpCode, clamp: Clamp, constant: &[f32], dims: &[u32], first: bool) -> Vec<OpCode> {
        let mut graph = Graph::default();
        let input = graph.add_input("x", Shape::new(&[1, 2]).unwrap());
        let x = graph.add_node("x", OpCode::Neg, [0u8; 0], &[input]).unwrap();
        let constant = graph.add_constant("constant", dims, constant.to_vec());
        let inputs = if first { [x, constant] } else { [constant, x] };
        let y = graph.add_node("y", op, BinaryParams { clamp }, &inputs).unwrap();
        graph.outputs.push(y);
        run(&mut graph);
        assert_eq!(graph.outputs, [graph.nodes.last().unwrap().output]);
        graph.nodes.iter().map(|node| node.op).collect()
    }

    #[test]
    fn a_factor_of_one_goes() {
        for (op, first) in [(OpCode::Mul, true), (OpCode::Mul, false), (OpCode::Div, true)] {
            assert_eq!(left(op, Clamp::NONE, &[1.0; 2], &[2], first), [OpCode::Neg]);
            assert_eq!(left(op, Clamp::NONE, &[1.0], &[1], first), [OpCode::Neg]);
        }
    }

    #[test]
    fn other_factors_stay() {
        let stay = |op, clamp, constant: &[f32], dims: &[u32], first| {
            assert_eq!(left(op, clamp, constant, dims, first), [OpCode::Neg, op]);
        };
        stay(OpCode::Mul, Clamp::NONE, &[1.0, 2.0], &[2], true);
        stay(OpCode::Mul, Clamp { min: 0.0, ..Clamp::NONE }, &[1.0; 2], &[2], true);
        stay(OpCode::Mul, Clamp::NONE, &[1.0; 4], &[2, 2], true);
        stay(OpCode::Div, Clamp::NONE, &[1.0; 2], &[2], false);
        stay(OpCode::Add, Clamp::NONE, &[1.0; 2], &[2], true);
    }
}
