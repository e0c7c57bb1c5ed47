//! Integers of one width and scale to those of another: `y = clamp((x − x_zero_point) · multiplier +
//! y_zero_point)`, within y's type. As TensorFlow Lite's reference kernel for `QUANTIZE`.
//!
//! | operand | dtype          | shape | layouts |
//! |---------|----------------|-------|---------|
//! | x       | i8, i16 or i32 | any   | rows    |
//! | y       | i8, i16 or i32 | x's   | rows    |
//!
//! The rule proves that zero points are integers of their types, that the multiplier is valid, and that y
//! shares no memory with x.

use crate::fixed::multiply;
use crate::kernel::{Kernel, Node};
use crate::operands::{Operands, Reads};
use bytemuck::Pod;
use flatpack_format::ops::requantize::{RULE, RequantizeParams};
use flatpack_format::{DType, OpCode, Tensor};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::Requantize, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &RequantizeParams = node.params()?;
    let (x, y) = (node.input(0)?, node.output()?);
    match y.dtype() {
        DType::I8 => {
            let (reads, y) = operands.write::<i8>(y)?;
            // A value past the bounds is the bound: no cast loses bits.
            each(&reads, x, params, y, |v| v.clamp(-128, 127) as i8)
        }
        DType::I16 => {
            let (reads, y) = operands.write::<i16>(y)?;
            each(&reads, x, params, y, |v| v.clamp(-32768, 32767) as i16)
        }
        _ => {
            let (reads, y) = operands.write::<i32>(y)?;
            each(&reads, x, params, y, |v| v)
        }
    }
}

fn each<T>(
    reads: &Reads<'_>,
    x: Tensor<'_>,
    params: &RequantizeParams,
    y: &mut [T],
    of: impl Fn(i32) -> T,
) -> Option<()> {
    match x.dtype() {
        DType::I8 => convert(reads.get::<i8>(x)?, params, y, of),
        DType::I16 => convert(reads.get::<i16>(x)?, params, y, of),
        _ => convert(reads.get::<i32>(x)?, params, y, of),
    }
    Some(())
}

fn convert<X: Pod + Into<i32>, T>(x: &[X], p: &RequantizeParams, y: &mut [T], of: impl Fn(i32) -> T) {
    for (x, y) in x.iter().zip(y) {
        let steps: i32 = (*x).into();
        let moved = multiply(steps.wrapping_sub(p.x_zero_point), p.multiplier);
        *y = of(moved.wrapping_add(p.y_zero_point));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{Input, input, integers, refusal, refusal_in_place, run as run_step, words};
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use flatpack_format::ops::Multiplier;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::Requantize;
    const TYPES: [DType; 3] = [DType::I8, DType::I16, DType::I32];

    fn params(x_zero_point: i32, shift: i32, y_zero_point: i32, dtype: DType) -> RequantizeParams {
        let multiplier = Multiplier { mantissa: 1 << 30, shift };
        RequantizeParams { x_zero_point, multiplier, y_zero_point, dtype: dtype as u32 }
    }

    fn bounds(dtype: DType) -> (f64, f64) {
        let half = (8.0 * dtype.bytes() as f64 - 1.0).exp2();
        (-half, half - 1.0)
    }

    proptest! {
        #[test]
        fn it_is_the_nearest_integer(
            from in 0usize..3, to in 0usize..3, x_zero_point: i8, y_zero_point: i8,
            mantissa in 1 << 30..=i32::MAX, shift in -12i32..4, seed: u32,
        ) {
            let (x, dtype) = (integers(&[40], seed, TYPES[from]), TYPES[to]);
            let multiplier = Multiplier { mantissa, shift };
            let [x_zero_point, y_zero_point] = [x_zero_point, y_zero_point].map(i32::from);
            let p = RequantizeParams { x_zero_point, multiplier, y_zero_point, dtype: dtype as u32 };
            let (low, high) = bounds(dtype);
            let factor = f64::from(mantissa) * f64::from(shift - 31).exp2();
            let got = run_step(OP, bytes_of(&p), core::slice::from_ref(&x));
            for (index, got) in (0..).zip(got) {
                let x = x.int(&[index]);
                let want = (x - i64::from(x_zero_point)) as f64 * factor + f64::from(y_zero_point);
                let want = want.clamp(low, high);
                // Rounded twice, and once more to be compared, as a float.
                let within = 0.5 + 0.5 * f64::from(shift.min(0)).exp2() + want.abs() * (-23f64).exp2();
                prop_assert!((f64::from(got) - want).abs() <= within, "{x} gives {got}, not {want}");
            }
        }
    }

    #[test]
    fn widths_and_bounds_are_those_of_the_types() {
        let x = words(&[4], &[-32768, -3, 3, 32767], DType::I16);
        let of = |shift: i32, zero: i32, dtype: DType| {
            run_step(OP, bytes_of(&params(0, shift, zero, dtype)), core::slice::from_ref(&x))
        };
        // Halves, rounded up.
        assert_eq!(of(0, 0, DType::I16), [-16384.0, -1.0, 2.0, 16384.0]);
        assert_eq!(of(1, 5, DType::I8), [-128.0, 2.0, 8.0, 127.0]);
        assert_eq!(of(3, 0, DType::I32), [-131072.0, -12.0, 12.0, 131068.0]);
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let bad_multiplier = Multiplier { mantissa: -1, shift: 0 };
        let refused =
            |p: RequantizeParams, x: &Input| refusal(OP, bytes_of(&p), core::slice::from_ref(x), None);
        let x = integers(&[3], 1, DType::I16);
        let good = params(0, 0, 0, DType::I8);
        let all: Vec<RequantizeParams> = [
            RequantizeParams { x_zero_point: 40000, ..good },
            RequantizeParams { y_zero_point: 128, ..good },
            RequantizeParams { multiplier: bad_multiplier, ..good },
            RequantizeParams { dtype: DType::U8 as u32, ..good },
            RequantizeParams { dtype: DType::F32 as u32, ..good },
            RequantizeParams { dtype: 256 + DType::I8 as u32, ..good },
        ]
        .into();
        for bad in all {
            assert_eq!(refused(bad, &x), Misfit::Params, "{bad:?}");
        }
        assert_eq!(refused(good, &input(&[1], &[1.0])), Misfit::DType(0));
        assert_eq!(refused(good, &integers(&[1], 1, DType::U8)), Misfit::DType(0));
    }

    #[test]
    fn other_operands_are_refused() {
        let x = integers(&[3], 1, DType::I32);
        let params = params(0, 0, 0, DType::I32);
        assert_eq!(refusal(OP, bytes_of(&params), &[x.clone(), x.clone()], None), Misfit::Count);
        assert_eq!(refusal_in_place(OP, bytes_of(&params), &[x], 0), Misfit::Alias(0));
    }

    #[test]
    fn an_output_of_another_width_is_refused() {
        let x = integers(&[3], 1, DType::I16);
        let output = x.tensor_type();
        assert_eq!(refusal(OP, bytes_of(&params(0, 0, 0, DType::I8)), &[x], Some(output)), Misfit::Shape(1));
    }
}
