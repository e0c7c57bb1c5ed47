//! Any function of one 8-bit integer: `y = table[x]`, where the byte that x is counts as unsigned.
//!
//! | operand | dtype    | shape   | layouts |
//! |---------|----------|---------|---------|
//! | x       | i8 or u8 | any     | rows    |
//! | table   | i8 or u8 | `[256]`   | rows    |
//! | y       | table's  | x's     | rows    |
//!
//! y may lie in the place of x. `check` proves the shapes.

use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::ops::lookup::RULE;
use flatpack_format::{Misfit, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel { op: OpCode::Lookup, check, run };

fn check(node: &Node<'_>) -> Result<(), Misfit> {
    node.check(&RULE, false, 0b01)
}

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let x = node.input(0)?;
    let in_place = node.in_place(0);
    let (reads, y) = operands.write::<u8>(node.output()?)?;
    let table: &[u8; 256] = reads.bytes(node.input(1)?)?.try_into().ok()?;
    let of = |x: u8| table.get(usize::from(x)).copied().unwrap_or_default();
    if in_place {
        y.iter_mut().for_each(|y| *y = of(*y));
    } else {
        y.iter_mut().zip(reads.bytes(x)?).for_each(|(y, x)| *y = of(*x));
    }
    Some(())
}
