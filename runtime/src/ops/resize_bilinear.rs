//! Resizing by bilinear interpolation.
//!
//! Output row `i` lies at input row `v`, which is `i · H / OH`, with half-pixel centres `(i + ½) · H /
//! OH − ½`, with aligned corners `i · (H − 1) / (OH − 1)`: between rows ⌊v⌋ and ⌊v⌋ + 1, each clamped
//! to the input, at the fraction v − ⌊v⌋; likewise columns. Positions are whole numbers,
//! exact; only the fraction is rounded to `f32`. Interpolates along rows, then between them:
//! `a + (b − a) · fraction`.
//!
//! | operand | dtype | shape           | layouts |
//! |---------|-------|-----------------|---------|
//! | x       | f32   | `[N, H, W, C]`    | rows    |
//! | y       | f32   | `[N, OH, OW, C]`  | rows    |
//!
//! The rule proves the shapes, that positions fit `i32`, and that y shares no memory with x.

use super::resize_nearest_neighbor::fractions;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use core::ops::Range;
use flatpack_format::OpCode;
use flatpack_format::ops::resize_bilinear::{RULE, ResizeBilinearParams};
use flatpack_format::ops::resize_nearest_neighbor::{ALIGN_CORNERS, HALF_PIXEL_CENTERS};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::ResizeBilinear, RULE, run);

/// Where one output row or column lies among those of the input.
struct Between {
    lower: usize,
    upper: usize,
    fraction: f32,
}

impl Between {
    /// Those of an axis of `input` elements resized to `output`.
    fn each(input: usize, output: usize, grid: u32) -> impl Iterator<Item = Self> {
        let (input, output) = (input as i32, output as i32);
        let (start, step, over) = match grid {
            ALIGN_CORNERS => (0, input - 1, (output - 1).max(1)),
            HALF_PIXEL_CENTERS => (input - output, 2 * input, 2 * output),
            _ => (0, input, output),
        };
        fractions(start, step, over).map(move |(whole, rest)| Self {
            lower: whole.max(0) as usize,
            upper: (whole + 1).min(input - 1) as usize,
            fraction: rest as f32 / over as f32,
        })
    }
}

/// The elements of row or column `index`.
pub(crate) fn part(index: usize, len: usize) -> Range<usize> {
    index * len..(index + 1) * len
}

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let &ResizeBilinearParams { grid, .. } = node.params()?;
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let x = reads.get::<f32>(node.input(0)?)?;
    let [_, h, w, channels] = node.input_dims(0)?;
    let [_, oh, ow, _] = node.output_dims()?;
    let (row_len, out_row_len) = (w * channels, ow * channels);
    for (x, y) in pieces(x, h * row_len).zip(pieces_mut(y, oh * out_row_len)) {
        for (y, row) in pieces_mut(y, out_row_len).zip(Between::each(h, oh, grid)) {
            let rows = [x.get(part(row.lower, row_len))?, x.get(part(row.upper, row_len))?];
            for (y, column) in pieces_mut(y, channels).zip(Between::each(w, ow, grid)) {
                let (left, right) = (part(column.lower, channels), part(column.upper, channels));
                let [top, bottom] =
                    rows.map(|x| Some(x.get(left.clone())?.iter().zip(x.get(right.clone())?)));
                for ((y, top), bottom) in y.iter_mut().zip(top?).zip(bottom?) {
                    let along = |(a, b): (&f32, &f32)| interpolate(*a, *b, column.fraction);
                    *y = interpolate(along(top), along(bottom), row.fraction);
                }
            }
        }
    }
    Some(())
}

