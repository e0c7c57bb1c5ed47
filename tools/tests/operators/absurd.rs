//! Every operator whose operands are quantised, by scales and zero points that no converter writes: it
//! becomes one on integers that computes what its exact formula says, or it is refused.

use crate::cases::case;
use crate::draw::Draw;
use flatpack::build::{BuildError, Goldens, Options, build};
use flatpack::graph::{Data, Graph, TensorId};
use flatpack::ops::{OutputScale, operator};
use flatpack::quant::Quant;
use flatpack_format::{DType, OpCode};

/// How many of each operator.
fn cases() -> u64 {
    std::env::var("FLATPACK_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(200)
}

/// From the smallest positive number to the largest.
const SCALES: [f32; 16] = [
    f32::from_bits(1),
    f32::from_bits(0x1234),
    f32::MIN_POSITIVE,
    1e-30,
    1e-12,
    1.0 / (1 << 26) as f32,
    1e-5,
    1.0 / 256.0,
    0.03,
    0.5,
    1.0,
    77.0,
    1e6,
    1e18,
    1e38,
    f32::MAX,
];

fn quant(draw: &mut Draw, dtype: DType) -> Quant {
    let (low, high) = Quant::per_tensor(dtype, 1.0, 0).range();
    let any = low.saturating_add(draw.from(0..=255) as i32);
    let zero_point = match dtype {
        DType::I8 => draw.one_of(&[low, high, 0, any]),
        DType::U8 => draw.one_of(&[low, high, 128, any]),
        // States and weights of 16 bits are symmetric, and so are biases.
        _ => 0,
    };
    // Half of them are such as are met with.
    let scales = if draw.chance() { &SCALES[7..11] } else { &SCALES[..] };
    Quant::per_tensor(dtype, draw.one_of(scales), zero_point)
}

/// The type of an operand's integers; most are bytes, signed or not.
fn dtype(op: OpCode, position: usize, byte: DType) -> DType {
    match (op, position) {
        (OpCode::Svdf, 2 | 4) | (OpCode::UnidirectionalSequenceLstm, 5) => DType::I16,
        (OpCode::Svdf | OpCode::UnidirectionalSequenceLstm, 3) => DType::I32,
        (OpCode::Conv2d | OpCode::DepthwiseConv2d | OpCode::TransposeConv2d | OpCode::FullyConnected, 2) => {
            DType::I32
        }
        _ => byte,
    }
}

fn integers(draw: &mut Draw, dtype: DType, len: usize) -> Data {
    let mut bits = || draw.from(0..=0xffff) << 16 | draw.from(0..=0xffff);
    match dtype {
        DType::I32 => Data::I32((0..len).map(|_| bits() as i32).collect()),
        DType::I16 => Data::I16((0..len).map(|_| bits() as i16).collect()),
        DType::U8 => Data::U8((0..len).map(|_| bits() as u8).collect()),
        _ => Data::I8((0..len).map(|_| bits() as i8).collect()),
    }
}

/// Makes integers stand for the reals of the graph's one node; seldom not for all.
fn quantise(graph: &mut Graph, draw: &mut Draw) {
    let node = graph.nodes[0].clone();
    let byte = if draw.from(0..=3) == 0 { DType::U8 } else { DType::I8 };
    let alike = draw.chance().then(|| quant(draw, byte));
    let mut known: Vec<TensorId> = Vec::new();
    for (position, &id) in node.inputs.iter().enumerate() {
        if known.contains(&id) || draw.from(0..=20) == 0 {
            continue;
        }
        known.push(id);
        let dtype = dtype(node.op, position, byte);
        let mut quant = alike.clone().filter(|_| dtype == byte).unwrap_or_else(|| quant(draw, dtype));
        let dims = graph.dims(id).to_vec();
        let len = dims.iter().product::<u32>() as usize;
        if let Some(state) = graph.states.iter_mut().find(|state| state.value == id) {
            state.init = integers(draw, dtype, len);
        } else if graph.is_constant(id) {
            graph.tensors[id.0].data = Some(integers(draw, dtype, len));
            if position == 1 && draw.chance() && !dims.is_empty() {
                quant.axis = draw.from(0..=dims.len() as u32 - 1) as usize;
                quant.scales = (0..dims[quant.axis]).map(|_| draw.one_of(&SCALES)).collect();
                quant.zero_points = vec![quant.zero_points[0]; quant.scales.len()];
            }
        }
        graph.tensors[id.0].quant = Some(quant);
    }
    let own = alike.unwrap_or_else(|| quant(draw, byte));
    graph.tensors[node.output.0].quant = match operator(node.op).scale {
        OutputScale::Fixed { scale, zero_point } if draw.chance() => {
            Some(Quant::per_tensor(DType::I8, scale, zero_point))
        }
        _ => (draw.from(0..=20) > 0).then_some(own),
    };
}

#[test]
fn quantised_operators_meet_their_formulas_or_are_refused() {
    for &op in OpCode::ALL.iter().filter(|&&op| operator(op).integer.is_some()) {
        let mut built = 0;
        for seed in 0..cases() {
            let mut draw = Draw::new(seed * 71 + op as u64);
            let mut graph = case(op, &mut draw).graph;
            quantise(&mut graph, &mut draw);
            let options = Options { goldens: Goldens::Predicted(1), ..Options::default() };
            match build(graph, &options) {
                Ok(_) => built += 1,
                Err(BuildError::Integers(_) | BuildError::ConstantOutput { .. }) => {}
                Err(error) => panic!("{}, case {seed}: {error}", op.name()),
            }
        }
        assert!(built > 0, "{}: none of {} were built", op.name(), cases());
    }
}
