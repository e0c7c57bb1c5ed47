//! Models of one step, for the operators' tests.

use crate::{LoadError, Session, ops};
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{Block, DType, Layout, Misfit, Model, OpCode, PANEL, Shape, Target, TensorType};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::vec;
use std::vec::Vec;

/// An input of the step.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) dims: Vec<u32>,
    pub(crate) values: Vec<f32>,
    /// The elements where they are integers that a float may not hold.
    words: Vec<i32>,
    dtype: DType,
    layout: Layout,
}

/// A float32 input with these values.
pub(crate) fn input(dims: &[u32], values: &[f32]) -> Input {
    assert_eq!(dims.iter().product::<u32>() as usize, values.len());
    let words = vec![];
    Input { dims: dims.to_vec(), values: values.to_vec(), words, dtype: DType::F32, layout: Layout::Rows }
}

/// Bits that look random and repeat, from a seed.
pub(crate) fn bits(seed: u32) -> impl Iterator<Item = u32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    })
}

/// Values that look random and repeat: between −1 and 1, from a seed.
pub(crate) fn noise(dims: &[u32], seed: u32) -> Input {
    let len: u32 = dims.iter().product();
    let values = bits(seed).map(|bits| (bits >> 8) as f32 / (1 << 23) as f32 - 1.0);
    input(dims, &values.take(len as usize).collect::<Vec<_>>())
}

/// An input of these integers, in an element type of integers.
pub(crate) fn words(dims: &[u32], words: &[i32], dtype: DType) -> Input {
    assert_eq!(dims.iter().product::<u32>() as usize, words.len());
    let values = words.iter().map(|&v| v as f32).collect();
    Input { dims: dims.to_vec(), values, words: words.to_vec(), dtype, layout: Layout::Rows }
}

/// Integers that look random and repeat: of the whole range of this element type, but words between
/// −2²⁰ and 2²⁰.
pub(crate) fn integers(dims: &[u32], seed: u32, dtype: DType) -> Input {
    let len: u32 = dims.iter().product();
    let shift = if dtype == DType::I32 { 11 } else { 32 - 8 * dtype.bytes() };
    let values = bits(seed).map(|bits| match dtype {
        DType::U8 => (bits >> shift) as i32,
        _ => bits as i32 >> shift,
    });
    words(dims, &values.take(len as usize).collect::<Vec<_>>(), dtype)
}

/// Any signed bytes that look random and repeat.
pub(crate) fn i8s(dims: &[u32], seed: u32) -> Input {
    integers(dims, seed, DType::I8)
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
        Self { dims: self.dims.clone(), values, words: vec![], layout: Layout::Panel16, ..*self }
    }

    pub(crate) fn tensor_type(&self) -> TensorType {
        TensorType { dtype: self.dtype, shape: Shape::new(&self.dims).unwrap() }
    }

    fn bytes(&self) -> Vec<u8> {
        let values = self.values.iter();
        if !self.words.is_empty() {
            let words = self.words.iter().map(|word| word.to_le_bytes());
            return words.flat_map(|word| word[..self.dtype.bytes() as usize].to_vec()).collect();
        }
        match self.dtype.bytes() {
            1 => values.map(|&v| v as i8 as u8).collect(),
            2 if self.dtype == DType::F16 => values.flat_map(|&v| half_bits(v).to_le_bytes()).collect(),
            2 => values.flat_map(|&v| (v as i16).to_le_bytes()).collect(),
            _ if self.dtype == DType::I32 => values.flat_map(|&v| (v as i32).to_le_bytes()).collect(),
            _ => bytemuck::cast_slice(&self.values).to_vec(),
        }
    }
}

/// The bits of a binary16 that has exactly this value.
fn half_bits(v: f32) -> u16 {
    let sign = (v.to_bits() >> 16 & 0x8000) as u16;
    let magnitude = v.abs();
    let bits = match magnitude < SMALLEST_NORMAL_HALF {
        true => magnitude * 2f32.powi(24),
        false => (magnitude.to_bits() >> 13) as f32 - (112 << 10) as f32,
    };
    sign | bits as u16
}

const SMALLEST_NORMAL_HALF: f32 = 1.0 / (1 << 14) as f32;

