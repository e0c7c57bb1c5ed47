//! Whatever a file says that integers stand for, a node is lowered and computed, or refused.

use super::run;
use crate::exact::{self, Values};
use crate::graph::{Data, Graph, Node, TensorId};
use crate::ops::{self, OutputScale};
use crate::quant::Quant;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::fully_connected::FullyConnectedParams;
use flatpack_format::ops::recurrence::Recurrence;
use flatpack_format::ops::svdf::SvdfParams;
use flatpack_format::ops::unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams;
use flatpack_format::{DType, OpCode, Shape};

/// From the least subnormal number to the largest.
const SCALES: [f32; 6] = [f32::from_bits(1), 1e-38, 1.0 / 256.0, 1.0, 1e38, f32::MAX];

const ZERO_POINTS: [i32; 3] = [-128, 0, 127];

/// Records of words that are all alike: numbers, and floats.
fn params(op: OpCode) -> impl Iterator<Item = Vec<u8>> {
    let words = [0u32, 1, 1.0f32.to_bits()];
    words.into_iter().map(move |word| word.to_le_bytes().repeat(op.params_bytes() as usize / 4))
}

/// A node of quantised operands. `None` if the operator refuses them as reals.
fn graph(op: OpCode, params: &[u8], quants: &[&Quant]) -> Option<Graph> {
    let (y_quant, x_quants) = quants.split_last()?;
    let mut graph = Graph::default();
    let inputs: Vec<TensorId> = x_quants
        .iter()
        .map(|quant| {
            let x = graph.add_input("x", Shape::new(&[1, 2, 2, 2]).unwrap());
            graph.tensors[x.0].quant = Some((*quant).clone());
            x
        })
        .collect();
    let made = graph.infer(op, params, &inputs).ok()?;
    let y = graph.add_tensor("y", made, None);
    graph.tensors[y.0].quant = Some((*y_quant).clone());
    let (layer, params) = ("y".to_owned(), params.to_vec());
    graph.nodes.push(Node { layer, op, params, inputs, output: y });
    graph.outputs.push(y);
    Some(graph)
}

/// Lowers a graph and computes it from extreme integers, if it is not refused: whether it is not.
fn lowers(mut graph: Graph) -> bool {
    if run(&mut graph).is_err() {
        return false;
    }
    let extremes = Values::Integers(vec![-128, 127, 0, -1, 1, -128, 127, 127]);
    let inputs = vec![extremes; graph.inputs.len()];
    exact::predict(&graph, &inputs).unwrap();
    true
}

#[test]
fn no_scale_or_zero_point_makes_a_lowering_or_its_formula_panic() {
    let mut lowered = Vec::new();
    for operator in ops::ALL.iter().filter(|operator| operator.integer.is_some()) {
        let mut count = 0;
        let scales = SCALES.iter().flat_map(|x| SCALES.map(|y| (*x, y)));
        for ((x_scale, y_scale), zero) in scales.flat_map(|scales| ZERO_POINTS.map(|zero| (scales, zero))) {
            let x = Quant::per_tensor(DType::I8, x_scale, zero);
            let y = Quant::per_tensor(DType::I8, y_scale, -1 - zero);
            let demanded = match operator.scale {
                OutputScale::Fixed { scale, zero_point } => Quant::per_tensor(DType::I8, scale, zero_point),
                _ => y.clone(),
            };
            for params in params(operator.op) {
                for quants in [[&x, &y].as_slice(), &[&x, &x], &[&x, &demanded], &[&x, &x, &y], &[&x; 3]] {
                    count += usize::from(graph(operator.op, &params, quants).is_some_and(lowers));
                }
            }
        }
        if count > 0 {
            lowered.push(operator.op);
        }
    }
    // The others have weights, or records of words that are not alike.
    assert!(lowered.len() > 40, "{lowered:?}");
}

