//! Goldens: inputs, what they should give, and a receipt for each step.

use crate::graph::{Graph, TensorId};
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::writer::CaseDraft;
use flatpack_format::{CaseRecord, OpCode, PROBE_COUNT, ReceiptRecord};
use std::collections::HashMap;

/// Tolerances of every golden. An output may differ by `10⁻⁴ · max(1, max |output|)`: float32
/// networks differ by less between engines, and a changed weight that matters by more. A step may
/// differ by `10⁻⁴` of its largest magnitude, and its sums by `10⁻⁴` of the sum of magnitudes.
pub const TOLERANCES: CaseRecord = CaseRecord {
    data_offset: 0,
    data_bytes: 0,
    receipt_count: 0,
    abs_tolerance: 1e-4,
    rel_tolerance: 1e-4,
    receipt_abs_tolerance: 1e-5,
    receipt_rel_tolerance: 1e-4,
    reserved: 0,
};

/// Inputs for one case, the same for the same graph and case number: even between −1 and 1, or over
/// the range that a first factor suggests (`Rescaling(1 / 255)`: 0 to 255).
pub fn inputs(graph: &Graph, case: usize) -> Vec<Vec<f32>> {
    let mut random = SplitMix(0x666c_6174_7061_636b ^ case as u64);
    let generate = |&input: &TensorId| {
        let (low, high) = range(graph, input);
        let len = graph.tensor(input).shape().len().unwrap_or(0);
        (0..len).map(|_| low + (high - low) * random.next()).collect()
    };
    graph.inputs.iter().map(generate).collect()
}

/// The range of values that an input is likely to have: where it is first multiplied by a small
/// constant, what that makes 1.
fn range(graph: &Graph, input: TensorId) -> (f32, f32) {
    let factor = graph.consumers(input).into_iter().find_map(|position| {
        let node = &graph.nodes[position];
        let constant = node.inputs.iter().find_map(|&id| graph.data(id)).filter(|data| data.len() == 1)?;
        match node.op {
            OpCode::Mul if node.params.len() == size_of::<BinaryParams>() => Some(constant[0]),
            OpCode::Div => Some(1.0 / constant[0]),
            _ => None,
        }
    });
    match factor {
        Some(factor) if factor > 0.0 && factor < 0.5 => (0.0, 1.0 / factor),
        _ => (-1.0, 1.0),
    }
}

/// A case of the file: `values` are the reference's for every tensor that it computed.
pub fn case(
    inputs: &[Vec<f32>],
    outputs: &[Vec<f32>],
    step_outputs: &[TensorId],
    values: &HashMap<TensorId, Vec<f32>>,
) -> CaseDraft {
    let bytes = |all: &[Vec<f32>]| all.iter().map(|v| bytemuck::cast_slice(v).to_vec()).collect();
    let receipts = (0..).zip(step_outputs).filter_map(|(step, id)| Some(receipt(step, values.get(id)?)));
    CaseDraft {
        inputs: bytes(inputs),
        outputs: bytes(outputs),
        tolerances: TOLERANCES,
        receipts: receipts.collect(),
    }
}

fn receipt(step: u32, values: &[f32]) -> ReceiptRecord {
    let sum: f64 = values.iter().map(|&v| f64::from(v)).sum();
    let sum_abs: f64 = values.iter().map(|&v| f64::from(v.abs())).sum();
    let max_abs = values.iter().fold(0.0f32, |max, v| max.max(v.abs()));
    // Spread over the tensor, at odd distances so that channels vary.
    let mut random = SplitMix(u64::from(step));
    let probe_index: [u32; PROBE_COUNT] =
        std::array::from_fn(|_| (random.next() * values.len() as f32) as u32)
            .map(|i| i.min(values.len() as u32 - 1));
    ReceiptRecord {
        step,
        sum: sum as f32,
        sum_abs: sum_abs as f32,
        max_abs,
        probe_index,
        probe_value: probe_index.map(|index| values[index as usize]),
    }
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
struct SplitMix(u64);

impl SplitMix {
    /// The next number from 0 to below 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}