/// Weights in fewer bytes than float32 takes, of this element type: the inputs of the step between x
/// and the bias, and the reals that the weights stand for. Outputs are counted along `axis`.
pub(crate) fn stored(dims: &[u32], axis: usize, seed: u32, dtype: DType) -> (Vec<Input>, Input) {
    let mut w = noise(dims, seed);
    w.dtype = dtype;
    if dtype == DType::F16 {
        for (at, v) in w.values.iter_mut().enumerate() {
            // Some are subnormal.
            *v *= if at % 3 == 0 { SMALLEST_NORMAL_HALF } else { 1.0 };
            *v = match v.abs() < SMALLEST_NORMAL_HALF {
                true => (*v * 2f32.powi(24)).trunc() * 2f32.powi(-24),
                false => f32::from_bits(v.to_bits() & !0x1fff),
            };
        }
        return (vec![w.clone()], Input { dtype: DType::F32, ..w });
    }
    w.values.iter_mut().for_each(|v| *v = (*v * 128.0).floor());
    let mut scales = noise(&[if seed.is_multiple_of(2) { 1 } else { dims[axis] }], seed ^ 0xaa);
    scales.values.iter_mut().for_each(|v| *v /= 128.0);
    let inner: u32 = dims[axis + 1..].iter().product();
    let scale =
        |index: usize| scales.values[index / inner as usize % dims[axis] as usize % scales.values.len()];
    let reals: Vec<f32> = w.values.iter().enumerate().map(|(index, q)| q * scale(index)).collect();
    (vec![w, scales], input(dims, &reals))
}

/// What the step computes with weights in fewer bytes meets `want` of x, of the reals that they stand
/// for, and of the bias; in panels too, where the operator allows them.
pub(crate) fn meets_with_stored_weights(
    [w8, w16]: [OpCode; 2],
    params: &[u8],
    [x, filter, bias]: &[Input; 3],
    (axis, packs): (usize, bool),
    want: impl Fn(&[Input; 3]) -> Vec<f32>,
) {
    for (op, dtype) in [(w8, DType::I8), (w16, DType::F16)] {
        let (weights, reals) = stored(&filter.dims, axis, bias.values[0].to_bits(), dtype);
        let mut inputs: Vec<Input> = [x].into_iter().chain(&weights).chain([bias]).cloned().collect();
        let rows = run(op, params, &inputs);
        let error = difference(&rows, &want(&[x.clone(), reals.clone(), bias.clone()]));
        assert!(error < 1e-5, "{op:?}: {error}");
        if packs {
            inputs[1] = inputs[1].packed();
            assert_eq!(run(op, params, &inputs), rows, "{op:?} in panels");
        }
        // The bias may be absent.
        inputs.pop();
        let zeros = input(&bias.dims, &vec![0.0; bias.values.len()]);
        let error = difference(&run(op, params, &inputs), &want(&[x.clone(), reals, zeros]));
        assert!(error < 1e-5, "{op:?} without bias: {error}");
    }
}

/// Refused are what [`refuses_other_operands`] says, and scales and biases of another length than the
/// outputs have. Shapes have one element each.
pub(crate) fn refuses_other_operands_with_stored_weights(
    [w8, w16]: [OpCode; 2],
    params: &[u8],
    [x, filter, one]: [&[u32]; 3],
    packs: bool,
) {
    let of = |dims: &[u32]| input(dims, &[1.0]);
    for (op, dtype) in [(w8, DType::I8), (w16, DType::F16)] {
        let (weights, _) = stored(filter, 0, 2, dtype);
        let inputs = [&[of(x)], &weights[..], &[of(one)]].concat();
        refuses_other_operands(op, params, &inputs, packs, 0);
        for at in 2..inputs.len() {
            let mut other = inputs.clone();
            other[at] = noise(&[2], 1);
            assert_eq!(refusal(op, params, &other, None), Misfit::Shape(at as u8));
        }
    }
}

/// The values in the bytes of a tensor; the reverse of [`Input::bytes`].
fn values(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    match dtype.bytes() {
        1 if dtype == DType::U8 => bytes.iter().map(|&v| v.into()).collect(),
        1 => bytes.iter().map(|&v| f32::from(v as i8)).collect(),
        2 if dtype == DType::F16 => {
            bytes.as_chunks().0.iter().map(|&v| crate::math::half(u16::from_le_bytes(v))).collect()
        }
        2 => bytes.as_chunks().0.iter().map(|&v| f32::from(i16::from_le_bytes(v))).collect(),
        _ if dtype == DType::I32 => {
            bytes.as_chunks().0.iter().map(|&v| i32::from_le_bytes(v) as f32).collect()
        }
        _ => bytemuck::cast_slice(bytes).to_vec(),
    }
}

