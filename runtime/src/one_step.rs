//! Models of one step, for the operators' tests.

mod input;
mod states;
mod stored;
mod wanted;
mod windows;

pub(crate) use input::{Input, bits, i8s, indices, input, integers, noise, positions, typed, whole, words};
pub(crate) use states::{refusal_with_states, stream};
pub(crate) use stored::{
    meets_with_stored_weights, refuses_other_operands_with_stored_weights, stored_weights,
};
pub(crate) use wanted::{EDGES, along, difference, meets, recorded, shape_and_axis, ulps};
pub(crate) use windows::{Axis, TransposedAxis, axis, pool_axis, transposed_axis};

use crate::{Isa, Kernel, LoadError, Progress, Session, ops};
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{Block, DType, Layout, Misfit, Model, OpCode, Overlap, Target, TensorType};
use input::values;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// The output that the operator's rule gives for these inputs.
pub(crate) fn output_type(op: OpCode, params: &[u8], inputs: &[Input]) -> Result<TensorType, Misfit> {
    let types: Vec<_> = inputs.iter().map(Input::tensor_type).collect();
    (op.rule().output)(params, &types)
}

/// Where the inputs and the output lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aliasing {
    /// Each input and the output have memory of their own.
    Apart,
    /// This input and the output are the same memory.
    InPlace(usize),
    /// Input 0 is given twice, and the output is its memory.
    Twice,
    /// Apart, and this input is not constant.
    Varying(usize),
    /// The output begins so many bytes before input 0.
    Before(u32),
    /// The output begins so many bytes after input 0.
    After(u32),
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
            let mut offset = end;
            match aliasing {
                Aliasing::Before(distance) if index == 0 => (y_offset, offset) = (Some(0), distance),
                Aliasing::After(distance) if index == 0 => y_offset = Some(distance),
                _ => {}
            }
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

/// Loads a file of one step, and gives what these kernels compute on so many threads in parts of `macs`
/// multiply-accumulates.
fn load_and_run(
    blocks: &[Block],
    kernels: &[Kernel],
    inputs: &[Input],
    aliasing: Aliasing,
    (threads, macs): (usize, u32),
) -> Result<Vec<f32>, LoadError> {
    let bytes = Block::bytes(blocks);
    let file_bytes = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let model = Model::parse(&bytes[..file_bytes]).unwrap();
    let mut memory = vec![Block([0x7f; 16]); Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, kernels, Block::bytes_mut(&mut memory))?;
    #[cfg(feature = "threads")]
    if threads > 1 {
        session = session.with_threads(threads).unwrap();
    }
    #[cfg(not(feature = "threads"))]
    assert_eq!(threads, 1);
    session.input_bytes(0).unwrap().copy_from_slice(&inputs[0].bytes());
    if let Aliasing::InPlace(index @ 1..) | Aliasing::Varying(index @ 1..) = aliasing {
        session.input_bytes(1).unwrap().copy_from_slice(&inputs[index].bytes());
    }
    while session.step_within(macs).unwrap() == Progress::Running {}
    let dtype = model.outputs().next().unwrap().dtype();
    Ok(values(dtype, session.output_bytes(0).unwrap()))
}

fn run_aliasing(op: OpCode, params: &[u8], inputs: &[Input], aliasing: Aliasing) -> Vec<f32> {
    let given = if aliasing == Aliasing::Twice { vec![inputs[0].clone(); 2] } else { inputs.to_vec() };
    let output = output_type(op, params, &given).unwrap();
    let blocks = file(op, params, inputs, output, aliasing);
    let portable = load_and_run(&blocks, ops::ALL, inputs, aliasing, (1, u32::MAX)).unwrap();
    for isa in other_sets() {
        let kernels = isa.kernels().unwrap();
        let found = load_and_run(&blocks, kernels, inputs, aliasing, (1, u32::MAX)).unwrap();
        meets_portable(isa, output.dtype, &found, &portable);
        if cfg!(feature = "threads") {
            let shared = load_and_run(&blocks, kernels, inputs, aliasing, (3, u32::MAX)).unwrap();
            assert_eq!(bits_of(&shared), bits_of(&found), "{} on three threads", isa.name());
        }
    }
    portable
}

