//! Parametric rectifier: `y = x` where x ≥ 0, else `alpha · x`.
//!
//! | operand | dtype | shape               | layouts |
//! |---------|-------|---------------------|---------|
//! | x       | f32   | any                 | rows    |
//! | alpha   | f32   | broadcast to x's    | rows    |
//! | y       | f32   | of x                | rows    |
//!
//! y may lie in the place of x. The rule proves the shapes, and that y shares no memory with alpha.

use super::binary;
use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::prelu::RULE;

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::Prelu, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    binary::broadcast::<A, f32>(node, operands, |x, alpha| if x >= 0.0 { x } else { alpha * x })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        EDGES, input, meets, noise, refusal, refusal_in_place, run as run_step, run_in_place,
    };
    use crate::ops::binary::tests::{formula, shapes};
    use flatpack_format::{Misfit, Shape};
    use proptest::prelude::*;

    fn prelu(x: f64, alpha: f64) -> f64 {
        if x >= 0.0 { x } else { alpha * x }
    }

    proptest! {
        #[test]
        fn it_meets_the_formula((x, alpha) in shapes(), seed: u32) {
            let [wide, narrow] = [&x, &alpha].map(|dims| Shape::new(dims).unwrap());
            let y = wide.broadcast(&narrow).unwrap();
            let inputs = [noise(y.dims(), seed), noise(&alpha, !seed)];
            let want = formula(&inputs[0], &inputs[1], y.dims(), prelu);
            let apart = run_step(OpCode::Prelu, &[], &inputs);
            prop_assert!(apart.iter().zip(want).all(|(&got, want)| meets(got, want, 0.0)));
            prop_assert_eq!(run_in_place(OpCode::Prelu, &[], &inputs, 0), apart);
        }
    }

    #[test]
    fn it_meets_the_formula_at_the_edges() {
        let dims = [EDGES.len() as u32];
        let inputs = [input(&dims, &EDGES), input(&[], &[0.25])];
        let want = formula(&inputs[0], &inputs[1], &dims, prelu);
        let got = run_step(OpCode::Prelu, &[], &inputs);
        assert!(got.iter().zip(want).all(|(&got, want)| meets(got, want, 0.0)));
    }

    #[test]
    fn slopes_of_another_shape_are_refused() {
        let inputs = [noise(&[2, 3], 1), noise(&[2], 2)];
        assert_eq!(refusal(OpCode::Prelu, &[], &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn more_slopes_than_elements_are_refused() {
        let inputs = [noise(&[3], 1), noise(&[2, 3], 2)];
        assert_eq!(refusal(OpCode::Prelu, &[], &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn an_output_in_the_place_of_the_slopes_is_refused() {
        let inputs = [noise(&[3], 1), noise(&[3], 2)];
        assert_eq!(refusal_in_place(OpCode::Prelu, &[], &inputs, 1), Misfit::Alias(1));
    }
}
