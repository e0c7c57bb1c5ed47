//! All three operators against the same walk in `f64`.

use crate::one_step::{
    EDGES, Input, difference, input, meets, noise, refusal_with_states, stored_weights, stream, ulps,
};
use bytemuck::bytes_of;
use flatpack_format::ops::recurrence::{Activation, GIVEN, HELD, KEPT, REPEATED, Recurrence, ZEROED, ZEROS};
use flatpack_format::ops::unidirectional_sequence_gru::UnidirectionalSequenceGruParams;
use flatpack_format::ops::unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams;
use flatpack_format::ops::unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams;
use flatpack_format::{DType, Misfit, OpCode};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// An operator with its own parameters.
#[derive(Clone, Copy, Debug)]
enum Cell {
    Lstm { clip: f32 },
    Gru { reset_after: u32 },
    Rnn,
}

impl Cell {
    fn op(self) -> OpCode {
        match self {
            Self::Lstm { .. } => OpCode::UnidirectionalSequenceLstm,
            Self::Gru { .. } => OpCode::UnidirectionalSequenceGru,
            Self::Rnn => OpCode::UnidirectionalSequenceRnn,
        }
    }

    fn stored(self, dtype: DType) -> OpCode {
        match (self, dtype) {
            (Self::Lstm { .. }, DType::I8) => OpCode::UnidirectionalSequenceLstmW8,
            (Self::Lstm { .. }, _) => OpCode::UnidirectionalSequenceLstmW16,
            (Self::Gru { .. }, DType::I8) => OpCode::UnidirectionalSequenceGruW8,
            (Self::Gru { .. }, _) => OpCode::UnidirectionalSequenceGruW16,
            (Self::Rnn, DType::I8) => OpCode::UnidirectionalSequenceRnnW8,
            (Self::Rnn, _) => OpCode::UnidirectionalSequenceRnnW16,
        }
    }

    fn params(self, walk: Recurrence) -> Vec<u8> {
        match self {
            Self::Lstm { clip } => {
                bytes_of(&UnidirectionalSequenceLstmParams { walk, cell_clip: clip }).to_vec()
            }
            Self::Gru { reset_after } => {
                bytes_of(&UnidirectionalSequenceGruParams { walk, reset_after }).to_vec()
            }
            Self::Rnn => {
                let walk = Recurrence { gate_activation: Activation::Linear as u32, ..walk };
                bytes_of(&UnidirectionalSequenceRnnParams { walk }).to_vec()
            }
        }
    }

    fn gates(self) -> u32 {
        match self {
            Self::Lstm { .. } => 4,
            Self::Gru { .. } => 3,
            Self::Rnn => 1,
        }
    }

    fn biases(self) -> u32 {
        if let Self::Gru { reset_after: 1 } = self { 4 } else { self.gates() }
    }

    fn states(self) -> usize {
        if let Self::Lstm { .. } = self { 2 } else { 1 }
    }
}

/// Extents of a sequence.
#[derive(Clone, Copy, Debug)]
struct Extents {
    batch: u32,
    time: u32,
    inputs: u32,
    units: u32,
}

impl Extents {
    /// Two axes in the order of `walk`.
    fn moments(&self, walk: &Recurrence) -> [u32; 2] {
        if walk.time_major == 1 { [self.time, self.batch] } else { [self.batch, self.time] }
    }

    fn x(&self, walk: &Recurrence) -> [u32; 3] {
        let [first, second] = self.moments(walk);
        [first, second, self.inputs]
    }
}

fn operands(cell: Cell, walk: &Recurrence, extents: Extents, seed: u32) -> Vec<Input> {
    let Extents { batch, inputs, units, .. } = extents;
    let gates = cell.gates();
    let mut operands = vec![
        noise(&extents.x(walk), seed),
        noise(&[gates, units, inputs], seed ^ 1),
        noise(&[gates, units, units], seed ^ 2),
        noise(&[cell.biases(), units], seed ^ 3),
    ];
    // The more units, the smaller their weights: else differences grow from moment to moment.
    let scale = (2.0 / units as f32).min(1.0);
    operands[1..3].iter_mut().flat_map(|w| &mut w.values).for_each(|w| *w *= scale);
    if walk.mask > 0 {
        let mut mask = noise(&extents.moments(walk), seed ^ 4);
        mask.values.iter_mut().for_each(|v| *v = f32::from(u8::from(*v > 0.0)));
        operands.push(mask);
    }
    if walk.start == GIVEN {
        operands.extend((0..cell.states()).map(|at| noise(&[batch, units], seed ^ 5 ^ (at as u32) << 4)));
    }
    for at in 0..cell.states() {
        let room = matches!(cell, Cell::Gru { reset_after: 0 });
        let dims = if room { vec![batch, 2, units] } else { vec![batch, units] };
        operands.push(noise(&dims, seed ^ 6 ^ (at as u32) << 4));
    }
    operands
}

