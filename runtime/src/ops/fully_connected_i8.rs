//! Fully connected layer of 8-bit integers: `y[n, o] = requantize(bias[o] + Σᵢ (x[n, i] − zx) · (w[o, i] −
//! zw))`, where `bias` in the file has `−zx · Σᵢ (w − zw)` in it. As TensorFlow Lite's reference kernel.
//!
//! | operand | dtype | shape            | layouts |
//! |---------|-------|------------------|---------|
//! | x       | i8    | `[…, I]`           | rows    |
//! | w       | i8    | `[O, I]`           | rows, pairs, panel16x4 |
//! | bias    | i32   | `[O]`              | rows    |
//! | requant | i32   | `[O, 2]` or `[1, 2]` | rows; constant multipliers |
//! | y       | i8    | `[…, O]`           | rows    |
//!
//! The rule proves the shapes, I ≥ 1, that multipliers and zero points are in their domains, and that
//! y shares no memory with an input.

use crate::arch::{Active, Arch, Image, OutputsI8, PANEL_LEN, Scratch};
use crate::gemm;
use crate::gemm_i8::{WeightsI8, weights_and_outputs, weights_and_outputs_by_any};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use flatpack_format::ops::fully_connected_i8::{FullyConnectedI8Params, RULE};
use flatpack_format::{Layout, OpCode};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::FullyConnectedI8, RULE, run::<A, false>)
}

/// See [`conv_2d_i8::LEAN`](super::conv_2d_i8::LEAN).
pub const LEAN: Kernel = if Active::WHOLE_IMAGES { KERNEL.by(run::<Active, true>) } else { KERNEL };

/// The kernel of steps of one row with weights in `pairs`, at most 1728 an output, where the instruction set has a
/// loop for those: without other loops. It refuses other steps.
pub const ONE_ROW: Kernel = if Active::WHOLE_IMAGES { KERNEL.by(run_row::<Active>) } else { KERNEL };

fn run<A: Arch, const LEAN: bool>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &FullyConnectedI8Params = node.params()?;
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let [_, depth] = node.input_dims(1)?;
    let x: &[i8] = reads.get(node.input(0)?)?;
    let by_any = A::ROWS_BY_ANY_MULTIPLIERS && x.len() == depth;
    let (w, OutputsI8 { bias, requant, plain, y: bounds }) =
        weights_and_outputs_by_any::<A>(node, &reads, params.y, by_any)?;
    let mut weights = WeightsI8 {
        w,
        layout: node.input(1)?.layout(),
        bias,
        requant,
        depth,
        x_zero_point: params.x_zero_point,
        w_zero_point: params.w_zero_point,
        folded: true,
        y: bounds,
        plain,
        quads: &[],
    };
    let macs = depth * y.len();
    if x.len() == depth
        && let Some(of_images) = weights.of_images()
        && let Some(()) = node.threads().share(y, PANEL_LEN, macs, |first, y| {
            let first = first * PANEL_LEN;
            of_images.of_outputs(first..first + y.len(), depth)?.row::<A>(x, y)
        })
    {
        return Some(());
    }
    if by_any {
        weights.plain = A::all_plain(requant);
    }
    with_memory::<A, LEAN>(node, weights, x, y)
}

/// With the memory of a step that loops over images and rows have.
// That of gateways is large, and what is on the stack is touched page by page.
#[cfg_attr(feature = "std", inline(never))]
#[cfg_attr(not(feature = "std"), inline(always))]
fn with_memory<A: Arch, const LEAN: bool>(
    node: &Node<'_>,
    weights: WeightsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let [outputs, depth] = node.input_dims(1)?;
    let mut scratch = A::Scratch::new();
    // Rows are the pixels of an image.
    let rows = x.len().checked_div(depth)?;
    let image = Image::points(rows, [depth, outputs], weights.x_zero_point);
    let image = weights.of_images().and_then(|weights| {
        node.threads().compute(
            &image,
            depth,
            x,
            y,
            |image, x, y| weights.run::<A>(&mut scratch, image, x, y),
            |image, x, y| weights.run::<A>(&mut A::Scratch::new(), image, x, y),
        )
    });
    if image.is_some() || LEAN {
        return image;
    }
    let weights = WeightsI8 { quads: scratch.quads(2 * depth.div_ceil(4)), ..weights };
    gemm::rows::<A, _>(&weights, depth, x, outputs, y)
}

