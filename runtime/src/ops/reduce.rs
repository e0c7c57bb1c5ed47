//! What the reductions have in common.

use crate::arch::{Arch, Loops};
use crate::kernel::Node;
use crate::lanes::{LANES, NO_VALUES, Rows};
use crate::operands::Operands;
use crate::pieces::pieces;
use flatpack_format::ops::mean::ReduceParams;

/// What an element of x is taken to cost, in multiply-accumulates.
const COST: usize = 4;

/// `y = result(all x joined, count)`, in the order of [`crate::lanes`]. `identity` changes nothing
/// that it is joined with.
#[inline(always)]
pub(crate) fn run<A: Arch>(
    node: &Node<'_>,
    operands: Operands<'_>,
    identity: f32,
    join: impl Fn(f32, f32) -> f32 + Copy + Sync,
    result: impl Fn(f32, f32) -> f32 + Sync,
) -> Option<()> {
    let params: &ReduceParams = node.params()?;
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    let (_, len, inner) = params.around(&node.input(0)?.shape())?;
    let (count, len, inner) = (len as f32, len as usize, inner as usize);
    let x = reads.get::<f32>(node.input(0)?)?;
    // One block is shared out by its vectors, several as they are.
    let single = inner == y.len();
    node.threads().share(y, if single { LANES } else { inner }, COST * x.len(), |first, y| {
        let (block, skipped) = if single { (0, first) } else { (first, 0) };
        let x = x.get(block * len * inner..)?;
        A::vectorize(Blocks {
            x,
            len,
            inner,
            skipped,
            y,
            identity,
            join,
            result: |joined| result(joined, count),
        })
    })
}

/// Blocks `[len, inner]` of x, of the first of which some stretches of [`LANES`] elements of y are skipped.
struct Blocks<'b, J, R> {
    x: &'b [f32],
    len: usize,
    inner: usize,
    skipped: usize,
    y: &'b mut [f32],
    identity: f32,
    join: J,
    result: R,
}

impl<J: Fn(f32, f32) -> f32 + Copy, R: Fn(f32) -> f32> Loops for Blocks<'_, J, R> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<A: Arch>(self) -> Option<()> {
        let Self { x, len, inner, skipped, y, identity, join, result } = self;
        let mut blocks = pieces(x, len * inner);
        for y in y.chunks_mut(inner.max(1)) {
            let x = blocks.next()?;
            for (rows, y) in Rows::of_vectors(inner).skip(skipped).zip(y.chunks_mut(LANES)) {
                let joined = rows.reduce(x, &NO_VALUES, identity, |x, _| x, join);
                y.iter_mut().zip(joined).for_each(|(y, joined)| *y = result(joined));
            }
        }
        Some(())
    }
}

