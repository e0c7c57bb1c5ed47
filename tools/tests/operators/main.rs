//! Every operator, computed by our kernels and by the reference: neither knows the other's formulas.

mod cases;
mod draw;
mod one_step;

use cases::{Case, case};
use draw::Draw;
use flatpack::ops::operator;
use flatpack::reference::Predictor;
use flatpack_format::{Misfit, OpCode};
use flatpack_runtime::LoadError;
use one_step::{Form, run};
use std::collections::HashSet;

const CASES: u64 = 100;

fn cases() -> impl Iterator<Item = (OpCode, u64, Case)> {
    let has_kernel = |op: &OpCode| flatpack_runtime::ops::ALL.iter().any(|kernel| kernel.op == *op);
    let ops = OpCode::ALL.iter().copied().filter(has_kernel);
    ops.flat_map(|op| (0..CASES).map(move |seed| (op, seed, case(op, &mut Draw::new(seed * 67 + op as u64)))))
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
            if graph.is_constant(input) || graph.bytes(input) != graph.bytes(node.output) {
                continue;
            }
            let of = format!("{}, case {seed}, input {position}", op.name());
            let result = run(&graph, &inputs, Form::InPlace(position));
            if operator(op).in_place >> position & 1 == 1 {
                let apart = run(&graph, &inputs, Form::Apart).unwrap();
                assert_eq!(result.unwrap_or_else(|error| panic!("{of}: {error:?}")), apart, "{of}");
                seen.insert((op, position));
            } else {
                let misfit = Misfit::Alias(position as u8);
                assert_eq!(result, Err(LoadError::Misfit { step: 0, misfit }), "{of}");
            }
        }
    }
    for kernel in flatpack_runtime::ops::ALL {
        let allowed = (0..32).filter(|position| operator(kernel.op).in_place >> position & 1 == 1);
        allowed.for_each(|position| assert!(seen.contains(&(kernel.op, position)), "{kernel:?} {position}"));
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
        if (operator(op).packs)(node) {
            let rows = run(&graph, &inputs, Form::Apart).unwrap();
            assert_eq!(result.unwrap_or_else(|error| panic!("{of}: {error:?}")), rows, "{of}");
        } else {
            assert_eq!(result, Err(LoadError::Misfit { step: 0, misfit: Misfit::Layout(1) }), "{of}");
        }
    }
}
