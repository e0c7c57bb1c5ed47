//! Fully connected: `y[n, o] = clamp(bias[o] + Σᵢ x[n, i] · w[o, i])`, summed in the order of i.
//!
//! | operand | dtype | shape    | layouts         |
//! |---------|-------|----------|-----------------|
//! | x       | f32   | `[..., I]` | rows            |
//! | w       | f32   | `[O, I]`   | rows, panel16   |
//! | bias    | f32   | `[O]`      | rows; may be absent |
//! | y       | f32   | `[..., O]` | rows            |
//!
//! The rule proves the shapes, I ≥ 1, and that y shares no memory with an input.

use crate::arch::{Active, Arch, PANEL_LEN};
use crate::conv::Grouped;
use crate::gemm::Weights;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::weight::Weight;
use flatpack_format::OpCode;
use flatpack_format::ops::fully_connected::{FullyConnectedParams, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::FullyConnected, RULE, run::<A, f32>)
}

pub(crate) fn run<A: Arch, W: Weight>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &FullyConnectedParams = node.params()?;
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let [outputs, depth] = node.input_dims(1)?;
    let weights = Weights::<W>::of(node, &reads, depth, params.clamp)?;
    let x: &[f32] = reads.get(node.input(0)?)?;
    if node.threads().is_one() {
        return weights.rows::<A>(x, outputs, y);
    }
    // One row is shared out by its panels, several as they are.
    let single = x.len() == depth;
    node.threads().share(y, if single { PANEL_LEN } else { outputs }, depth * y.len(), |first, y| {
        if single {
            let first = first * PANEL_LEN;
            return weights.of_outputs(first..first + y.len())?.rows::<A>(x, y.len(), y);
        }
        let rows = y.len().checked_div(outputs)?;
        weights.rows::<A>(x.get(first * depth..)?.get(..rows * depth)?, outputs, y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Input, difference, input, meets_with_stored_weights, noise, refusal, refuses_other_operands,
        refuses_other_operands_with_stored_weights, run as run_step,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use flatpack_format::ops::Clamp;
    use proptest::prelude::*;
    use std::vec::Vec;

    const STORED: [OpCode; 2] = [OpCode::FullyConnectedW8, OpCode::FullyConnectedW16];
    const PARAMS: FullyConnectedParams = FullyConnectedParams { clamp: Clamp::NONE };

    fn formula(x: &Input, w: &Input, bias: &Input) -> Vec<f32> {
        let depth = w.dims[1] as usize;
        let rows = x.values.chunks_exact(depth);
        rows.flat_map(|x| {
            w.values.chunks_exact(depth).zip(&bias.values).map(|(w, &bias)| {
                let sum: f64 = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                (sum + f64::from(bias)) as f32
            })
        })
        .collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_both_layouts(n in 1u32..6, i in 1u32..40, o in 1u32..80, seed: u32) {
            let (x, w, bias) = (noise(&[n, i], seed), noise(&[o, i], !seed), noise(&[o], seed ^ 0x55));
            let rows = run_step(OpCode::FullyConnected, bytes_of(&PARAMS), &[x.clone(), w.clone(), bias.clone()]);
            prop_assert!(difference(&rows, &formula(&x, &w, &bias)) < 1e-5);
            let panels = run_step(OpCode::FullyConnected, bytes_of(&PARAMS), &[x, w.packed(), bias]);
            prop_assert_eq!(rows, panels);
        }

        #[test]
        fn it_meets_the_formula_with_weights_in_fewer_bytes(
            n in 1u32..6, i in 1u32..40, o in 1u32..80, seed: u32,
        ) {
            let inputs = [noise(&[n, i], seed), noise(&[o, i], !seed), noise(&[o], seed ^ 0x55)];
            meets_with_stored_weights(STORED, bytes_of(&PARAMS), &inputs, (0, true), |[x, w, bias]| {
                formula(x, w, bias)
            });
        }
    }

    #[test]
    fn the_clamp_bounds_the_result() {
        let params = FullyConnectedParams { clamp: Clamp { min: 0.0, max: 6.0 } };
        let (x, w) = (input(&[1, 1], &[1.0]), input(&[3, 1], &[-2.0, 3.0, 9.0]));
        assert_eq!(run_step(OpCode::FullyConnected, bytes_of(&params), &[x, w]), [0.0, 3.0, 6.0]);
    }

    #[test]
    fn weights_of_another_depth_are_refused() {
        let inputs = [noise(&[1, 4], 1), noise(&[2, 3], 2)];
        assert_eq!(refusal(OpCode::FullyConnected, bytes_of(&PARAMS), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn a_bias_of_another_length_is_refused() {
        let inputs = [noise(&[1, 4], 1), noise(&[2, 4], 2), noise(&[3], 3)];
        assert_eq!(refusal(OpCode::FullyConnected, bytes_of(&PARAMS), &inputs, None), Misfit::Shape(2));
    }

    #[test]
    fn other_operands_are_refused() {
        let ones = [input(&[1, 1], &[1.0]), input(&[1, 1], &[1.0]), input(&[1], &[1.0])];
        refuses_other_operands(OpCode::FullyConnected, bytes_of(&PARAMS), &ones, true, 0);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let inputs = [noise(&[1, 4], 1), noise(&[2, 4], 2)];
        let output = noise(&[1, 3], 0).tensor_type();
        assert_eq!(
            refusal(OpCode::FullyConnected, bytes_of(&PARAMS), &inputs, Some(output)),
            Misfit::Shape(2)
        );
    }

    #[test]
    fn other_operands_beside_weights_in_fewer_bytes_are_refused() {
        let dims: [&[u32]; 3] = [&[1; 2], &[1; 2], &[1]];
        refuses_other_operands_with_stored_weights(STORED, bytes_of(&PARAMS), dims, true);
    }
}
