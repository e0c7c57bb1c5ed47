//! Sum of 8-bit integers over neighbouring axes, or their mean: `y = requantize(Σ (x − zx))`, where the
//! multiplier holds 1 / count for a mean. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape                                               | layouts |
//! |---------|-------|-----------------------------------------------------|---------|
//! | x       | i8    | `[outer…, axes…, inner…]`                             | rows    |
//! | y       | i8    | [outer…, inner…], or with ones in place of the axes | rows    |
//!
//! The rule proves the shapes, that multiplier and zero points are in their domains, and that y shares
//! no memory with x.

use super::pool::SumI8;
use super::reduce_i8;
use crate::arch::{Active, Arch};
use crate::fixed;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::sum_i8::{RULE, SumI8Params};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::SumI8, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &SumI8Params = node.params()?;
    reduce_i8::run::<A, SumI8>(node, operands, &params.axes(), i32::wrapping_add, |sum, count| {
        let of_zero = params.x_zero_point.wrapping_mul(count as i32);
        fixed::requantize(sum.wrapping_sub(of_zero), params.multiplier, &params.y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{integers, refusal, run as run_step, words};
    use crate::one_step_i8::{
        BAD_MULTIPLIERS, BAD_OUTPUTS, ONE, OPEN, multiplier, output_i8, requantized_by, zero_point,
    };
    use crate::ops::reduce_i8::tests::it_meets;
    use bytemuck::bytes_of;
    use flatpack_format::ops::OutputI8;
    use flatpack_format::ops::mean::ReduceParams;
    use flatpack_format::{DType, Misfit};

    const OP: OpCode = OpCode::SumI8;

    const PARAMS: SumI8Params =
        SumI8Params { axis: 0, axis_count: 1, keep_dims: 0, x_zero_point: 0, multiplier: ONE, y: OPEN };

    #[test]
    fn it_meets_the_formula() {
        let params = |axes: ReduceParams, (x_zero_point, multiplier, y)| {
            let ReduceParams { axis, axis_count, keep_dims } = axes;
            bytes_of(&SumI8Params { axis, axis_count, keep_dims, x_zero_point, multiplier, y }).to_vec()
        };
        it_meets(OP, (zero_point(), multiplier(), output_i8()), params, |x, (zx, by, y)| {
            let sum = x.iter().map(|&x| x as i64 - i64::from(zx)).sum();
            requantized_by(sum, by, &y) as f64
        });
    }

    #[test]
    fn the_zero_point_is_added_and_the_bounds_hold() {
        let params = SumI8Params { y: OutputI8 { zero_point: 10, min: 0, max: 60 }, ..PARAMS };
        let x = words(&[2, 3], &[-2, 3, 30, -20, 1, 90], DType::I8);
        assert_eq!(run_step(OP, bytes_of(&params), &[x]), [0.0, 14.0, 60.0]);
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let zero_points = [-129, 128].map(|x_zero_point| SumI8Params { x_zero_point, ..PARAMS });
        let multipliers = BAD_MULTIPLIERS.map(|multiplier| SumI8Params { multiplier, ..PARAMS });
        let outputs = BAD_OUTPUTS.map(|y| SumI8Params { y, ..PARAMS });
        for bad in zero_points.into_iter().chain(multipliers).chain(outputs) {
            let x = [integers(&[2, 3], 1, DType::I8)];
            assert_eq!(refusal(OP, bytes_of(&bad), &x, None), Misfit::Params, "{bad:?}");
        }
    }
}
