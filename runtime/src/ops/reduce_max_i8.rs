//! Maximum of 8-bit integers over neighbouring axes.
//!
//! | operand | dtype | shape                                               | layouts |
//! |---------|-------|-----------------------------------------------------|---------|
//! | x       | i8    | `[outer…, axes…, inner…]`                             | rows    |
//! | y       | i8    | [outer…, inner…], or with ones in place of the axes | rows    |
//!
//! The rule proves the shapes and that y shares no memory with x.

use super::pool::MaxI8;
use super::reduce_i8;
use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::OpCode;
use flatpack_format::ops::reduce_max_i8::RULE;

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::ReduceMaxI8, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    reduce_i8::run::<A, MaxI8>(node, operands, node.params()?, i8::max, |max, _| max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::reduce_i8::tests::it_meets;
    use bytemuck::bytes_of;
    use proptest::prelude::*;

    #[test]
    fn it_meets_the_formula() {
        let formula = |x: &[f64], (): ()| x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        it_meets(OpCode::ReduceMaxI8, Just(()), |axes, ()| bytes_of(&axes).to_vec(), formula);
    }
}
