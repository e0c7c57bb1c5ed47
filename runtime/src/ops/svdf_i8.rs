//! Filters of rank 1 over a feature and over time, of 8-bit integers with a state of 16 bits: the state of
//! each filter moves on by one and takes `(feature_bias[f] + Σᵢ x[n, i] · w_feature[f, i]) · requant[0]`,
//! bounded to 16 bits, as its last element; then `y[n, u] = requantize((bias[u] + Σᵣ Σₘ state[n, f, m] ·
//! w_time[f, m]) · requant[1])` over the filters `f = u · rank + r`. As TensorFlow Lite's reference
//! kernel, with `−zx · Σᵢ w_feature[f, i]` as the feature's bias.
//!
//! | operand      | dtype | shape     | layouts |
//! |--------------|-------|-----------|---------|
//! | x            | i8    | `[N, I]`    | rows    |
//! | w_feature    | i8    | `[F, I]`    | rows    |
//! | feature_bias | i32   | `[F]`       | rows    |
//! | w_time       | i16   | `[F, M]`    | rows    |
//! | bias         | i32   | `[U]`       | rows    |
//! | requant      | i32   | `[2, 2]`    | rows; constant multipliers |
//! | state        | i16   | `[N, F, M]` | rows; state |
//! | y            | i8    | `[N, U]`    | rows    |
//!
//! The rule proves the shapes, F = U · rank, rank ≥ 1, that the multipliers and the zero point are in their
//! domains, that the state is one, and that nothing written shares memory with another operand.

use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use bytemuck::try_cast_slice_mut;
use flatpack_format::OpCode;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::svdf_i8::{RULE, SvdfI8Params};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::SvdfI8, RULE, run::<Active>);

