//! Slicing with strides: `y[i…] = x[begin + i · stride…]`.
//!
//! | operand | dtype | shape                  | layouts |
//! |---------|-------|------------------------|---------|
//! | x       | any   | any                    | rows    |
//! | y       | of x  | `size`, of x's rank    | rows    |
//!
//! The rule proves that every index taken is one of x, and that y shares no memory with x.

use super::moves;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::walk::{Axis, Walk};
use flatpack_format::OpCode;
use flatpack_format::ops::strided_slice::{RULE, StridedSliceParams};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::StridedSlice, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &StridedSliceParams = node.params()?;
    let shape = node.input(0)?.shape();
    let (mut first, mut inner) = (0, 1);
    let taken = params.begin.iter().zip(&params.stride).zip(&params.size);
    let walk = Walk::new(shape.dims().iter().zip(taken).rev().map(|(&dim, ((&begin, &every), &size))| {
        first += begin as usize * inner as usize;
        // The stride of a single index may be any number.
        let stride = if size == 1 { 0 } else { inner * every as isize };
        inner *= dim as isize;
        Axis { len: size as usize, strides: [stride] }
    }));
    moves::run(node, operands, walk.from([first]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{indices, noise, refusal, refusal_in_place, run as run_step, whole};
    use bytemuck::bytes_of;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Of each axis: its length, first index, stride and number of indices.
    type Axes = Vec<(u32, u32, i32, u32)>;

    fn params(axes: &Axes) -> StridedSliceParams {
        let mut params = StridedSliceParams { begin: [0; 6], stride: [1; 6], size: [1; 6] };
        for (at, &(_, begin, stride, size)) in axes.iter().enumerate() {
            (params.begin[at], params.stride[at], params.size[at]) = (begin, stride, size);
        }
        params
    }

    fn axes() -> impl Strategy<Value = Axes> {
        let axis = (1u32..7).prop_flat_map(|len| (Just(len), 0..len, -4i32..4, 1..=len));
        let fits = axis.prop_map(|(len, begin, stride, size)| {
            let stride = if stride == 0 { 4 } else { stride };
            let room = if stride > 0 { len - 1 - begin } else { begin };
            (len, begin, stride, size.min(room / stride.unsigned_abs() + 1))
        });
        prop::collection::vec(fits, 0..=6)
    }

    proptest! {
        #[test]
        fn it_meets_the_definition(axes in axes(), seed: u32) {
            let dims: Vec<u32> = axes.iter().map(|axis| axis.0).collect();
            let sizes: Vec<u32> = axes.iter().map(|axis| axis.3).collect();
            for dtype in [DType::F32, DType::F16, DType::Bool] {
                let x = whole(&dims, seed, dtype);
                let y = run_step(OpCode::StridedSlice, bytes_of(&params(&axes)), std::slice::from_ref(&x));
                for (y, index) in y.into_iter().zip(indices(&sizes)) {
                    let at = index.iter().zip(&axes);
                    let at = at.map(|(&i, axis)| (axis.1 as i32 + i as i32 * axis.2) as u32);
                    prop_assert_eq!(f64::from(y), x.at(&at.collect::<Vec<_>>()));
                }
            }
        }
    }

    #[test]
    fn a_single_index_may_have_any_stride() {
        let x = noise(&[2, 3], 1);
        let params = params(&Axes::from([(2, 1, i32::MIN, 1), (3, 2, i32::MAX, 1)]));
        assert_eq!(
            run_step(OpCode::StridedSlice, bytes_of(&params), std::slice::from_ref(&x)),
            x.values[5..]
        );
    }

    fn assert_refused(axis: (u32, u32, i32, u32)) {
        let params = params(&Axes::from([axis]));
        let x = noise(&[axis.0], 1);
        assert_eq!(refusal(OpCode::StridedSlice, bytes_of(&params), &[x], None), Misfit::Params);
    }

    #[test]
    fn indices_past_the_end_are_refused() {
        assert_refused((4, 1, 1, 4));
        assert_refused((4, 4, 1, 1));
        assert_refused((4, 0, 3, 3));
        assert_refused((4, 0, i32::MAX, u32::MAX));
    }

    #[test]
    fn indices_before_the_beginning_are_refused() {
        assert_refused((4, 1, -1, 3));
        assert_refused((4, 1, i32::MIN, u32::MAX));
    }

    #[test]
    fn a_stride_of_zero_is_refused() {
        assert_refused((4, 0, 0, 2));
    }

    #[test]
    fn an_empty_slice_is_refused() {
        assert_refused((4, 0, 1, 0));
    }

    #[test]
    fn parameters_past_the_rank_are_refused() {
        let mut params = params(&Axes::from([(4, 0, 1, 4)]));
        params.size[1] = 2;
        assert_eq!(refusal(OpCode::StridedSlice, bytes_of(&params), &[noise(&[4], 1)], None), Misfit::Params);
    }

    #[test]
    fn an_output_in_the_place_of_x_is_refused() {
        let params = params(&Axes::from([(4, 3, -1, 4)]));
        assert_eq!(
            refusal_in_place(OpCode::StridedSlice, bytes_of(&params), &[noise(&[4], 1)], 0),
            Misfit::Alias(0)
        );
    }
}