fn function(of: u32, x: f64) -> f64 {
    let logistic = 1.0 / (1.0 + (-x).exp());
    let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
    match Activation::from_number(of).unwrap() {
        Activation::Linear => x,
        Activation::Logistic => logistic,
        Activation::Tanh => x.tanh(),
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::HardTanh => x.clamp(-1.0, 1.0),
        Activation::HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::SteepHardSigmoid => (0.2 * x + 0.5).clamp(0.0, 1.0),
        Activation::LeakyRelu => {
            if x > 0.0 {
                x
            } else {
                0.2 * x
            }
        }
        Activation::Elu => {
            if x > 0.0 {
                x
            } else {
                x.exp_m1()
            }
        }
        Activation::Selu => 1.0507009873554805 * if x > 0.0 { x } else { 1.6732632423543772 * x.exp_m1() },
        Activation::Exp => x.exp(),
        Activation::Softplus => softplus,
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Swish => x * logistic,
        Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Gelu => x / 2.0 * (1.0 + libm::erf(x / 2f64.sqrt())),
        Activation::Mish => x * softplus.tanh(),
    }
}

/// What runs with `xs` give, one after the other.
fn formula(
    cell: Cell,
    walk: &Recurrence,
    extents: Extents,
    operands: &[Input],
    xs: &[Input],
) -> Vec<Vec<f32>> {
    let Extents { batch, time, inputs, units } = extents;
    let [_, w, recurrent, bias, rest @ ..] = operands else { panic!() };
    let (mask, rest) = if walk.mask > 0 { (rest.first(), &rest[1..]) } else { (None, rest) };
    let first = |state: usize| {
        let (of, zero) = match walk.start {
            GIVEN => (&rest[state], false),
            start => (&rest[rest.len() - cell.states() + state], start == ZEROS),
        };
        let stride = of.values.len() / batch as usize;
        let rows = (0..batch as usize).map(|n| {
            let row = of.values[n * stride..].iter().take(units as usize);
            row.map(|&v| if zero { 0.0 } else { f64::from(v) }).collect::<Vec<f64>>()
        });
        rows.collect::<Vec<_>>()
    };
    let mut states: Vec<Vec<Vec<f64>>> = (0..cell.states()).map(first).collect();
    let run = |x: &Input| {
        if walk.start != KEPT {
            states = (0..cell.states()).map(first).collect();
        }
        let outputs = if walk.last_only == 1 { 1 } else { time };
        let rows = outputs + if walk.states_after == 1 { cell.states() as u32 } else { 0 };
        let mut y = vec![0.0; (batch * rows * units) as usize];
        let row_of = |n: u32, t: u32| if walk.time_major == 1 { t * batch + n } else { n * rows + t };
        let mut put = |n: u32, t: u32, row: &[f64]| {
            for (s, v) in row.iter().enumerate() {
                y[(row_of(n, t) * units) as usize + s] = *v as f32;
            }
        };
        for n in 0..batch {
            let mut output = vec![0.0; units as usize];
            for moment in 0..time {
                let t = if walk.backwards == 1 { time - 1 - moment } else { moment };
                let [i, j] = if walk.time_major == 1 { [t, n] } else { [n, t] };
                if mask.is_some_and(|mask| mask.at(&[i, j]) == 0.0) {
                    match walk.mask {
                        ZEROED => output.fill(0.0),
                        HELD => output.clone_from(&states[0][n as usize]),
                        _ => {}
                    }
                } else {
                    let before: Vec<Vec<f64>> =
                        states.iter().map(|state| state[n as usize].clone()).collect();
                    let of_x = |gate: u32, s: u32| {
                        let products = (0..inputs).map(|k| x.at(&[i, j, k]) * w.at(&[gate, s, k]));
                        bias.at(&[gate, s]) + products.sum::<f64>()
                    };
                    let of_h = |gate: u32, s: u32, h: &[f64]| -> f64 {
                        (0..units).map(|k| h[k as usize] * recurrent.at(&[gate, s, k])).sum()
                    };
                    let h = &before[0];
                    let gate =
                        |gate: u32, s: u32| function(walk.gate_activation, of_x(gate, s) + of_h(gate, s, h));
                    let new = |sum: f64| function(walk.activation, sum);
                    output = (0..units)
                        .map(|s| match cell {
                            Cell::Lstm { clip } => {
                                let clip = f64::from(clip);
                                let added = gate(0, s) * new(of_x(2, s) + of_h(2, s, h));
                                let c = (gate(1, s) * before[1][s as usize] + added).clamp(-clip, clip);
                                states[1][n as usize][s as usize] = c;
                                gate(3, s) * new(c)
                            }
                            Cell::Gru { reset_after } => {
                                let sum = if reset_after == 1 {
                                    of_x(2, s) + gate(1, s) * (bias.at(&[3, s]) + of_h(2, s, h))
                                } else {
                                    let scaled: Vec<f64> =
                                        (0..units).map(|k| gate(1, k) * h[k as usize]).collect();
                                    of_x(2, s) + of_h(2, s, &scaled)
                                };
                                gate(0, s) * h[s as usize] + (1.0 - gate(0, s)) * new(sum)
                            }
                            Cell::Rnn => new(of_x(0, s) + of_h(0, s, h)),
                        })
                        .collect();
                    states[0][n as usize].clone_from(&output);
                }
                put(n, if walk.last_only == 1 { 0 } else { t }, &output);
            }
            if walk.states_after == 1 {
                for (at, state) in states.iter().enumerate() {
                    put(n, outputs + at as u32, &state[n as usize]);
                }
            }
        }
        y
    };
    xs.iter().map(run).collect()
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        prop_oneof![Just(f32::INFINITY), 0f32..1.0].prop_map(|clip| Cell::Lstm { clip }),
        (0u32..2).prop_map(|reset_after| Cell::Gru { reset_after }),
        Just(Cell::Rnn),
    ]
}

