//! Rows of a table by index: `y[n…, i…] = table[r, i…]`, where r is `x[n…]` rounded towards zero.
//!
//! | operand | dtype | shape         | layouts |
//! |---------|-------|---------------|---------|
//! | x       | f32   | any           | rows    |
//! | table   | f32   | `[R, …]`      | rows    |
//! | y       | f32   | `[x…, …]`     | rows    |
//!
//! A negative r becomes `r + R`, if the parameters say so. A row that the table does not have is zeros, as on
//! TensorFlow's GPUs; so is that of a NaN. The rule proves the shapes, and that y shares no memory with x.

use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::pieces_mut;
use crate::weight::Weight;
use flatpack_format::OpCode;
use flatpack_format::ops::gather::{GatherParams, RULE};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::Gather, RULE, run::<f32>);

/// The row of a table with `rows` rows that `x` names, if it names one.
fn row_of(x: f32, rows: usize, from_end: bool) -> Option<usize> {
    // A NaN is neither; what is past the integers is past the table.
    let row = if x > -1.0 {
        x as usize
    } else if x <= -1.0 && from_end {
        rows.checked_sub(x.abs() as usize)?
    } else {
        return None;
    };
    (row < rows).then_some(row)
}

pub(crate) fn run<W: Weight>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let from_end = node.params::<GatherParams>()?.from_end != 0;
    let rows = node.input(1)?.shape().dim(0) as usize;
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let (x, table) = (reads.get::<f32>(node.input(0)?)?, reads.get::<W>(node.input(1)?)?);
    let scales = if W::SCALED { reads.get::<f32>(node.input(2)?)? } else { &[] };
    let len = table.len().checked_div(rows)?;
    for (y, &x) in pieces_mut(y, len).zip(x) {
        let row = row_of(x, rows, from_end);
        let Some((row, stored)) = row.and_then(|row| Some((row, table.get(row * len..)?))) else {
            y.fill(0.0);
            continue;
        };
        y.iter_mut().zip(stored).for_each(|(y, w)| *y = w.real());
        if W::SCALED {
            let scale = if let [one] = scales { *one } else { *scales.get(row)? };
            y.iter_mut().for_each(|y| *y *= scale);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{Input, indices, input, noise, refusal, refusal_in_place, run as run_step};
    use crate::one_step::{stored_weights, words};
    use bytemuck::bytes_of;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const PARAMS: GatherParams = GatherParams { from_end: 0 };

    /// The element of y at `index`, from the reals of the table.
    fn element(x: &Input, table: &Input, from_end: bool, index: &[u32]) -> f64 {
        let (of_x, of_row) = index.split_at(x.dims.len());
        let (row, rows) = (x.at(of_x).trunc(), f64::from(table.dims[0]));
        let row = if from_end && row < 0.0 { row + rows } else { row };
        if (0.0..rows).contains(&row) { table.at(&[&[row as u32], of_row].concat()) } else { 0.0 }
    }

    /// Indices of all rows, between them and past them.
    fn any_indices(dims: &[u32], rows: u32, seed: u32) -> Input {
        let mut x = noise(dims, seed);
        let edges = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, -0.9, 1e30, -1e30, 4294967296.0];
        for (at, v) in x.values.iter_mut().enumerate() {
            let wide = *v * 1.5 * rows as f32;
            *v = match at % 5 {
                0 => *edges.get(at / 5 % 12).unwrap_or(&wide),
                1 => wide,
                _ => wide.trunc(),
            };
        }
        x
    }

    proptest! {
        #[test]
        fn it_meets_the_definition(
            dims in prop::collection::vec(1u32..6, 0..=4),
            rows in 1u32..9,
            row in prop::collection::vec(1u32..5, 0..=2),
            from_end in 0u32..2,
            seed: u32,
        ) {
            let x = any_indices(&dims, rows, seed);
            let params = GatherParams { from_end };
            let table = [&[rows], &row[..]].concat();
            let of = [&dims[..], &row].concat();
            let meets = |op, operands: &[Input], reals: &Input| {
                let y = run_step(op, bytes_of(&params), operands);
                y.into_iter().zip(indices(&of)).all(|(y, index)| {
                    (f64::from(y) - element(&x, reals, from_end == 1, &index)).abs() < 1e-6
                })
            };
            let floats = noise(&table, !seed);
            prop_assert!(meets(OpCode::Gather, &[x.clone(), floats.clone()], &floats));
            for (op, dtype) in [(OpCode::GatherW8, DType::I8), (OpCode::GatherW16, DType::F16)] {
                let (stored, reals) = stored_weights(&table, 0, seed, dtype);
                prop_assert!(meets(op, &[std::slice::from_ref(&x), &stored[..]].concat(), &reals));
            }
        }
    }

    #[test]
    fn rows_that_the_table_lacks_are_zeros() {
        let x = input(&[6], &[2.0, 3.0, -1.0, f32::NAN, 1.9, -3.0]);
        let table = input(&[3, 1], &[5.0, 6.0, f32::INFINITY]);
        let of = |from_end| {
            run_step(OpCode::Gather, bytes_of(&GatherParams { from_end }), &[x.clone(), table.clone()])
        };
        assert_eq!(of(0), [f32::INFINITY, 0.0, 0.0, 0.0, 6.0, 0.0]);
        assert_eq!(of(1), [f32::INFINITY, 0.0, f32::INFINITY, 0.0, 6.0, 5.0]);
    }

    fn refused(op: OpCode, params: GatherParams, inputs: &[Input]) -> Misfit {
        refusal(op, bytes_of(&params), inputs, None)
    }

    #[test]
    fn operands_that_are_no_indices_and_table_are_refused() {
        let (x, table) = (noise(&[2], 1), noise(&[3, 4], 2));
        let refused = |op, inputs: &[&Input]| {
            let inputs: Vec<Input> = inputs.iter().map(|&input| input.clone()).collect();
            super::tests::refused(op, PARAMS, &inputs)
        };
        assert_eq!(refused(OpCode::Gather, &[&x]), Misfit::Count);
        assert_eq!(refused(OpCode::Gather, &[&x, &table, &x]), Misfit::Count);
        assert_eq!(refused(OpCode::Gather, &[&words(&[2], &[0, 1], DType::I32), &table]), Misfit::DType(0));
        let bytes = words(&[3, 1], &[1, 2, 3], DType::I8);
        assert_eq!(refused(OpCode::Gather, &[&x, &bytes]), Misfit::DType(1));
        assert_eq!(refused(OpCode::GatherW8, &[&x, &bytes]), Misfit::Count);
        assert_eq!(refused(OpCode::GatherW8, &[&x, &bytes, &noise(&[2], 3)]), Misfit::Shape(2));
        assert_eq!(refused(OpCode::GatherW8, &[&x, &bytes, &bytes]), Misfit::DType(2));
        assert_eq!(refused(OpCode::GatherW16, &[&x, &table]), Misfit::DType(1));
        assert_eq!(refused(OpCode::Gather, &[&x, &noise(&[], 1)]), Misfit::Rank(1));
        let deep = noise(&[1, 1, 1, 1], 1);
        assert_eq!(refused(OpCode::Gather, &[&deep, &deep]), Misfit::Rank(1));
    }

    #[test]
    fn a_flag_that_is_neither_0_nor_1_is_refused() {
        let inputs = vec![noise(&[2], 1), noise(&[3, 4], 2)];
        assert_eq!(refused(OpCode::Gather, GatherParams { from_end: 2 }, &inputs), Misfit::Params);
    }

    #[test]
    fn an_output_in_the_place_of_x_is_refused() {
        let inputs = [noise(&[2], 1), noise(&[3], 2)];
        assert_eq!(refusal_in_place(OpCode::Gather, bytes_of(&PARAMS), &inputs, 0), Misfit::Alias(0));
    }
}
