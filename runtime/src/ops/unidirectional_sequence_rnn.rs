//! A recurrent layer without gates over a sequence. At each moment, with x there and h of the moment before,
//! for each unit
//!
//! ```text
//! y = h = activation(bias + Σ x · w + Σ h · recurrent)
//! ```
//!
//! Sums are added up in this order. The walk over the moments, masks, and what y has besides outputs are those
//! of [`unidirectional_sequence_lstm`](super::unidirectional_sequence_lstm). Elman, "Finding structure in time"
//! (1990).
//!
//! | operand   | dtype | shape                 | layouts |
//! |-----------|-------|-----------------------|---------|
//! | x         | f32   | `[N, T, I]` or `[T, N, I]` | rows    |
//! | w         | f32   | `[1, S, I]`             | rows    |
//! | recurrent | f32   | `[1, S, S]`             | rows    |
//! | bias      | f32   | `[1, S]`                | rows    |
//! | mask      | f32   | `[N, T]` or `[T, N]`    | rows; with `mask` |
//! | first hidden | f32 | `[N, S]`               | rows; with `start` 2 |
//! | hidden    | f32   | `[N, S]`                | rows; state |
//! | y         | f32   | `[N, T, S]` or `[T, N, S]`, or another number of moments; `[N, S]` | rows    |
//!
//! The rule proves the shapes, that parameters are in their domains, that the state is one, and that nothing
//! written shares memory with another operand.

use super::recurrence::{Recurrent, WIDE_TILE, activate};
use crate::arch::{Active, Arch, ROW_TILE};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::weight::Weight;
use bytemuck::try_cast_slice_mut;
use flatpack_format::OpCode;
use flatpack_format::ops::unidirectional_sequence_rnn::{RULE, UnidirectionalSequenceRnnParams};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::UnidirectionalSequenceRnn, RULE, run::<A, f32>)
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
    let params: &UnidirectionalSequenceRnnParams = node.params()?;
    let state = node.input(params.walk.state_at(0, 1))?;
    let (reads, [y, hidden]) = operands.split([node.output()?, state])?;
    let (y, hidden) = (try_cast_slice_mut(y).ok()?, try_cast_slice_mut(hidden).ok()?);
    let step = Recurrent::<W>::begin(node, &params.walk, &reads, &mut [&mut *hidden])?;
    let (weights, new) = (step.weights, step.activation);
    step.walk::<A>(y, [hidden, &mut []], |x, h, _, y| {
        for first in (0..weights.units).step_by(T) {
            let mut sums = [[0.0; T]];
            weights.gates::<A, T, 1>([0], first, x, h, &mut sums)?;
            let [outputs] = &mut sums;
            activate::<A>(new, outputs);
            y.get_mut(first..)?.iter_mut().zip(outputs).for_each(|(y, output)| *y = *output);
        }
        Some(())
    })
}