#[test]
fn no_scale_of_weights_makes_a_lowering_or_its_formula_panic() {
    let mut lowered = 0;
    for (x_scale, w_scale) in SCALES.iter().flat_map(|x| SCALES.map(|w| (*x, w))) {
        for (y_scale, zero) in SCALES.iter().flat_map(|y| ZERO_POINTS.map(|zero| (*y, zero))) {
            let mut graph = Graph::default();
            let x = graph.add_input("x", Shape::new(&[2, 4]).unwrap());
            graph.tensors[x.0].quant = Some(Quant::per_tensor(DType::I8, x_scale, zero));
            let w_quant = Quant::per_tensor(DType::I8, w_scale, -1 - zero);
            let w = graph.add_stored("w", &[1, 4], Data::I8([-128, 127, 0, 1].into()), Some(w_quant));
            let bias = graph.add_stored("bias", &[1], Data::I32([i32::MIN].into()), None);
            let params = FullyConnectedParams { clamp: Clamp { min: -1.0, max: 1.0 } };
            let y = graph.add_node("y", OpCode::FullyConnected, params, &[x, w, bias]).unwrap();
            graph.tensors[y.0].quant = Some(Quant::per_tensor(DType::I8, y_scale, zero));
            graph.outputs.push(y);
            lowered += usize::from(lowers(graph));
        }
    }
    assert!(lowered > 50, "{lowered}");
}

#[test]
fn no_scale_of_a_state_makes_a_lowering_or_its_formula_panic() {
    let mut lowered = [0, 0];
    for (scale, state_scale) in SCALES.iter().flat_map(|scale| SCALES.map(|state| (*scale, state))) {
        for zero in ZERO_POINTS {
            let i8s = |scale| Some(Quant::per_tensor(DType::I8, scale, zero));
            let weights = |dtype| Some(Quant::per_tensor(dtype, scale, 0));
            let state = Some(Quant::per_tensor(DType::I16, state_scale, 0));

            let mut graph = Graph::default();
            let x = graph.add_input("x", Shape::new(&[1, 1, 8]).unwrap());
            graph.tensors[x.0].quant = i8s(scale);
            let w = graph.add_stored("w", &[4, 1, 8], Data::I8([-128; 32].into()), weights(DType::I8));
            let recurrent = graph.add_stored("r", &[4, 1, 1], Data::I8([127; 4].into()), weights(DType::I8));
            let bias = graph.add_stored("bias", &[4, 1], Data::I32([i32::MAX; 4].into()), None);
            let hidden = graph.add_state("hidden", &[1, 1], Data::I8([-128].into()), i8s(1.0 / 128.0));
            let cell = graph.add_state("cell", &[1, 1], Data::I16([-32768].into()), state.clone());
            let params = UnidirectionalSequenceLstmParams { walk: Recurrence::PLAIN, cell_clip: f32::MAX };
            let inputs = [x, w, recurrent, bias, hidden, cell];
            let y = graph.add_node("y", OpCode::UnidirectionalSequenceLstm, params, &inputs).unwrap();
            graph.tensors[y.0].quant = i8s(1.0 / 128.0);
            graph.outputs.push(y);
            lowered[0] += usize::from(lowers(graph));

            let mut graph = Graph::default();
            let x = graph.add_input("x", Shape::new(&[1, 8]).unwrap());
            graph.tensors[x.0].quant = i8s(scale);
            let features = graph.add_stored("f", &[1, 8], Data::I8([-128; 8].into()), weights(DType::I8));
            let time = graph.add_stored("t", &[1, 2], Data::I16([-32768; 2].into()), weights(DType::I16));
            let bias = graph.add_stored("bias", &[1], Data::I32([i32::MIN].into()), None);
            let kept = graph.add_state("kept", &[1, 1, 2], Data::I16([-32768; 2].into()), state);
            let params = SvdfParams { rank: 1, clamp: Clamp::NONE };
            let y = graph.add_node("y", OpCode::Svdf, params, &[x, features, time, bias, kept]).unwrap();
            graph.tensors[y.0].quant = i8s(scale);
            graph.outputs.push(y);
            lowered[1] += usize::from(lowers(graph));
        }
    }
    assert!(lowered.iter().all(|&count| count > 10), "{lowered:?}");
}
