//! Batched matrix product: `y[…, m, n] = Σₖ a[…, m, k] · b[…, k, n]`, summed in the order of k.
//!
//! | operand | dtype | shape                              | layouts |
//! |---------|-------|------------------------------------|---------|
//! | a       | f32   | `[…, M, K]`                          | rows    |
//! | b       | f32   | […, K, N]; […, N, K] if transposed | rows    |
//! | y       | f32   | `[…, M, N]`                          | rows    |
//!
//! The rule proves the shapes and that y shares no memory with an input.

use crate::arch::{Active, Arch, PANEL_LEN};
use crate::gemm::Weights;
use crate::kernel::{Kernel, Node};
use crate::matrices::each_matrix;
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use flatpack_format::ops::Clamp;
use flatpack_format::ops::batch_matmul::{BatchMatmulParams, RULE};
use flatpack_format::{Layout, OpCode};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::BatchMatmul, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &BatchMatmulParams = node.params()?;
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let a = reads.get::<f32>(node.input(0)?)?;
    let b = reads.get::<f32>(node.input(1)?)?;
    let (_, &[m, k]) = node.input(0)?.shape().dims().split_last_chunk()?;
    let n = node.output()?.shape().last() as usize;
    let (m, k) = (m as usize, k as usize);
    let transposed = params.transpose_b == 1;
    // A few rows do not make it worth to transpose b back. All parts are computed alike.
    let in_tiles = !transposed || m >= 4;
    let macs = y.len().saturating_mul(k);
    each_matrix(node.threads(), y, [m, n], macs, |row, matrix, count, y| {
        let a = a.get(row * k..)?.get(..count * k)?;
        let b = b.get(matrix * k * n..)?.get(..k * n)?;
        if in_tiles && A::matmul_f32(a, b, [count, k, n], transposed, y).is_some() {
            return Some(());
        }
        product::<A>(a, b, k, n, transposed, y)
    })
}

/// Of some rows.
fn product<A: Arch>(a: &[f32], b: &[f32], k: usize, n: usize, transposed: bool, y: &mut [f32]) -> Option<()> {
    if transposed {
        let (layout, clamp) = (Layout::Rows, Clamp::NONE);
        return Weights { layout, w: b, scales: &[], bias: None, depth: k, clamp }.rows::<A>(a, n, y);
    }
    let (mut a, mut y) = (pieces(a, k), pieces_mut(y, n));
    while let (Some(a0), Some(y0)) = (a.next(), y.next()) {
        if let (Some(a1), Some(y1)) = (a.next(), y.next()) {
            rows::<A, 2>([a0, a1], b, [y0, y1])?;
        } else {
            rows::<A, 1>([a0], b, [y0])?;
        }
    }
    Some(())
}

/// `P` rows of y, in tiles of columns; the last tile begins early enough to be a whole one.
fn rows<A: Arch, const P: usize>(a: [&[f32]; P], b: &[f32], mut y: [&mut [f32]; P]) -> Option<()> {
    let n = y.first()?.len();
    let Some(last) = n.checked_sub(PANEL_LEN) else {
        return y.iter_mut().zip(a).try_for_each(|(y, a)| narrow_row(a, b, y));
    };
    for first in (0..last).step_by(PANEL_LEN).chain([last]) {
        let mut sums = [[0.0; PANEL_LEN]; P];
        A::gemm_tile_f32_columns(a, b.get(first..)?, n, &mut sums)?;
        for (y, sums) in y.iter_mut().zip(sums) {
            *y.get_mut(first..)?.first_chunk_mut()? = sums;
        }
    }
    Some(())
}

