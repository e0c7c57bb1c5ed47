//! Weights in fewer bytes than float32 takes.

use super::input::SMALLEST_NORMAL_HALF;
use super::{Input, difference, input, noise, refusal, refuses_other_operands, run};
use flatpack_format::{DType, Misfit, OpCode};
use std::vec;
use std::vec::Vec;

/// Weights in fewer bytes than float32 takes, of this element type: the inputs of the step between x
/// and the bias, and the reals that the weights stand for. Outputs are counted along `axis`.
pub(crate) fn stored_weights(dims: &[u32], axis: usize, seed: u32, dtype: DType) -> (Vec<Input>, Input) {
    let mut w = noise(dims, seed);
    w.dtype = dtype;
    if dtype == DType::F16 {
        for (at, v) in w.values.iter_mut().enumerate() {
            // Some are subnormal.
            *v *= if at % 3 == 0 { SMALLEST_NORMAL_HALF } else { 1.0 };
            *v = match v.abs() < SMALLEST_NORMAL_HALF {
                true => (*v * 2f32.powi(24)).trunc() * 2f32.powi(-24),
                false => f32::from_bits(v.to_bits() & !0x1fff),
            };
        }
        return (vec![w.clone()], Input { dtype: DType::F32, ..w });
    }
    w.values.iter_mut().for_each(|v| *v = (*v * 128.0).floor());
    let mut scales = noise(&[if seed.is_multiple_of(2) { 1 } else { dims[axis] }], seed ^ 0xaa);
    scales.values.iter_mut().for_each(|v| *v /= 128.0);
    let inner: u32 = dims[axis + 1..].iter().product();
    let scale =
        |index: usize| scales.values[index / inner as usize % dims[axis] as usize % scales.values.len()];
    let reals: Vec<f32> = w.values.iter().enumerate().map(|(index, q)| q * scale(index)).collect();
    (vec![w, scales], input(dims, &reals))
}

/// What the step computes with weights in fewer bytes meets `want` of x, of the reals that they stand
/// for, and of the bias; in panels too, where the operator allows them.
pub(crate) fn meets_with_stored_weights(
    [w8, w16]: [OpCode; 2],
    params: &[u8],
    [x, filter, bias]: &[Input; 3],
    (axis, packs): (usize, bool),
    want: impl Fn(&[Input; 3]) -> Vec<f32>,
) {
    for (op, dtype) in [(w8, DType::I8), (w16, DType::F16)] {
        let (weights, reals) = stored_weights(&filter.dims, axis, bias.values[0].to_bits(), dtype);
        let mut inputs: Vec<Input> = [x].into_iter().chain(&weights).chain([bias]).cloned().collect();
        let rows = run(op, params, &inputs);
        let error = difference(&rows, &want(&[x.clone(), reals.clone(), bias.clone()]));
        assert!(error < 1e-5, "{op:?}: {error}");
        if packs {
            inputs[1] = inputs[1].packed();
            assert_eq!(run(op, params, &inputs), rows, "{op:?} in panels");
        }
        // The bias may be absent.
        inputs.pop();
        let zeros = input(&bias.dims, &vec![0.0; bias.values.len()]);
        let error = difference(&run(op, params, &inputs), &want(&[x.clone(), reals, zeros]));
        assert!(error < 1e-5, "{op:?} without bias: {error}");
    }
}

/// Refused are what [`refuses_other_operands`] says, and scales and biases of another length than the
/// outputs have. Shapes have one element each.
pub(crate) fn refuses_other_operands_with_stored_weights(
    [w8, w16]: [OpCode; 2],
    params: &[u8],
    [x, filter, one]: [&[u32]; 3],
    packs: bool,
) {
    let of = |dims: &[u32]| input(dims, &[1.0]);
    for (op, dtype) in [(w8, DType::I8), (w16, DType::F16)] {
        let (weights, _) = stored_weights(filter, 0, 2, dtype);
        let inputs = [&[of(x)], &weights[..], &[of(one)]].concat();
        refuses_other_operands(op, params, &inputs, packs, 0);
        for at in 2..inputs.len() {
            let mut other = inputs.clone();
            other[at] = noise(&[2], 1);
            assert_eq!(refusal(op, params, &other, None), Misfit::Shape(at as u8));
        }
    }
}