/// Whole numbers that look random and repeat, between −100 or 0 and 100, in this element type.
pub(crate) fn whole(dims: &[u32], seed: u32, dtype: DType) -> Input {
    let of_type = |v: f32| if dtype == DType::U8 { v.abs() } else { v };
    let values = noise(dims, seed).values.iter().map(|v| of_type((v * 100.0).trunc())).collect();
    Input { dims: dims.to_vec(), values, words: vec![], dtype, layout: Layout::Rows }
}

/// An input of this element type with these values.
pub(crate) fn typed(dims: &[u32], values: &[f32], dtype: DType) -> Input {
    Input { dtype, ..input(dims, values) }
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

/// Small windows without dilation, each of which covers an element.
pub(crate) fn pool_axis() -> impl Strategy<Value = Axis> {
    axis().prop_map(|axis| Axis {
        dilation: 1,
        input: axis.input + axis.taps,
        pad: axis.pad.map(|pad| pad.min(axis.taps - 1)),
        ..axis
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
        self.values[self.index(position)].into()
    }

    /// The integer at this position.
    pub(crate) fn int(&self, position: &[u32]) -> i64 {
        self.words[self.index(position)].into()
    }

    fn index(&self, position: &[u32]) -> usize {
        assert_eq!(position.len(), self.dims.len());
        let index = position.iter().zip(&self.dims).fold(0, |index, (p, dim)| {
            assert!(p < dim);
            index * dim + p
        });
        index as usize
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

/// Where the inputs and the output lie.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Aliasing {
    /// Each input and the output have memory of their own.
    Apart,
    /// This input and the output are the same memory.
    InPlace(usize),
    /// Input 0 is given twice, and the output is its memory.
    Twice,
    /// Apart, and this input is not constant.
    Varying(usize),
}

/// A file of one step: input 0, and the one that shares memory with the output, are the model's
/// inputs, the others are constants.
pub(crate) fn file(
    op: OpCode,
    params: &[u8],
    inputs: &[Input],
    output: TensorType,
    aliasing: Aliasing,
) -> Vec<Block> {
    let mut tensors = vec![];
    let mut end = 0;
    let mut y_offset = None;
    let mut model_inputs = vec![];
    for (index, input) in inputs.iter().enumerate() {
        let in_place = aliasing == Aliasing::InPlace(index) || (aliasing == Aliasing::Twice && index == 0);
        let memory = if index == 0 || in_place || aliasing == Aliasing::Varying(index) {
            model_inputs.push(index as u32);
            y_offset = if in_place { Some(end) } else { y_offset };
            let offset = end;
            end += (input.bytes().len() as u32).next_multiple_of(16);
            Memory::Arena(offset)
        } else {
            Memory::Constant(input.bytes())
        };
        tensors.push(TensorDraft {
            name: None,
            tensor_type: input.tensor_type(),
            layout: input.layout,
            quant: 0,
            memory,
        });
    }
    let y = tensors.len() as u32;
    tensors.push(TensorDraft {
        name: None,
        tensor_type: output,
        layout: Layout::Rows,
        quant: 0,
        memory: Memory::Arena(y_offset.unwrap_or(end)),
    });
    let draft = Draft {
        target: Target::Portable,
        tensors,
        steps: vec![StepDraft {
            name: None,
            op,
            params: params.to_vec(),
            inputs: if aliasing == Aliasing::Twice { vec![0, 0] } else { (0..y).collect() },
            outputs: vec![y],
            scratches: vec![],
        }],
        inputs: model_inputs,
        outputs: vec![y],
        quants: vec![],
        cases: vec![],
        meta: BTreeMap::new(),
    };
    draft.write().unwrap().0
}

/// Loads a file of one step, and gives what it computes.
fn load_and_run(blocks: &[Block], inputs: &[Input], aliasing: Aliasing) -> Result<Vec<f32>, LoadError> {
    let bytes = Block::bytes(blocks);
    let file_bytes = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let model = Model::parse(&bytes[..file_bytes]).unwrap();
    let mut memory = vec![Block([0x7f; 16]); Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory))?;
    session.input_bytes(0).unwrap().copy_from_slice(&inputs[0].bytes());
    if let Aliasing::InPlace(index @ 1..) | Aliasing::Varying(index @ 1..) = aliasing {
        session.input_bytes(1).unwrap().copy_from_slice(&inputs[index].bytes());
    }
    session.run().unwrap();
    let dtype = model.outputs().next().unwrap().dtype();
    Ok(values(dtype, session.output_bytes(0).unwrap()))
}

fn run_aliasing(op: OpCode, params: &[u8], inputs: &[Input], aliasing: Aliasing) -> Vec<f32> {
    let given = if aliasing == Aliasing::Twice { vec![inputs[0].clone(); 2] } else { inputs.to_vec() };
    let output = output_type(op, params, &given).unwrap();
    load_and_run(&file(op, params, inputs, output, aliasing), inputs, aliasing).unwrap()
}

/// What the step computes.
pub(crate) fn run(op: OpCode, params: &[u8], inputs: &[Input]) -> Vec<f32> {
    run_aliasing(op, params, inputs, Aliasing::Apart)
}

/// What the step computes with its output in the memory of input `index`.
pub(crate) fn run_in_place(op: OpCode, params: &[u8], inputs: &[Input], index: usize) -> Vec<f32> {
    run_aliasing(op, params, inputs, Aliasing::InPlace(index))
}

/// What the step computes from `x` as both of its inputs, with its output in their memory.
pub(crate) fn run_twice(op: OpCode, params: &[u8], x: &Input) -> Vec<f32> {
    run_aliasing(op, params, std::slice::from_ref(x), Aliasing::Twice)
}

/// Why the kernel refuses the step, given the output that the rule would give, or `output`.
pub(crate) fn refusal(op: OpCode, params: &[u8], inputs: &[Input], output: Option<TensorType>) -> Misfit {
    match output.map_or_else(|| output_type(op, params, inputs), Ok) {
        Ok(output) => refused(op, params, inputs, output, Aliasing::Apart),
        Err(misfit) => misfit,
    }
}

/// Why the kernel refuses the step with its output in the memory of input `index`.
pub(crate) fn refusal_in_place(op: OpCode, params: &[u8], inputs: &[Input], index: usize) -> Misfit {
    let output = output_type(op, params, inputs).unwrap();
    refused(op, params, inputs, output, Aliasing::InPlace(index))
}

/// Why the kernel refuses the step with an input `index` that is not constant.
pub(crate) fn refusal_of_varying(op: OpCode, params: &[u8], inputs: &[Input], index: usize) -> Misfit {
    let output = output_type(op, params, inputs).unwrap();
    refused(op, params, inputs, output, Aliasing::Varying(index))
}

fn refused(op: OpCode, params: &[u8], inputs: &[Input], output: TensorType, aliasing: Aliasing) -> Misfit {
    match load_and_run(&file(op, params, inputs, output, aliasing), inputs, aliasing) {
        Err(LoadError::Misfit { misfit, .. }) => misfit,
        other => panic!("not refused: {other:?}"),
    }
}

/// Refused are other element types, packed tensors other than the weights (input 1, where `packed_weights`), one
/// input more, and an output in the place of any input but those in `may_alias` (bit per input). The
/// inputs fit; those as long as the output are put in its place.
pub(crate) fn refuses_other_operands(
    op: OpCode,
    params: &[u8],
    inputs: &[Input],
    packed_weights: bool,
    may_alias: u32,
) {
    run(op, params, inputs);
    let output = output_type(op, params, inputs).unwrap();
    for at in 0..inputs.len() {
        let operand = at as u8;
        let refused = |input: Input| {
            let mut other = inputs.to_vec();
            other[at] = input;
            refusal(op, params, &other, None)
        };
        let other = if inputs[at].dtype == DType::I32 { DType::I16 } else { DType::I32 };
        assert_eq!(refused(whole(&inputs[at].dims, 1, other)), Misfit::DType(operand));
        // Only constants can be packed.
        if at > 0 && !(packed_weights && at == 1) {
            assert_eq!(refused(inputs[at].packed()), Misfit::Layout(operand));
        }
        // The format itself refuses an output over a part of an input.
        let as_long = output.bytes(Layout::Rows) == Some(inputs[at].bytes().len() as u32);
        if as_long && may_alias >> at & 1 == 0 {
            assert_eq!(refusal_in_place(op, params, inputs, at), Misfit::Alias(operand));
        }
    }
    let more = [inputs, &inputs[..1]].concat();
    assert_eq!(refusal(op, params, &more, Some(output)), Misfit::Count);
}

/// What is wrong with the states of a step.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// They are no outputs.
    NotWritten,
    /// They lie in the arena.
    Place,
    /// They are outputs in another order, or another one is.
    Other,
}

/// A file of one step whose last inputs are states, the others constants but for the first.
fn stateful_file(
    op: OpCode,
    params: &[u8],
    inputs: &[Input],
    output: TensorType,
    states: usize,
    wrong: Wrong,
) -> Vec<Block> {
    let first_state = inputs.len() - states;
    let (mut arena_end, mut state_end) = (0, 0);
    let place = |bytes: usize, end: &mut u32| {
        let at = *end;
        *end += (bytes as u32).next_multiple_of(16);
        at
    };
    let mut tensors: Vec<TensorDraft> = vec![];
    for (at, input) in inputs.iter().enumerate() {
        let bytes = input.bytes();
        let memory = if at >= first_state && wrong != Wrong::Place {
            Memory::State(place(bytes.len(), &mut state_end), bytes)
        } else if at == 0 || at >= first_state {
            Memory::Arena(place(bytes.len(), &mut arena_end))
        } else {
            Memory::Constant(bytes)
        };
        let (tensor_type, layout) = (input.tensor_type(), input.layout);
        tensors.push(TensorDraft { name: None, tensor_type, layout, quant: 0, memory });
    }
    let y = tensors.len() as u32;
    let memory = Memory::Arena(arena_end);
    tensors.push(TensorDraft { name: None, tensor_type: output, layout: Layout::Rows, quant: 0, memory });
    let mut outputs: Vec<u32> = [y].into_iter().chain(first_state as u32..y).collect();
    if wrong == Wrong::NotWritten {
        outputs.truncate(1);
    }
    if wrong == Wrong::Other {
        let last = tensors[y as usize - 1].clone();
        *outputs.last_mut().unwrap() = tensors.len() as u32;
        tensors.push(last);
    }
    let draft = Draft {
        target: Target::Portable,
        tensors,
        steps: vec![StepDraft {
            name: None,
            op,
            params: params.to_vec(),
            inputs: (0..y).collect(),
            outputs,
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

/// What a step whose last `states` inputs are states computes in runs with `xs` as its first input, one
/// after the other; the same again after a reset.
pub(crate) fn stream(
    op: OpCode,
    params: &[u8],
    inputs: &[Input],
    states: usize,
    xs: &[Input],
) -> Vec<Vec<f32>> {
    let output = output_type(op, params, inputs).unwrap();
    let blocks = stateful_file(op, params, inputs, output, states, Wrong::Nothing);
    let bytes = Block::bytes(&blocks);
    let file_bytes = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let model = Model::parse(&bytes[..file_bytes]).unwrap();
    let mut memory = vec![Block([0x7f; 16]); Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)).unwrap();
    let mut run = || -> Vec<Vec<f32>> {
        session.reset();
        let mut step = |x: &Input| {
            session.input_bytes(0).unwrap().copy_from_slice(&x.bytes());
            session.run().unwrap();
            values(output.dtype, session.output_bytes(0).unwrap())
        };
        xs.iter().map(&mut step).collect()
    };
    let first = run();
    assert_eq!(run(), first);
    for wrong in [Wrong::NotWritten, Wrong::Place, Wrong::Other] {
        let blocks = stateful_file(op, params, inputs, output, states, wrong);
        let misfit = match wrong {
            Wrong::NotWritten => Misfit::Count,
            Wrong::Place => Misfit::State((inputs.len() - states) as u8),
            _ => Misfit::State(inputs.len() as u8 - 1),
        };
        assert_eq!(load_refusal(&blocks), misfit);
    }
    first
}

/// Why the kernel refuses a step whose last `states` inputs are states.
pub(crate) fn refusal_with_states(op: OpCode, params: &[u8], inputs: &[Input], states: usize) -> Misfit {
    match output_type(op, params, inputs) {
        Ok(output) => load_refusal(&stateful_file(op, params, inputs, output, states, Wrong::Nothing)),
        Err(misfit) => misfit,
    }
}

fn load_refusal(blocks: &[Block]) -> Misfit {
    let bytes = Block::bytes(blocks);
    let file_bytes = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let model = Model::parse(&bytes[..file_bytes]).unwrap();
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    match Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)) {
        Err(LoadError::Misfit { misfit, .. }) => misfit,
        other => panic!("not refused: {other:?}"),
    }
}

/// The largest difference between two results; NaN if there is one.
pub(crate) fn difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let differences = got.iter().zip(want).map(|(g, w)| (g - w).abs());
    differences.fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most })
}

