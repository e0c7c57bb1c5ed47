//! Concatenation: the inputs follow each other along one axis.
//!
//! | operand    | dtype | shape                   | layouts |
//! |------------|-------|-------------------------|---------|
//! | x₀, x₁, …  | any   | `[…, Lᵢ, …]`              | rows    |
//! | y          | of x₀ | `[…, L₀ + L₁ + …, …]`     | rows    |
//!
//! The rule proves that there is an input, that types and dimensions but that of the axis are equal,
//! and that y shares no memory with an input.

use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::ops::concatenate::{ConcatenateParams, RULE};
use flatpack_format::{OpCode, Tensor};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::Concatenate, RULE, run);

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &ConcatenateParams = node.params()?;
    let output = node.output()?;
    let (rows, ..) = output.shape().around(params.axis as usize)?;
    // Bytes that follow each other in memory for one index before the axis.
    let row_bytes = |tensor: &Tensor<'_>| Some(tensor.bytes().checked_div(rows)? as usize);
    let y_bytes = row_bytes(&output)?;
    let (reads, [y]) = operands.split([output])?;
    let mut start = 0;
    for input in node.step().inputs() {
        let len = row_bytes(&input)?;
        let end = start + len;
        Active::copy_rows(y.get_mut(start..)?, y_bytes, reads.bytes(input)?, len, len)?;
        start = end;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{indices, noise, refusal, refusal_in_place, run as run_step, whole};
    use bytemuck::bytes_of;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec::Vec;

    const LAST: ConcatenateParams = ConcatenateParams { axis: 1 };

    proptest! {
        #[test]
        fn it_meets_the_definition(
            dims in prop::collection::vec(1u32..4, 1..=6),
            lens in prop::collection::vec(1u32..5, 1..=16),
            axis: prop::sample::Index,
            seed: u32,
        ) {
            let axis = axis.index(dims.len());
            let params = ConcatenateParams { axis: axis as u32 };
            for dtype in [DType::F32, DType::I32, DType::I16, DType::U8] {
                let inputs: Vec<_> = lens.iter().enumerate().map(|(at, &len)| {
                    let mut dims = dims.clone();
                    dims[axis] = len;
                    whole(&dims, seed ^ at as u32, dtype)
                }).collect();
                let y = run_step(OpCode::Concatenate, bytes_of(&params), &inputs);
                let mut out = dims.clone();
                out[axis] = lens.iter().sum();
                for (y, mut index) in y.into_iter().zip(indices(&out)) {
                    let mut from = 0;
                    while index[axis] >= lens[from] {
                        index[axis] -= lens[from];
                        from += 1;
                    }
                    prop_assert_eq!(f64::from(y), inputs[from].at(&index));
                }
            }
        }
    }

    #[test]
    fn no_inputs_are_refused() {
        assert_eq!((RULE.output)(bytes_of(&LAST), &[]), Err(Misfit::Count));
    }

    #[test]
    fn an_axis_past_the_rank_is_refused() {
        let inputs = [noise(&[3], 1), noise(&[3], 2)];
        assert_eq!(refusal(OpCode::Concatenate, bytes_of(&LAST), &inputs, None), Misfit::Params);
    }

    #[test]
    fn an_input_of_another_type_is_refused() {
        let inputs = [noise(&[2, 3], 1), whole(&[2, 3], 2, DType::I8)];
        assert_eq!(refusal(OpCode::Concatenate, bytes_of(&LAST), &inputs, None), Misfit::DType(1));
    }

    #[test]
    fn an_input_of_another_shape_is_refused() {
        let inputs = [noise(&[2, 3], 1), noise(&[2, 3], 2), noise(&[1, 3], 3)];
        assert_eq!(refusal(OpCode::Concatenate, bytes_of(&LAST), &inputs, None), Misfit::Shape(2));
    }

    #[test]
    fn an_output_in_the_place_of_an_input_is_refused() {
        assert_eq!(
            refusal_in_place(OpCode::Concatenate, bytes_of(&LAST), &[noise(&[2, 3], 1)], 0),
            Misfit::Alias(0)
        );
    }
}
