//! A small step of every operator, and files made of them.

#![allow(dead_code)]

mod steps;

pub(crate) use steps::step;

use bytemuck::Zeroable;
use flatpack_format::writer::{CaseDraft, Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{CaseRecord, DType, Layout, OpCode, ReceiptRecord, Shape, Target, TensorType};
use std::collections::BTreeMap;

impl Sample {
    pub(crate) fn packable(&self) -> bool {
        self.packable
    }

    fn dtype(&self, operand: usize) -> DType {
        self.dtypes.get(operand).copied().unwrap_or(DType::F32)
    }

    /// The step as the fuzz target `any_step` reads it.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        let index = OpCode::ALL.iter().position(|op| *op == self.op).unwrap();
        let count = self.inputs.len() + self.constants.len() + self.states.len();
        let mut bytes = vec![index as u8, count as u8];
        let varying = self.inputs.iter().map(|dims| (0, dims));
        let operands = varying.chain(self.constants.iter().map(|dims| (1, dims)));
        let operands = operands.chain(self.states.iter().map(|dims| (1 << 6, dims)));
        for (at, (flags, dims)) in operands.enumerate() {
            bytes.extend([flags | (self.dtype(at) as u8) << 3, dims.len() as u8]);
            bytes.extend(dims.iter().map(|dim| *dim as u8 - 1));
        }
        bytes.extend(&self.params);
        bytes
    }
}

/// A step: parameters, the dimensions of the inputs that vary, of those that are constant, and of those
/// that are states.
pub(crate) struct Sample {
    pub(crate) op: OpCode,
    params: Vec<u8>,
    inputs: Vec<Vec<u32>>,
    constants: Vec<Vec<u32>>,
    states: Vec<Vec<u32>>,
    /// The first constant may be packed in panels.
    packable: bool,
    /// Element types of the first operands; those past them are f32.
    dtypes: &'static [DType],
}

/// A draft under construction. Inputs of all steps begin at the same byte of the arena: each step
/// reads what happens to be there.
struct Build {
    draft: Draft,
    types: Vec<TensorType>,
    state_end: u32,
}

impl Build {
    fn tensor(&mut self, dtype: DType, dims: &[u32], layout: Layout, memory: Memory) -> u32 {
        let tensor_type = TensorType { dtype, shape: Shape::new(dims).unwrap() };
        self.types.push(tensor_type);
        self.draft.tensors.push(TensorDraft { name: None, tensor_type, layout, quant: 0, memory });
        self.types.len() as u32 - 1
    }

    /// A tensor at the start of the arena, aligned after `after`.
    fn arena(&mut self, dtype: DType, dims: &[u32], offset: &mut u32) -> u32 {
        let at = *offset;
        *offset = (at + dims.iter().product::<u32>() * dtype.bytes()).next_multiple_of(16);
        self.tensor(dtype, dims, Layout::Rows, Memory::Arena(at))
    }

    fn constant(&mut self, dtype: DType, dims: &[u32], packed: bool) -> u32 {
        let len = dims.iter().product::<u32>();
        // Words are multipliers: of 2⁻⁷ each.
        let words = (0..len).flat_map(|i| if i % 2 == 0 { 1i32 << 30 } else { -6 }.to_le_bytes());
        let values = (0..len).flat_map(|i| ((i % 7) as f32 * 0.25 - 0.75).to_le_bytes());
        let bytes: Vec<u8> = match dtype {
            DType::F32 => values.collect(),
            DType::I32 => words.collect(),
            _ => (0..len * dtype.bytes()).map(|i| (i * 37) as u8).collect(),
        };
        if !packed {
            return self.tensor(dtype, dims, Layout::Rows, Memory::Constant(bytes));
        }
        let (outputs, size) = (dims[0] as usize, dtype.bytes() as usize);
        let depth = len as usize / outputs;
        let mut panels = vec![0; outputs.next_multiple_of(16) * depth * size];
        for (o, row) in bytes.chunks_exact(depth * size).enumerate() {
            for (i, value) in row.chunks_exact(size).enumerate() {
                let at = (o / 16 * depth * 16 + i * 16 + o % 16) * size;
                panels[at..at + size].copy_from_slice(value);
            }
        }
        self.tensor(dtype, dims, Layout::Panel16, Memory::Constant(panels))
    }

