//! Computes operators whose inputs are all constant, by the runtime's own kernels.

use crate::graph::{Data, Graph, Node};
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{Block, Layout, Model, Target};
use flatpack_runtime::{Session, ops};
use std::collections::BTreeMap;

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    let mut position = 0;
    while position < graph.nodes.len() {
        let node = &graph.nodes[position];
        let constant = node.inputs.iter().all(|&id| graph.data(id).is_some());
        if let Some(values) =
            (constant && !graph.is_kept(node.output)).then(|| compute(graph, node)).flatten()
        {
            let node = graph.nodes.remove(position);
            details.push(format!("{}: {} of constants", node.layer, node.op.name()));
            graph.tensors[node.output.0].data = Some(Data::F32(values.into()));
        } else {
            position += 1;
        }
    }
    details
}

/// The output of a node with constant inputs: a file of one step, run.
pub(crate) fn compute(graph: &Graph, node: &Node) -> Option<Vec<f32>> {
    let mut tensors = Vec::new();
    for &id in &node.inputs {
        let tensor = graph.tensor(id);
        tensors.push(TensorDraft {
            name: None,
            tensor_type: tensor.tensor_type,
            layout: tensor.layout,
            quant: 0,
            memory: Memory::Constant(tensor.data.as_ref()?.bytes().to_vec()),
        });
    }
    let output = tensors.len() as u32;
    tensors.push(TensorDraft {
        name: None,
        tensor_type: graph.tensor(node.output).tensor_type,
        layout: Layout::Rows,
        quant: 0,
        memory: Memory::Arena(0),
    });
    let step = StepDraft {
        name: None,
        op: node.op,
        params: node.params.clone(),
        inputs: (0..output).collect(),
        outputs: vec![output],
        scratches: vec![],
    };
    let draft = Draft {
        target: Target::Portable,
        tensors,
        steps: vec![step],
        inputs: vec![],
        outputs: vec![output],
        quants: vec![],
        cases: vec![],
        meta: BTreeMap::new(),
    };
    let (file, file_bytes) = draft.write().ok()?;
    let model = Model::parse(&Block::bytes(&file)[..file_bytes]).ok()?;
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)).ok()?;
    session.run().ok()?;
    session.output::<f32>(0).map(<[f32]>::to_vec)
}