fn walk() -> impl Strategy<Value = Recurrence> {
    // Those whose values stay small from moment to moment.
    const BOUNDED: &[Activation] =
        &[Activation::Tanh, Activation::Logistic, Activation::HardSigmoid, Activation::HardTanh];
    const SHARES: &[Activation] =
        &[Activation::Logistic, Activation::HardSigmoid, Activation::SteepHardSigmoid];
    let functions = [BOUNDED, SHARES].map(prop::sample::select);
    let flags = (0u32..2, 0u32..2, 0u32..2, 0u32..2);
    (flags, 0u32..3, 0u32..4, functions).prop_map(|(flags, start, mask, [new, gate])| {
        let (time_major, backwards, last_only, states_after) = flags;
        Recurrence {
            time_major,
            backwards,
            start,
            last_only,
            states_after,
            mask,
            activation: new as u32,
            gate_activation: gate as u32,
        }
    })
}

proptest! {
    #[test]
    fn a_stream_meets_the_formula(
        (cell, walk) in (cell(), walk()),
        (batch, time, inputs, units) in (1u32..3, 1u32..9, 1u32..12, prop_oneof![1u32..11, 11u32..40]),
        seed: u32,
    ) {
        let extents = Extents { batch, time, inputs, units };
        let operands = operands(cell, &walk, extents, seed);
        let xs: Vec<Input> = (0..3).map(|at| noise(&extents.x(&walk), seed ^ at << 8)).collect();
        let got = stream(cell.op(), &cell.params(walk), &operands, cell.states(), &xs);
        let packed = stream(cell.op(), &cell.params(walk), &packed(&operands), cell.states(), &xs);
        prop_assert_eq!(&packed, &got);
        let want = formula(cell, &walk, extents, &operands, &xs);
        for (got, want) in got.iter().zip(want) {
            prop_assert!(difference(got, &want) < 1e-5);
        }
    }
}