fn bits_of(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// The instruction sets of this machine beside the portable one.
pub(crate) fn other_sets() -> impl Iterator<Item = Isa> {
    Isa::ALL.iter().copied().filter(|isa| *isa != Isa::Portable && isa.is_here())
}

/// What an instruction set gives is what the portable loops give: integers bit by bit, reals but for another order of
/// sums and products that are not rounded by themselves. Infinities and NaNs are the same.
pub(crate) fn meets_portable(isa: Isa, dtype: DType, found: &[f32], portable: &[f32]) {
    assert_eq!(found.len(), portable.len());
    let finite = portable.iter().filter(|v| v.is_finite());
    let largest = finite.fold(1.0f32, |most, v| most.max(v.abs()));
    for (at, (&found, &portable)) in found.iter().zip(portable).enumerate() {
        let near = dtype == DType::F32 && (found - portable).abs() <= 1e-5 * largest;
        let same = found == portable || (found.is_nan() && portable.is_nan());
        assert!(same || near, "{}, element {at}: {found}, portable {portable}", isa.name());
    }
}

/// What the step computes. It computes the same bits row by row, if it goes so, and with its output over its
/// input, as near as that may be; nearer is refused.
pub(crate) fn run(op: OpCode, params: &[u8], inputs: &[Input]) -> Vec<f32> {
    let apart = run_aliasing(op, params, inputs, Aliasing::Apart);
    let types: Vec<_> = inputs.iter().map(Input::tensor_type).collect();
    let output = output_type(op, params, inputs).unwrap();
    let same = |isa: Isa, aliasing: Aliasing, macs: u32| {
        let kernels = isa.kernels().unwrap();
        let of = |aliasing, macs| {
            let blocks = file(op, params, inputs, output, aliasing);
            load_and_run(&blocks, kernels, inputs, aliasing, (1, macs)).unwrap()
        };
        let whole = of(Aliasing::Apart, u32::MAX);
        let found = of(aliasing, macs);
        assert_eq!(bits_of(&found), bits_of(&whole), "{}, {aliasing:?}, {macs} at a time", isa.name());
    };
    if let Some(rows) = (op.rule().rows)(params, &types, &output) {
        let Overlap { before, after } = rows.overlap().unwrap();
        let [before, after] = [before, after].map(|bytes| bytes.max(1).next_multiple_of(16));
        for aliasing in [Aliasing::Apart, Aliasing::Before(before), Aliasing::After(after)] {
            for macs in [1, 300, u32::MAX] {
                same(Isa::Portable, aliasing, macs);
                other_sets().for_each(|isa| same(isa, aliasing, macs));
            }
        }
        let x_bytes = types[0].bytes(Layout::Rows).unwrap();
        let y_bytes = output.bytes(Layout::Rows).unwrap();
        if let Some(nearer) = before.checked_sub(16).filter(|&nearer| nearer < y_bytes) {
            assert_eq!(refused(op, params, inputs, output, Aliasing::Before(nearer)), Misfit::Alias(0));
        }
        if let Some(nearer) = after.checked_sub(16).filter(|&nearer| nearer < x_bytes) {
            assert_eq!(refused(op, params, inputs, output, Aliasing::After(nearer)), Misfit::Alias(0));
        }
    }
    apart
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
    match load_and_run(&file(op, params, inputs, output, aliasing), ops::ALL, inputs, aliasing, (1, u32::MAX))
    {
        Err(LoadError::Misfit { misfit, .. }) => misfit,
        other => panic!("not refused: {other:?}"),
    }
}

/// Refused are other element types, packed tensors other than the weights (input 1, where
/// `packed_weights`), one input more, and an output in the place of any input but those in `may_alias`
/// (bit per input). The inputs fit; those as long as the output are put in its place.
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
        let of_integers = [OpCode::Conv2dI8, OpCode::FullyConnectedI8].contains(&op);
        if at > 0 && !(of_integers && at == 1) {
            assert_eq!(refused(inputs[at].in_pairs()), Misfit::Layout(operand));
            if !inputs[at].words.is_empty() {
                assert_eq!(refused(inputs[at].in_panels()), Misfit::Layout(operand));
            }
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
