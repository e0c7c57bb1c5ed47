//! Streams: a model of one time step, run once for each, gives the bits that the model of the whole sequence
//! gives.

mod corpus;

use corpus::corpus;
use flatpack::array::Array;
use flatpack::build::{Built, Goldens, Options, build};
use flatpack::data::load;
use flatpack::graph::{Graph, TensorId};
use flatpack::import::keras;
use flatpack::observe::{Seen, observe};
use flatpack::passes::stream::{self, Stream};
use flatpack::predict::{PredictError, Rows, predict};
use flatpack_format::ops::Clamp;
use flatpack_format::ops::conv_2d::Conv2dParams;
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
    let time = graph.dims(graph.inputs[0])[1];
    compare_in(graph, Stream { moments: 1, runs: time, length: time });
}

/// Likewise where a run takes several steps, or runs follow the last one.
fn compare_in(graph: &Graph, expected_stream: Stream) {
    let mut one = graph.clone();
    let stream = stream::run(&mut one).unwrap();
    assert_eq!(stream, expected_stream);
    let dims = graph.dims(graph.inputs[0]);
    let (time, len) = (dims[1] as usize, dims[2..].iter().product::<u32>() as usize);
    assert_eq!(one.dims(one.inputs[0]), [&[1, stream.moments], &dims[2..]].concat());
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
    let at_a_time = len * stream.moments as usize;
    let mut of_stream = x.clone();
    of_stream.resize(stream.runs as usize * at_a_time, 0.0);
    // What one run leaves is nothing to the next of whole sequences, and goes on where a stream is reset.
    assert_eq!(run(&mut of_whole, &x), expected);
    for _ in 0..2 {
        let outputs: Vec<Vec<f32>> = of_stream.chunks(at_a_time).map(|x| run(&mut of_one, x)).collect();
        assert_eq!(outputs.last(), Some(&expected));
        of_one.reset();
    }
    // Two streams take turns.
    let fresh = of_one.state().to_vec();
    let mut held = [fresh.clone(), fresh];
    let mut last = [Vec::new(), Vec::new()];
    for moment in of_stream.chunks(at_a_time) {
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
fn a_stateful_conv_lstm_over_one_step_gives_what_keras_computes_for_the_whole() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/layers/keras3/conv_lstm_2_4_5_2");
    let saved = keras::open(&case.join("model.h5"), None).unwrap();
    let mut network = saved.network().unwrap();
    network.inputs[0].shape = Some([1, 1, 4, 5, 2].map(Some).into());
    for layer in network.layers.iter_mut().filter(|layer| layer.class == "ConvLSTM2D") {
        layer.config.0.insert("stateful".into(), true.into());
    }
    // Two of these layers and a dense one.
    network.outputs = vec![network.outputs[3]];
    let graph = keras::lower(&saved, &network, &keras::Options::default()).unwrap();
    assert_eq!(graph.states.len(), 4);
    let built = built(graph);
    let array = |name: &str| load(&case.join(name)).unwrap().remove(0).1;
    let (x, expected) = (array("input_0.npy"), array("output_3.npy"));
    let mut memory = memory(&built.model());
    let mut session = Session::load(built.model(), ops::ALL, Block::bytes_mut(&mut memory)).unwrap();
    let samples = x.values.chunks(x.len() / 2).zip(expected.values.chunks(expected.len() / 2));
    for (sample, expected) in samples {
        let outputs: Vec<Vec<f32>> = sample.chunks(4 * 5 * 2).map(|x| run(&mut session, x)).collect();
        let [first, last] = outputs.as_slice() else { panic!("two steps") };
        assert!(last.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-5), "{last:?}, {expected:?}");
        assert_ne!(first, last);
        session.reset();
    }
    let refused = stream::run(&mut imported(&case.join("model.h5"))).unwrap_err().to_string();
    assert!(refused.contains("a ConvLSTM is written out"), "{refused}");
}