/// The kernel of a reduction: its opcode and module, what it joins with, how, and the result from
/// that and the number of elements.
macro_rules! kernel {
    ($op:ident, $module:ident, $identity:expr, $join:expr, $result:expr) => {
        /// The kernel.
        pub const KERNEL: $crate::kernel::Kernel = kernel::<$crate::arch::Active>();

        /// The kernel, with the loops of an instruction set.
        pub(crate) const fn kernel<A: $crate::arch::Arch>() -> $crate::kernel::Kernel {
            $crate::kernel::Kernel::new(
                flatpack_format::OpCode::$op,
                flatpack_format::ops::$module::RULE,
                |node, operands| $crate::ops::reduce::run::<A>(node, operands, $identity, $join, $result),
            )
        }
    };
}
pub(crate) use kernel;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::one_step::{
        along, input, noise, refusal, refuses_other_operands, run as run_step, shape_and_axis,
    };
    use bytemuck::bytes_of;
    use flatpack_format::{Misfit, OpCode};
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;
    use std::vec;
    use std::vec::Vec;

    fn params(axis: usize, axis_count: usize, keep_dims: u32) -> ReduceParams {
        ReduceParams { axis: axis as u32, axis_count: axis_count as u32, keep_dims }
    }

    /// What the roundings of a sum of these terms may come to: none is the result of more than 64
    /// additions on top of each other.
    pub(crate) fn sum_error(x: &[f64]) -> f64 {
        64.0 / (1 << 24) as f64 * x.iter().map(|x| x.abs()).sum::<f64>()
    }

    /// The reduction meets the formula, give or take a tolerance, along any axes of any shape.
    pub(crate) fn it_meets(op: OpCode, formula: impl Fn(&[f64]) -> f64, tolerance: impl Fn(&[f64]) -> f64) {
        let cases = (shape_and_axis(), 1usize..3, 0u32..2, any::<u32>());
        let test = |((dims, axis), count, keep_dims, seed): ((Vec<u32>, usize), usize, u32, u32)| {
            let axes = axis..dims.len().min(axis + count);
            let x = noise(&dims, seed);
            let want = along(&x, axes.clone(), |x| vec![formula(x)]);
            let tolerances = along(&x, axes.clone(), |x| vec![tolerance(x)]);
            let params = params(axis, axes.len(), keep_dims);
            let got = run_step(op, bytes_of(&params), &[x]);
            prop_assert_eq!(got.len(), want.len());
            for ((got, want), tolerance) in got.iter().zip(want).zip(tolerances) {
                prop_assert!((got - want).abs() <= tolerance, "{got}, should be {want}");
            }
            Ok(())
        };
        TestRunner::default().run(&cases, test).unwrap();
    }

    /// The reduction of a vector.
    pub(crate) fn of(op: OpCode, x: &[f32]) -> f32 {
        run_step(op, bytes_of(&params(0, 1, 0)), &[input(&[x.len() as u32], x)])[0]
    }

    /// Reductions of 200 000 times `value`, the elements following each other and 3 apart.
    pub(crate) fn long(op: OpCode, value: f32) -> Vec<f32> {
        [[1, 200_000, 1], [1, 200_000, 3]]
            .into_iter()
            .flat_map(|dims: [u32; 3]| {
                let x = input(&dims, &vec![value; dims.iter().product::<u32>() as usize]);
                run_step(op, bytes_of(&params(1, 1, 0)), &[x])
            })
            .collect()
    }

    /// The vector with a NaN gives a NaN, wherever it is, and no other does.
    pub(crate) fn a_nan_stays(op: OpCode) {
        for len in [2, 16, 17, 70] {
            for at in [0, len / 2, len - 1] {
                let mut x = noise(&[3, len], 5);
                x.values[(len + at) as usize] = f32::NAN;
                let y = run_step(op, bytes_of(&params(1, 1, 0)), &[x]);
                assert_eq!(y.iter().map(|y| y.is_nan()).collect::<Vec<_>>(), [false, true, false]);
            }
        }
    }

    const OPS: [OpCode; 5] =
        [OpCode::Mean, OpCode::Sum, OpCode::ReduceMax, OpCode::ReduceMin, OpCode::ReduceProd];

    #[test]
    fn axes_that_x_has_not_are_refused() {
        for op in OPS {
            for bad in
                [params(2, 1, 0), params(1, 2, 0), params(0, 0, 0), params(0, 1, 2), params(usize::MAX, 1, 0)]
            {
                assert_eq!(
                    refusal(op, bytes_of(&bad), &[noise(&[2, 3], 1)], None),
                    Misfit::Params,
                    "{bad:?}"
                );
            }
        }
    }

    #[test]
    fn other_operands_are_refused() {
        for op in OPS {
            refuses_other_operands(op, bytes_of(&params(0, 1, 1)), &[input(&[1, 3], &[1.0; 3])], false, 0);
        }
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        for op in OPS {
            // The axis would have to be dropped.
            let output = noise(&[1, 3], 0).tensor_type();
            let x = [noise(&[2, 3], 1)];
            assert_eq!(refusal(op, bytes_of(&params(0, 1, 0)), &x, Some(output)), Misfit::Shape(1));
        }
    }
}
