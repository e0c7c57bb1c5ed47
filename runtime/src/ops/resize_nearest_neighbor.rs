//! Resizing by the nearest element: `y[n, i, j, c] = x[n, ⌊i · H / OH⌋, ⌊j · W / OW⌋, c]`; with
//! half-pixel centres `x[n, ⌊(i + ½) · H / OH⌋, ⌊(j + ½) · W / OW⌋, c]`; with aligned corners
//! `x[n, ⌊i · (H − 1) / (OH − 1) + ½⌋, ⌊j · (W − 1) / (OW − 1) + ½⌋, c]`; in whole numbers, exactly.
//!
//! | operand | dtype | shape           | layouts |
//! |---------|-------|-----------------|---------|
//! | x       | f32 or of one byte | `[N, H, W, C]`    | rows    |
//! | y       | x's   | `[N, OH, OW, C]`  | rows    |
//!
//! The rule proves the shapes, that positions fit `i32`, and that y shares no memory with x.

use super::moves::copy;
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use bytemuck::Pod;
use flatpack_format::ops::resize_nearest_neighbor::{
    ALIGN_CORNERS, HALF_PIXEL_CENTERS, RULE, ResizeNearestNeighborParams,
};
use flatpack_format::{DType, OpCode};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::ResizeNearestNeighbor, RULE, run);

/// The fractions `(start + i · step) / over` for i = 0, 1, …, each as its floor and the remainder.
/// Divides for the first only. `start` may be negative, the others may not; `over` is below 2³⁰.
pub(crate) fn fractions(start: i32, step: i32, over: i32) -> impl Iterator<Item = (i32, i32)> + Clone {
    let over = over.max(1);
    let (mut whole, mut rest) = (start.div_euclid(over), start.rem_euclid(over));
    let (step_whole, step_rest) = (step / over, step % over);
    core::iter::repeat_with(move || {
        let now = (whole, rest);
        whole += step_whole;
        rest += step_rest;
        if rest >= over {
            whole += 1;
            rest -= over;
        }
        now
    })
}

fn run(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    match node.output()?.dtype() {
        DType::F32 => elements::<f32>(node, operands),
        _ => elements::<u8>(node, operands),
    }
}

