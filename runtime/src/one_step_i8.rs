//! What the tests of operators on 8-bit integers have in common: multipliers, and the rounding of
//! sums, written without the tricks of [`crate::fixed`].

use crate::one_step::{
    Input, bits, integers, output_type, refusal, refusal_of_varying, refuses_other_operands, words,
};
use flatpack_format::ops::{Multiplier, OutputI8};
use flatpack_format::{DType, Misfit, OpCode, TensorType};
use proptest::prelude::*;
use std::vec::Vec;

/// Any zero point.
pub(crate) fn zero_point() -> impl Strategy<Value = i32> {
    prop_oneof![Just(0), Just(-128), Just(127), -128i32..128]
}

/// Zero points and bounds of an output.
pub(crate) fn output_i8() -> impl Strategy<Value = OutputI8> {
    let bounds = prop_oneof![Just((-128, 127)), (-128i32..128, -128i32..128)];
    (zero_point(), bounds).prop_map(|(zero_point, (a, b))| OutputI8 {
        zero_point,
        min: a.min(b),
        max: a.max(b),
    })
}

/// No bounds, zero at 0.
pub(crate) const OPEN: OutputI8 = OutputI8 { zero_point: 0, min: -128, max: 127 };

/// Outputs that are refused.
pub(crate) const BAD_OUTPUTS: [OutputI8; 4] = [
    OutputI8 { zero_point: 128, ..OPEN },
    OutputI8 { min: -129, ..OPEN },
    OutputI8 { max: 128, ..OPEN },
    OutputI8 { min: 1, max: 0, ..OPEN },
];

/// From random bits, a multiplier of the whole domain; most make bytes of sums of a few thousand, so
/// that results are not all bounds.
fn multiplier_of(bits: u32) -> Multiplier {
    let shift = match bits % 8 {
        0 => (bits >> 8) % 62,
        _ => 20 + (bits >> 8) % 12,
    };
    let mantissa = match bits >> 4 & 15 {
        0 => [0, 1, i32::MAX][(bits >> 24) as usize % 3],
        _ => (1 << 30) | (bits.rotate_left(9) & (i32::MAX as u32 >> 1)) as i32,
    };
    Multiplier { mantissa, shift: shift as i32 - 31 }
}

/// Any multiplier.
pub(crate) fn multiplier() -> impl Strategy<Value = Multiplier> {
    any::<u32>().prop_map(multiplier_of)
}

/// The multiplier that changes nothing.
pub(crate) const ONE: Multiplier = Multiplier { mantissa: 1 << 30, shift: 1 };

/// Multipliers that are refused.
pub(crate) const BAD_MULTIPLIERS: [Multiplier; 4] = [
    Multiplier { mantissa: -1, shift: 0 },
    Multiplier { mantissa: i32::MIN, shift: 0 },
    Multiplier { mantissa: 1 << 30, shift: 31 },
    Multiplier { mantissa: 1 << 30, shift: -32 },
];

/// Any multipliers of `rows` outputs.
pub(crate) fn requant(rows: u32, seed: u32) -> Input {
    let multipliers = bits(!seed).take(rows as usize).map(multiplier_of);
    let multipliers = multipliers.flat_map(|by| [by.mantissa, by.shift]);
    words(&[rows, 2], &multipliers.collect::<Vec<_>>(), DType::I32)
}

/// The multiplier `mantissa · 2^(shift − 31)` of each of `rows` outputs.
pub(crate) fn requant_of(rows: u32, mantissa: i32, shift: i32) -> Input {
    words(&[rows, 2], &[mantissa, shift].repeat(rows as usize), DType::I32)
}

/// Multipliers of 1.
pub(crate) fn unit(rows: u32) -> Input {
    requant_of(rows, ONE.mantissa, ONE.shift)
}

/// `x · mantissa · 2^(shift − 31)` in two roundings: to 32 bits, halves up, then by the shift, halves
/// away from zero.
pub(crate) fn multiply(x: i32, mantissa: i64, shift: i64) -> i64 {
    let shifted = i128::from((i64::from(x) << shift.max(0)) as i32);
    let high = (i128::from(mantissa) * shifted * 2 + (1 << 31)).div_euclid(1 << 32);
    let high = high.min(i32::MAX.into()) as i64;
    let divisor = 1i64 << (-shift).max(0);
    high.signum() * ((2 * high.abs() + divisor) / (2 * divisor))
}

