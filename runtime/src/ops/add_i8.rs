//! Sum of 8-bit integers, with NumPy's broadcasting: `y = requantize((a − a_zero_point) · 2²⁰ · a_multiplier
//! + (b − b_zero_point) · 2²⁰ · b_multiplier)`, each product rounded. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape                   | layouts |
//! |---------|-------|-------------------------|---------|
//! | a       | i8    | any                     | rows    |
//! | b       | i8    | any that fits a's       | rows    |
//! | y       | i8    | a and b, broadcast      | rows    |
//!
//! y may lie in the place of a, of b, or of both. The rule proves the shapes, that multipliers, zero
//! points and bounds are in their domains, and that an input which shares memory with y has all of it:
//! then it is as long as y and does not repeat.

use super::binary::{broadcast, broadcast_runs};
use super::binary_i8::at_common_scale;
use crate::arch::{Active, Arch, Scratch};
use crate::fixed;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use core::slice;
use flatpack_format::OpCode;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::{AddI8Params, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::AddI8, RULE, run::<A>)
}

/// The kernel of two inputs of one shape, in the place of one of which y lies: without the loops over others. It
/// refuses other steps.
pub const LEAN: Kernel = if Active::WHOLE_IMAGES { KERNEL.by(run_in_place::<Active>) } else { KERNEL };

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    combine::<A, false>(node, operands)
}

/// The sum of a and b at their common scale, or if `MINUS` their difference, as an element of y.
pub(crate) fn combine<A: Arch, const MINUS: bool>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let p: &AddI8Params = node.params()?;
    let f = |a: i32, b: i32| if MINUS { a.wrapping_sub(b) } else { a.wrapping_add(b) };
    let at_a = |a: i8| at_common_scale::<20>(a, p.a_zero_point, p.a_multiplier);
    let at_b = |b: i8| at_common_scale::<20>(b, p.b_zero_point, p.b_multiplier);
    let plain = Multiplier::all_plain(slice::from_ref(&p.multiplier));
    let run = A::add_runs_i8::<MINUS>(p);
    if run.is_some() {
        return broadcast_runs::<A, _, _>(node, operands, run, |a, b| {
            fixed::requantize(f(at_a(a), at_b(b)), p.multiplier, &p.y)
        });
    }
    if node.output()?.len() > TABLES {
        let mut scratch = A::Scratch::new();
        if let ([a_table, b_table], []) = scratch.words(512).as_chunks_mut::<256>() {
            fill(a_table, p.a_zero_point, p.a_multiplier);
            fill(b_table, p.b_zero_point, p.b_multiplier);
            let (a_table, b_table) = (&*a_table, &*b_table);
            return broadcast::<A, _>(node, operands, |a: i8, b: i8| {
                A::requantize_i8(f(of_byte(a_table, a), of_byte(b_table, b)), p.multiplier, plain, &p.y)
            });
        }
    }
    broadcast::<A, _>(node, operands, |a, b| A::requantize_i8(f(at_a(a), at_b(b)), p.multiplier, plain, &p.y))
}

/// [`run`] of `a + b` where y has the one and the other is as long.
fn run_in_place<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let &AddI8Params {
        a_zero_point, a_multiplier, b_zero_point, b_multiplier, multiplier, y: bounds, ..
    } = node.params()?;
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let a_in_place = node.in_place(0);
    let x: &[i8] = reads.get(node.input(usize::from(a_in_place))?)?;
    let one_in_place = a_in_place != node.in_place(1);
    if !one_in_place || x.len() != y.len() || !Multiplier::all_plain(&[multiplier]) {
        return None;
    }
    let mut scratch = A::Scratch::new();
    let ([a_table, b_table], []) = scratch.words(512).as_chunks_mut::<256>() else { return None };
    fill(a_table, a_zero_point, a_multiplier);
    fill(b_table, b_zero_point, b_multiplier);
    let (y_table, x_table) = if a_in_place { (a_table, b_table) } else { (b_table, a_table) };
    for (y, x) in y.iter_mut().zip(x) {
        let sum = of_byte(y_table, *y).wrapping_add(of_byte(x_table, *x));
        *y = A::requantize_i8(sum, multiplier, true, &bounds);
    }
    Some(())
}

/// What each byte becomes at the common scale, by the byte.
#[inline(never)]
fn fill(table: &mut [i32; 256], zero_point: i32, by: Multiplier) {
    for (byte, to) in table.iter_mut().enumerate() {
        *to = at_common_scale::<20>(byte as i8, zero_point, by);
    }
}

#[inline(always)]
fn of_byte(table: &[i32; 256], byte: i8) -> i32 {
    table.get(usize::from(byte as u8)).copied().unwrap_or_default()
}

/// From this many elements on, tables of both operands are worth their making: on Cortex-M4, that takes
/// 17,000 instructions, and an element 26 instead of 111.
const TABLES: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::binary_i8::tests::{
        HALF, Y, assert_params_refused, it_meets, multiplied, multiplier, operands, refuses_other_operands,
        requantized,
    };
    use bytemuck::bytes_of;
    use flatpack_format::ops::{Multiplier, OutputI8};
    use proptest::prelude::*;

    const OP: OpCode = OpCode::AddI8;
    const PARAMS: AddI8Params = AddI8Params {
        a_zero_point: 3,
        b_zero_point: -128,
        a_multiplier: HALF,
        b_multiplier: HALF,
        multiplier: HALF,
        y: Y,
    };

    proptest! {
        #[test]
        fn it_meets_the_formula(
            (shapes, seed) in operands(),
            a in multiplier(-12..3), b in multiplier(-12..1), sum in multiplier(-22..-14),
            a_zero_point in -128i32..128, b_zero_point in -128i32..128,
        ) {
            let params = AddI8Params { a_zero_point, b_zero_point, a_multiplier: a, b_multiplier: b, multiplier: sum, y: Y };
            it_meets(OP, bytes_of(&params), shapes, seed, |x, z| {
                let x = multiplied((x - i64::from(a_zero_point)) << 20, a);
                let z = multiplied((z - i64::from(b_zero_point)) << 20, b);
                requantized(x + z, sum, &Y)
            });
        }
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        let shifted = Multiplier { shift: 31, ..HALF };
        for params in [
            AddI8Params { a_zero_point: 128, ..PARAMS },
            AddI8Params { b_zero_point: -129, ..PARAMS },
            AddI8Params { a_multiplier: shifted, ..PARAMS },
            AddI8Params { b_multiplier: shifted, ..PARAMS },
            AddI8Params { multiplier: Multiplier { mantissa: -1, shift: 0 }, ..PARAMS },
            AddI8Params { y: OutputI8 { min: 1, max: 0, ..Y }, ..PARAMS },
        ] {
            assert_params_refused(OP, bytes_of(&params));
        }
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&PARAMS));
    }
}
