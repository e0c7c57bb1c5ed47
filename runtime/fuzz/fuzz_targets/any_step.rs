//! A step with any parameters and any small inputs is refused, or runs to its end.
//!
//! The bytes say: the operator, the number of inputs, for each its flags, rank and dimensions, and
//! the parameter record. The output is what the operator's rule gives; inputs that are states are
//! outputs too.
#![no_main]

mod run;

use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{DType, Layout, OpCode, PANEL, Shape, Target, TensorType, pairs_at};
use libfuzzer_sys::fuzz_target;
use run::VALUES;
use std::collections::HashSet;

const CONSTANT: u8 = 1;
const PANELS: u8 = 2;
const IN_PLACE: u8 = 4;
const STATE: u8 = 1 << 6;
const PAIRS: u8 = 1 << 7;

/// The largest tensor, in elements.
const LIMIT: u32 = 4096;

/// Bytes of a constant.
fn values(tensor_type: &TensorType, layout: Layout) -> Option<Vec<u8>> {
    let pattern: &[u8] = bytemuck::cast_slice(&VALUES);
    let mut bytes: Vec<u8> =
        (0..tensor_type.bytes(layout)? as usize).map(|at| pattern[at % pattern.len()]).collect();
    if layout == Layout::Rows {
        return Some(bytes);
    }
    let (axis, panel) = (usize::from(layout == Layout::Gates16), PANEL as usize);
    let (gates, outputs, depth) = tensor_type.shape.around(axis)?;
    let [gates, outputs, depth] = [if axis == 1 { gates } else { 1 }, outputs, depth].map(|len| len as usize);
    let place = |gate: usize, o: usize, i: usize| match layout {
        Layout::Pairs => o / 2 * depth.div_ceil(4) * 8 + pairs_at(i) + o % 2,
        Layout::Panel16x4 => ((o / panel * depth.div_ceil(4) + i / 4) * panel + o % panel) * 4 + i % 4,
        _ => ((o / panel * depth + i) * gates + gate) * panel + o % panel,
    };
    let present: HashSet<usize> = (0..gates * outputs * depth)
        .map(|at| place(at / (outputs * depth), at / depth % outputs, at % depth))
        .collect();
    for (element, bytes) in bytes.chunks_exact_mut(tensor_type.dtype.bytes() as usize).enumerate() {
        if !present.contains(&element) {
            bytes.fill(0);
        }
    }
    Some(bytes)
}

fn step(data: &[u8]) -> Option<Draft> {
    let mut data = data.iter().copied();
    let op = OpCode::ALL[usize::from(data.next()?) % OpCode::ALL.len()];
    let input_count = data.next()? % 9;
    let mut tensors = vec![];
    let (mut end, mut state_end, mut output_at) = (0, 0, None);
    let mut states = vec![];
    for _ in 0..input_count {
        let flags = data.next()?;
        let rank = data.next()? % 7;
        let dims: Vec<u32> =
            (0..rank).map(|_| data.next().map(|dim| 1 + u32::from(dim) % 16)).collect::<Option<_>>()?;
        let dtype = DType::ALL[usize::from(flags >> 3 & 7) % DType::ALL.len()];
        let tensor_type = TensorType { dtype, shape: Shape::new(&dims)? };
        let bytes = tensor_type.bytes(Layout::Rows).filter(|&bytes| bytes <= 4 * LIMIT)?;
        let layout = match flags & (CONSTANT | PANELS | PAIRS) {
            flags if rank == 0 || flags & CONSTANT == 0 => Layout::Rows,
            flags if flags & (PANELS | PAIRS) == PANELS | PAIRS => Layout::Panel16x4,
            flags if flags & PANELS != 0 && rank == 3 => Layout::Gates16,
            flags if flags & PANELS != 0 => Layout::Panel16,
            flags if flags & PAIRS != 0 => Layout::Pairs,
            _ => Layout::Rows,
        };
        let memory = if flags & CONSTANT != 0 {
            Memory::Constant(values(&tensor_type, layout)?)
        } else if flags & STATE != 0 {
            states.push(tensors.len() as u32);
            let at = state_end;
            state_end = (state_end + bytes).next_multiple_of(16);
            Memory::State(at, values(&tensor_type, layout)?)
        } else {
            if flags & IN_PLACE != 0 {
                output_at = Some(end);
            }
            let at = end;
            end = (end + bytes).next_multiple_of(16);
            Memory::Arena(at)
        };
        tensors.push(TensorDraft { name: None, tensor_type, layout, quant: 0, memory });
    }
    let mut params: Vec<u8> = data.take(op.params_bytes() as usize).collect();
    params.resize(op.params_bytes() as usize, 0);
    let types: Vec<_> = tensors.iter().map(|t| t.tensor_type).collect();
    let made = (op.rule().output)(&params, &types).ok()?;
    made.shape.len().filter(|&len| (1..=LIMIT).contains(&len))?;
    let inputs: Vec<u32> = (0..tensors.len() as u32).collect();
    let arena = |t: &&u32| matches!(tensors[**t as usize].memory, Memory::Arena(_));
    let model_inputs = inputs.iter().filter(arena).copied().collect();
    let output = tensors.len() as u32;
    tensors.push(TensorDraft {
        name: None,
        tensor_type: made,
        layout: Layout::Rows,
        quant: 0,
        memory: Memory::Arena(output_at.unwrap_or(end)),
    });
    Some(Draft {
        target: Target::Portable,
        tensors,
        steps: vec![StepDraft {
            name: None,
            op,
            params,
            inputs,
            outputs: [output].into_iter().chain(states).collect(),
            scratches: vec![],
        }],
        inputs: model_inputs,
        outputs: vec![output],
        quants: vec![],
        cases: vec![],
        meta: [].into(),
    })
}

fuzz_target!(|data: &[u8]| {
    let Some(draft) = step(data) else { return };
    // Where the output lies partly in the place of an input, the draft breaks a rule.
    if let Ok((blocks, len)) = draft.write() {
        run::load_and_run(&blocks, len);
    }
});
