//! Steps with states.

use super::input::values;
use super::{Input, meets_portable, other_sets, output_type};
use crate::{Kernel, LoadError, Session, ops};
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{Block, Layout, Misfit, Model, OpCode, Target, TensorType};
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

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
    let mut run_on = |kernels: &[Kernel]| -> Vec<Vec<f32>> {
        let mut session = Session::load(model, kernels, Block::bytes_mut(&mut memory)).unwrap();
        session.reset();
        let mut step = |x: &Input| {
            session.input_bytes(0).unwrap().copy_from_slice(&x.bytes());
            session.run().unwrap();
            values(output.dtype, session.output_bytes(0).unwrap())
        };
        xs.iter().map(&mut step).collect()
    };
    let first = run_on(ops::ALL);
    assert_eq!(run_on(ops::ALL), first);
    for isa in other_sets() {
        let found = run_on(isa.kernels().unwrap());
        found.iter().zip(&first).for_each(|(found, first)| meets_portable(isa, output.dtype, found, first));
    }
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
