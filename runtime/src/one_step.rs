//! Models of one step, for the operators' tests.

use crate::{LoadError, Session, ops};
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{Block, Layout, Misfit, Model, OpCode, PANEL, Shape, Target, TensorType};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// An input of the step.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) dims: Vec<u32>,
    pub(crate) values: Vec<f32>,
    layout: Layout,
}

/// A float32 input with these values.
pub(crate) fn input(dims: &[u32], values: &[f32]) -> Input {
    assert_eq!(dims.iter().product::<u32>() as usize, values.len());
    Input { dims: dims.to_vec(), values: values.to_vec(), layout: Layout::Rows }
}

/// Values that look random and repeat: between −1 and 1, from a seed.
pub(crate) fn noise(dims: &[u32], seed: u32) -> Input {
    let len: u32 = dims.iter().product();
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    input(dims, &(0..len).map(|_| next()).collect::<Vec<_>>())
}

impl Input {
    /// The same weights `[O, …]` in layout `panel16`.
    pub(crate) fn packed(&self) -> Self {
        let outputs = self.dims[0] as usize;
        let depth = self.values.len() / outputs;
        let panels = outputs.next_multiple_of(PANEL as usize);
        let mut values = vec![0.0; panels * depth];
        for o in 0..outputs {
            for i in 0..depth {
                let panel = PANEL as usize;
                values[(o / panel * depth + i) * panel + o % panel] = self.values[o * depth + i];
            }
        }
        Self { dims: self.dims.clone(), values, layout: Layout::Panel16 }
    }

    pub(crate) fn tensor_type(&self) -> TensorType {
        TensorType::f32(Shape::new(&self.dims).unwrap())
    }
}

/// A window along one axis of a padded input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) input: u32,
    pub(crate) taps: u32,
    pub(crate) stride: u32,
    pub(crate) dilation: u32,
    pub(crate) pad: [u32; 2],
}

/// Small windows that fit their input: strides past the window, dilations, pads past the window.
pub(crate) fn axis() -> impl Strategy<Value = Axis> {
    let sizes = (0u32..6, 1u32..4, 1u32..5, 1u32..4);
    (sizes, 0u32..4, 0u32..4).prop_map(|((more, taps, stride, dilation), before, after)| {
        let reach = (taps - 1) * dilation + 1;
        let input = reach.saturating_sub(before + after).max(1) + more;
        Axis { input, taps, stride, dilation, pad: [before, after] }
    })
}

impl Axis {
    /// The input position under `tap` of the window at `position`; `None` over the padding.
    pub(crate) fn at(&self, position: u32, tap: u32) -> Option<u32> {
        let at = (position * self.stride + tap * self.dilation).checked_sub(self.pad[0])?;
        (at < self.input).then_some(at)
    }
}

/// A window that the inputs carry over the output, along one axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransposedAxis {
    pub(crate) input: u32,
    pub(crate) taps: u32,
    pub(crate) stride: u32,
    pub(crate) dilation: u32,
    pub(crate) crop: u32,
    pub(crate) output: u32,
}

/// Small windows: strides past the window, dilations, crops, outputs past the reach of the window.
pub(crate) fn transposed_axis() -> impl Strategy<Value = TransposedAxis> {
    let sizes = (1u32..5, 1u32..5, 1u32..5, 1u32..4, 0u32..4, 1u32..16);
    sizes.prop_map(|(input, taps, stride, dilation, crop, output)| TransposedAxis {
        input,
        taps,
        stride,
        dilation,
        crop,
        output,
    })
}

impl TransposedAxis {
    /// The output position that `input` reaches through `tap`; `None` if it is cropped.
    pub(crate) fn at(&self, input: u32, tap: u32) -> Option<u32> {
        let at = (input * self.stride + tap * self.dilation).checked_sub(self.crop)?;
        (at < self.output).then_some(at)
    }
}

impl Input {
    /// The element at this position.
    pub(crate) fn at(&self, position: &[u32]) -> f64 {
        assert_eq!(position.len(), self.dims.len());
        let index = position.iter().zip(&self.dims).fold(0, |index, (p, dim)| {
            assert!(p < dim);
            index * dim + p
        });
        self.values[index as usize].into()
    }
}

