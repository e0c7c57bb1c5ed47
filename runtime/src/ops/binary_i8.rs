//! What the elementwise operators of two 8-bit integers have in common.

use crate::fixed::multiply;
use flatpack_format::ops::Multiplier;

/// An element at the scale that both inputs of a sum are brought to, with so many bits more.
#[inline]
pub(crate) fn at_common_scale<const BITS: u32>(x: i8, zero_point: i32, by: Multiplier) -> i32 {
    multiply(i32::from(x).wrapping_sub(zero_point).wrapping_shl(BITS), by)
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::one_step::{self, i8s, integers, output_type, refusal, run, run_in_place, run_twice};
    use crate::ops::binary::tests::{formula, shapes};
    use flatpack_format::ops::{Multiplier, OutputI8};
    use flatpack_format::{DType, Misfit, OpCode};
    use proptest::prelude::*;
    use std::ops::Range;
    use std::vec::Vec;

    pub(crate) const HALF: Multiplier = Multiplier { mantissa: 1 << 30, shift: 0 };
    pub(crate) const Y: OutputI8 = OutputI8 { zero_point: -9, min: -120, max: 115 };

    /// Multipliers with a shift of this range.
    pub(crate) fn multiplier(shifts: Range<i32>) -> impl Strategy<Value = Multiplier> {
        (1 << 30..=i32::MAX, shifts).prop_map(|(mantissa, shift)| Multiplier { mantissa, shift })
    }

    /// `x · mantissa · 2^(shift − 31)`, rounded to the nearest integer of 32 bits, halves up, and once more
    /// by a negative shift, halves away from zero.
    pub(crate) fn multiplied(x: i64, by: Multiplier) -> i64 {
        let up = (i128::from(x) << by.shift.max(0)) * i128::from(by.mantissa);
        let rounded = (up + (1 << 30)).div_euclid(1 << 31);
        let divisor = 1i128 << (-by.shift).max(0);
        (rounded.signum() * ((2 * rounded.abs() + divisor) / (2 * divisor))) as i64
    }

    /// A sum as an element of the output.
    pub(crate) fn requantized(sum: i64, by: Multiplier, y: &OutputI8) -> i64 {
        (multiplied(sum, by) + i64::from(y.zero_point)).clamp(y.min.into(), y.max.into())
    }

    /// Compares an operator with its formula on inputs that broadcast in all ways, and in place.
    pub(crate) fn it_meets(
        op: OpCode,
        params: &[u8],
        (a, b): (Vec<u32>, Vec<u32>),
        seed: u32,
        of: impl Fn(i64, i64) -> i64,
    ) {
        let inputs = [i8s(&a, seed), i8s(&b, !seed)];
        let of = |a: f64, b: f64| of(a as i64, b as i64) as f64;
        let y = output_type(op, params, &inputs).unwrap().shape;
        let want = formula(&inputs[0], &inputs[1], y.dims(), of);
        let assert_meets =
            |got: Vec<f32>| assert!(got.iter().map(|&y| f64::from(y)).eq(want.iter().copied()));
        assert_meets(run(op, params, &inputs));
        for index in [0, 1] {
            if inputs[index].dims == y.dims() {
                assert_meets(run_in_place(op, params, &inputs, index));
            }
        }
        let want = formula(&inputs[0], &inputs[0], &inputs[0].dims, of);
        let twice = run_twice(op, params, &inputs[0]);
        assert!(twice.iter().map(|&y| f64::from(y)).eq(want));
    }

    /// Two shapes that broadcast, and a seed of their elements.
    pub(crate) fn operands() -> impl Strategy<Value = ((Vec<u32>, Vec<u32>), u32)> {
        (shapes(), any::<u32>())
    }

    /// Parameters that are refused whatever the operands.
    pub(crate) fn assert_params_refused(op: OpCode, params: &[u8]) {
        let inputs = [i8s(&[2, 3], 1), i8s(&[3], 2)];
        assert_eq!(refusal(op, params, &inputs, None), Misfit::Params);
    }

    /// Operands that are refused: of other types, numbers, shapes and layouts.
    pub(crate) fn refuses_other_operands(op: OpCode, params: &[u8]) {
        let x = i8s(&[2, 3], 1);
        one_step::refuses_other_operands(op, params, &[x.clone(), i8s(&[2, 3], 2)], false, 0b11);
        let of = |inputs: &[_]| refusal(op, params, inputs, None);
        assert_eq!(of(&[x.clone(), i8s(&[2], 2)]), Misfit::Shape(1));
        assert_eq!(of(&[integers(&[2, 3], 1, DType::U8), x.clone()]), Misfit::DType(0));
        let output = i8s(&[3, 2], 0).tensor_type();
        assert_eq!(refusal(op, params, &[x.clone(), x], Some(output)), Misfit::Shape(2));
    }
}
