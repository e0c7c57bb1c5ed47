//! Group normalisation: `y = (x − mean) / √(variance + epsilon) · scale + bias`, mean and variance
//! being those of a group of neighbouring channels of a sample, over all positions (Wu and He, "Group
//! Normalization", 2018).
//!
//! | operand | dtype | shape      | layouts                  |
//! |---------|-------|------------|--------------------------|
//! | x       | f32   | `[N, …, C]`  | rows                     |
//! | scale   | f32   | `[C]`        | rows; may be absent      |
//! | bias    | f32   | `[C]`        | rows; absent if scale is |
//! | y       | f32   | x's        | rows                     |
//!
//! y may lie in the place of x. The rule proves the shapes, that the groups divide the channels, that
//! epsilon is not negative, and that y shares no memory with scale and bias.

use super::layer_normalization::affine;
use crate::arch::{Active, Arch};
use crate::kernel::{Kernel, Node, vectorized};
use crate::lanes::{LANES, Lanes, NO_VALUES, Rows};
use crate::math::rsqrt;
use crate::operands::Operands;
use crate::pieces::pieces_mut;
use flatpack_format::OpCode;
use flatpack_format::ops::group_normalization::{GroupNormalizationParams, RULE};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::GroupNormalization, RULE, |node, operands| {
        vectorized!(A, |node, operands| run::<A>(node, operands))
    })
}

#[inline(always)]
fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &GroupNormalizationParams = node.params()?;
    let x = node.input(0)?;
    let (_, _, sample_len) = x.shape().around(0)?;
    let channels = x.shape().last() as usize;
    let width = channels.checked_div(params.groups as usize)?;
    let positions = (sample_len as usize).checked_div(channels)?;
    let count = (positions * width) as f32;
    // Narrow groups go together, as many as the lanes have room for; a wide one takes several turns.
    let together = width * LANES.checked_div(width)?.max(1);

    let (reads, y) = operands.write_over(x, node.output()?)?;
    for y in pieces_mut(y, sample_len as usize) {
        for first in (0..channels).step_by(together.max(1)) {
            let end = channels.min(first + together);
            let rows = Rows { stride: channels, first, width: LANES, shared: LANES.min(width) };
            let turns = (first..end).step_by(LANES).map(|first| Rows {
                first,
                width: LANES.min(end - first),
                ..rows
            });
            let mean = rows.map(sums(turns.clone(), y, |x| x), |sum| sum / count);
            turns.clone().for_each(|rows| rows.update(y, &mean, |x, mean| x - mean));
            let squares = sums(turns.clone(), y, |x| x * x);
            let factor = rows.map(squares, |sum| rsqrt(sum / count + params.epsilon));
            turns.for_each(|rows| rows.update(y, &factor, |x, factor| x * factor));
        }
    }
    affine::<A>(node, &reads, y, channels)
}