/// Values at which functions change their ways.
pub(crate) const EDGES: [f32; 21] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.5,
    -2.5,
    3.0,
    -3.0,
    100.0,
    -100.0,
    1e-40,
    -1e-40,
    f32::MIN_POSITIVE,
    f32::EPSILON,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// Whether `got` is `want` as nearly as an f32 can be, or within `tolerance`. NaNs and infinities
/// meet only themselves, but a number near 2¹²⁸ may have become infinite.
pub(crate) fn meets(got: f32, want: f64, tolerance: f64) -> bool {
    if want.is_nan() || want.is_infinite() {
        return got == want as f32 || (got.is_nan() && want.is_nan());
    }
    let bound = 2f64.powi(128);
    let error = f64::from(got).clamp(-bound, bound) - want.clamp(-bound, bound);
    got == want as f32 || error.abs() <= tolerance
}

/// `count` units in the last place of an f32 near `value`: spacings between neighbours, 2⁻¹⁴⁹ among
/// subnormals. A chain of `n` products and quotients, each rounded correctly, is within `n` of them.
pub(crate) fn ulps(count: f64, value: f64) -> f64 {
    let power_of_two = f64::from_bits(value.to_bits() & f64::INFINITY.to_bits());
    count * (power_of_two * f64::from(f32::EPSILON)).max(f64::from(f32::from_bits(1)))
}

