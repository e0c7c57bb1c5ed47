//! Goldens: inputs, what they should give, and a receipt for each step.

use crate::exact::Values;
use crate::graph::{Graph, TensorId};
use bytemuck::Zeroable;
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::ops::quantize::QuantizeParams;
use flatpack_format::writer::CaseDraft;
use flatpack_format::{CaseRecord, DType, OpCode, PROBE_COUNT, ReceiptRecord, crc32};
use std::collections::{HashMap, HashSet};

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
/// the range that the integers made of it cover, or that first factors and terms suggest (`Rescaling(1 / 255)`:
/// 0 to 255). Integers are even over all that their type holds, of 32 bits over 16. Reals that nothing makes integers
/// of are drawn from the part `share` of their range, from 0 to 1: what first factors and terms make of it is as much
/// smaller.
pub fn inputs(graph: &Graph, case: usize, share: f32) -> Vec<Values> {
    let mut random = SplitMix(0x666c_6174_7061_636b ^ case as u64);
    let generate = |&input: &TensorId| {
        let tensor = graph.tensor(input);
        let len = tensor.shape().len().unwrap_or(0) as usize;
        if tensor.tensor_type.dtype == DType::F32 {
            let ranges = ranges(graph, input, share);
            let real = |[low, high]: [f32; 2]| low + (high - low) * random.next();
            return Values::Reals(ranges.into_iter().cycle().take(len).map(real).collect());
        }
        // A float's 24 bits do not reach every integer of 32 bits: those of 16 will do.
        let (low, high) = match tensor.tensor_type.dtype {
            DType::U8 => (0, u8::MAX.into()),
            DType::I8 => (i8::MIN.into(), i8::MAX.into()),
            _ => (i16::MIN.into(), i32::from(i16::MAX)),
        };
        let span = (high - low + 1) as f32;
        Values::Integers((0..len).map(|_| low + (random.next() * span) as i32).collect())
    };
    graph.inputs.iter().map(generate).collect()
}

/// The ranges of values that the channels of an input are likely to have, or the one of all: what integers cover that
/// are made of it; where it is first multiplied by small constants, what they make 1, or with a term −1 to 1. Of
/// an image whose pixels are all but alike, layers make differences of their rounding errors.
fn ranges(graph: &Graph, input: TensorId, share: f32) -> Vec<[f32; 2]> {
    let integers = graph.consumers(input).into_iter().find_map(|position| {
        let node = &graph.nodes[position];
        (node.op == OpCode::Quantize).then(|| node.params::<QuantizeParams>())
    });
    if let Some(QuantizeParams { scale, zero_point, dtype }) = integers {
        let lowest = if dtype == u32::from(DType::U8 as u8) { 0 } else { -128 };
        let real = |q: i32| scale * (q - zero_point) as f32;
        return vec![[real(lowest), real(lowest + 255)]];
    }
    let affine = affine_of(graph, input);
    if !affine.iter().all(|[factor, term]| *factor > 0.0 && *factor < 0.5 && term.is_finite()) {
        return vec![[-share, share]];
    }
    let low = if affine.iter().all(|[_, term]| *term == 0.0) { 0.0 } else { -share };
    affine.into_iter().map(|[factor, term]| [low, share].map(|v| (v - term) / factor)).collect()
}

/// Factor and term of each channel, or those of all, that the first operators make of an input.
fn affine_of(graph: &Graph, input: TensorId) -> Vec<[f32; 2]> {
    let channels = graph.tensor(input).dims().last().map_or(1, |&dim| dim as usize);
    let mut affine = vec![[1.0, 0.0]];
    let mut tensor = input;
    while let [position] = graph.consumers(tensor)[..] {
        let node = &graph.nodes[position];
        let [x, y] = &node.inputs[..] else { break };
        let (constant, is_second) = if *x == tensor { (*y, true) } else { (*x, false) };
        let Some(data) = graph.data(constant) else { break };
        let step: fn([f32; 2], f32) -> [f32; 2] = match node.op {
            OpCode::Mul if node.params.len() == size_of::<BinaryParams>() => |[a, b], v| [a * v, b * v],
            OpCode::Div if is_second => |[a, b], v| [a / v, b / v],
            OpCode::Add => |[a, b], v| [a, b + v],
            OpCode::Sub if is_second => |[a, b], v| [a, b - v],
            _ => break,
        };
        let len = graph.tensor(constant).dims().last().map_or(1, |&dim| dim as usize);
        if data.len() != len || (len != 1 && len != channels) {
            break;
        }
        let all = affine.len().max(len);
        let of = affine.iter().cycle().take(all).zip(data.iter().cycle());
        affine = of.map(|(affine, v)| step(*affine, *v)).collect();
        tensor = node.output;
    }
    affine
}

/// Tolerances of a file that computes with reals before it computes with integers. A sum that another
/// machine adds up in another order may round to the next integer, one step of 255 of a tensor's range,
/// and later layers add such steps up: four of them are allowed.
const MIXED: f32 = 4.0 / 255.0;

