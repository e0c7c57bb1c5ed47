//! Lays weights out for a machine: `panel16` where vectors are wide.

use crate::graph::{Data, Graph, TensorId};
use crate::ops;
use flatpack_format::{Layout, PANEL, Target};
use std::collections::HashMap;

/// Runs the pass, last of all: what it makes, no other pass reads.
pub fn run(graph: &mut Graph, target: Target) -> Vec<String> {
    if target != Target::Linux {
        return Vec::new();
    }
    let mut packed: HashMap<TensorId, TensorId> = HashMap::new();
    let mut details = Vec::new();
    for position in 0..graph.nodes.len() {
        let node = &graph.nodes[position];
        let Some(&weights) = node.inputs.get(1) else { continue };
        if !(ops::operator(node.op).packs)(node) || !graph.is_constant(weights) {
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
    let outputs = tensor.dims()[0] as usize;
    tensor.data = tensor.data.map(|data| match data {
        Data::F32(v) => Data::F32(interleave(&v, outputs).into()),
        Data::F16(v) => Data::F16(interleave(&v, outputs).into()),
        Data::I8(v) => Data::I8(interleave(&v, outputs).into()),
        Data::U8(v) => Data::U8(interleave(&v, outputs).into()),
        Data::I16(v) => Data::I16(interleave(&v, outputs).into()),
        Data::I32(v) => Data::I32(interleave(&v, outputs).into()),
    });
    tensor.layout = Layout::Panel16;
    graph.tensors.push(tensor);
    TensorId(graph.tensors.len() - 1)
}

fn interleave<T: Copy + Default>(rows: &[T], outputs: usize) -> Vec<T> {
    let panel = PANEL as usize;
    let depth = rows.len() / outputs;
    let mut values = vec![T::default(); outputs.next_multiple_of(panel) * depth];
    for (output, row) in rows.chunks_exact(depth).enumerate() {
        let start = output / panel * depth * panel + output % panel;
        values[start..].iter_mut().step_by(panel).zip(row).for_each(|(to, from)| *to = *from);
    }
    values
}
