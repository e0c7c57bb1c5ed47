//! Gated recurrent units over a sequence. At each moment, with x there and h of the moment before, for each
//! unit
//!
//! ```text
//! z, r = gate_activation of bias[gate] + Σ x · w[gate] + Σ h · recurrent[gate]
//! n = activation(bias[2] + Σ x · w[2] + r · (bias[3] + Σ h · recurrent[2]))   with reset_after
//! n = activation(bias[2] + Σ x · w[2] + Σ (r · h) · recurrent[2])             without
//! y = h = z · h + (1 − z) · n
//! ```
//!
//! Sums are added up in this order. The walk over the moments, masks, and what y has besides outputs are those
//! of [`unidirectional_sequence_lstm`](super::unidirectional_sequence_lstm). Cho et al., "Learning phrase
//! representations using RNN encoder-decoder" (2014); with `reset_after` as cuDNN computes it.
//!
//! | operand   | dtype | shape                 | layouts |
//! |-----------|-------|-----------------------|---------|
//! | x         | f32   | `[N, T, I]` or `[T, N, I]` | rows    |
//! | w         | f32   | `[3, S, I]`             | rows, gates16 |
//! | recurrent | f32   | `[3, S, S]`             | rows, gates16 |
//! | bias      | f32   | `[4, S]`, without `reset_after` `[3, S]` | rows    |
//! | mask      | f32   | `[N, T]` or `[T, N]`    | rows; with `mask` |
//! | first hidden | f32 | `[N, S]`               | rows; with `start` 2 |
//! | hidden    | f32   | `[N, S]`, without `reset_after` `[N, 2, S]`, whose second rows are room | rows; state |
//! | y         | f32   | `[N, T, S]` or `[T, N, S]`, or another number of moments; `[N, S]` | rows    |
//!
//! The rule proves the shapes, that parameters are in their domains, that the state is one, and that nothing
//! written shares memory with another operand.

use super::recurrence::{Recurrent, Tile, WIDE_TILE, activate};
use crate::arch::{Active, Arch, ROW_TILE};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::weight::Weight;
use bytemuck::try_cast_slice_mut;
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_gru::{RULE, UnidirectionalSequenceGruParams};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::UnidirectionalSequenceGru, RULE, run::<A, f32>)
}

pub(super) fn run<A: Arch, W: Weight>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    if A::WIDE_TILES {
        in_tiles::<A, W, WIDE_TILE>(node, operands)
    } else {
        in_tiles::<A, W, ROW_TILE>(node, operands)
    }
}

/// Some units at once.
fn in_tiles<A: Arch, W: Weight, const T: usize>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &UnidirectionalSequenceGruParams = node.params()?;
    let state = node.input(params.walk.state_at(0, 1))?;
    let (reads, [y, hidden]) = operands.split([node.output()?, state])?;
    let (y, hidden) = (try_cast_slice_mut(y).ok()?, try_cast_slice_mut(hidden).ok()?);
    let step = Recurrent::<W>::begin(node, &params.walk, &reads, &mut [&mut *hidden])?;
    let (weights, gate, new) = (step.weights, step.gate_activation, step.activation);
    step.walk::<A>(y, [hidden, &mut []], |x, hidden, _, y| {
        let (h, scaled) = hidden.split_at_mut_checked(weights.units)?;
        let tiles = || (0..weights.units).step_by(T);
        if params.reset_after == 0 {
            for first in tiles() {
                let mut sums = [[0.0; T]];
                weights.gates::<A, T, 1>([1], first, x, h, &mut sums)?;
                let [reset] = &mut sums;
                activate::<A>(gate, reset);
                let scaled = scaled.get_mut(first..)?.iter_mut().zip(h.get(first..)?);
                scaled.zip(reset).for_each(|((scaled, h), reset)| *scaled = *reset * h);
            }
        }
        for first in tiles() {
            let (mut keep, mut news) = ([[0.0; T]], [[0.0; T]]);
            if params.reset_after == 0 {
                weights.gates::<A, T, 1>([0], first, x, h, &mut keep)?;
                weights.gates::<A, T, 1>([2], first, x, scaled, &mut news)?;
            } else {
                let (all, mut sums) = ([0, 1, 2], [[0.0; T]; 3]);
                weights.of_x::<A, T, 3>(all, first, x, &mut sums)?;
                let [_, _, of_x] = sums;
                sums[2] = weights.bias(3, first)?;
                weights.add_h::<A, T, 3>(all, first, h, &mut sums)?;
                let [of_keep, reset, of_h] = &mut sums;
                activate::<A>(gate, reset);
                (keep, news) = ([*of_keep], [sum_of_products(&of_x, reset, of_h)]);
            }
            let ([keep], [news]) = (&mut keep, &mut news);
            activate::<A>(gate, keep);
            activate::<A>(new, news);
            let units = y.get_mut(first..)?.iter_mut().zip(h.get(first..)?);
            let shares = keep.iter().zip(news);
            units.zip(shares).for_each(|((y, h), (keep, new))| *y = keep * h + (1.0 - keep) * *new);
        }
        Some(())
    })
}

/// `a + b · c`.
fn sum_of_products<const T: usize>(a: &Tile<T>, b: &Tile<T>, c: &Tile<T>) -> Tile<T> {
    let mut sums = *a;
    sums.iter_mut().zip(b.iter().zip(c)).for_each(|(sum, (b, c))| *sum += b * c);
    sums
}