    fn step(&mut self, sample: &Sample, packed: bool) {
        let mut end = 0;
        let mut inputs = Vec::new();
        for dims in &sample.inputs {
            inputs.push(self.arena(sample.dtype(inputs.len()), dims, &mut end));
        }
        for (at, dims) in sample.constants.iter().enumerate() {
            let packed = packed && sample.packable && at == 0;
            inputs.push(self.constant(sample.dtype(inputs.len()), dims, packed));
        }
        let mut states = Vec::new();
        for dims in &sample.states {
            states.push(self.state(sample.dtype(inputs.len() + states.len()), dims));
        }
        inputs.extend(&states);
        let types: Vec<_> = inputs.iter().map(|&t| self.types[t as usize]).collect();
        let output = (sample.op.rule().output)(&sample.params, &types).unwrap();
        let output = self.arena(output.dtype, output.shape.dims(), &mut end);
        self.draft.steps.push(StepDraft {
            name: Some(sample.op.name().into()),
            op: sample.op,
            params: sample.params.clone(),
            inputs,
            outputs: [output].into_iter().chain(states).collect(),
            scratches: vec![],
        });
    }

    /// A tensor of the state memory, behind those of the steps before.
    fn state(&mut self, dtype: DType, dims: &[u32]) -> u32 {
        let bytes = dims.iter().product::<u32>() * dtype.bytes();
        let at = self.state_end;
        self.state_end = (at + bytes).next_multiple_of(16);
        let init = (0..bytes).map(|i| (i * 5) as u8 & 0x3f).collect();
        self.tensor(dtype, dims, Layout::Rows, Memory::State(at, init))
    }

    /// One golden case, whose predictions no machine meets: what counts is that it is looked at.
    fn finish(mut self) -> Draft {
        let bytes = |numbers: &[u32], types: &[TensorType]| {
            let zeros =
                numbers.iter().map(|&t| vec![0; types[t as usize].bytes(Layout::Rows).unwrap() as usize]);
            zeros.collect()
        };
        self.draft.cases.push(CaseDraft {
            inputs: bytes(&self.draft.inputs, &self.types),
            outputs: bytes(&self.draft.outputs, &self.types),
            tolerances: CaseRecord {
                abs_tolerance: f32::MAX,
                receipt_abs_tolerance: f32::MAX,
                ..CaseRecord::zeroed()
            },
            receipts: (0..self.draft.steps.len() as u32)
                .map(|step| ReceiptRecord { step, ..ReceiptRecord::zeroed() })
                .collect(),
        });
        self.draft
    }
}

fn build(target: Target) -> Build {
    let draft = Draft {
        target,
        tensors: vec![],
        steps: vec![],
        inputs: vec![],
        outputs: vec![],
        quants: vec![],
        cases: vec![],
        meta: BTreeMap::from([("producer".into(), "tests".into())]),
    };
    Build { draft, types: vec![], state_end: 0 }
}

/// A model of one step; for target `linux`, with weights in panels where the operator allows it.
pub(crate) fn one(op: OpCode, target: Target) -> Draft {
    let mut build = build(target);
    build.step(&step(op), target == Target::Linux);
    let step = build.draft.steps[0].clone();
    let varying =
        step.inputs.iter().filter(|&&t| matches!(build.draft.tensors[t as usize].memory, Memory::Arena(_)));
    build.draft.inputs = varying.copied().collect();
    build.draft.outputs = step.outputs[..1].to_vec();
    build.finish()
}

/// The draft with those tensors of the arena for which `far` is true at the same offset of the far arena.
pub(crate) fn moved(draft: &Draft, far: impl Fn(u32) -> bool) -> Draft {
    let mut draft = draft.clone();
    for (number, tensor) in (0..).zip(&mut draft.tensors) {
        match tensor.memory {
            Memory::Arena(offset) if far(number) => tensor.memory = Memory::Far(offset),
            _ => {}
        }
    }
    draft
}

/// A model of a step of each operator.
pub(crate) fn all(ops: &[OpCode], target: Target) -> Draft {
    let mut build = build(target);
    let mut end = 0;
    let input = build.arena(DType::F32, &[64], &mut end);
    for &op in ops {
        build.step(&step(op), target == Target::Linux);
    }
    build.draft.inputs = vec![input];
    build.draft.outputs = build.draft.steps.last().map(|step| step.outputs[..1].to_vec()).unwrap_or_default();
    build.finish()
}
