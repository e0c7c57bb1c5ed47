//! A planned graph as a draft of the file.

use crate::graph::{Graph, TensorId};
use crate::memory::MemoryPlan;
use crate::ops;
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{DType, Layout, QuantRecord, Target};
use std::collections::{BTreeMap, HashMap};

/// The draft, and the number that each tensor has in it. Constants with the same bytes become one.
pub fn draft(graph: &Graph, plan: &MemoryPlan, target: Target) -> (Draft, HashMap<TensorId, u32>) {
    let mut numbers = Numbers {
        graph,
        plan,
        tensors: Vec::new(),
        quants: Vec::new(),
        of: HashMap::new(),
        constants: HashMap::new(),
    };
    let inputs = graph.inputs.iter().map(|&id| numbers.number(id)).collect();
    let steps = plan
        .steps
        .iter()
        .map(|node| StepDraft {
            name: Some(node.layer.clone()),
            op: node.op,
            params: node.params.clone(),
            inputs: node.inputs.iter().map(|&id| numbers.number(id)).collect(),
            outputs: [&node.output]
                .into_iter()
                .chain(ops::updated(node))
                .map(|&id| numbers.number(id))
                .collect(),
            scratches: Vec::new(),
        })
        .collect();
    let outputs = graph.outputs.iter().map(|&id| numbers.number(id)).collect();
    let Numbers { tensors, quants, of, .. } = numbers;
    let draft =
        Draft { target, tensors, steps, inputs, outputs, quants, cases: Vec::new(), meta: BTreeMap::new() };
    (draft, of)
}

/// Tensors in the order in which inputs and steps name them.
struct Numbers<'a> {
    graph: &'a Graph,
    plan: &'a MemoryPlan,
    tensors: Vec<TensorDraft>,
    quants: Vec<QuantRecord>,
    of: HashMap<TensorId, u32>,
    constants: HashMap<(Vec<u32>, DType, Layout, Vec<u8>), u32>,
}

impl Numbers<'_> {
    fn number(&mut self, id: TensorId) -> u32 {
        if let Some(&number) = self.of.get(&id) {
            return number;
        }
        let tensor = self.graph.tensor(id);
        let next = self.tensors.len() as u32;
        let memory = match (&tensor.data, self.plan.in_state.get(&id)) {
            (Some(data), _) => {
                let bytes = data.bytes().to_vec();
                let key = (tensor.dims().to_vec(), tensor.tensor_type.dtype, tensor.layout, bytes.clone());
                let number = *self.constants.entry(key).or_insert(next);
                if number != next {
                    self.of.insert(id, number);
                    return number;
                }
                Memory::Constant(bytes)
            }
            (None, Some(&state)) => {
                Memory::State(self.plan.state_offsets[state], self.graph.states[state].init.bytes().to_vec())
            }
            (None, None) => match self.plan.far_offsets.get(&id) {
                Some(&offset) => Memory::Far(offset),
                None => Memory::Arena(self.plan.offsets.get(&id).copied().unwrap_or_default()),
            },
        };
        let quant = self.quant(id);
        let tensor = self.graph.tensor(id);
        self.tensors.push(TensorDraft {
            name: Some(tensor.name.clone()),
            tensor_type: tensor.tensor_type,
            layout: tensor.layout,
            quant,
            memory,
        });
        self.of.insert(id, next);
        next
    }

    /// 1 + number of the record that says what the integers of an activation stand for; 0 where it has
    /// none.
    fn quant(&mut self, id: TensorId) -> u32 {
        let tensor = self.graph.tensor(id);
        let of_integers = tensor.data.is_none() && tensor.tensor_type.dtype != DType::F32;
        let Some(quant) = tensor.quant.as_ref().filter(|_| of_integers) else { return 0 };
        let record = QuantRecord {
            scale: quant.scale(),
            zero_point: quant.zero_point(),
            axis: u32::MAX,
            scales: u32::MAX,
        };
        let found = self.quants.iter().position(|known| *known == record);
        let number = found.unwrap_or_else(|| {
            self.quants.push(record);
            self.quants.len() - 1
        });
        number as u32 + 1
    }
}
