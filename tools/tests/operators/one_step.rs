//! Files of one step, as the runtime runs them.

use flatpack::graph::{Graph, TensorId};
use flatpack::ops::updated;
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{Block, Layout, Model, PANEL, Target};
use flatpack_runtime::{LoadError, Session, ops};
use std::collections::BTreeMap;

/// How the step is laid out.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// Each tensor has memory of its own.
    Apart,
    /// The output takes the memory of this input.
    InPlace(usize),
    /// The weights, input 1, are in layout `panel16`.
    Packed,
}

/// What the only node of a graph computes.
///
/// # Errors
/// If its kernel refuses it in this form.
pub(crate) fn run(graph: &Graph, inputs: &[Vec<f32>], form: Form) -> Result<Vec<f32>, LoadError> {
    let node = &graph.nodes[0];
    let mut arena_bytes = 0;
    let mut offsets = vec![0; graph.tensors.len()];
    for (id, tensor) in graph.tensors.iter().enumerate().filter(|(_, tensor)| tensor.data.is_none()) {
        offsets[id] = arena_bytes;
        arena_bytes += tensor.shape().len().unwrap().next_multiple_of(4) * 4;
    }
    if let Form::InPlace(input) = form {
        offsets[node.output.0] = offsets[node.inputs[input].0];
    }
    let number = |id: &TensorId| id.0 as u32;
    let tensors = graph.tensors.iter().enumerate().map(|(id, tensor)| {
        let packed = form == Form::Packed && id == node.inputs[1].0;
        let memory = match &tensor.data {
            None => match graph.state(TensorId(id)) {
                Some(state) => Memory::State(offsets[id], state.init.bytes().to_vec()),
                None => Memory::Arena(offsets[id]),
            },
            Some(data) if packed => {
                Memory::Constant(panels(data.bytes(), data.dtype().bytes(), tensor.dims()[0]))
            }
            Some(data) => Memory::Constant(data.bytes().to_vec()),
        };
        let layout = if packed { Layout::Panel16 } else { Layout::Rows };
        TensorDraft { name: None, tensor_type: tensor.tensor_type, layout, quant: 0, memory }
    });
    let draft = Draft {
        target: Target::Portable,
        tensors: tensors.collect(),
        steps: vec![StepDraft {
            name: None,
            op: node.op,
            params: node.params.clone(),
            inputs: node.inputs.iter().map(number).collect(),
            outputs: [&node.output].into_iter().chain(updated(node)).map(number).collect(),
            scratches: vec![],
        }],
        inputs: graph.inputs.iter().map(number).collect(),
        outputs: vec![number(&node.output)],
        quants: vec![],
        cases: vec![],
        meta: BTreeMap::new(),
    };
    let blocks = draft.write().unwrap().0;
    let bytes = Block::bytes(&blocks);
    let file_bytes = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let model = Model::parse(&bytes[..file_bytes]).unwrap();
    let mut memory = vec![Block([0x7f; 16]); Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory))?;
    for (position, values) in inputs.iter().enumerate() {
        session.input::<f32>(position).unwrap().copy_from_slice(values);
    }
    session.run().unwrap();
    Ok(session.output::<f32>(0).unwrap().to_vec())
}

/// Weights `[outputs, …]`, of so many bytes each, with those of 16 outputs interleaved.
fn panels(rows: &[u8], bytes: u32, outputs: u32) -> Vec<u8> {
    let (outputs, panel, bytes) = (outputs as usize, PANEL as usize, bytes as usize);
    let depth = rows.len() / outputs / bytes;
    let mut panels = vec![0; outputs.next_multiple_of(panel) * depth * bytes];
    for (index, value) in rows.chunks_exact(bytes).enumerate() {
        let (output, at) = (index / depth, index % depth);
        let to = ((output / panel * depth + at) * panel + output % panel) * bytes;
        panels[to..to + bytes].copy_from_slice(value);
    }
    panels
}
