//! Resizing of 8-bit integers by bilinear interpolation. Output row `i` lies at input row `v = (i · step +
//! first) / 2¹⁰`, between rows ⌊v⌋ and ⌈v⌉, each clamped to the input; likewise columns. The four elements
//! around are weighted with products of what v has after the point, and the sum is rounded to the nearest
//! integer, halves away from zero. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape           | layouts |
//! |---------|-------|-----------------|---------|
//! | x       | i8    | `[N, H, W, C]`    | rows    |
//! | y       | i8    | `[N, OH, OW, C]`  | rows    |
//!
//! The rule proves the shapes, that positions fit `i32`, and that y shares no memory with x.

use super::resize_bilinear::part;
use crate::fixed::divide_by_power_of_two;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use flatpack_format::OpCode;
use flatpack_format::ops::resize_bilinear_i8::{RULE, ResizeBilinearI8Params};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::ResizeBilinearI8, RULE, run);

/// Bits after the point of a position.
const PLACES: u32 = 10;

/// Where one output row or column lies among those of the input.
struct Between {
    lower: usize,
    upper: usize,
    /// How far from the lower to the upper, in 2⁻¹⁰.
    fraction: i32,
}

impl Between {
    /// Those of an axis of `input` elements.
    fn each(input: usize, first: i32, step: i32) -> impl Iterator<Item = Self> {
        let last = (input as i32).saturating_sub(1);
        let positions = core::iter::successors(Some(first), move |at| Some(at.wrapping_add(step)));
        positions.map(move |at| {
            let lower = (at >> PLACES).min(last).max(0);
            let upper = (at.wrapping_add(1023) >> PLACES).min(last).max(0);
            let fraction = if lower == upper { 0 } else { at & 1023 };
            Self { lower: lower as usize, upper: upper as usize, fraction }
        })
    }
}

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &ResizeBilinearI8Params = node.params()?;
    let ([row_first, column_first], [row_step, column_step]) = (params.first, params.step);
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let x = reads.get::<i8>(node.input(0)?)?;
    let [_, h, w, channels] = node.input_dims(0)?;
    let [_, oh, ow, _] = node.output_dims()?;
    let (row_len, out_row_len) = (w * channels, ow * channels);
    for (x, y) in pieces(x, h * row_len).zip(pieces_mut(y, oh * out_row_len)) {
        for (y, row) in pieces_mut(y, out_row_len).zip(Between::each(h, row_first, row_step)) {
            let rows = [x.get(part(row.lower, row_len))?, x.get(part(row.upper, row_len))?];
            let columns = Between::each(w, column_first, column_step);
            for (y, column) in pieces_mut(y, channels).zip(columns) {
                let (left, right) = (part(column.lower, channels), part(column.upper, channels));
                let [top, bottom] =
                    rows.map(|x| Some(x.get(left.clone())?.iter().zip(x.get(right.clone())?)));
                for ((y, top), bottom) in y.iter_mut().zip(top?).zip(bottom?) {
                    let along = |(a, b): (&i8, &i8)| interpolate((*a).into(), (*b).into(), column.fraction);
                    let sum = interpolate(along(top), along(bottom), row.fraction);
                    *y = divide_by_power_of_two(sum, 2 * PLACES) as i8;
                }
            }
        }
    }
    Some(())
}

/// `2¹⁰ · (a + (b − a) · fraction)`.
fn interpolate(a: i32, b: i32, fraction: i32) -> i32 {
    a.wrapping_mul(1024i32.wrapping_sub(fraction)).wrapping_add(b.wrapping_mul(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{i8s, indices, refusal, refuses_other_operands, run as run_step};
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use proptest::prelude::*;

    const OP: OpCode = OpCode::ResizeBilinearI8;

    proptest! {
        #[test]
        fn it_meets_the_formula(
            n in 1u32..3, h in 1u32..9, w in 1u32..9, c in 1u32..4, size in [1u32..20, 1u32..20],
            step in [0i32..3000, 0i32..3000], first in [-512i32..1500, -512i32..1500], seed: u32,
        ) {
            let x = i8s(&[n, h, w, c], seed);
            let params = ResizeBilinearI8Params { size, step, first };
            let y = run_step(OP, bytes_of(&params), std::slice::from_ref(&x));
            // Twice the weight of each input row or column in 2⁻¹⁰, were there no rounding of v.
            let weight = |i: u32, axis: usize, at: u32, input: u32| {
                let v = f64::from(i as i32 * step[axis] + first[axis]) / 1024.0;
                (1.0 - (v.clamp(0.0, f64::from(input - 1)) - f64::from(at)).abs()).max(0.0)
            };
            for (y, at) in y.into_iter().zip(indices(&[n, size[0], size[1], c])) {
                let mut sum = 0.0;
                for from in indices(&[h, w]) {
                    let weights = weight(at[1], 0, from[0], h) * weight(at[2], 1, from[1], w);
                    sum += weights * x.at(&[at[0], from[0], from[1], at[3]]);
                }
                // Exact: all are multiples of 2⁻²⁰. `round` takes halves away from zero too.
                prop_assert_eq!(f64::from(y), sum.round());
            }
        }
    }

    #[test]
    fn parameters_outside_of_their_domains_are_refused() {
        let good = ResizeBilinearI8Params { size: [2, 2], step: [1024; 2], first: [0; 2] };
        let of =
            |params: ResizeBilinearI8Params| refusal(OP, bytes_of(&params), &[i8s(&[1, 2, 2, 1], 1)], None);
        for params in [
            ResizeBilinearI8Params { size: [0, 2], ..good },
            ResizeBilinearI8Params { step: [-1, 1], ..good },
            ResizeBilinearI8Params { step: [1, 1 << 29], ..good },
            ResizeBilinearI8Params { first: [-513, 0], ..good },
            ResizeBilinearI8Params { first: [0, 1 << 30], ..good },
        ] {
            assert_eq!(of(params), Misfit::Params, "{params:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        let params = ResizeBilinearI8Params { size: [2, 2], step: [1024; 2], first: [0; 2] };
        refuses_other_operands(OP, bytes_of(&params), &[i8s(&[1, 2, 2, 1], 1)], false, 0);
        let flat = i8s(&[2, 2, 1], 1);
        assert_eq!(refusal(OP, bytes_of(&params), &[flat], None), Misfit::Rank(0));
    }
}