/// Operands with their weights in layout `gates16`.
fn packed(operands: &[Input]) -> Vec<Input> {
    let mut packed = operands.to_vec();
    packed[1..3].iter_mut().for_each(|w| *w = w.in_gates());
    packed
}

/// Operands whose weights are of a type of fewer bytes, and the same as reals.
fn stored(
    cell: Cell,
    walk: &Recurrence,
    extents: Extents,
    seed: u32,
    dtype: DType,
) -> (Vec<Input>, Vec<Input>) {
    let mut reals = operands(cell, walk, extents, seed);
    let mut stored = reals.clone();
    for at in [1, 2] {
        let &[gates, units, depth] = reals[at].dims.as_slice() else { panic!() };
        let (made, values) = stored_weights(&[gates * units, depth], 0, seed ^ at as u32, dtype);
        reals[at] = input(&[gates, units, depth], &values.values);
        stored[at] = made[0].clone();
        stored[at].dims = vec![gates, units, depth];
        if let [_, scales] = made.as_slice() {
            // One scale for all, or one for each row.
            let rows = (gates * units) as usize;
            let bias = stored[3].values.iter().chain(scales.values.iter().cycle().take(rows));
            let rows: Vec<f32> = bias.copied().collect();
            stored[3] = input(&[rows.len() as u32 / units, units], &rows);
        }
    }
    (stored, reals)
}

proptest! {
    #[test]
    fn weights_in_fewer_bytes_meet_the_formula(
        (cell, walk) in (cell(), walk()),
        (batch, inputs) in (1u32..3, 1u32..12),
        // Large weights: what many units round would grow from moment to moment.
        (time, units) in prop_oneof![(1u32..5, 1u32..11), (5u32..12, 1u32..3)],
        seed: u32,
    ) {
        let extents = Extents { batch, time, inputs, units };
        let xs: Vec<Input> = (0..3).map(|at| noise(&extents.x(&walk), seed ^ at << 8)).collect();
        for dtype in [DType::I8, DType::F16] {
            let (stored, reals) = stored(cell, &walk, extents, seed, dtype);
            let got = stream(cell.stored(dtype), &cell.params(walk), &stored, cell.states(), &xs);
            let packed = stream(cell.stored(dtype), &cell.params(walk), &packed(&stored), cell.states(), &xs);
            prop_assert_eq!(&packed, &got);
            let want = formula(cell, &walk, extents, &reals, &xs);
            for (got, want) in got.iter().zip(want) {
                prop_assert!(difference(got, &want) < 1e-5);
            }
        }
    }
}

#[test]
fn weights_of_another_type_or_without_their_scales_are_refused() {
    let extents = Extents { batch: 2, time: 5, inputs: 3, units: 4 };
    for cell in [Cell::Lstm { clip: 1.0 }, Cell::Gru { reset_after: 0 }, Cell::Rnn] {
        for dtype in [DType::I8, DType::F16] {
            let (fitting, reals) = stored(cell, &Recurrence::PLAIN, extents, 1, dtype);
            let refused = |at: usize, other: &Input| {
                let mut operands = fitting.clone();
                operands[at] = other.clone();
                let params = cell.params(Recurrence::PLAIN);
                refusal_with_states(cell.stored(dtype), &params, &operands, cell.states())
            };
            assert_eq!(refused(1, &reals[1]), Misfit::DType(1));
            assert_eq!(refused(2, &reals[2]), Misfit::DType(2));
            assert_eq!(refused(3, &noise(&[cell.biases() + 1, 4], 9)), Misfit::Shape(3));
            if dtype == DType::I8 {
                assert_eq!(refused(3, &reals[3]), Misfit::Shape(3));
            }
        }
    }
}

