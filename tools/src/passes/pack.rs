//! Lays weights out for machines with wide vectors: `panel16`.

use crate::graph::{Data, Graph, TensorId};
use crate::ops;
use flatpack_format::{Layout, PANEL};
use std::collections::HashMap;

/// Runs the pass, last of all: what it makes, no other pass reads.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut packed: HashMap<TensorId, TensorId> = HashMap::new();
    let mut details = Vec::new();
    for position in 0..graph.nodes.len() {
        let node = &graph.nodes[position];
        let Some(&weights) = node.inputs.get(1) else { continue };
        if !(ops::operator(node.op).packs)(node) || graph.data(weights).is_none() {
            continue;
        }
        details.push(format!("{}: weights of {} as {}", node.layer, node.op.name(), Layout::Panel16.name()));
        let new = *packed.entry(weights).or_insert_with(|| panels(graph, weights));
        graph.nodes[position].inputs[1] = new;
    }
    details
}

/// `[O, …]` as `[⌈O / 16⌉, …, 16]`, absent outputs zero.
fn panels(graph: &mut Graph, rows: TensorId) -> TensorId {
    let mut tensor = graph.tensor(rows).clone();
    let data = graph.data(rows).cloned().unwrap_or_default();
    let panel = PANEL as usize;
    let outputs = tensor.dims()[0] as usize;
    let depth = data.len() / outputs;
    let mut values = vec![0.0f32; outputs.next_multiple_of(panel) * depth];
    for (output, row) in data.chunks_exact(depth).enumerate() {
        let start = output / panel * depth * panel + output % panel;
        values[start..].iter_mut().step_by(panel).zip(row).for_each(|(to, from)| *to = *from);
    }
    tensor.data = Some(Data::F32(values.into()));
    tensor.layout = Layout::Panel16;
    graph.tensors.push(tensor);
    TensorId(graph.tensors.len() - 1)
}
