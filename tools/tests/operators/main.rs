//! Every operator, computed by our kernels and by the reference: neither knows the other's formulas.

mod absurd;
mod cases;
mod draw;
mod one_step;

use cases::{Case, case};
use draw::Draw;
use flatpack::graph::{Data, Graph};
use flatpack::ops::{Packs, operator};
use flatpack::reference::Predictor;
use flatpack_format::ops::Clamp;
use flatpack_format::{Misfit, OpCode};
use flatpack_runtime::LoadError;
use one_step::{Form, run};
use std::collections::HashSet;

const CASES: u64 = 100;

fn cases() -> impl Iterator<Item = (OpCode, u64, Case)> {
    // Those on integers are compared with TensorFlow Lite's recorded results.
    let on_reals = OpCode::ALL.iter().filter(|&&op| operator(op).exact.is_none());
    on_reals.flat_map(|&op| {
        (0..CASES).map(move |seed| (op, seed, case(op, &mut Draw::new(seed * 67 + op as u64))))
    })
}

/// Where products are summed, rounding is relative to the largest result, else to each.
fn assert_close(got: &[f32], want: &[f32], sums_products: bool, of: &str) {
    assert_eq!(got.len(), want.len(), "{of}");
    let largest = want.iter().fold(1.0, |largest: f32, y| largest.max(y.abs()));
    for (index, (&got, &want)) in got.iter().zip(want).enumerate() {
        let scale = if sums_products { largest } else { want.abs().max(1.0) };
        let close = if want.is_finite() {
            (got - want).abs() <= 1e-5 * scale
        } else {
            got == want || (got.is_nan() && want.is_nan())
        };
        assert!(close, "{of}: element {index} is {got:e} by the kernel, {want:e} by the reference");
    }
}

#[test]
fn every_kernel_computes_what_the_reference_predicts() {
    for (op, seed, Case { graph, inputs }) in cases() {
        let y = graph.outputs[0];
        let of = format!("{}, case {seed}, y {:?}", op.name(), graph.dims(y));
        let got = run(&graph, &inputs, Form::Apart).unwrap_or_else(|error| panic!("{of}: {error:?}"));
        let want = Predictor::new(&graph).unwrap_or_else(|error| panic!("{of}: {error:?}"));
        let want = want.predict(&inputs).unwrap_or_else(|error| panic!("{of}: {error:?}"));
        assert_close(&got, &want[&y], graph.macs(&graph.nodes[0]) > 0, &of);
    }
}

#[test]
fn outputs_take_the_place_of_the_inputs_that_their_kernels_allow() {
    let mut seen = HashSet::new();
    for (op, seed, Case { graph, inputs }) in cases() {
        let node = &graph.nodes[0];
        for (position, &input) in node.inputs.iter().enumerate() {
            let is_memory = graph.is_constant(input) || graph.state(input).is_some();
            if is_memory || graph.bytes(input) != graph.bytes(node.output) {
                continue;
            }
            let of = format!("{}, case {seed}, input {position}", op.name());
            let result = run(&graph, &inputs, Form::InPlace(position));
            if op.rule().in_place >> position & 1 == 1 {
                let apart = run(&graph, &inputs, Form::Apart).unwrap();
                assert_eq!(result.unwrap_or_else(|error| panic!("{of}: {error:?}")), apart, "{of}");
                seen.insert((op, position));
            } else {
                let misfit = Misfit::Alias(position as u8);
                assert_eq!(result, Err(LoadError::Misfit { step: 0, misfit }), "{of}");
            }
        }
    }
    for &op in OpCode::ALL.iter().filter(|&&op| operator(op).exact.is_none()) {
        let allowed = (0..32).filter(|position| op.rule().in_place >> position & 1 == 1);
        allowed.for_each(|position| assert!(seen.contains(&(op, position)), "{op:?}, input {position}"));
    }
}