/// A unit with weight 1 and nothing else is the function alone.
#[test]
fn each_function_meets_its_formula() {
    for &activation in Activation::ALL {
        let walk = Recurrence { start: ZEROS, activation: activation as u32, ..Recurrence::PLAIN };
        for x in EDGES.into_iter().filter(|x| x.abs() < 80.0) {
            let one = input(&[1, 1, 1], &[1.0]);
            let zero = input(&[1, 1, 1], &[0.0]);
            let held = input(&[1, 1], &[0.0]);
            let operands = [input(&[1, 1, 1], &[x]), one, zero, held.clone(), held];
            let got = stream(Cell::Rnn.op(), &Cell::Rnn.params(walk), &operands, 1, &operands[..1]);
            let want = function(activation as u32, x.into());
            let tolerance = ulps(8.0, want) + ulps(3.0, x.into());
            assert!(meets(got[0][0], want, tolerance), "{activation:?} of {x:e}: {:e}", got[0][0]);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let extents = Extents { batch: 2, time: 5, inputs: 3, units: 4 };
    for cell in
        [Cell::Lstm { clip: 1.0 }, Cell::Gru { reset_after: 0 }, Cell::Gru { reset_after: 1 }, Cell::Rnn]
    {
        let all = Recurrence { start: GIVEN, mask: REPEATED, states_after: 1, ..Recurrence::PLAIN };
        let fitting = operands(cell, &all, extents, 1);
        let refused = |walk: Recurrence, operands: &[Input]| {
            refusal_with_states(cell.op(), &cell.params(walk), operands, cell.states())
        };
        let other = |at: usize, dims: &[u32]| {
            let mut operands = fitting.clone();
            operands[at] = noise(dims, 9);
            refused(all, &operands)
        };
        let (gates, biases) = (cell.gates(), cell.biases());
        assert_eq!(other(0, &[10, 3]), Misfit::Rank(0));
        assert_eq!(other(0, &[2, 4, 3]), Misfit::Shape(4));
        assert_eq!(other(1, &[gates, 4, 2]), Misfit::Shape(1));
        assert_eq!(other(1, &[gates + 1, 4, 3]), Misfit::Shape(1));
        assert_eq!(other(1, &[gates, 12]), Misfit::Rank(1));
        assert_eq!(other(2, &[gates, 4, 3]), Misfit::Shape(2));
        assert_eq!(other(3, &[biases + 1, 4]), Misfit::Shape(3));
        assert_eq!(other(3, &[biases * 4]), Misfit::Shape(3));
        assert_eq!(other(4, &[5, 2]), Misfit::Shape(4));
        for at in 5..fitting.len() {
            assert_eq!(other(at, &[2, 3]), Misfit::Shape(at as u8));
            assert_eq!(other(at, &[1, 4]), Misfit::Shape(at as u8));
        }
        assert_eq!(refused(Recurrence { mask: 0, ..all }, &fitting), Misfit::Count);
        assert_eq!(refused(Recurrence { start: KEPT, ..all }, &fitting), Misfit::Count);
        assert_eq!(refused(all, &fitting[1..]), Misfit::Count);
        let functions = Activation::ALL.len() as u32;
        for walk in [
            Recurrence { time_major: 2, ..all },
            Recurrence { backwards: 2, ..all },
            Recurrence { start: 3, ..all },
            Recurrence { last_only: 2, ..all },
            Recurrence { states_after: 2, ..all },
            Recurrence { mask: 4, ..all },
            Recurrence { activation: functions, ..all },
        ] {
            assert_eq!(refused(walk, &fitting), Misfit::Params, "{walk:?}");
        }
    }
}

#[test]
fn parameters_of_one_operator_have_a_domain() {
    let extents = Extents { batch: 1, time: 2, inputs: 3, units: 4 };
    let refused = |cell: Cell, params: &[u8]| {
        let operands = operands(cell, &Recurrence::PLAIN, extents, 1);
        refusal_with_states(cell.op(), params, &operands, cell.states())
    };
    for clip in [-1.0, f32::NAN] {
        let cell = Cell::Lstm { clip };
        assert_eq!(refused(cell, &cell.params(Recurrence::PLAIN)), Misfit::Params);
    }
    let params = Cell::Gru { reset_after: 2 }.params(Recurrence::PLAIN);
    assert_eq!(refused(Cell::Gru { reset_after: 0 }, &params), Misfit::Params);
    let gated = UnidirectionalSequenceRnnParams { walk: Recurrence::PLAIN };
    assert_eq!(refused(Cell::Rnn, bytes_of(&gated)), Misfit::Params);
    let walk = Recurrence { gate_activation: Activation::ALL.len() as u32, ..Recurrence::PLAIN };
    let cell = Cell::Gru { reset_after: 1 };
    assert_eq!(refused(cell, &cell.params(walk)), Misfit::Params);
}
