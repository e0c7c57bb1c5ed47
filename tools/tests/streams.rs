//! Streams: a model of one time step, run once for each, gives the bits that the model of the whole sequence
//! gives.

mod corpus;

use corpus::corpus;
use flatpack::build::{Built, Goldens, Options, build};
use flatpack::graph::{Graph, TensorId};
use flatpack::import::keras;
use flatpack::passes::stream;
use flatpack_format::ops::gather::GatherParams;
use flatpack_format::ops::recurrence::{Activation, GIVEN, KEPT, REPEATED, Recurrence, ZEROS};
use flatpack_format::ops::reshape::ReshapeParams;
use flatpack_format::ops::softmax::SoftmaxParams;
use flatpack_format::ops::unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams;
use flatpack_format::{Block, Model, OpCode, Shape};
use flatpack_runtime::{Session, ops};
use std::path::Path;

fn imported(file: &Path) -> Graph {
    let saved = keras::open(file, None).unwrap();
    keras::lower(&saved, &saved.network().unwrap(), &keras::Options::default()).unwrap()
}

fn built(graph: Graph) -> Built {
    build(graph, &Options { goldens: Goldens::Predicted(1), ..Options::default() }).unwrap()
}

fn memory(model: &Model<'_>) -> Vec<Block> {
    vec![Block([0x7f; 16]); Block::count(Session::memory_bytes(model))]
}

fn run(session: &mut Session<'_>, x: &[f32]) -> Vec<f32> {
    session.input::<f32>(0).unwrap().copy_from_slice(x);
    session.run().unwrap();
    session.output::<f32>(0).unwrap().to_vec()
}

/// Compares a model with its stream on a sequence, of which some steps are zeros.
fn compare(graph: &Graph) {
    let mut one = graph.clone();
    stream::run(&mut one).unwrap();
    let dims = graph.dims(graph.inputs[0]);
    let (time, len) = (dims[1] as usize, dims[2..].iter().product::<u32>() as usize);
    assert_eq!(one.dims(one.inputs[0]), [&[1, 1], &dims[2..]].concat());
    let (whole, one) = (built(graph.clone()), built(one));
    let (whole, one) = (whole.model(), one.model());
    let is_index = dims.len() == 2;
    let step = |t: usize| {
        (0..len).map(move |i| match (t * 7 + i * 5) % 11 {
            _ if t.is_multiple_of(3) => 0.0,
            index if is_index => index as f32,
            number => number as f32 * 0.2 - 0.6,
        })
    };
    let x: Vec<f32> = (0..time).flat_map(step).collect();
    let (mut of_whole, mut of_one) = (memory(&whole), memory(&one));
    let mut of_whole = Session::load(whole, ops::ALL, Block::bytes_mut(&mut of_whole)).unwrap();
    let mut of_one = Session::load(one, ops::ALL, Block::bytes_mut(&mut of_one)).unwrap();
    let expected = run(&mut of_whole, &x);
    // What one run leaves is nothing to the next of whole sequences, and goes on where a stream is reset.
    assert_eq!(run(&mut of_whole, &x), expected);
    for _ in 0..2 {
        let outputs: Vec<Vec<f32>> = x.chunks(len).map(|x| run(&mut of_one, x)).collect();
        assert_eq!(outputs.last(), Some(&expected));
        of_one.reset();
    }
    // Two streams take turns.
    let fresh = of_one.state().to_vec();
    let mut held = [fresh.clone(), fresh];
    let mut last = [Vec::new(), Vec::new()];
    for moment in x.chunks(len) {
        for (held, last) in held.iter_mut().zip(&mut last) {
            of_one.state_mut().copy_from_slice(held);
            *last = run(&mut of_one, moment);
            held.copy_from_slice(of_one.state());
        }
    }
    assert_eq!(last, [expected.clone(), expected]);
}

#[test]
fn a_model_of_keras_step_by_step_gives_what_the_whole_gives() {
    let layers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/layers");
    for case in ["keras3/stream", "keras2/stream"] {
        compare(&imported(&layers.join(case).join("model.h5")));
    }
}

#[test]
fn a_trained_model_step_by_step_gives_what_the_whole_gives() {
    let Some(corpus) = corpus() else { return };
    compare(&imported(&corpus.join("trained/digits_gru/model.h5")));
    let mut of_windows = imported(&corpus.join("trained/gesture_lstm/model.h5"));
    let refused = stream::run(&mut of_windows).unwrap_err().to_string();
    assert!(refused.contains("layers before it make other steps"), "{refused}");
}