#[test]
fn a_trained_model_step_by_step_gives_what_the_whole_gives() {
    let Some(corpus) = corpus() else { return };
    compare(&imported(&corpus.join("trained/digits_gru/model.h5")));
    // Its convolution takes two steps at a time and looks two ahead.
    let gesture = imported(&corpus.join("trained/gesture_lstm/model.h5"));
    compare_in(&gesture, Stream { moments: 2, runs: 17, length: 32 });
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

/// A convolution over time with windows of `taps`, and padding before and after.
struct Windows {
    taps: u32,
    stride: u32,
    dilation: u32,
    pads: [u32; 2],
}

impl Windows {
    const PLAIN: Self = Self { taps: 3, stride: 1, dilation: 1, pads: [0, 0] };

    fn over(&self, graph: &mut Graph, x: TensorId) -> TensorId {
        let &[_, time, depth] = graph.dims(x) else { panic!() };
        let reshaped = ReshapeParams::new(&Shape::new(&[1, 1, time, depth]).unwrap());
        let x = graph.add_node("conv", OpCode::Reshape, reshaped, &[x]).unwrap();
        let len = 4 * self.taps * depth;
        let w: Vec<f32> = (0..len).map(|at| (at * 7 % 13) as f32 * 0.1 - 0.6).collect();
        let w = graph.add_constant("w", &[4, 1, self.taps, depth], w);
        let bias = graph.add_constant("bias", &[4], vec![0.3, -0.2, 0.1, 0.5]);
        let params = Conv2dParams {
            stride: [1, self.stride],
            dilation: [1, self.dilation],
            pad_h: [0, 0],
            pad_w: self.pads,
            groups: 1,
            clamp: Clamp { min: 0.0, max: f32::INFINITY },
        };
        let y = graph.add_node("conv", OpCode::Conv2d, params, &[x, w, bias]).unwrap();
        let time = graph.dims(y)[2];
        let reshaped = ReshapeParams::new(&Shape::new(&[1, time, 4]).unwrap());
        graph.add_node("conv", OpCode::Reshape, reshaped, &[y]).unwrap()
    }
}

/// A model of windows over x `[1, 16, 3]` and a recurrent layer.
fn of_windows(windows: &[Windows], last_only: u32) -> Graph {
    let mut graph = Graph::default();
    let mut x = graph.add_input("x", Shape::new(&[1, 16, 3]).unwrap());
    for windows in windows {
        x = windows.over(&mut graph, x);
    }
    let walk = Recurrence { start: ZEROS, last_only, ..Recurrence::PLAIN };
    let y = recurrent(&mut graph, x, walk, &[]);
    graph.outputs.push(y);
    graph
}

#[test]
fn windows_over_time_keep_what_they_reach_back_to() {
    let plain = || Windows::PLAIN;
    let runs = |moments, runs| Stream { moments, runs, length: 16 };
    for (windows, expected) in [
        // Valid padding: the first result comes late, the last one with the last step.
        (vec![plain()], runs(1, 16)),
        (vec![Windows { dilation: 3, ..plain() }, plain()], runs(1, 16)),
        // Causal padding: every result comes with its step.
        (vec![Windows { pads: [2, 0], ..plain() }], runs(1, 16)),
        (
            vec![Windows { pads: [2, 0], ..plain() }, Windows { dilation: 2, pads: [4, 0], ..plain() }],
            runs(1, 16),
        ),
        // Same padding looks ahead.
        (vec![Windows { pads: [1, 1], ..plain() }], runs(1, 17)),
        (vec![Windows { taps: 8, pads: [3, 4], ..plain() }], runs(1, 20)),
        (vec![Windows { pads: [1, 1], ..plain() }, Windows { taps: 2, ..plain() }], runs(1, 17)),
        // Strides.
        (vec![Windows { taps: 4, stride: 4, ..plain() }], runs(4, 4)),
        (vec![Windows { taps: 5, stride: 2, pads: [1, 2], ..plain() }], runs(2, 9)),
        (vec![Windows { stride: 2, ..plain() }, Windows { stride: 3, ..plain() }], runs(6, 3)),
        (vec![Windows { taps: 1, stride: 2, ..plain() }], runs(2, 8)),
        (vec![Windows { taps: 3, stride: 3, ..plain() }], runs(3, 5)),
    ] {
        compare_in(&of_windows(&windows, 1), expected);
    }
}

#[test]
fn a_stream_of_outputs_is_late_by_what_its_windows_look_ahead() {
    let whole = of_windows(&[Windows { pads: [1, 1], ..Windows::PLAIN }], 0);
    let mut one = whole.clone();
    assert_eq!(stream::run(&mut one).unwrap(), Stream { moments: 1, runs: 17, length: 16 });
    let (whole, one) = (built(whole), built(one));
    let (whole, one) = (whole.model(), one.model());
    let (mut of_whole, mut of_one) = (memory(&whole), memory(&one));
    let mut of_whole = Session::load(whole, ops::ALL, Block::bytes_mut(&mut of_whole)).unwrap();
    let mut of_one = Session::load(one, ops::ALL, Block::bytes_mut(&mut of_one)).unwrap();
    let mut x: Vec<f32> = (0..48).map(|at| (at * 5 % 17) as f32 * 0.1 - 0.8).collect();
    let expected = run(&mut of_whole, &x);
    x.extend([0.0; 3]);
    let outputs: Vec<f32> = x.chunks(3).flat_map(|x| run(&mut of_one, x)).collect();
    assert_eq!(outputs[2..], expected);
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
fn whole_sequences_are_run_moment_by_moment_each_from_the_initial_state() {
    let mut graph = Graph::default();
    let x = graph.add_input("x", Shape::new(&[1, 4, 3]).unwrap());
    let y = recurrent(&mut graph, x, Recurrence { start: ZEROS, ..Recurrence::PLAIN }, &[]);
    graph.outputs.push(y);
    let mut one = graph.clone();
    stream::run(&mut one).unwrap();
    let (whole, one) = (built(graph), built(one));
    let x: Vec<f32> = (0..24).map(|i| (i * 7 % 11) as f32 * 0.2 - 0.9).collect();
    let sequences = [Array::new([2, 4, 3], x.clone())];
    let expected = predict(whole.model(), &sequences).unwrap();
    let by_moments = predict(one.model(), &sequences).unwrap();
    assert_eq!(by_moments[0].values, expected[0].values);
    assert_eq!(by_moments[0].shape, [8, 1, 2]);
    // Rows of a moment each begin anew.
    let rows = predict(one.model(), &[Array::new([8, 1, 3], x)]).unwrap();
    assert_ne!(rows[0].values, expected[0].values);

    let observed = |built: &Built| {
        let mut rows = Vec::new();
        let seen = |seen: Seen<'_>| {
            if seen.op.is_some() {
                rows.push((seen.row, seen.values.to_vec()));
            }
            Ok::<(), PredictError>(())
        };
        observe(built, &sequences, seen).unwrap();
        rows
    };
    let of_whole: Vec<f32> = observed(&whole).into_iter().flat_map(|(_, values)| values).collect();
    let moments: Vec<(usize, Vec<f32>)> = of_whole.chunks(2).map(<[f32]>::to_vec).enumerate().collect();
    assert_eq!(observed(&one), moments);
    // As many of whole sequences as there are.
    let all = Rows::of(&one.model(), &sequences).unwrap();
    assert_eq!((all.count, all.sequence, all.sequences()), (8, 4, 2));
    assert_eq!(all.part(&sequences, 1..2)[0], Array::new([1, 4, 3], sequences[0].values[12..].to_vec()));
    // A model that keeps no state takes rows alone.
    let other = [Array::new([2, 8, 3], vec![0.0; 48])];
    assert!(predict(whole.model(), &other).is_err());
    assert!(predict(one.model(), &[Array::new([2, 4, 2], vec![0.0; 16])]).is_err());
}

#[test]
fn what_needs_the_whole_sequence_is_refused() {
    let plain = Recurrence { start: ZEROS, ..Recurrence::PLAIN };
    let refused = |make: &dyn Fn(&mut Graph, TensorId) -> TensorId| {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 5, 3]).unwrap());
        let y = make(&mut graph, x);
        graph.outputs.push(y);
        stream::run(&mut graph).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(refused(&|graph, x| recurrent(graph, x, plain, &[])), Ok(()));
    assert_eq!(refused(&|graph, x| recurrent(graph, x, Recurrence { start: KEPT, ..plain }, &[])), Ok(()));
    let says = |make: &dyn Fn(&mut Graph, TensorId) -> TensorId, words: &str| {
        let error = refused(make).unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    says(&|_, x| x, "no LSTM, GRU or SimpleRNN");
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
    let behind = |first: Windows, second: Windows| {
        move |graph: &mut Graph, x| {
            let x = first.over(graph, x);
            let x = second.over(graph, x);
            recurrent(graph, x, plain, &[])
        }
    };
    let (valid, same, causal) = (
        || Windows::PLAIN,
        || Windows { pads: [1, 1], ..Windows::PLAIN },
        || Windows { pads: [2, 0], ..Windows::PLAIN },
    );
    says(&behind(valid(), causal()), "padding behind a layer that looks ahead");
    says(&behind(causal(), same()), "padding behind the end of the sequence");
    let far = |graph: &mut Graph, x| {
        let x = Windows { stride: 65, ..Windows::PLAIN }.over(graph, x);
        recurrent(graph, x, plain, &[])
    };
    says(&far, "layer `conv` (conv_2d): its stride is more time steps than one run takes, 64");
    let beside = |graph: &mut Graph, x| {
        let ahead = Windows { pads: [1, 1], ..Windows::PLAIN }.over(graph, x);
        let at_once = Windows { pads: [2, 0], ..Windows::PLAIN }.over(graph, x);
        let add = flatpack_format::ops::binary::BinaryParams { clamp: Clamp::NONE };
        let both = graph.add_node("add", OpCode::Add, add, &[ahead, at_once]).unwrap();
        recurrent(graph, both, plain, &[])
    };
    says(&beside, "layer `add` (add): it joins layers of which one looks further ahead");
}
