//! Any function of one 8-bit integer: `y = table[x]`, where the byte that x is counts as unsigned.
//!
//! | operand | dtype    | shape   | layouts |
//! |---------|----------|---------|---------|
//! | x       | i8 or u8 | any     | rows    |
//! | table   | i8 or u8 | `[256]`   | rows    |
//! | y       | table's  | x's     | rows    |
//!
//! y may lie in the place of x. The rule proves the shapes.

use super::unary::UNIT;
use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::tail;
use flatpack_format::OpCode;
use flatpack_format::ops::lookup::RULE;

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::Lookup, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let x = node.input(0)?;
    let in_place = node.in_place(0);
    let (reads, y) = operands.write::<u8>(node.output()?)?;
    let table: &[u8; 256] = reads.bytes(node.input(1)?)?.try_into().ok()?;
    let x = if in_place { None } else { Some(reads.bytes(x)?) };
    let macs = y.len();
    node.threads().share(y, UNIT, macs, |first, y| {
        A::lookup(table, tail(x, first * UNIT)?, y);
        Some(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Input, integers, refusal, refuses_other_operands, run as run_step, run_in_place, words,
    };
    use flatpack_format::{DType, Misfit};
    use std::vec::Vec;

    const OP: OpCode = OpCode::Lookup;

    /// All bytes, as elements of this type.
    fn every_byte(dtype: DType) -> Input {
        let byte = |byte: u8| if dtype == DType::U8 { i32::from(byte) } else { (byte as i8).into() };
        words(&[256], &(0..=255).map(byte).collect::<Vec<_>>(), dtype)
    }

    #[test]
    fn every_byte_finds_its_element_in_place_or_not() {
        for x in [DType::I8, DType::U8].map(every_byte) {
            for table in [DType::I8, DType::U8].map(|dtype| integers(&[256], 7, dtype)) {
                let inputs = [x.clone(), table];
                let want = &inputs[1].values;
                assert_eq!(&run_step(OP, &[], &inputs), want);
                assert_eq!(&run_in_place(OP, &[], &inputs, 0), want);
            }
        }
        // In whole registers, and what is left.
        for count in [1, 31, 32, 63, 64, 97, 200] {
            let inputs = [integers(&[count], count, DType::I8), integers(&[256], 7, DType::U8)];
            let want: Vec<f32> =
                inputs[0].values.iter().map(|x| inputs[1].values[usize::from(*x as i8 as u8)]).collect();
            assert_eq!(run_step(OP, &[], &inputs), want);
            assert_eq!(run_in_place(OP, &[], &inputs, 0), want);
        }
        let x = words(&[2, 3], &[-1, 0, 1, 127, -128, -1], DType::I8);
        let y = run_step(OP, &[], &[x, every_byte(DType::U8)]);
        assert_eq!(y, [255.0, 0.0, 1.0, 127.0, 128.0, 255.0]);
    }

    #[test]
    fn a_table_of_another_length_is_refused() {
        for dims in [&[255][..], &[257], &[256, 1], &[]] {
            let inputs = [integers(&[3], 1, DType::I8), integers(dims, 1, DType::I8)];
            assert_eq!(refusal(OP, &[], &inputs, None), Misfit::Shape(1), "{dims:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        let inputs = [integers(&[256], 1, DType::I8), integers(&[256], 2, DType::I8)];
        refuses_other_operands(OP, &[], &inputs, false, 0b01);
    }

    #[test]
    fn an_output_of_another_type_is_refused() {
        let inputs = [integers(&[3], 1, DType::U8), integers(&[256], 2, DType::I8)];
        let output = inputs[0].tensor_type();
        assert_eq!(refusal(OP, &[], &inputs, Some(output)), Misfit::Shape(2));
    }
}
