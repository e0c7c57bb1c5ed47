//! What the reductions of 8-bit integers have in common.

use super::pool::{Fold, WIDE, pixel, wide_pixels};
use crate::arch::{Arch, LANES, Loops, Patch};
use crate::kernel::Node;
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use core::marker::PhantomData;
use flatpack_format::ops::mean::ReduceParams;

/// `y = result(all x folded, count)` over the axes. `join` folds two folds to one.
#[inline(always)]
pub(crate) fn run<A: Arch, F: Fold<A, Element = i8>>(
    node: &Node<'_>,
    operands: Operands<'_>,
    axes: &ReduceParams,
    join: impl Fn(F::Folded, F::Folded) -> F::Folded,
    result: impl Fn(F::Folded, u32) -> i8,
) -> Option<()> {
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let (_, count, inner) = axes.around(&node.input(0)?.shape())?;
    let (len, inner) = (count as usize, inner as usize);
    let mut blocks = pieces(reads.get::<i8>(node.input(0)?)?, len * inner);
    for y in pieces_mut(y, inner) {
        let x = blocks.next()?;
        if let [y] = y {
            *y = result(vector::<A, F>(x, &join)?, count);
            continue;
        }
        let (counts, x_steps) = ([1, 1, len], [0, 0, inner]);
        let patch = Patch { counts, x_steps, ..Patch::one_tap([x], inner) };
        let result = |folded| result(folded, count);
        A::vectorize(Block { patch, y, result, folds: PhantomData::<(A, F)> })?;
    }
    Some(())
}

/// Vectors that lie side by side, folded as the channels of a pixel are.
struct Block<'b, A: Arch, F: Fold<A>, R> {
    patch: Patch<'b, 1, F::Element>,
    y: &'b mut [F::Element],
    result: R,
    folds: PhantomData<(A, F)>,
}

impl<A: Arch, F: Fold<A>, R: Fn(F::Folded) -> F::Element> Loops for Block<'_, A, F, R> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<Set: Arch>(self) -> Option<()> {
        let Self { patch, y, result, .. } = self;
        let channels = y.len();
        if A::WIDE_TILES && channels >= WIDE {
            wide_pixels::<A, F>(patch, [1, channels], 0, y, result)
        } else {
            pixel::<A, F>(&patch, y, result)
        }
    }
}

/// Folds neighbours: first those that are `LANES` apart.
#[inline(always)]
fn vector<A: Arch, F: Fold<A>>(
    x: &[F::Element],
    join: impl Fn(F::Folded, F::Folded) -> F::Folded,
) -> Option<F::Folded> {
    let (rows, rest) = x.as_chunks::<LANES>();
    let (counts, x_steps) = ([1, 1, rows.len()], [0, 0, LANES]);
    let mut lanes = [F::START; LANES];
    F::tile(&Patch { counts, x_steps, ..Patch::one_tap([x], LANES) }, &mut lanes)?;
    let folded = lanes.into_iter().fold(F::START, join);
    Some(rest.iter().fold(folded, |folded, x| F::one(folded, *x)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::one_step::{
        Input, along, integers, refusal, refuses_other_operands, run as run_step, shape_and_axis,
    };
    use crate::one_step_i8::{ONE, OPEN};
    use bytemuck::bytes_of;
    use flatpack_format::ops::sum_i8::SumI8Params;
    use flatpack_format::{DType, Misfit, OpCode};
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;
    use std::vec;
    use std::vec::Vec;

    /// The reduction meets the formula along any axes of any shape. `params` are the record for the
    /// axes, `formula` is given the elements along them; both are given a draw of `more`.
    pub(crate) fn it_meets<M: Strategy>(
        op: OpCode,
        more: M,
        params: impl Fn(ReduceParams, M::Value) -> Vec<u8>,
        formula: impl Fn(&[f64], M::Value) -> f64,
    ) where
        M::Value: Copy,
    {
        let cases = (shape_and_axis(), 1usize..3, 0u32..2, any::<u32>(), more);
        let test = |((dims, axis), count, keep_dims, seed, more): ((Vec<u32>, usize), _, _, _, M::Value)| {
            let axes = axis..dims.len().min(axis + count);
            let x = integers(&dims, seed, DType::I8);
            let want = along(&x, axes.clone(), |x| vec![formula(x, more)]);
            let axes = ReduceParams { axis: axis as u32, axis_count: axes.len() as u32, keep_dims };
            prop_assert_eq!(run_step(op, &params(axes, more), &[x]), want);
            Ok(())
        };
        TestRunner::default().run(&cases, test).unwrap();
    }

    fn of_all(axes: ReduceParams) -> [(OpCode, Vec<u8>); 3] {
        let ReduceParams { axis, axis_count, keep_dims } = axes;
        let sum = SumI8Params { axis, axis_count, keep_dims, x_zero_point: 0, multiplier: ONE, y: OPEN };
        let axes = bytes_of(&axes).to_vec();
        [
            (OpCode::SumI8, bytes_of(&sum).to_vec()),
            (OpCode::ReduceMaxI8, axes.clone()),
            (OpCode::ReduceMinI8, axes),
        ]
    }

    fn axes(axis: u32, axis_count: u32, keep_dims: u32) -> ReduceParams {
        ReduceParams { axis, axis_count, keep_dims }
    }

    fn bytes(dims: &[u32]) -> [Input; 1] {
        [integers(dims, 1, DType::I8)]
    }

    #[test]
    fn axes_that_x_has_not_are_refused() {
        for bad in [axes(2, 1, 0), axes(1, 2, 0), axes(0, 0, 0), axes(0, 1, 2), axes(u32::MAX, 1, 0)] {
            for (op, params) in of_all(bad) {
                assert_eq!(refusal(op, &params, &bytes(&[2, 3]), None), Misfit::Params, "{bad:?}");
            }
        }
    }

    #[test]
    fn other_operands_are_refused() {
        for (op, params) in of_all(axes(0, 1, 1)) {
            refuses_other_operands(op, &params, &bytes(&[1, 3]), false, 0);
        }
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        for (op, params) in of_all(axes(0, 1, 0)) {
            // The axis would have to be dropped.
            let [output] = bytes(&[1, 3]);
            let refused = refusal(op, &params, &bytes(&[2, 3]), Some(output.tensor_type()));
            assert_eq!(refused, Misfit::Shape(1));
        }
    }
}