#[test]
fn weights_are_packed_where_their_kernels_read_panels() {
    for (op, seed, Case { graph, inputs }) in cases() {
        let node = &graph.nodes[0];
        let Some(&weights) = node.inputs.get(1) else { continue };
        if !graph.is_constant(weights) || graph.dims(weights).is_empty() {
            continue;
        }
        let of = format!("{}, case {seed}", op.name());
        let result = run(&graph, &inputs, Form::Packed);
        if matches!(operator(op).packs, Some(Packs::Reals(when)) if when(&node.params)) {
            let rows = run(&graph, &inputs, Form::Apart).unwrap();
            assert_eq!(result.unwrap_or_else(|error| panic!("{of}: {error:?}")), rows, "{of}");
        } else {
            assert_eq!(result, Err(LoadError::Misfit { step: 0, misfit: Misfit::Layout(1) }), "{of}");
        }
    }
}

/// Puts bounds where the operator's record has them.
fn set_bounds(graph: &mut Graph, bounds: Clamp) -> bool {
    let node = &mut graph.nodes[0];
    let Some(at) = operator(node.op).clamp else { return false };
    node.params[at..at + size_of::<Clamp>()].copy_from_slice(bytemuck::bytes_of(&bounds));
    true
}

#[test]
fn activations_fuse_where_the_records_have_their_bounds() {
    for (op, seed, Case { mut graph, inputs }) in cases() {
        if !set_bounds(&mut graph, Clamp::NONE) {
            continue;
        }
        let free = run(&graph, &inputs, Form::Apart).unwrap();
        set_bounds(&mut graph, Clamp { min: -0.25, max: 0.5 });
        let bounded: Vec<f32> = free.iter().map(|y| y.clamp(-0.25, 0.5)).collect();
        assert_eq!(run(&graph, &inputs, Form::Apart).unwrap(), bounded, "{}, case {seed}", op.name());
    }
}

#[test]
fn a_weight_multiplies_one_channel_of_the_input_for_one_channel_of_the_output() {
    for (op, seed, Case { mut graph, inputs }) in cases() {
        let Some(linear) = operator(op).linear else { continue };
        let (x, weights, y) = (graph.inputs[0], graph.nodes[0].inputs[1], graph.outputs[0]);
        let Some(data) = graph.data(weights).cloned() else { continue };
        set_bounds(&mut graph, Clamp::NONE);
        let index = Draw::new(seed).from(0..=data.len() as u32 - 1) as usize;
        let input = (linear.input_of)(&graph, &graph.nodes[0], index);
        let output = (linear.output_of)(&graph, &graph.nodes[0], index);
        let [channels, outputs] = [x, y].map(|id| *graph.dims(id).last().unwrap() as usize);

        let mut without = inputs.clone();
        without[0].iter_mut().skip(input).step_by(channels).for_each(|value| *value = 0.0);
        let before = [&inputs, &without].map(|inputs| run(&graph, inputs, Form::Apart).unwrap());
        let mut changed = data.to_vec();
        changed[index] += 1.0;
        graph.tensors[weights.0].data = Some(Data::F32(changed.into()));
        let after = [&inputs, &without].map(|inputs| run(&graph, inputs, Form::Apart).unwrap());

        let of = format!("{}, case {seed}, weight {index}", op.name());
        let other = |y: &[f32]| -> Vec<f32> {
            y.iter().enumerate().filter(|(at, _)| at % outputs != output).map(|(_, &y)| y).collect()
        };
        assert_eq!(other(&before[0]), other(&after[0]), "{of}: another output than {output} changes");
        assert_eq!(before[1], after[1], "{of}: it multiplies another channel than {input}");
    }
}

#[test]
fn without_padding_a_term_added_to_all_inputs_is_a_term_added_to_each_output() {
    for (op, seed, Case { mut graph, inputs }) in cases() {
        let Some(linear) = operator(op).linear else { continue };
        if inputs.len() > 1 || !(linear.unpadded)(&graph, &graph.nodes[0]) {
            continue;
        }
        set_bounds(&mut graph, Clamp::NONE);
        let before = run(&graph, &inputs, Form::Apart).unwrap();
        let more = [inputs[0].iter().map(|value| value + 1.0).collect()];
        let after = run(&graph, &more, Form::Apart).unwrap();
        let outputs = *graph.dims(graph.outputs[0]).last().unwrap() as usize;
        let terms: Vec<f32> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        for (at, term) in terms.iter().enumerate() {
            let first = terms[at % outputs];
            assert!((term - first).abs() < 1e-3, "{}, case {seed}: {term} is not {first}", op.name());
        }
    }
}