fn interpolate(a: f32, b: f32, fraction: f32) -> f32 {
    a + (b - a) * fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Input, difference, indices, noise, recorded, refusal, refusal_in_place, run as run_step,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Rows or columns with their weights.
    fn weights(i: u32, input: u32, output: u32, grid: u32) -> [(u32, f64); 2] {
        let [i, from, to] = [i, input, output].map(f64::from);
        let position = match grid {
            0 => i * from / to,
            1 => (i + 0.5) * from / to - 0.5,
            _ => i * (from - 1.0) / (to - 1.0).max(1.0),
        };
        let fraction = position - position.floor();
        let clamped = |v: f64| v.clamp(0.0, f64::from(input - 1)) as u32;
        [(clamped(position.floor()), 1.0 - fraction), (clamped(position.floor() + 1.0), fraction)]
    }

    fn formula(x: &Input, [oh, ow]: [u32; 2], grid: u32) -> Vec<f32> {
        let &[n, h, w, c] = &x.dims[..] else { panic!("{:?}", x.dims) };
        let dims = [n, oh, ow, c];
        let at = indices(&dims).map(|at| {
            let rows = weights(at[1], h, oh, grid).into_iter();
            let all = rows.flat_map(|row| weights(at[2], w, ow, grid).map(|column| (row, column)));
            all.map(|(row, column)| x.at(&[at[0], row.0, column.0, at[3]]) * row.1 * column.1).sum::<f64>()
                as f32
        });
        at.collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula(
            n in 1u32..3, h in 1u32..9, w in 1u32..9, c in 1u32..4, size in [1u32..20, 1u32..20],
            grid in 0u32..3, seed: u32,
        ) {
            let x = noise(&[n, h, w, c], seed);
            let params = ResizeBilinearParams { size, grid };
            let y = run_step(OpCode::ResizeBilinear, bytes_of(&params), std::slice::from_ref(&x));
            prop_assert!(difference(&y, &formula(&x, size, grid)) < 1e-6);
        }
    }

    #[test]
    fn it_gives_what_keras_recorded() {
        for case in ["prep_resizing", "upsample2d_bilinear"] {
            let Some((x, want)) = recorded(case) else { return };
            let params =
                ResizeBilinearParams { size: [want.dims[1], want.dims[2]], grid: HALF_PIXEL_CENTERS };
            let largest = want.values.iter().fold(1.0, |m: f32, v| m.max(v.abs()));
            let y = run_step(OpCode::ResizeBilinear, bytes_of(&params), &[x]);
            assert!(difference(&y, &want.values) <= 1e-6 * largest, "{case}");
        }
    }

    #[test]
    fn an_empty_output_is_refused() {
        let params = ResizeBilinearParams { size: [0, 2], grid: 1 };
        let x = noise(&[1, 2, 2, 1], 1);
        assert_eq!(refusal(OpCode::ResizeBilinear, bytes_of(&params), &[x], None), Misfit::Params);
    }

    #[test]
    fn positions_past_31_bits_are_refused() {
        let params = ResizeBilinearParams { size: [1, 1 << 28], grid: 1 };
        let x = noise(&[1, 2, 2, 1], 1);
        assert_eq!(refusal(OpCode::ResizeBilinear, bytes_of(&params), &[x], None), Misfit::Params);
    }

    #[test]
    fn another_grid_is_refused() {
        let params = ResizeBilinearParams { size: [2, 2], grid: 3 };
        let x = noise(&[1, 2, 2, 1], 1);
        assert_eq!(refusal(OpCode::ResizeBilinear, bytes_of(&params), &[x], None), Misfit::Params);
    }

    #[test]
    fn an_input_that_is_no_image_is_refused() {
        let params = ResizeBilinearParams { size: [2, 2], grid: 1 };
        let x = noise(&[2, 2, 1], 1);
        assert_eq!(refusal(OpCode::ResizeBilinear, bytes_of(&params), &[x], None), Misfit::Rank(0));
    }

    #[test]
    fn an_output_in_the_place_of_x_is_refused() {
        let params = ResizeBilinearParams { size: [2, 2], grid: 1 };
        let x = noise(&[1, 2, 2, 1], 1);
        assert_eq!(refusal_in_place(OpCode::ResizeBilinear, bytes_of(&params), &[x], 0), Misfit::Alias(0));
    }
}
