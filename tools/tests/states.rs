//! States through the whole pipeline: what a run leaves is what the next one finds.

use flatpack::build::{Built, Goldens, Options, build};
use flatpack::graph::{Data, Graph, TensorId};
use flatpack_format::ops::Clamp;
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::ops::concatenate::ConcatenateParams;
use flatpack_format::ops::reshape::ReshapeParams;
use flatpack_format::ops::strided_slice::StridedSliceParams;
use flatpack_format::{Block, Model, OpCode, Place, Shape};
use flatpack_runtime::{Session, ops};
use proptest::prelude::*;
use std::collections::HashMap;

const LEN: usize = 6;
const BINARY: BinaryParams = BinaryParams { clamp: Clamp::NONE };

fn built(graph: &Graph) -> Built {
    let options = Options { goldens: Goldens::Predicted(1), ..Options::default() };
    build(graph.clone(), &options).unwrap()
}

/// The outputs of each of some runs in a row.
fn run(built: &Built, inputs: &[Vec<Vec<f32>>]) -> Vec<Vec<Vec<f32>>> {
    let model = Model::parse(built.bytes()).unwrap();
    let mut memory = vec![Block([0x7f; 16]); Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)).unwrap();
    let mut run = |inputs: &Vec<Vec<f32>>| {
        for (at, values) in inputs.iter().enumerate() {
            session.input::<f32>(at).unwrap().copy_from_slice(values);
        }
        session.run().unwrap();
        (0..model.output_numbers().len()).map(|at| session.output::<f32>(at).unwrap().to_vec()).collect()
    };
    inputs.iter().map(&mut run).collect()
}

/// What the runs should give, by the meaning of the operators and of the states.
fn expected(graph: &Graph, inputs: &[Vec<Vec<f32>>]) -> Vec<Vec<Vec<f32>>> {
    let mut held: Vec<Vec<f32>> = graph.states.iter().map(|state| state.init.floats()).collect();
    let mut outputs = Vec::new();
    for inputs in inputs {
        let mut values: HashMap<TensorId, Vec<f32>> = HashMap::new();
        values.extend(graph.inputs.iter().copied().zip(inputs.iter().cloned()));
        values.extend(graph.states.iter().map(|state| state.value).zip(held.iter().cloned()));
        for node in &graph.nodes {
            let of = |at: usize| values[&node.inputs[at]].clone();
            let both = |f: fn(f32, f32) -> f32| of(0).iter().zip(of(1)).map(|(&a, b)| f(a, b)).collect();
            let result = match node.op {
                OpCode::Add => both(|a, b| a + b),
                OpCode::Sub => both(|a, b| a - b),
                OpCode::Maximum => both(f32::max),
                OpCode::Abs => of(0).iter().map(|v| v.abs()).collect(),
                OpCode::Reshape => of(0),
                other => panic!("{other:?}"),
            };
            values.insert(node.output, result);
        }
        for (held, state) in held.iter_mut().zip(&graph.states) {
            held.clone_from(&values[&state.next.unwrap_or(state.value)]);
        }
        outputs.push(graph.outputs.iter().map(|id| values[id].clone()).collect());
    }
    outputs
}

