//! Batched product of matrices of 8-bit integers: `y[…, m, n] = requantize(Σₖ (a[…, m, k] − za) · (b[…,
//! k, n] − zb))`. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape                              | layouts |
//! |---------|-------|------------------------------------|---------|
//! | a       | i8    | `[…, M, K]`                          | rows    |
//! | b       | i8    | […, K, N]; […, N, K] if transposed | rows    |
//! | y       | i8    | `[…, M, N]`                          | rows    |
//!
//! The rule proves the shapes, that multiplier and zero points are in their domains, and that y shares
//! no memory with an input.

use crate::arch::{Active, Arch, LANES, Patch};
use crate::conv::Product;
use crate::fixed;
use crate::gemm;
use crate::gemm_i8::WeightsI8;
use crate::kernel::{Kernel, Node};
use crate::matrices::each_matrix;
#[cfg(feature = "std")]
use crate::matrices::product;
use crate::operands::Operands;
use core::slice;
use flatpack_format::ops::batch_matmul_i8::{BatchMatmulI8Params, RULE};
use flatpack_format::{Layout, OpCode};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::BatchMatmulI8, RULE, run::<A>)
}

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &BatchMatmulI8Params = node.params()?;
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let a = reads.get::<i8>(node.input(0)?)?;
    let b = reads.get::<i8>(node.input(1)?)?;
    let (_, &[m, k]) = node.input(0)?.shape().dims().split_last_chunk()?;
    let n = node.output()?.shape().last() as usize;
    let (m, k) = (m as usize, k as usize);
    let macs = y.len().saturating_mul(k);
    each_matrix(node.threads(), y, [m, n], macs, |row, matrix, count, y| {
        let a = a.get(row * k..)?.get(..count * k)?;
        let b = b.get(matrix * k * n..)?.get(..k * n)?;
        #[cfg(feature = "std")]
        if A::WIDE_TILES && product::<A>(a, b, [k, n], params, y).is_some() {
            return Some(());
        }
        if params.transpose_b == 1 {
            let rows = WeightsI8 {
                layout: Layout::Rows,
                w: b,
                bias: &[],
                requant: slice::from_ref(&params.multiplier),
                depth: k,
                x_zero_point: params.a_zero_point,
                w_zero_point: params.b_zero_point,
                folded: false,
                y: params.y,
                plain: false,
                quads: &[],
            };
            gemm::rows::<A, _>(&rows, k, a, n, y)
        } else {
            gemm::rows::<A, _>(&Columns { b, params }, k, a, n, y)
        }
    })
}

/// A matrix `[K, N]`.
struct Columns<'a> {
    b: &'a [i8],
    params: &'a BatchMatmulI8Params,
}

impl Product for Columns<'_> {
    type Element = i8;

    /// `P` rows of y, in tiles of columns; the last tile begins early enough to be a whole one.
    fn pixels<A: Arch, const P: usize>(
        &self,
        rows: &Patch<'_, P, i8>,
        _: bool,
        mut y: [&mut [i8]; P],
    ) -> Option<()> {
        let n = y.first()?.len();
        let offset = (self.params.a_zero_point as i16).wrapping_neg();
        let mut start = [0i32; P];
        if self.params.b_zero_point != 0 {
            for (p, start) in start.iter_mut().enumerate() {
                *start = A::sum_i8(&rows.pixel(p)?, offset)?.wrapping_mul(self.params.b_zero_point);
                *start = start.wrapping_neg();
            }
        }
        // Each element of a row is a tap.
        let (counts, w_steps) = ([1, 1, rows.len], [0, 0, n as isize]);
        let taps = Patch { len: 1, counts, x_steps: [0, 0, 1], w_steps, ..*rows };
        let last = n.saturating_sub(LANES);
        for first in (0..last).step_by(LANES).chain([last]) {
            let mut sums = start.map(|start| [start; LANES]);
            if n < LANES {
                for (p, sums) in sums.iter_mut().enumerate() {
                    self.narrow(&taps.pixel(p)?, offset, n, sums)?;
                }
            } else {
                A::gemm_tile_i8_columns(&taps, offset, self.b.get(first..)?, &mut sums)?;
            }
            for (sums, y) in sums.iter().zip(&mut y) {
                for (sum, y) in sums.iter().zip(y.get_mut(first..)?) {
                    *y = fixed::requantize(*sum, self.params.multiplier, &self.params.y);
                }
            }
        }
        Some(())
    }
}