/// As [`positions`], for any number of dimensions.
pub(crate) fn indices(dims: &[u32]) -> impl Iterator<Item = Vec<u32>> {
    (0..dims.iter().product()).map(move |mut position: u32| {
        let mut index = vec![0; dims.len()];
        for (at, dim) in index.iter_mut().zip(dims).rev() {
            *at = position % dim;
            position /= dim;
        }
        index
    })
}

/// `f` of each vector that the axes `axes` of x make, in place of these axes.
pub(crate) fn along(x: &Input, axes: Range<usize>, f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f32> {
    let len = |dims: &[u32]| dims.iter().product::<u32>() as usize;
    let (count, inner) = (len(&x.dims[axes.clone()]), len(&x.dims[axes.end..]));
    let mut y = vec![];
    for block in x.values.chunks(count * inner) {
        let vectors = (0..inner).map(|at| block.iter().skip(at).step_by(inner).map(|&v| v.into()).collect());
        let results: Vec<Vec<f64>> = vectors.map(|vector: Vec<f64>| f(&vector)).collect();
        y.extend((0..results[0].len()).flat_map(|i| results.iter().map(move |result| result[i] as f32)));
    }
    y
}

/// Shapes of several dimensions and one of them, in short and long.
pub(crate) fn shape_and_axis() -> impl Strategy<Value = (Vec<u32>, usize)> {
    let around = || proptest::collection::vec(1u32..5, 0..3);
    let inner = prop_oneof![Just(vec![]), around(), (1u32..40).prop_map(|dim| vec![dim])];
    (around(), prop_oneof![1u32..20, 1u32..600], inner).prop_map(|(outer, len, inner)| {
        let axis = outer.len();
        (outer.into_iter().chain([len]).chain(inner).collect(), axis)
    })
}

/// Input and output of a model of one layer, as Keras computed it; `None`, and a note, where the
/// recordings are not at hand.
pub(crate) fn recorded(case: &str) -> Option<(Input, Input)> {
    let corpus = std::env::var_os("FLATPACK_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")),
        PathBuf::from,
    );
    let folder = corpus.join("layers/keras3").join(case);
    if !folder.is_dir() {
        std::eprintln!("skipped: {} is not there", folder.display());
        return None;
    }
    Some((npy(&folder.join("input_0.npy")), npy(&folder.join("output_0.npy"))))
}

/// A float32 array in NumPy's format 1.0.
fn npy(path: &Path) -> Input {
    let bytes = std::fs::read(path).unwrap();
    let header_end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..header_end]).unwrap();
    assert!(header.contains("'descr': '<f4', 'fortran_order': False"), "{header}");
    let (_, shape) = header.split_once('(').unwrap();
    let (shape, _) = shape.split_once(')').unwrap();
    let dims: Vec<u32> = shape.split(',').filter_map(|dim| dim.trim().parse().ok()).collect();
    let values = bytes[header_end..].as_chunks().0.iter().map(|&v| f32::from_le_bytes(v));
    input(&dims, &values.collect::<Vec<_>>())
}