fn run_row<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &FullyConnectedI8Params = node.params()?;
    let (reads, y) = operands.write::<i8>(node.output()?)?;
    let (w, outputs) = weights_and_outputs::<A>(node, &reads, params.y)?;
    if node.input(1)?.layout() != Layout::Pairs || params.w_zero_point != 0 || y.len() != outputs.bias.len() {
        return None;
    }
    A::row_in_pairs_i8(&mut A::Scratch::new(), w, &outputs, reads.get(node.input(0)?)?, y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{Input, integers, positions, refusal, run as run_step, words};
    use crate::one_step_i8::{
        BAD_OUTPUTS, OPEN, floats, folded, output_i8, point, refuses_other_weights, requant_of, requantized,
        weighted, zero_point,
    };
    use bytemuck::bytes_of;
    use flatpack_format::ops::OutputI8;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const OP: OpCode = OpCode::FullyConnectedI8;

    const PARAMS: FullyConnectedI8Params =
        FullyConnectedI8Params { x_zero_point: 0, w_zero_point: 0, y: OPEN };

    /// With a bias that has nothing else in it.
    fn formula([x, w, bias, requant]: &[Input; 4], params: &FullyConnectedI8Params) -> Vec<f32> {
        let ([n, i], [o, _]) =
            (<[u32; 2]>::try_from(&x.dims[..]).unwrap(), <[u32; 2]>::try_from(&w.dims[..]).unwrap());
        let (zx, zw) = (i64::from(params.x_zero_point), i64::from(params.w_zero_point));
        let element = |[n, o]: [u32; 2]| {
            let product = |i: u32| (x.int(&[n, i]) - zx) * (w.int(&[o, i]) - zw);
            requantized(bias.int(&[o]) + (0..i).map(product).sum::<i64>(), requant, o, &params.y)
        };
        floats(positions([n, o]).map(element))
    }

    proptest! {
        #[test]
        fn it_meets_the_formula(
            n in 1u32..6, i in 1u32..70, o in 1u32..20, one: bool,
            zx in zero_point(), zw in prop_oneof![Just(0), zero_point()], y in output_i8(), seed: u32,
        ) {
            let inputs = weighted(&[n, i], &[o, i], o, one, seed);
            let params = FullyConnectedI8Params { x_zero_point: zx, w_zero_point: zw, y };
            let stored = folded(&inputs, zx, |o| {
                (0..i).map(|i| inputs[1].int(&[o, i]) - i64::from(zw)).sum()
            });
            let want = formula(&inputs, &params);
            prop_assert_eq!(&run_step(OP, bytes_of(&params), &stored), &want);
            let [x, w, bias, requant] = stored;
            for w in [w.in_pairs(), w.in_panels()] {
                let inputs = [x.clone(), w, bias.clone(), requant.clone()];
                prop_assert_eq!(&run_step(OP, bytes_of(&params), &inputs), &want);
            }
        }
    }

    proptest! {
        /// Threads share its outputs.
        #[test]
        fn a_row_of_many_outputs_does_too(
            groups in 1u32..9, o in 30u32..80, one: bool, zx in zero_point(), y in output_i8(), seed: u32,
        ) {
            let i = 4 * groups;
            let inputs = weighted(&[1, i], &[o, i], o, one, seed);
            let params = FullyConnectedI8Params { x_zero_point: zx, w_zero_point: 0, y };
            let [x, w, bias, requant] = folded(&inputs, zx, |o| (0..i).map(|i| inputs[1].int(&[o, i])).sum());
            let stored = [x, w.in_panels(), bias, requant];
            prop_assert_eq!(&run_step(OP, bytes_of(&params), &stored), &formula(&inputs, &params));
        }
    }

    #[test]
    fn a_vector_and_more_dimensions_do_too() {
        let w = words(&[2, 2], &[1, 2, 3, 4], DType::I8);
        let (bias, requant) = (words(&[2], &[0, 10], DType::I32), requant_of(1, 1 << 30, 1));
        let y_of = |x: Input| run_step(OP, bytes_of(&PARAMS), &[x, w.clone(), bias.clone(), requant.clone()]);
        assert_eq!(y_of(words(&[2], &[1, 2], DType::I8)), [5.0, 21.0]);
        assert_eq!(y_of(words(&[2, 1, 2], &[1, 2, -1, 0], DType::I8)), [5.0, 21.0, -1.0, 7.0]);
    }

    #[test]
    fn the_zero_point_is_added_and_the_bounds_hold() {
        let params = FullyConnectedI8Params { y: OutputI8 { zero_point: 10, min: 10, max: 60 }, ..PARAMS };
        let inputs = point(&[3, 1], &[-2, 3, 90], &[0, 1, 0]);
        assert_eq!(run_step(OP, bytes_of(&params), &inputs), [10.0, 14.0, 60.0]);
    }

    #[test]
    fn sums_wrap() {
        let [x, w, bias, _] = point(&[1, 1], &[1], &[i32::MAX]);
        let inputs = [x, w, bias, requant_of(1, i32::MAX, 0)];
        assert_eq!(run_step(OP, bytes_of(&PARAMS), &inputs), [-128.0]);
    }

    #[test]
    fn weights_of_another_depth_are_refused() {
        let inputs = weighted(&[1, 4], &[2, 3], 2, true, 1);
        assert_eq!(refusal(OP, bytes_of(&PARAMS), &inputs, None), Misfit::Shape(1));
    }

    #[test]
    fn inputs_of_another_rank_are_refused() {
        let [x, w, bias, requant] = point(&[1, 1], &[1], &[0]);
        let refused = |x: &Input, w: &Input| {
            let inputs = [x.clone(), w.clone(), bias.clone(), requant.clone()];
            refusal(OP, bytes_of(&PARAMS), &inputs, None)
        };
        assert_eq!(refused(&integers(&[], 1, DType::I8), &w), Misfit::Rank(0));
        assert_eq!(refused(&x, &integers(&[1, 1, 1], 1, DType::I8)), Misfit::Rank(1));
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let bad = [
            FullyConnectedI8Params { x_zero_point: 128, ..PARAMS },
            FullyConnectedI8Params { w_zero_point: -129, ..PARAMS },
        ];
        for bad in bad.into_iter().chain(BAD_OUTPUTS.map(|y| FullyConnectedI8Params { y, ..PARAMS })) {
            let inputs = point(&[1, 1], &[1], &[0]);
            assert_eq!(refusal(OP, bytes_of(&bad), &inputs, None), Misfit::Params, "{bad:?}");
        }
    }

    #[test]
    fn other_operands_are_refused() {
        for outputs in [1, 2] {
            let (w, bias) = (vec![1; outputs as usize], vec![0; outputs as usize]);
            refuses_other_weights(OP, bytes_of(&PARAMS), &point(&[outputs, 1], &w, &bias));
        }
    }
}
