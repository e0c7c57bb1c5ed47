//! A planned graph as a draft of the file.

use crate::graph::{Graph, TensorId};
use crate::memory::MemoryPlan;
use flatpack_format::Target;
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use std::collections::{BTreeMap, HashMap};

/// The draft, and the number that each tensor has in it. Constants with the same bytes become one.
pub fn draft(graph: &Graph, plan: &MemoryPlan, target: Target) -> (Draft, HashMap<TensorId, u32>) {
    let mut numbers =
        Numbers { graph, plan, tensors: Vec::new(), of: HashMap::new(), constants: HashMap::new() };
    let inputs = graph.inputs.iter().map(|&id| numbers.number(id)).collect();
    let steps = plan
        .steps
        .iter()
        .map(|node| StepDraft {
            name: Some(node.layer.clone()),
            op: node.op,
            params: node.params.clone(),
            inputs: node.inputs.iter().map(|&id| numbers.number(id)).collect(),
            outputs: vec![numbers.number(node.output)],
            scratches: Vec::new(),
        })
        .collect();
    let outputs = graph.outputs.iter().map(|&id| numbers.number(id)).collect();
    let Numbers { tensors, of, .. } = numbers;
    let draft = Draft {
        target,
        tensors,
        steps,
        inputs,
        outputs,
        quants: Vec::new(),
        cases: Vec::new(),
        meta: BTreeMap::new(),
    };
    (draft, of)
}

/// Tensors in the order in which inputs and steps name them.
struct Numbers<'a> {
    graph: &'a Graph,
    plan: &'a MemoryPlan,
    tensors: Vec<TensorDraft>,
    of: HashMap<TensorId, u32>,
    constants: HashMap<(Vec<u32>, u8, Vec<u8>), u32>,
}

impl Numbers<'_> {
    fn number(&mut self, id: TensorId) -> u32 {
        if let Some(&number) = self.of.get(&id) {
            return number;
        }
        let tensor = self.graph.tensor(id);
        let next = self.tensors.len() as u32;
        let memory = match &tensor.data {
            Some(data) => {
                let bytes: Vec<u8> = bytemuck::cast_slice(data).to_vec();
                let key = (tensor.dims().to_vec(), tensor.layout as u8, bytes.clone());
                let number = *self.constants.entry(key).or_insert(next);
                if number != next {
                    self.of.insert(id, number);
                    return number;
                }
                Memory::Constant(bytes)
            }
            None => Memory::Arena(self.plan.offsets.get(&id).copied().unwrap_or_default()),
        };
        self.tensors.push(TensorDraft {
            name: Some(tensor.name.clone()),
            tensor_type: tensor.tensor_type,
            layout: tensor.layout,
            quant: 0,
            memory,
        });
        self.of.insert(id, next);
        next
    }
}