/// `Σ f(x)` of each group.
#[inline(always)]
fn sums(turns: impl Iterator<Item = Rows>, x: &[f32], f: impl Fn(f32) -> f32) -> Lanes {
    turns.fold(NO_VALUES, |mut sums, rows| {
        let more = rows.sum(x, &NO_VALUES, |x, _| f(x));
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        sums
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{
        Input, difference, input, noise, positions, recorded, refusal, refuses_other_operands,
        run as run_step, run_in_place,
    };
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const OP: OpCode = OpCode::GroupNormalization;

    fn params(groups: u32, epsilon: f32) -> GroupNormalizationParams {
        GroupNormalizationParams { groups, epsilon }
    }

    fn formula(groups: u32, epsilon: f32, [x, scale, bias]: &[Input; 3]) -> Vec<f32> {
        let [n, h, w, c] = x.dims[..] else { unreachable!() };
        let width = c / groups;
        let normalised = |[n, y, x_, channel]: [u32; 4]| {
            let group = channel / width;
            let all = || positions([h, w, width]).map(|[y, x_, i]| x.at(&[n, y, x_, group * width + i]));
            let count = f64::from(h * w * width);
            let mean = all().sum::<f64>() / count;
            let variance = all().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
            let normalised = (x.at(&[n, y, x_, channel]) - mean) / libm::sqrt(variance + f64::from(epsilon));
            (normalised * scale.at(&[channel]) + bias.at(&[channel])) as f32
        };
        positions([n, h, w, c]).map(normalised).collect()
    }

    proptest! {
        #[test]
        fn it_meets_the_formula_in_place_and_apart(
            n in 1u32..3, h in 1u32..4, w in 1u32..5, groups in 1u32..6,
            width in prop_oneof![1u32..8, 8u32..40], epsilon in 1e-3f32..0.1, seed: u32,
        ) {
            let c = groups * width;
            let x = noise(&[n, h, w, c], seed);
            let inputs = [x, noise(&[c], !seed), noise(&[c], seed ^ 0x55)];
            let params = params(groups, epsilon);
            let want = formula(groups, epsilon, &inputs);
            let got = run_step(OP, bytes_of(&params), &inputs);
            prop_assert!(difference(&got, &want) < 1e-5);
            prop_assert_eq!(run_in_place(OP, bytes_of(&params), &inputs, 0), got);

            let [x, ..] = inputs;
            let plain = [x, input(&[c], &vec![1.0; c as usize]), input(&[c], &vec![0.0; c as usize])];
            let want = formula(groups, epsilon, &plain);
            prop_assert!(difference(&run_step(OP, bytes_of(&params), &plain[..1]), &want) < 1e-5);
        }
    }

    #[test]
    fn it_meets_keras() {
        let Some((x, y)) = recorded("groupnorm") else { return };
        // The layer's weights, from its file.
        let gamma = [1.112_595, 0.515_700_46, 0.687_689_6, 1.357_89, 0.576_198_64, 0.701_090_2];
        let beta = [0.026_260_968, -0.202_057_7, -0.093_660_19, 0.195_525_36, 0.030_565_009, 0.635_498_4];
        let inputs = [x, input(&[6], &gamma), input(&[6], &beta)];
        assert!(difference(&run_step(OP, bytes_of(&params(3, 1e-3)), &inputs), &y.values) < 1e-6);
    }

    #[test]
    fn a_nan_makes_its_group_nan_and_no_other() {
        let x = input(&[1, 2, 4], &[f32::NAN, 1.0, 1.0, -1.0, 1.0, 1.0, 1.0, -1.0]);
        let y = run_step(OP, bytes_of(&params(2, 0.0)), &[x]);
        assert_eq!(
            y.iter().map(|y| y.is_nan()).collect::<Vec<_>>(),
            [[true, true, false, false]; 2].concat()
        );
        assert_eq!([&y[2..4], &y[6..]], [[1.0, -1.0]; 2]);
    }

    #[test]
    fn groups_that_do_not_divide_the_channels_are_refused() {
        for groups in [0, 2, 4] {
            assert_eq!(
                refusal(OP, bytes_of(&params(groups, 1.0)), &[noise(&[2, 3], 1)], None),
                Misfit::Params
            );
        }
    }

    #[test]
    fn an_epsilon_below_zero_is_refused() {
        for epsilon in [-1.0, f32::NAN] {
            assert_eq!(
                refusal(OP, bytes_of(&params(1, epsilon)), &[noise(&[2, 3], 1)], None),
                Misfit::Params
            );
        }
    }

    #[test]
    fn a_vector_without_channels_is_refused() {
        assert_eq!(refusal(OP, bytes_of(&params(1, 1.0)), &[noise(&[3], 1)], None), Misfit::Rank(0));
    }

    #[test]
    fn a_scale_or_bias_of_another_length_is_refused() {
        let of = |scale: u32, bias: u32| [noise(&[2, 3], 1), noise(&[scale], 2), noise(&[bias], 3)];
        assert_eq!(refusal(OP, bytes_of(&params(1, 1.0)), &of(2, 3), None), Misfit::Shape(1));
        assert_eq!(refusal(OP, bytes_of(&params(1, 1.0)), &of(3, 2), None), Misfit::Shape(2));
    }

    #[test]
    fn a_scale_without_bias_is_refused() {
        let inputs = [noise(&[2, 3], 1), noise(&[3], 2)];
        assert_eq!(refusal(OP, bytes_of(&params(1, 1.0)), &inputs, None), Misfit::Count);
    }

    #[test]
    fn other_operands_are_refused() {
        let vector = input(&[3], &[1.0; 3]);
        let ones = [input(&[1, 3], &[1.0; 3]), vector.clone(), vector];
        refuses_other_operands(OP, bytes_of(&params(1, 1.0)), &ones, false, 1);
    }

    #[test]
    fn an_output_of_another_shape_is_refused() {
        let output = noise(&[3, 2], 0).tensor_type();
        assert_eq!(
            refusal(OP, bytes_of(&params(1, 1.0)), &[noise(&[2, 3], 1)], Some(output)),
            Misfit::Shape(1)
        );
    }
}