/// Nodes that read tensors before them, states whose next value is any tensor, outputs that are any.
fn any_graph() -> impl Strategy<Value = Graph> {
    let index = any::<prop::sample::Index>;
    let node = (0..6usize, index(), index());
    let nodes = prop::collection::vec(node, 1..8);
    let nexts = prop::collection::vec(prop::option::weighted(0.9, index()), 1..4);
    (1..3usize, nodes, nexts, prop::collection::vec(index(), 1..3)).prop_map(
        |(input_count, nodes, nexts, outputs)| {
            let mut graph = Graph::default();
            let shape = Shape::new(&[1, LEN as u32]).unwrap();
            let mut known: Vec<TensorId> =
                (0..input_count).map(|at| graph.add_input(&format!("x{at}"), shape)).collect();
            for at in 0..nexts.len() {
                let init: Vec<f32> = (0..LEN).map(|i| (10 * at + i) as f32 - 7.0).collect();
                known.push(graph.add_state(&format!("s{at}"), shape.dims(), Data::F32(init.into()), None));
            }
            for (at, (op, first, second)) in nodes.into_iter().enumerate() {
                let inputs = [*first.get(&known), *second.get(&known)];
                let name = format!("n{at}");
                let mut add = |op, params: &[u8], inputs: &[TensorId]| {
                    let output = graph.add_tensor(&name, graph.tensor(inputs[0]).tensor_type, None);
                    graph.nodes.push(flatpack::graph::Node {
                        layer: name.clone(),
                        op,
                        params: params.to_vec(),
                        inputs: inputs.to_vec(),
                        output,
                    });
                    output
                };
                let binary = bytemuck::bytes_of(&BINARY);
                known.push(match op {
                    0 => add(OpCode::Add, binary, &inputs),
                    1 => add(OpCode::Sub, binary, &inputs),
                    2 => add(OpCode::Maximum, binary, &inputs),
                    3 => add(OpCode::Abs, &[], &inputs[..1]),
                    // There and back: the second reshape is what others may see.
                    _ => {
                        let flat = Shape::new(&[LEN as u32]).unwrap();
                        let flat =
                            graph.add_node(&name, OpCode::Reshape, ReshapeParams::new(&flat), &inputs[..1]);
                        graph
                            .add_node(&name, OpCode::Reshape, ReshapeParams::new(&shape), &[flat.unwrap()])
                            .unwrap()
                    }
                });
            }
            for (state, next) in graph.states.iter_mut().zip(nexts) {
                state.next = next.map(|next| *next.get(&known));
            }
            // The last of the inputs is always seen, so that no output is a constant.
            graph.outputs = outputs.iter().map(|output| *output.get(&known)).collect();
            graph
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn runs_in_a_row_meet_the_meaning_of_their_states(graph in any_graph(), seed in 0u32..100) {
        let inputs: Vec<Vec<Vec<f32>>> = (0..4)
            .map(|run| {
                let value = |at: usize, i: usize| ((seed as usize + 31 * run + 7 * at + 3 * i) % 19) as f32 - 9.0;
                (0..graph.inputs.len()).map(|at| (0..LEN).map(|i| value(at, i)).collect()).collect()
            })
            .collect();
        prop_assert_eq!(run(&built(&graph), &inputs), expected(&graph, &inputs));
    }
}

/// A window over a stream: the last `kept` rows and the new one, of which the last ones are kept.
fn window(kept: u32) -> Graph {
    let mut graph = Graph::default();
    let x = graph.add_input("x", Shape::new(&[1, 1, 4]).unwrap());
    let held = Data::F32(vec![-1.0; 4 * kept as usize].into());
    let held = graph.add_state("held", &[1, kept, 4], held, None);
    let all = graph.add_node("all", OpCode::Concatenate, ConcatenateParams { axis: 1 }, &[held, x]).unwrap();
    let params =
        StridedSliceParams { begin: [0, 1, 0, 0, 0, 0], stride: [1; 6], size: [1, kept, 4, 1, 1, 1] };
    let next = graph.add_node("next", OpCode::StridedSlice, params, &[all]).unwrap();
    graph.states[0].next = Some(next);
    let y = graph.add_node("y", OpCode::Abs, [0u8; 0], &[all]).unwrap();
    graph.outputs.push(y);
    graph
}

#[test]
fn a_stream_s_window_moves_on_and_is_written_where_it_stays() {
    let built = built(&window(2));
    let model = Model::parse(built.bytes()).unwrap();
    assert_eq!(model.header().state_bytes, 32);
    let places: Vec<Place> = model.steps().filter_map(|step| Some(step.output()?.place())).collect();
    assert_eq!(places.iter().filter(|&&place| place == Place::State).count(), 1);
    assert_eq!(places.len(), 3, "nothing is copied");
    let runs = run(&built, &[1.0, 2.0, 3.0, 4.0].map(|v| vec![vec![v; 4]]));
    let rows: Vec<Vec<f32>> = runs.iter().map(|y| y[0].iter().copied().step_by(4).collect()).collect();
    assert_eq!(rows, [[1.0, 1.0, 1.0], [1.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]);
}

#[test]
fn a_state_that_is_reset_holds_its_first_value_again() {
    let built = built(&window(3));
    let model = Model::parse(built.bytes()).unwrap();
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)).unwrap();
    let run = |session: &mut Session<'_>| {
        session.input::<f32>(0).unwrap().fill(5.0);
        session.run().unwrap();
        session.output::<f32>(0).unwrap().to_vec()
    };
    let first = run(&mut session);
    assert_ne!(run(&mut session), first);
    session.reset();
    assert_eq!(run(&mut session), first);
}