impl Columns<'_> {
    /// Adds to the sums of the `n` columns of a matrix that is narrower than a tile.
    fn narrow(&self, taps: &Patch<'_, 1, i8>, offset: i16, n: usize, sums: &mut [i32; LANES]) -> Option<()> {
        let [a] = taps.x;
        taps.try_each_tap(|a_at, b_at| {
            let a = i32::from(*a.get(a_at)?).wrapping_add(offset.into());
            for (sum, &b) in sums.iter_mut().zip(self.b.get(b_at..)?.get(..n)?) {
                *sum = sum.wrapping_add(a.wrapping_mul(b.into()));
            }
            Some(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Input, integers, positions, refusal, refuses_other_operands, run as run_step, words,
    };
    use crate::one_step_i8::{
        BAD_MULTIPLIERS, BAD_OUTPUTS, ONE, OPEN, floats, multiplier, output_i8, requantized_by, zero_point,
    };
    use bytemuck::bytes_of;
    use flatpack_format::ops::OutputI8;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec::Vec;

    const OP: OpCode = OpCode::BatchMatmulI8;

    const PARAMS: BatchMatmulI8Params =
        BatchMatmulI8Params { transpose_b: 0, a_zero_point: 0, b_zero_point: 0, multiplier: ONE, y: OPEN };

    fn transposed(b: &Input) -> Input {
        let [batch, k, n] = b.dims[..] else { unreachable!() };
        let values = positions([batch, n, k]).map(|[i, n, k]| b.int(&[i, k, n]) as i32);
        words(&[batch, n, k], &values.collect::<Vec<_>>(), DType::I8)
    }

    fn formula(a: &Input, b: &Input, params: &BatchMatmulI8Params) -> Vec<f32> {
        let ([batch, m, k], [_, _, n]) =
            (<[u32; 3]>::try_from(&a.dims[..]).unwrap(), <[u32; 3]>::try_from(&b.dims[..]).unwrap());
        let (za, zb) = (i64::from(params.a_zero_point), i64::from(params.b_zero_point));
        let element = |[i, m, n]: [u32; 3]| {
            let product = |k: u32| (a.int(&[i, m, k]) - za) * (b.int(&[i, k, n]) - zb);
            requantized_by((0..k).map(product).sum(), params.multiplier, &params.y)
        };
        floats(positions([batch, m, n]).map(element))
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_with_b_either_way(
            batch in 1u32..4, m in 1u32..18, k in 1u32..60, n in 1u32..70,
            za in zero_point(), zb in zero_point(), by in multiplier(), y in output_i8(), seed: u32,
        ) {
            let (a, b) = (integers(&[batch, m, k], seed, DType::I8), integers(&[batch, k, n], !seed, DType::I8));
            let params =
                BatchMatmulI8Params { a_zero_point: za, b_zero_point: zb, multiplier: by, y, ..PARAMS };
            let want = formula(&a, &b, &params);
            prop_assert_eq!(&run_step(OP, bytes_of(&params), &[a.clone(), b.clone()]), &want);
            let params = BatchMatmulI8Params { transpose_b: 1, ..params };
            prop_assert_eq!(&run_step(OP, bytes_of(&params), &[a, transposed(&b)]), &want);
        }
    }

    #[test]
    fn matrices_and_four_dimensions_do_too() {
        let (a, b) = (words(&[2, 2], &[1, 2, 3, 4], DType::I8), words(&[2, 2], &[5, 6, 7, 8], DType::I8));
        assert_eq!(run_step(OP, bytes_of(&PARAMS), &[a, b]), [19.0, 22.0, 43.0, 50.0]);
        let [a, b] = [[2, 3], [5, 7]].map(|v| words(&[1, 2, 1, 1], &v, DType::I8));
        assert_eq!(run_step(OP, bytes_of(&PARAMS), &[a, b]), [10.0, 21.0]);
    }

    #[test]
    fn the_zero_point_is_added_and_the_bounds_hold() {
        let params = BatchMatmulI8Params { y: OutputI8 { zero_point: 10, min: 10, max: 60 }, ..PARAMS };
        let (a, b) = (words(&[1, 1], &[1], DType::I8), words(&[1, 3], &[-2, 4, 90], DType::I8));
        assert_eq!(run_step(OP, bytes_of(&params), &[a, b]), [10.0, 14.0, 60.0]);
    }

    fn bytes(dims: &[u32]) -> Input {
        integers(dims, 1, DType::I8)
    }

    #[test]
    fn dimensions_that_do_not_meet_are_refused() {
        let pairs: [(&[u32], &[u32]); 3] =
            [(&[2, 3, 4], &[3, 4, 5]), (&[2, 3, 4], &[2, 5, 4]), (&[3, 4], &[1, 4, 5])];
        for (a, b) in pairs {
            let inputs = [bytes(a), bytes(b)];
            assert_eq!(refusal(OP, bytes_of(&PARAMS), &inputs, None), Misfit::Shape(1), "{a:?} {b:?}");
        }
        let params = BatchMatmulI8Params { transpose_b: 1, ..PARAMS };
        let inputs = [bytes(&[3, 4]), bytes(&[4, 5])];
        assert_eq!(refusal(OP, bytes_of(&params), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn a_vector_is_refused() {
        let inputs = [bytes(&[3]), bytes(&[3, 4])];
        assert_eq!(refusal(OP, bytes_of(&PARAMS), &inputs, None), Misfit::Rank(0));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let bad = [
            BatchMatmulI8Params { transpose_b: 2, ..PARAMS },
            BatchMatmulI8Params { a_zero_point: 128, ..PARAMS },
            BatchMatmulI8Params { b_zero_point: -129, ..PARAMS },
        ];
        let bad = bad.into_iter().chain(BAD_OUTPUTS.map(|y| BatchMatmulI8Params { y, ..PARAMS }));
        let multipliers = BAD_MULTIPLIERS.map(|multiplier| BatchMatmulI8Params { multiplier, ..PARAMS });
        for bad in bad.chain(multipliers) {
            let inputs = [bytes(&[2, 2]), bytes(&[2, 2])];
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        refuses_other_operands(OP, bytes_of(&PARAMS), &[bytes(&[1, 1]), bytes(&[1, 1])], false, 0);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let output = bytes(&[2, 3]).tensor_type();
        let inputs = [bytes(&[2, 2]), bytes(&[2, 2])];
        assert_eq!(refusal(OP, bytes_of(&PARAMS), &inputs, Some(output)), Misfit::Shape(2));
    }
}