/// All positions of a tensor of these dimensions, in the order of its elements.
pub(crate) fn positions<const R: usize>(dims: [u32; R]) -> impl Iterator<Item = [u32; R]> {
    (0..dims.iter().product()).map(move |mut index| {
        let mut position = [0; R];
        for (p, dim) in position.iter_mut().zip(dims).rev() {
            (*p, index) = (index % dim, index / dim);
        }
        position
    })
}

/// The output that the operator's rule gives for these inputs.
pub(crate) fn output_type(op: OpCode, params: &[u8], inputs: &[Input]) -> Result<TensorType, Misfit> {
    let types: Vec<_> = inputs.iter().map(Input::tensor_type).collect();
    (op.rule().output)(params, &types)
}

/// Where input 0 and the output lie.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Aliasing {
    /// Each input and the output have memory of their own.
    Apart,
    /// Input 0 and the output are the same memory.
    InPlace,
}

/// A file of one step: input 0 is the model's input, the others are constants.
pub(crate) fn file(
    op: OpCode,
    params: &[u8],
    inputs: &[Input],
    output: TensorType,
    aliasing: Aliasing,
) -> Vec<Block> {
    let x = &inputs[0];
    let x_bytes = (x.values.len() as u32 * 4).next_multiple_of(16);
    let y_offset = if aliasing == Aliasing::InPlace { 0 } else { x_bytes };
    let mut tensors = vec![TensorDraft {
        name: None,
        tensor_type: x.tensor_type(),
        layout: Layout::Rows,
        quant: 0,
        memory: Memory::Arena(0),
    }];
    for input in &inputs[1..] {
        tensors.push(TensorDraft {
            name: None,
            tensor_type: input.tensor_type(),
            layout: input.layout,
            quant: 0,
            memory: Memory::Constant(bytemuck::cast_slice(&input.values).to_vec()),
        });
    }
    let y = tensors.len() as u32;
    tensors.push(TensorDraft {
        name: None,
        tensor_type: output,
        layout: Layout::Rows,
        quant: 0,
        memory: Memory::Arena(y_offset),
    });
    let draft = Draft {
        target: Target::Portable,
        tensors,
        steps: vec![StepDraft {
            name: None,
            op,
            params: params.to_vec(),
            inputs: (0..y).collect(),
            outputs: vec![y],
            scratches: vec![],
        }],
        inputs: vec![0],
        outputs: vec![y],
        quants: vec![],
        cases: vec![],
        meta: BTreeMap::new(),
    };
    draft.write().unwrap().0
}

/// Why the kernel refuses the step, given the output that the rule would give, or `output`.
pub(crate) fn refusal(op: OpCode, params: &[u8], inputs: &[Input], output: Option<TensorType>) -> Misfit {
    let output = match output.map_or_else(|| output_type(op, params, inputs), Ok) {
        Ok(output) => output,
        Err(misfit) => return misfit,
    };
    let blocks = file(op, params, inputs, output, Aliasing::Apart);
    match load_and_run(&blocks, &inputs[0].values) {
        Err(LoadError::Misfit { misfit, .. }) => misfit,
        other => panic!("not refused: {other:?}"),
    }
}

fn load_and_run(blocks: &[Block], x: &[f32]) -> Result<Vec<f32>, LoadError> {
    let bytes = Block::bytes(blocks);
    let file_bytes = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let model = Model::parse(&bytes[..file_bytes]).unwrap();
    let mut memory = vec![Block([0x7f; 16]); Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory))?;
    session.input::<f32>(0).unwrap().copy_from_slice(x);
    session.run().unwrap();
    Ok(session.output::<f32>(0).unwrap().to_vec())
}

/// What the step computes.
pub(crate) fn run(op: OpCode, params: &[u8], inputs: &[Input]) -> Vec<f32> {
    let output = output_type(op, params, inputs).unwrap();
    load_and_run(&file(op, params, inputs, output, Aliasing::Apart), &inputs[0].values).unwrap()
}

/// What the step computes with its output in the memory of input 0.
#[allow(dead_code)]
pub(crate) fn run_in_place(op: OpCode, params: &[u8], inputs: &[Input]) -> Vec<f32> {
    let output = output_type(op, params, inputs).unwrap();
    load_and_run(&file(op, params, inputs, output, Aliasing::InPlace), &inputs[0].values).unwrap()
}

/// The largest difference between two results.
pub(crate) fn difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max)
}
