//! Lays weights out for a machine: panels where vectors are wide, `pairs` where instructions multiply two pairs of
//! integers.

use crate::graph::{Data, Graph, TensorId};
use crate::ops::{self, Packs};
use flatpack_format::{Layout, PAIR, PAIR_GROUP, PANEL, PANEL_GROUP, Target, pairs_at};
use std::collections::HashMap;

/// The most elements of an output that are laid out in pairs: for more, the loops on boards have no room.
const MOST_IN_PAIRS: usize = 1728;

/// Runs the pass, last of all: what it makes, no other pass reads.
pub fn run(graph: &mut Graph, target: Target) -> Vec<String> {
    let mut packed: HashMap<(TensorId, Layout), TensorId> = HashMap::new();
    let mut details = Vec::new();
    for position in 0..graph.nodes.len() {
        let node = &graph.nodes[position];
        let is_weights = |at: &usize| node.op.rule().weights >> at & 1 == 1;
        let weights: Vec<usize> = (0..node.inputs.len()).filter(is_weights).collect();
        for at in weights {
            let node = &graph.nodes[position];
            let weights = node.inputs[at];
            let operator = ops::operator(node.op);
            let layout = match (target, operator.packs) {
                (Target::CortexM, Some(Packs::Integers { pairs, .. }))
                    if pairs(&node.params) && depth(graph, weights) <= MOST_IN_PAIRS =>
                {
                    Layout::Pairs
                }
                (Target::Linux, Some(packs)) => {
                    match packs.on_gateways(&node.params, graph.tensor(weights).dims()) {
                        Some(layout) => layout,
                        None => continue,
                    }
                }
                _ => continue,
            };
            if !graph.is_constant(weights) {
                continue;
            }
            details.push(format!("{}: weights of {} as {}", node.layer, node.op.name(), layout.name()));
            let new = *packed.entry((weights, layout)).or_insert_with(|| laid_out(graph, weights, layout));
            graph.nodes[position].inputs[at] = new;
        }
    }
    details
}

/// Elements of an output.
fn depth(graph: &Graph, weights: TensorId) -> usize {
    graph.tensor(weights).dims().iter().skip(1).map(|&dim| dim as usize).product()
}

/// Weights `[O, …]`, or of gates `[G, O, …]`, in another layout, absent ones zero.
fn laid_out(graph: &mut Graph, rows: TensorId, layout: Layout) -> TensorId {
    let mut tensor = graph.tensor(rows).clone();
    let dims = tensor.dims();
    let size = match layout {
        Layout::Gates16 => [dims[0] as usize, dims[1] as usize],
        _ => [1, dims[0] as usize],
    };
    tensor.data = tensor.data.map(|data| match data {
        Data::F32(v) => Data::F32(interleave(&v, size, layout).into()),
        Data::F16(v) => Data::F16(interleave(&v, size, layout).into()),
        Data::I8(v) => Data::I8(interleave(&v, size, layout).into()),
        Data::U8(v) => Data::U8(interleave(&v, size, layout).into()),
        Data::I16(v) => Data::I16(interleave(&v, size, layout).into()),
        Data::I32(v) => Data::I32(interleave(&v, size, layout).into()),
    });
    tensor.layout = layout;
    graph.add(tensor)
}

fn interleave<T: Copy + Default>(rows: &[T], [gates, outputs]: [usize; 2], layout: Layout) -> Vec<T> {
    let depth = rows.len() / (gates * outputs);
    // How many outputs are side by side, and for how many elements each has room.
    let (panel, room) = match layout {
        Layout::Rows => (1, depth),
        Layout::Panel16 => (PANEL as usize, depth),
        Layout::Gates16 => (PANEL as usize, depth * gates),
        Layout::Pairs => (PAIR as usize, depth.next_multiple_of(PAIR_GROUP as usize)),
        Layout::Panel16x4 => (PANEL as usize, depth.next_multiple_of(PANEL_GROUP as usize)),
    };
    let mut values = vec![T::default(); outputs.next_multiple_of(panel) * room];
    for (row_at, row) in rows.chunks_exact(depth).enumerate() {
        let (gate, output) = (row_at / outputs, row_at % outputs);
        let (start, o) = (output / panel * room * panel, output % panel);
        for (i, &from) in row.iter().enumerate() {
            let at = match layout {
                Layout::Rows | Layout::Panel16 => i * panel + o,
                Layout::Gates16 => (i * gates + gate) * panel + o,
                Layout::Pairs => pairs_at(i) + o,
                Layout::Panel16x4 => i / 4 * 4 * panel + o * 4 + i % 4,
            };
            values[start + at] = from;
        }
    }
    values
}