fn elements<T: Pod>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &ResizeNearestNeighborParams = node.params()?;
    let (reads, y) = operands.write::<T>(node.output()?)?;
    let x = reads.get::<T>(node.input(0)?)?;
    let [_, h, w, channels] = node.input_dims(0)?;
    let [_, oh, ow, _] = node.output_dims()?;
    let sources = |input: usize, output: usize| {
        let (input, output) = (input as i32, output as i32);
        let steps = (output - 1).max(1);
        match params.grid {
            ALIGN_CORNERS => fractions(steps, 2 * (input - 1), 2 * steps),
            HALF_PIXEL_CENTERS => fractions(input, 2 * input, 2 * output),
            _ => fractions(0, 2 * input, 2 * output),
        }
        .map(|(source, _)| source as usize)
    };
    let (row_len, out_row_len) = (w * channels, ow * channels);
    for (x, y) in pieces(x, h * row_len).zip(pieces_mut(y, oh * out_row_len)) {
        for (y, row) in pieces_mut(y, out_row_len).zip(sources(h, oh)) {
            let x = x.get(row * row_len..(row + 1) * row_len)?;
            for (y, column) in pieces_mut(y, channels).zip(sources(w, ow)) {
                copy(y, x.get(column * channels..)?);
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{i8s, indices, input, noise, refusal, refusal_in_place, run as run_step, whole};
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use flatpack_format::ops::resize_nearest_neighbor::CORNERS;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_meets_the_definition(
            n in 1u32..3, h in 1u32..9, w in 1u32..9, c in 1u32..4, size in [1u32..20, 1u32..20], seed: u32,
        ) {
            let dims = [n, h, w, c];
            let x = if seed % 2 == 0 { noise(&dims, seed) } else { i8s(&dims, seed) };
            for grid in 0..3 {
                let params = ResizeNearestNeighborParams { size, grid };
                let y = run_step(OpCode::ResizeNearestNeighbor, bytes_of(&params), std::slice::from_ref(&x));
                let [oh, ow] = size;
                // Exact: all numbers are small, and 1e-9 is less than one over twice their product.
                let source = |i: u32, input: u32, output: u32| {
                    let [i, input, output] = [i, input, output].map(f64::from);
                    let at = match grid {
                        CORNERS => i * input / output,
                        HALF_PIXEL_CENTERS => (i + 0.5) * input / output,
                        _ => i * (input - 1.0) / (output - 1.0).max(1.0) + 0.5,
                    };
                    (at + 1e-9).floor() as u32
                };
                for (y, at) in y.into_iter().zip(indices(&[n, oh, ow, c])) {
                    prop_assert_eq!(f64::from(y), x.at(&[at[0], source(at[1], h, oh), source(at[2], w, ow), at[3]]));
                }
            }
        }

        #[test]
        fn fractions_are_floors_and_remainders(start in -1000i32..1000, step in 0i32..1000, over in 1i32..1000) {
            for (i, fraction) in (0..50).zip(fractions(start, step, over)) {
                let over_all = start + i * step;
                prop_assert_eq!(fraction, (over_all.div_euclid(over), over_all.rem_euclid(over)));
            }
        }
    }

    #[test]
    fn the_grid_chooses_the_rows() {
        let x = [input(&[1, 3, 1, 1], &[0.0, 1.0, 2.0])];
        let wants = [[0.0, 0.0, 1.0, 1.0, 2.0], [0.0, 0.0, 1.0, 2.0, 2.0], [0.0, 1.0, 1.0, 2.0, 2.0]];
        for (grid, want) in wants.into_iter().enumerate() {
            let params = ResizeNearestNeighborParams { size: [5, 1], grid: grid as u32 };
            assert_eq!(run_step(OpCode::ResizeNearestNeighbor, bytes_of(&params), &x), want);
        }
    }

    fn assert_refused(params: ResizeNearestNeighborParams, dims: &[u32], misfit: Misfit) {
        let x = noise(dims, 1);
        assert_eq!(refusal(OpCode::ResizeNearestNeighbor, bytes_of(&params), &[x], None), misfit);
    }

    #[test]
    fn an_empty_output_is_refused() {
        let params = ResizeNearestNeighborParams { size: [2, 0], grid: 0 };
        assert_refused(params, &[1, 2, 2, 1], Misfit::Params);
    }

    #[test]
    fn positions_past_31_bits_are_refused() {
        let params = ResizeNearestNeighborParams { size: [1 << 28, 1], grid: 0 };
        assert_refused(params, &[1, 2, 2, 1], Misfit::Params);
    }

    #[test]
    fn another_grid_is_refused() {
        let params = ResizeNearestNeighborParams { size: [2, 2], grid: 3 };
        assert_refused(params, &[1, 2, 2, 1], Misfit::Params);
    }

    #[test]
    fn an_input_that_is_no_image_is_refused() {
        let params = ResizeNearestNeighborParams { size: [2, 2], grid: 0 };
        assert_refused(params, &[2, 2, 1], Misfit::Rank(0));
    }

    #[test]
    fn words_are_refused() {
        let params = ResizeNearestNeighborParams { size: [2, 2], grid: 0 };
        let x = whole(&[1, 2, 2, 1], 1, DType::I16);
        let refused = refusal(OpCode::ResizeNearestNeighbor, bytes_of(&params), &[x], None);
        assert_eq!(refused, Misfit::DType(0));
    }

    #[test]
    fn an_output_in_the_place_of_x_is_refused() {
        let params = ResizeNearestNeighborParams { size: [2, 2], grid: 0 };
        let x = noise(&[1, 2, 2, 1], 1);
        assert_eq!(
            refusal_in_place(OpCode::ResizeNearestNeighbor, bytes_of(&params), &[x], 0),
            Misfit::Alias(0)
        );
    }
}
