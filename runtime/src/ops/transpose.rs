//! Transposition: axis i of y is axis `perm[i]` of x.
//!
//! | operand | dtype | shape                    | layouts |
//! |---------|-------|--------------------------|---------|
//! | x       | any   | `[D0, D1, …]`              | rows    |
//! | y       | of x  | `[D(perm 0), D(perm 1), …]` | rows   |
//!
//! The rule proves that `perm` is a permutation, and that y shares no memory with x.

use super::moves;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::walk::{Axis, Walk, dims, strides};
use flatpack_format::OpCode;
use flatpack_format::ops::transpose::{RULE, TransposeParams};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::Transpose, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &TransposeParams = node.params()?;
    let x = dims(&node.input(0)?.shape());
    let strides = strides(&x);
    let axes = params.perm.map(|from| {
        let (len, stride) = (x.get(from as usize), strides.get(from as usize));
        Axis { len: len.copied().unwrap_or(1), strides: [stride.copied().unwrap_or(0)] }
    });
    moves::run(node, operands, Walk::new(axes.into_iter().rev()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{indices, noise, refusal, refusal_in_place, run as run_step, whole};
    use bytemuck::bytes_of;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn params(perm: &[u32]) -> TransposeParams {
        let mut params = TransposeParams { perm: [0, 1, 2, 3, 4, 5] };
        params.perm[..perm.len()].copy_from_slice(perm);
        params
    }

    fn shape_and_perm() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
        prop::collection::vec(1u32..5, 0..=6).prop_flat_map(|dims| {
            let perm = Just((0..dims.len() as u32).collect::<Vec<_>>()).prop_shuffle();
            (Just(dims), perm)
        })
    }

    proptest! {
        #[test]
        fn it_meets_the_definition((dims, perm) in shape_and_perm(), seed: u32) {
            for dtype in [DType::F32, DType::I16, DType::U8] {
                let x = whole(&dims, seed, dtype);
                let y = run_step(OpCode::Transpose, bytes_of(&params(&perm)), std::slice::from_ref(&x));
                let out: Vec<u32> = perm.iter().map(|&axis| dims[axis as usize]).collect();
                for (y, index) in y.into_iter().zip(indices(&out)) {
                    let mut at = vec![0; dims.len()];
                    perm.iter().zip(index).for_each(|(&axis, index)| at[axis as usize] = index);
                    prop_assert_eq!(f64::from(y), x.at(&at));
                }
            }
        }
    }

    #[test]
    fn an_axis_taken_twice_is_refused() {
        let x = noise(&[2, 3], 1);
        assert_eq!(refusal(OpCode::Transpose, bytes_of(&params(&[1, 1])), &[x], None), Misfit::Params);
    }

    #[test]
    fn an_axis_past_the_rank_is_refused() {
        let x = noise(&[2, 3], 1);
        assert_eq!(refusal(OpCode::Transpose, bytes_of(&params(&[0, 2, 1])), &[x], None), Misfit::Params);
    }

    #[test]
    fn a_second_input_is_refused() {
        let inputs = [noise(&[2, 3], 1), noise(&[2, 3], 1)];
        assert_eq!(refusal(OpCode::Transpose, bytes_of(&params(&[1, 0])), &inputs, None), Misfit::Count);
    }

    #[test]
    fn an_output_in_the_place_of_x_is_refused() {
        let x = noise(&[2, 3], 1);
        assert_eq!(
            refusal_in_place(OpCode::Transpose, bytes_of(&params(&[1, 0])), &[x], 0),
            Misfit::Alias(0)
        );
    }
}