#[test]
fn words_are_looked_up_one_by_one() {
    let mut graph = Graph::default();
    let x = graph.add_input("x", Shape::new(&[1, 5]).unwrap());
    let table: Vec<f32> = (0..21).map(|value| value as f32 * 0.1 - 1.0).collect();
    let table = graph.add_constant("table", &[7, 3], table);
    let params = GatherParams { from_end: 0 };
    let rows = graph.add_node("embedding", OpCode::Gather, params, &[x, table]).unwrap();
    let walk = Recurrence { start: ZEROS, last_only: 1, ..Recurrence::PLAIN };
    let y = recurrent(&mut graph, rows, walk, &[]);
    graph.outputs.push(y);
    compare(&graph);
    let Some(corpus) = corpus() else { return };
    for case in ["embedding_lstm", "embedding_mask_zero_lstm"] {
        compare(&imported(&corpus.join("layers/keras3").join(case).join("model.h5")));
    }
}

/// A layer over x `[1, 5, 3]` that gives two numbers.
fn recurrent(graph: &mut Graph, x: TensorId, walk: Recurrence, more: &[TensorId]) -> TensorId {
    let walk = Recurrence { gate_activation: Activation::Linear as u32, ..walk };
    let depth = graph.dims(x)[2];
    let mut inputs = vec![
        x,
        graph.add_constant("w", &[1, 2, depth], vec![0.25; 2 * depth as usize]),
        graph.add_constant("recurrent", &[1, 2, 2], vec![0.5; 4]),
        graph.add_constant("bias", &[1, 2], vec![0.1; 2]),
    ];
    inputs.extend(more);
    inputs.push(graph.add_state("hidden", &[1, 2], flatpack::graph::Data::F32([0.0; 2].into()), None));
    let params = UnidirectionalSequenceRnnParams { walk };
    graph.add_node("rnn", OpCode::UnidirectionalSequenceRnn, params, &inputs).unwrap()
}

#[test]
fn what_needs_the_whole_sequence_is_refused() {
    let plain = Recurrence { start: ZEROS, ..Recurrence::PLAIN };
    let refused = |make: &dyn Fn(&mut Graph, TensorId) -> TensorId| {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 5, 3]).unwrap());
        let y = make(&mut graph, x);
        graph.outputs.push(y);
        stream::run(&mut graph).map_err(|error| error.to_string())
    };
    assert_eq!(refused(&|graph, x| recurrent(graph, x, plain, &[])), Ok(()));
    assert_eq!(refused(&|graph, x| recurrent(graph, x, Recurrence { start: KEPT, ..plain }, &[])), Ok(()));
    let says = |make: &dyn Fn(&mut Graph, TensorId) -> TensorId, words: &str| {
        let error = refused(make).unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    says(&|_, x| x, "no recurrent layer");
    let backwards = Recurrence { backwards: 1, ..plain };
    says(&|graph, x| recurrent(graph, x, backwards, &[]), "layer `rnn`");
    says(&|graph, x| recurrent(graph, x, backwards, &[]), "begins at the end of the sequence");
    let both = Recurrence { states_after: 1, ..plain };
    says(&|graph, x| recurrent(graph, x, both, &[]), "gives its states at the end");
    let given = |graph: &mut Graph, x| {
        let first = graph.add_constant("first", &[1, 2], vec![0.5; 2]);
        recurrent(graph, x, Recurrence { start: GIVEN, ..plain }, &[first])
    };
    says(&given, "begin with what another layer gives");
    let masked = |graph: &mut Graph, x| {
        let mask = graph.add_constant("mask", &[1, 5], vec![1.0; 5]);
        recurrent(graph, x, Recurrence { mask: REPEATED, ..plain }, &[mask])
    };
    says(&masked, "along another axis");
    let flat = |graph: &mut Graph, x| {
        let y = recurrent(graph, x, plain, &[]);
        let shape = ReshapeParams::new(&Shape::new(&[1, 10]).unwrap());
        graph.add_node("flatten", OpCode::Reshape, shape, &[y]).unwrap()
    };
    says(&flat, "layer `flatten` (reshape): what it gives at one moment depends on others");
    let over_time = |graph: &mut Graph, x| {
        let y = recurrent(graph, x, plain, &[]);
        graph.add_node("softmax", OpCode::Softmax, SoftmaxParams { axis: 1 }, &[y]).unwrap()
    };
    says(&over_time, "layer `softmax`");
    let joined = |graph: &mut Graph, x| {
        let y = recurrent(graph, x, plain, &[]);
        let last = recurrent(graph, x, Recurrence { last_only: 1, ..plain }, &[]);
        let last = graph
            .add_node("lift", OpCode::Reshape, ReshapeParams::new(&Shape::new(&[1, 1, 2]).unwrap()), &[last])
            .unwrap();
        let add = flatpack_format::ops::binary::BinaryParams { clamp: flatpack_format::ops::Clamp::NONE };
        graph.add_node("add", OpCode::Add, add, &[y, last]).unwrap()
    };
    says(&joined, "joins what is there at each moment");
}