/// What becomes of a sum.
pub(crate) fn requantized_by(sum: i64, by: Multiplier, y: &OutputI8) -> i64 {
    let steps = multiply(sum as i32, by.mantissa.into(), by.shift.into());
    // The zero point is added to 32 bits, which may wrap.
    i64::from((steps + i64::from(y.zero_point)) as i32).clamp(y.min.into(), y.max.into())
}

/// What becomes of the sum of output `o`.
pub(crate) fn requantized(sum: i64, requant: &Input, o: u32, y: &OutputI8) -> i64 {
    let row = if requant.dims[0] == 1 { 0 } else { o };
    let [mantissa, shift] = [0, 1].map(|field| requant.int(&[row, field]) as i32);
    requantized_by(sum, Multiplier { mantissa, shift }, y)
}

/// The elements of an output, as [`crate::one_step::run`] gives them.
pub(crate) fn floats(integers: impl Iterator<Item = i64>) -> Vec<f32> {
    integers.map(|v| v as f32).collect()
}

/// x, weights and bias of these dimensions, and one multiplier or as many as outputs.
pub(crate) fn weighted(x: &[u32], w: &[u32], outputs: u32, one: bool, seed: u32) -> [Input; 4] {
    [
        integers(x, seed, DType::I8),
        integers(w, seed ^ 0x1234, DType::I8),
        integers(&[outputs], seed ^ 0x5678, DType::I32),
        requant(if one { 1 } else { outputs }, seed),
    ]
}

/// The bias as it stands in the file: with `−zx · Σ (w − zw)` of each output in it.
pub(crate) fn folded(inputs: &[Input; 4], zx: i32, sum_of_w: impl Fn(u32) -> i64) -> [Input; 4] {
    let [x, w, bias, requant] = inputs.clone();
    let fold = |o: u32| bias.int(&[o]).wrapping_sub(i64::from(zx) * sum_of_w(o)) as i32;
    let bias = words(&bias.dims, &(0..bias.dims[0]).map(fold).collect::<Vec<_>>(), DType::I32);
    [x, w, bias, requant]
}

/// Weights of one tap: as many as outputs, each 1 or another of these; x is 1, and so is the multiplier.
/// The weights have the dimensions `w`.
pub(crate) fn point(w: &[u32], weights: &[i32], bias: &[i32]) -> [Input; 4] {
    let outputs = weights.len() as u32;
    let x = words(&[1; 4], &[1], DType::I8);
    [x, words(w, weights, DType::I8), words(&[outputs], bias, DType::I32), unit(outputs)]
}

/// Refused are other multipliers than `inputs` has (its last; the inputs fit): out of their domain, of
/// another shape, computed.
pub(crate) fn refuses_other_multipliers(op: OpCode, params: &[u8], inputs: &[Input; 4]) {
    let [x, w, bias, requant] = inputs.clone();
    let refused = |requant: Input| refusal(op, params, &[x.clone(), w.clone(), bias.clone(), requant], None);
    let rows = requant.dims[0];
    for Multiplier { mantissa, shift } in BAD_MULTIPLIERS {
        assert_eq!(refused(requant_of(rows, mantissa, shift)), Misfit::Constant(3));
    }
    for dims in [&[rows + 7, 2][..], &[rows, 3], &[rows], &[rows, 2, 1]] {
        assert_eq!(refused(integers(dims, 1, DType::I32)), Misfit::Shape(3));
    }
    assert_eq!(refusal_of_varying(op, params, inputs, 3), Misfit::Constant(3));
}

/// Refused is a bias that is longer than `inputs` has (the inputs fit), and none; an output of another
/// shape; other element types, layouts and places; other multipliers.
pub(crate) fn refuses_other_weights(op: OpCode, params: &[u8], inputs: &[Input; 4]) {
    let [x, w, bias, requant] = inputs.clone();
    let y = output_type(op, params, inputs).unwrap();
    let outputs = bias.dims[0];
    let longer = [x.clone(), w.clone(), integers(&[outputs + 1], 1, DType::I32), requant.clone()];
    assert_eq!(refusal(op, params, &longer, None), Misfit::Shape(2));
    assert_eq!(refusal(op, params, &[x, w, requant], Some(y)), Misfit::Count);
    let wider = TensorType { shape: y.shape.with_dim(y.shape.rank() - 1, outputs + 1), ..y };
    assert_eq!(refusal(op, params, inputs, Some(wider)), Misfit::Shape(4));
    refuses_other_operands(op, params, inputs, false, 0);
    refuses_other_multipliers(op, params, inputs);
}
