//! Padding with a constant: `y[before + i…] = x[i…]`, and `value` everywhere else.
//!
//! | operand | dtype | shape                      | layouts |
//! |---------|-------|----------------------------|---------|
//! | x       | f32 or of one byte | `[D, …]`                     | rows    |
//! | y       | x's   | `[before + D + after, …]`    | rows    |
//!
//! The rule proves the shapes, that the value is one of the type, and that y shares no memory with x.

use super::moves::copy;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::pieces;
use crate::walk::{Axis, Walk, dims, strides};
use bytemuck::Pod;
use flatpack_format::ops::pad::{PadParams, RULE};
use flatpack_format::{DType, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::Pad, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &PadParams = node.params()?;
    let mut first = 0;
    let mut axes = dims(&node.input(0)?.shape()).map(|len| Axis { len, strides: [0] });
    let y_strides = strides(&dims(&node.output()?.shape()));
    for ((axis, stride), &before) in axes.iter_mut().zip(y_strides).zip(&params.before) {
        first += before as usize * stride as usize;
        axis.strides = [stride];
    }
    let walk = Walk::new(axes.into_iter().rev()).from([first]);
    match node.output()?.dtype() {
        DType::F32 => elements(node, operands, walk, params.value),
        _ => elements(node, operands, walk, params.value as i32 as u8),
    }
}

fn elements<T: Pod>(node: &Node<'_>, operands: Operands<'_>, walk: Walk<1>, value: T) -> Option<()> {
    let (len, [stride]) = walk.run();
    let (reads, y) = operands.write::<T>(node.output()?)?;
    y.fill(value);
    let x = reads.get::<T>(node.input(0)?)?;
    for (x, [at]) in pieces(x, len).zip(walk) {
        let y = y.get_mut(at..)?;
        if stride == 1 {
            copy(y, x);
        } else {
            y.iter_mut().step_by(stride.unsigned_abs().max(1)).zip(x).for_each(|(y, x)| *y = *x);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{i8s, indices, noise, refusal, refusal_in_place, run as run_step, whole};
    use bytemuck::bytes_of;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Of each axis: its length, and the elements before and after.
    fn params(axes: &[(u32, u32, u32)]) -> PadParams {
        let mut params = PadParams { before: [0; 6], after: [0; 6], value: -7.0 };
        for (at, &(_, before, after)) in axes.iter().enumerate() {
            (params.before[at], params.after[at]) = (before, after);
        }
        params
    }

    proptest! {
        #[test]
        fn it_meets_the_definition(
            axes in prop::collection::vec((1u32..4, 0u32..3, 0u32..3), 0..=6),
            seed: u32,
        ) {
            let dims: Vec<u32> = axes.iter().map(|axis| axis.0).collect();
            let out: Vec<u32> = axes.iter().map(|(len, before, after)| len + before + after).collect();
            let x = if seed % 2 == 0 { noise(&dims, seed) } else { i8s(&dims, seed) };
            let y = run_step(OpCode::Pad, bytes_of(&params(&axes)), std::slice::from_ref(&x));
            for (y, index) in y.into_iter().zip(indices(&out)) {
                let inside = index.iter().zip(&axes).all(|(i, (len, before, _))| (*before..before + len).contains(i));
                let want = if inside {
                    let at = index.iter().zip(&axes).map(|(i, (_, before, _))| i - before);
                    x.at(&at.collect::<Vec<_>>())
                } else {
                    -7.0
                };
                prop_assert_eq!(f64::from(y), want);
            }
        }
    }

    #[test]
    fn padding_past_the_rank_is_refused() {
        let params = params(&[(2, 0, 0), (0, 1, 0)]);
        assert_eq!(refusal(OpCode::Pad, bytes_of(&params), &[noise(&[2], 1)], None), Misfit::Params);
    }

    #[test]
    fn a_length_past_32_bits_is_refused() {
        let params = params(&[(2, u32::MAX, 1)]);
        assert_eq!(refusal(OpCode::Pad, bytes_of(&params), &[noise(&[2], 1)], None), Misfit::Overflow);
    }

    #[test]
    fn words_are_refused() {
        for dtype in [DType::I16, DType::I32, DType::F16] {
            let x = whole(&[2], 1, dtype);
            assert_eq!(refusal(OpCode::Pad, bytes_of(&params(&[(2, 1, 1)])), &[x], None), Misfit::DType(0));
        }
    }

    #[test]
    fn a_value_that_is_none_of_the_type_is_refused() {
        let of = |value, dtype| {
            let params = PadParams { value, ..params(&[(2, 1, 1)]) };
            refusal(OpCode::Pad, bytes_of(&params), &[whole(&[2], 1, dtype)], None)
        };
        for value in [0.5, f32::NAN, f32::INFINITY, 1e9, -129.0, 128.0] {
            assert_eq!(of(value, DType::I8), Misfit::Params);
        }
        assert_eq!(of(-1.0, DType::U8), Misfit::Params);
        assert_eq!(of(256.0, DType::U8), Misfit::Params);
    }

    #[test]
    fn an_output_in_the_place_of_x_is_refused() {
        let params = params(&[(2, 0, 0)]);
        assert_eq!(refusal_in_place(OpCode::Pad, bytes_of(&params), &[noise(&[2], 1)], 0), Misfit::Alias(0));
    }
}
