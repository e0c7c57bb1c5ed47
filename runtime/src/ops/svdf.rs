//! Filters of rank 1 over a feature and over time: the state of each filter moves on by one and takes
//! `Σᵢ x[n, i] · w_feature[f, i]` as its last element; then `y[n, u] = clamp(bias[u] + Σᵣ Σₘ state[n, f,
//! m] · w_time[f, m])` over the filters `f = u · rank + r`. Sums are added up in the order of i, m, r.
//!
//! Nakkiran et al., "Compressing deep neural networks using a rank-constrained topology" (2015).
//!
//! | operand   | dtype | shape     | layouts |
//! |-----------|-------|-----------|---------|
//! | x         | f32   | `[N, I]`    | rows    |
//! | w_feature | f32   | `[F, I]`    | rows    |
//! | w_time    | f32   | `[F, M]`    | rows    |
//! | bias      | f32   | `[U]`       | rows    |
//! | state     | f32   | `[N, F, M]` | rows; state |
//! | y         | f32   | `[N, U]`    | rows    |
//!
//! The rule proves the shapes, F = U · rank, rank ≥ 1, that the state is one, and that nothing written
//! shares memory with another operand.

use crate::arch::{Active, Arch, Patch, ROW_TILE, clamp, move_on};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use bytemuck::try_cast_slice_mut;
use flatpack_format::OpCode;
use flatpack_format::ops::svdf::{RULE, SvdfParams};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::Svdf, RULE, run::<Active>);

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &SvdfParams = node.params()?;
    let [filters, inputs] = node.input_dims(1)?;
    let [_, memory] = node.input_dims(2)?;
    let [_, units] = node.output_dims()?;
    let (reads, [y, state]) = operands.split([node.output()?, node.input(4)?])?;
    let (y, state) = (try_cast_slice_mut::<_, f32>(y).ok()?, try_cast_slice_mut::<_, f32>(state).ok()?);
    let x = reads.get::<f32>(node.input(0)?)?;
    let w_feature = reads.get::<f32>(node.input(1)?)?;
    let w_time = reads.get::<f32>(node.input(2)?)?;
    let bias = reads.get::<f32>(node.input(3)?)?;
    let rows = pieces(x, inputs).zip(pieces_mut(state, filters * memory)).zip(pieces_mut(y, units));
    for ((x, state), y) in rows {
        {
            let mut held = pieces_mut(state, memory);
            for first in (0..filters).step_by(ROW_TILE) {
                let mut sums = [0.0; ROW_TILE];
                let rows = sums.get_mut(..(filters - first).min(ROW_TILE))?;
                let w = w_feature.get(first * inputs..)?;
                A::gemm_rows_f32(&Patch::one_tap([x], inputs), w, inputs, &mut [rows])?;
                sums.into_iter().zip(held.by_ref()).for_each(|(sum, held)| move_on(held, sum));
            }
        }
        let mut filters = pieces(state, memory).zip(pieces(w_time, memory));
        for (y, bias) in y.iter_mut().zip(bias) {
            let mut total = *bias;
            for (held, w) in filters.by_ref().take(params.rank as usize) {
                total += held.iter().zip(w).fold(0.0, |sum, (held, w)| sum + held * w);
            }
            *y = clamp(total, params.clamp.min, params.clamp.max);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{Input, difference, noise, refusal_with_states, stream};
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use flatpack_format::ops::Clamp;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// x, w_feature, w_time, bias, state.
    fn operands(batch: u32, inputs: u32, units: u32, rank: u32, memory: u32, seed: u32) -> Vec<Input> {
        let filters = units * rank;
        vec![
            noise(&[batch, inputs], seed),
            noise(&[filters, inputs], seed ^ 1),
            noise(&[filters, memory], seed ^ 2),
            noise(&[units], seed ^ 3),
            noise(&[batch, filters, memory], seed ^ 4),
        ]
    }

    /// All features since the start, and sums over the last of them.
    fn formula(operands: &[Input], rank: u32, xs: &[Input]) -> Vec<Vec<f32>> {
        let [_, w_feature, w_time, bias, state] = operands else { panic!() };
        let &[batch, filters, memory] = state.dims.as_slice() else { panic!() };
        let mut features: Vec<Vec<f64>> = state
            .values
            .chunks(memory as usize)
            .map(|held| held.iter().map(|&v| f64::from(v)).collect())
            .collect();
        xs.iter()
            .map(|x| {
                for (n, f) in (0..batch).flat_map(|n| (0..filters).map(move |f| (n, f))) {
                    let products = (0..x.dims[1]).map(|i| x.at(&[n, i]) * w_feature.at(&[f, i]));
                    features[(n * filters + f) as usize].push(products.sum());
                }
                let units = (0..batch).flat_map(|n| (0..filters / rank).map(move |u| (n, u)));
                let y = units.map(|(n, u)| {
                    let of_filter = |f: u32| -> f64 {
                        let all = &features[(n * filters + f) as usize];
                        let last = &all[all.len() - memory as usize..];
                        (0..memory).map(|m| last[m as usize] * w_time.at(&[f, m])).sum()
                    };
                    let sum: f64 = (u * rank..(u + 1) * rank).map(of_filter).sum();
                    (bias.at(&[u]) + sum) as f32
                });
                y.collect()
            })
            .collect()
    }

    const NONE: SvdfParams = SvdfParams { rank: 1, clamp: Clamp::NONE };

    proptest! {
        #[test]
        fn a_stream_meets_the_formula(
            (batch, inputs, units) in (1u32..3, 1u32..20, 1u32..7),
            (rank, memory) in (1u32..4, 1u32..9),
            seed: u32,
        ) {
            let operands = operands(batch, inputs, units, rank, memory, seed);
            let xs: Vec<Input> = (0..memory + 2).map(|at| noise(&[batch, inputs], seed ^ at << 8)).collect();
            let params = SvdfParams { rank, ..NONE };
            let got = stream(OpCode::Svdf, bytes_of(&params), &operands, 1, &xs);
            for (got, want) in got.iter().zip(formula(&operands, rank, &xs)) {
                prop_assert!(difference(got, &want) < 1e-4);
            }
        }
    }

    #[test]
    fn the_clamp_bounds_the_result() {
        let operands = operands(2, 3, 40, 2, 5, 7);
        let run = |clamp| {
            let params = SvdfParams { rank: 2, clamp };
            stream(OpCode::Svdf, bytes_of(&params), &operands, 1, &operands[..1]).concat()
        };
        let bounded: Vec<f32> = run(Clamp::NONE).iter().map(|y| y.clamp(0.0, 0.5)).collect();
        assert_eq!(run(Clamp { min: 0.0, max: 0.5 }), bounded);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let fitting = operands(2, 3, 4, 3, 5, 1);
        let refused = |params: &SvdfParams, at: usize, dims: &[u32]| {
            let mut operands = fitting.clone();
            operands[at] = noise(dims, 9);
            refusal_with_states(OpCode::Svdf, bytes_of(params), &operands, 1)
        };
        let params = SvdfParams { rank: 3, ..NONE };
        assert_eq!(refused(&params, 0, &[2, 3, 1]), Misfit::Rank(0));
        assert_eq!(refused(&params, 0, &[1, 3]), Misfit::Shape(4));
        assert_eq!(refused(&params, 1, &[12, 4]), Misfit::Shape(1));
        assert_eq!(refused(&params, 2, &[9, 5]), Misfit::Shape(2));
        assert_eq!(refused(&params, 2, &[12]), Misfit::Rank(2));
        assert_eq!(refused(&params, 3, &[12]), Misfit::Shape(3));
        assert_eq!(refused(&params, 4, &[2, 60]), Misfit::Shape(4));
        for rank in [0, 5, 13, u32::MAX] {
            assert_eq!(refused(&SvdfParams { rank, ..NONE }, 3, &[4]), Misfit::Params);
        }
        let clamp = Clamp { min: 1.0, max: 0.0 };
        assert_eq!(refused(&SvdfParams { rank: 3, clamp }, 3, &[4]), Misfit::Params);
    }
}