/// A row of y that is shorter than a tile.
fn narrow_row(a: &[f32], b: &[f32], y: &mut [f32]) -> Option<()> {
    y.fill(0.0);
    let mut b = pieces(b, y.len());
    for a in a {
        y.iter_mut().zip(b.next()?).for_each(|(y, b)| *y += a * b);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Input, difference, input, noise, positions, refusal, refuses_other_operands, run as run_step,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::BatchMatmul;

    fn params(transpose_b: u32) -> BatchMatmulParams {
        BatchMatmulParams { transpose_b }
    }

    fn transposed(b: &Input) -> Input {
        let [batch, k, n] = b.dims[..] else { unreachable!() };
        let values: Vec<_> = positions([batch, n, k]).map(|[i, n, k]| b.at(&[i, k, n]) as f32).collect();
        input(&[batch, n, k], &values)
    }

    fn formula(a: &Input, b: &Input) -> Vec<f32> {
        let ([batch, m, k], [_, _, n]) =
            (<[u32; 3]>::try_from(&a.dims[..]).unwrap(), <[u32; 3]>::try_from(&b.dims[..]).unwrap());
        let sum =
            |[i, m, n]: [u32; 3]| (0..k).map(|k| a.at(&[i, m, k]) * b.at(&[i, k, n])).sum::<f64>() as f32;
        positions([batch, m, n]).map(sum).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_with_b_either_way(
            batch in 1u32..4, m in 1u32..18, k in 1u32..80, n in 1u32..70, seed: u32,
        ) {
            let (a, b) = (noise(&[batch, m, k], seed), noise(&[batch, k, n], !seed));
            let plain = run_step(OP, bytes_of(&params(0)), &[a.clone(), b.clone()]);
            prop_assert!(difference(&plain, &formula(&a, &b)) < 1e-5);
            let either = run_step(OP, bytes_of(&params(1)), &[a, transposed(&b)]);
            prop_assert_eq!(plain, either);
        }
    }

    #[test]
    fn matrices_and_four_dimensions_do_too() {
        let (a, b) = (input(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), input(&[2, 2], &[5.0, 6.0, 7.0, 8.0]));
        assert_eq!(run_step(OP, bytes_of(&params(0)), &[a.clone(), b.clone()]), [19.0, 22.0, 43.0, 50.0]);
        assert_eq!(run_step(OP, bytes_of(&params(1)), &[a, b]), [17.0, 23.0, 39.0, 53.0]);
        let (a, b) = (input(&[1, 2, 1, 1], &[2.0, 3.0]), input(&[1, 2, 1, 1], &[5.0, 7.0]));
        assert_eq!(run_step(OP, bytes_of(&params(0)), &[a, b]), [10.0, 21.0]);
    }

    #[test]
    fn dimensions_that_do_not_meet_are_refused() {
        let pairs: [(&[u32], &[u32]); 3] =
            [(&[2, 3, 4], &[3, 4, 5]), (&[2, 3, 4], &[2, 5, 4]), (&[3, 4], &[1, 4, 5])];
        for (a, b) in pairs {
            let inputs = [noise(a, 1), noise(b, 2)];
            assert_eq!(refusal(OP, bytes_of(&params(0)), &inputs, None), Misfit::Shape(1), "{a:?} {b:?}");
        }
        let inputs = [noise(&[3, 4], 1), noise(&[4, 5], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(1)), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn a_vector_is_refused() {
        let inputs = [noise(&[3], 1), noise(&[3, 4], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(0)), &inputs, None), Misfit::Rank(0));
    }

    #[test]
    fn a_transposition_that_is_neither_yes_nor_no_is_refused() {
        let inputs = [noise(&[2, 2], 1), noise(&[2, 2], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(2)), &inputs, None), Misfit::Params);
    }

    #[test]
    fn other_operands_are_refused() {
        let ones = [input(&[1, 1], &[1.0]), input(&[1, 1], &[1.0])];
        refuses_other_operands(OP, bytes_of(&params(0)), &ones, false, 0);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let inputs = [noise(&[2, 3], 1), noise(&[3, 4], 2)];
        let output = noise(&[4, 2], 0).tensor_type();
        assert_eq!(refusal(OP, bytes_of(&params(0)), &inputs, Some(output)), Misfit::Shape(2));
    }
}
