//! Bounds such as those of ReLU become the clamp of the operator before them.

use crate::graph::{Graph, Node};
use crate::ops;
use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::clip::ClipParams;

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    let mut position = 0;
    while position < graph.nodes.len() {
        let node = &graph.nodes[position];
        let bounds = (node.op == OpCode::Clip).then(|| node.params::<ClipParams>().clamp);
        let source = node.inputs[0];
        let target = bounds.and_then(|bounds| {
            let producer = graph.producer(source)?;
            graph.only_consumer(source)?;
            let inner = clamp(&graph.nodes[producer])?;
            Some((producer, after(inner, bounds)))
        });
        let Some((producer, fused)) = target else {
            position += 1;
            continue;
        };
        let clip = graph.nodes.remove(position);
        let node = &mut graph.nodes[producer];
        details.push(format!("{}: into {} of {}", clip.layer, node.op.name(), node.layer));
        set_clamp(node, fused);
        node.output = clip.output;
    }
    details
}

/// The clamp of a node's record, if it has one.
pub(crate) fn clamp(node: &Node) -> Option<Clamp> {
    let at = ops::operator(node.op).clamp?;
    node.params.get(at..at + size_of::<Clamp>()).map(bytemuck::pod_read_unaligned)
}

/// Sets the clamp of a node's record.
pub(crate) fn set_clamp(node: &mut Node, clamp: Clamp) {
    if let Some(at) = ops::operator(node.op).clamp {
        node.params[at..at + size_of::<Clamp>()].copy_from_slice(bytemuck::bytes_of(&clamp));
    }
}

/// First `inner`, then `outer`, as one clamp.
fn after(inner: Clamp, outer: Clamp) -> Clamp {
    let bound = |v: f32| v.max(outer.min).min(outer.max);
    Clamp { min: bound(inner.min), max: bound(inner.max) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clamps_are_one() {
        for (inner, outer) in
            [((0.0, 6.0), (-1.0, 3.0)), ((-9.0, -2.0), (0.0, 1.0)), ((4.0, 5.0), (0.0, 1.0))]
        {
            let [inner, outer] = [inner, outer].map(|(min, max)| Clamp { min, max });
            let both = after(inner, outer);
            for v in [-10.0f32, -5.0, -1.0, 0.0, 0.5, 1.0, 4.5, 9.0] {
                let want = v.clamp(inner.min, inner.max).clamp(outer.min, outer.max);
                assert_eq!(v.clamp(both.min, both.max), want, "{v} through {inner:?}, {outer:?}");
            }
        }
    }
}