/// A case of the file: `values` are the reference's for every tensor that it computed. The steps whose
/// output is in `exact` get exact receipts; outputs in it must be met exactly.
pub fn case(
    graph: &Graph,
    inputs: &[Values],
    outputs: &[Values],
    values: &HashMap<TensorId, Values>,
    step_outputs: &[TensorId],
    exact: &HashSet<TensorId>,
) -> CaseDraft {
    let dtype = |id: &TensorId| graph.tensor(*id).tensor_type.dtype;
    let bytes = |ids: &[TensorId], all: &[Values]| -> Vec<Vec<u8>> {
        ids.iter().zip(all).map(|(id, values)| values.bytes(dtype(id))).collect()
    };
    let known = |id: &TensorId| {
        let mut same = std::iter::successors(Some(*id), |id| graph.reshaped.get(id).copied());
        same.find_map(|id| values.get(&id))
    };
    let receipts = (0..).zip(step_outputs).filter_map(|(step, id)| {
        let values = known(id)?;
        Some(match exact.contains(id) {
            true => {
                ReceiptRecord { step, exact: 1, crc32: crc32(&values.bytes(dtype(id))), ..Zeroable::zeroed() }
            }
            false => receipt(step, &values.floats()),
        })
    });
    let mut tolerances = TOLERANCES;
    if graph.has_integers() {
        let all_exact = graph.outputs.iter().all(|id| exact.contains(id));
        let output = if all_exact { 0.0 } else { MIXED };
        tolerances = CaseRecord {
            abs_tolerance: 0.0,
            rel_tolerance: output,
            receipt_abs_tolerance: TOLERANCES.receipt_abs_tolerance,
            receipt_rel_tolerance: MIXED,
            ..TOLERANCES
        };
    }
    CaseDraft {
        inputs: bytes(&graph.inputs, inputs),
        outputs: bytes(&graph.outputs, outputs),
        tolerances,
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
        exact: 0,
        crc32: 0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::Shape;
    use flatpack_format::ops::Clamp;

    /// What a chain of operators with these constants makes of its input, and the ranges that it suggests.
    fn suggested(chain: &[(OpCode, &[f32])]) -> Vec<[f32; 2]> {
        part_of_suggested(chain, 1.0)
    }

    fn part_of_suggested(chain: &[(OpCode, &[f32])], share: f32) -> Vec<[f32; 2]> {
        let mut graph = Graph::default();
        let input = graph.add_input("image", Shape::new(&[1, 2, 2, 3]).unwrap());
        graph.inputs.push(input);
        let mut x = input;
        for (op, constant) in chain {
            let constant = graph.add_constant("constant", &[constant.len() as u32], constant.to_vec());
            x = graph.add_node("layer", *op, BinaryParams { clamp: Clamp::NONE }, &[x, constant]).unwrap();
        }
        ranges(&graph, input, share)
    }

    #[test]
    fn first_operators_make_of_each_channel_s_range_one_from_minus_one_to_one() {
        let chain: [(OpCode, &[f32]); 3] = [
            (OpCode::Mul, &[1.0 / 255.0]),
            (OpCode::Sub, &[0.5, 0.25, 0.75]),
            (OpCode::Div, &[0.25, 0.5, 0.125]),
        ];
        let found = suggested(&chain);
        let want = [[0.25, 0.75], [-0.25, 0.75], [0.625, 0.875]].map(|range| range.map(|v| v * 255.0));
        assert_eq!(found.len(), 3);
        for (found, want) in found.as_flattened().iter().zip(want.as_flattened()) {
            assert!((found - want).abs() < 1e-3, "{found} instead of {want}");
        }
    }

    #[test]
    fn a_factor_alone_makes_of_the_range_one_from_zero_to_one() {
        assert_eq!(suggested(&[(OpCode::Mul, &[0.25])]), [[0.0, 4.0]]);
        assert_eq!(suggested(&[(OpCode::Div, &[16.0])]), [[0.0, 16.0]]);
    }

    #[test]
    fn of_a_part_first_operators_make_as_much_less() {
        let part = |chain: &[(OpCode, &[f32])]| part_of_suggested(chain, 0.25);
        assert_eq!(part(&[(OpCode::Mul, &[0.25])]), [[0.0, 1.0]]);
        assert_eq!(part(&[(OpCode::Mul, &[0.25]), (OpCode::Sub, &[1.0])]), [[3.0, 5.0]]);
        assert_eq!(part(&[]), [[-0.25, 0.25]]);
    }

    #[test]
    fn other_beginnings_suggest_nothing() {
        assert_eq!(suggested(&[(OpCode::Mul, &[2.0])]), [[-1.0, 1.0]]);
        assert_eq!(suggested(&[(OpCode::Mul, &[0.25, -0.25, 0.25])]), [[-1.0, 1.0]]);
        assert_eq!(suggested(&[]), [[-1.0, 1.0]]);
    }
}
