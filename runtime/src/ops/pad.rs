//! Padding with a constant: `y[before + i…] = x[i…]`, and `value` everywhere else.
//!
//! | operand | dtype | shape                      | layouts |
//! |---------|-------|----------------------------|---------|
//! | x       | f32   | `[D, …]`                     | rows    |
//! | y       | f32   | `[before + D + after, …]`    | rows    |
//!
//! `check` proves the shapes, and that y shares no memory with x.

use super::gather::copy;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::pieces;
use crate::walk::{Axis, Walk, dims, strides};
use flatpack_format::ops::pad::{PadParams, RULE};
use flatpack_format::{Misfit, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel { op: OpCode::Pad, check, run };

fn check(node: &Node<'_>) -> Result<(), Misfit> {
    node.check(&RULE, false, 0)
}

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &PadParams = node.params()?;
    let mut first = 0;
    let mut axes = dims(&node.input(0)?.shape()).map(|len| Axis { len, strides: [0] });
    let y_strides = strides(&dims(&node.output()?.shape()));
    for ((axis, stride), &before) in axes.iter_mut().zip(y_strides).zip(&params.before) {
        first += before as usize * stride as usize;
        axis.strides = [stride];
    }
    let walk = Walk::new([first], &axes);
    let (len, [stride]) = walk.run();
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    y.fill(params.value);
    let x = reads.get::<f32>(node.input(0)?)?;
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
    use crate::one_step::{indices, noise, refusal, refusal_in_place, run as run_step, whole};
    use bytemuck::bytes_of;
    use flatpack_format::DType;
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
            let x = noise(&dims, seed);
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
    fn integers_are_refused() {
        let x = whole(&[2], 1, DType::I8);
        assert_eq!(refusal(OpCode::Pad, bytes_of(&params(&[(2, 1, 1)])), &[x], None), Misfit::DType(0));
    }

    #[test]
    fn an_output_in_the_place_of_x_is_refused() {
        let params = params(&[(2, 0, 0)]);
        assert_eq!(refusal_in_place(OpCode::Pad, bytes_of(&params), &[noise(&[2], 1)], 0), Misfit::Alias(0));
    }
}