/// Filters that are computed at once, at most.
const FILTERS: usize = 64;

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &SvdfI8Params = node.params()?;
    let [filters, inputs] = node.input_dims(1)?;
    let [_, memory] = node.input_dims(3)?;
    let [_, units] = node.output_dims()?;
    let (reads, [y, state]) = operands.split([node.output()?, node.input(6)?])?;
    let (y, state) = (try_cast_slice_mut::<_, i8>(y).ok()?, try_cast_slice_mut::<_, i16>(state).ok()?);
    let x = reads.get::<i8>(node.input(0)?)?;
    let w_feature = reads.get::<i8>(node.input(1)?)?;
    let feature_bias = reads.get::<i32>(node.input(2)?)?;
    let w_time = reads.get::<i16>(node.input(3)?)?;
    let bias = reads.get::<i32>(node.input(4)?)?;
    let &[of_feature, of_time]: &[Multiplier; 2] = reads.get(node.input(5)?)?.try_into().ok()?;
    let rank = params.rank as usize;
    // All filters of some units, or some of one that has more.
    let tile = FILTERS.checked_div(rank)?.max(1);
    let (mut sums, mut features, mut totals) = ([0; FILTERS], [0; FILTERS], [0; FILTERS]);
    let rows = pieces(x, inputs).zip(pieces_mut(state, filters * memory)).zip(pieces_mut(y, units));
    for ((x, state), y) in rows {
        for (tile_at, y) in y.chunks_mut(tile).enumerate() {
            let (unit, totals) = (tile_at * tile, totals.get_mut(..y.len())?);
            totals.iter_mut().zip(bias.get(unit..)?).for_each(|(total, bias)| *total = *bias);
            let (mut first, end) = (unit * rank, (unit + y.len()) * rank);
            while first < end {
                let next = end.min(first + FILTERS);
                let (sums, new) = (sums.get_mut(..next - first)?, features.get_mut(..next - first)?);
                A::row_sums_i8(sums, feature_bias.get(first..)?, x, w_feature.get(first * inputs..)?)?;
                new.fill(0);
                A::add_multiplied_i16(new, sums, of_feature);
                let held = state.get_mut(first * memory..next * memory)?;
                A::state_sums_i16(totals, new, held, w_time.get(first * memory..)?)?;
                first = next;
            }
            A::requantize_row_i8(y, totals, of_time, &params.y);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{Input, refusal_with_states, stream, typed, whole};
    use bytemuck::bytes_of;
    use flatpack_format::ops::OutputI8;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// 2⁻² and 2⁻⁹: multipliers with a mantissa of 30 bits.
    const REQUANT: [f32; 4] = [(1 << 30) as f32, -1.0, (1 << 30) as f32, -8.0];

    /// x, w_feature, feature_bias, w_time, bias, requant, state.
    fn operands(batch: u32, inputs: u32, units: u32, rank: u32, memory: u32, seed: u32) -> Vec<Input> {
        let filters = units * rank;
        vec![
            whole(&[batch, inputs], seed, DType::I8),
            whole(&[filters, inputs], seed ^ 1, DType::I8),
            whole(&[filters], seed ^ 5, DType::I32),
            whole(&[filters, memory], seed ^ 2, DType::I16),
            whole(&[units], seed ^ 3, DType::I32),
            typed(&[2, 2], &REQUANT, DType::I32),
            whole(&[batch, filters, memory], seed ^ 4, DType::I16),
        ]
    }

    /// `x / 2^(bits + 1)`, rounded as the product with 2³⁰ and a shift of `−bits` is: to `x / 2` with
    /// halves up, then halves away from zero.
    fn rounded(x: i64, bits: u32) -> i64 {
        let (half, divisor) = ((x + 1).div_euclid(2), 1 << bits);
        half.signum() * ((2 * half.abs() + divisor) / (2 * divisor))
    }

    fn formula(operands: &[Input], rank: u32, y: &OutputI8, xs: &[Input]) -> Vec<Vec<f32>> {
        let [_, w_feature, feature_bias, w_time, bias, _, state] = operands else { panic!() };
        let &[batch, filters, memory] = state.dims.as_slice() else { panic!() };
        let at = |input: &Input, position: &[u32]| input.at(position) as i64;
        let mut features: Vec<Vec<i64>> = state
            .values
            .chunks(memory as usize)
            .map(|held| held.iter().map(|&v| v as i64).collect())
            .collect();
        xs.iter()
            .map(|x| {
                for (n, f) in (0..batch).flat_map(|n| (0..filters).map(move |f| (n, f))) {
                    let products: i64 = (0..x.dims[1]).map(|i| at(x, &[n, i]) * at(w_feature, &[f, i])).sum();
                    let feature = rounded(at(feature_bias, &[f]) + products, 1).clamp(-32768, 32767);
                    features[(n * filters + f) as usize].push(feature);
                }
                let units = (0..batch).flat_map(|n| (0..filters / rank).map(move |u| (n, u)));
                let sums = units.map(|(n, u)| {
                    let of_filter = |f: u32| -> i64 {
                        let all = &features[(n * filters + f) as usize];
                        let last = &all[all.len() - memory as usize..];
                        (0..memory).map(|m| last[m as usize] * at(w_time, &[f, m])).sum()
                    };
                    let sum: i64 = (u * rank..(u + 1) * rank).map(of_filter).sum();
                    let moved = rounded(at(bias, &[u]) + sum, 8) + i64::from(y.zero_point);
                    moved.clamp(y.min.into(), y.max.into()) as f32
                });
                sums.collect()
            })
            .collect()
    }

    const Y: OutputI8 = OutputI8 { zero_point: -7, min: -120, max: 127 };

    proptest! {
        #[test]
        fn a_stream_meets_the_formula(
            (batch, inputs, units) in (1u32..3, 1u32..20, 1u32..7),
            (rank, memory) in (prop_oneof![1u32..4, 14u32..40], 1u32..9),
            seed: u32,
        ) {
            let operands = operands(batch, inputs, units, rank, memory, seed);
            let xs: Vec<Input> =
                (0..memory + 2).map(|at| whole(&[batch, inputs], seed ^ at << 8, DType::I8)).collect();
            let params = SvdfI8Params { rank, y: Y };
            let got = stream(OpCode::SvdfI8, bytes_of(&params), &operands, 1, &xs);
            prop_assert_eq!(got, formula(&operands, rank, &Y, &xs));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let fitting = operands(2, 3, 4, 3, 5, 1);
        let params = SvdfI8Params { rank: 3, y: Y };
        let refused = |params: &SvdfI8Params, at: usize, input: Input| {
            let mut operands = fitting.clone();
            operands[at] = input;
            refusal_with_states(OpCode::SvdfI8, bytes_of(params), &operands, 1)
        };
        for (at, operand) in fitting.iter().enumerate() {
            let other = whole(&operand.dims, 1, DType::U8);
            assert_eq!(refused(&params, at, other), Misfit::DType(at as u8));
        }
        let words = |dims| whole(dims, 1, DType::I32);
        assert_eq!(refused(&params, 2, words(&[4])), Misfit::Shape(2));
        assert_eq!(refused(&params, 4, words(&[12])), Misfit::Shape(4));
        assert_eq!(refused(&params, 5, words(&[4])), Misfit::Shape(5));
        assert_eq!(refused(&params, 5, words(&[2, 2])), Misfit::Constant(5));
        assert_eq!(refused(&params, 6, whole(&[2, 12, 6], 1, DType::I16)), Misfit::Shape(6));
        assert_eq!(refused(&SvdfI8Params { rank: 5, ..params }, 4, words(&[4])), Misfit::Params);
        let y = OutputI8 { max: 128, ..Y };
        assert_eq!(refused(&SvdfI8Params { y, ..params }, 4, words(&[4])), Misfit::Params);
    }
}
