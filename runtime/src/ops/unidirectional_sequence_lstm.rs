//! Long short-term memory over a sequence. At each moment, with x there and h, c of the moment before,
//! for each unit
//!
//! ```text
//! i, f, o = gate_activation, g = activation of bias[gate] + Σ x · w[gate] + Σ h · recurrent[gate]
//! c = bound(f · c + i · g)
//! y = h = o · activation(c)
//! ```
//!
//! Sums are added up in this order. Hochreiter and Schmidhuber, "Long short-term memory" (1997), with the gate
//! f of Gers et al. (2000).
//!
//! The states `hidden` and `cell` end as h and c, and begin as they are, as zeros, or as the operands
//! `first hidden` and `first cell`. With `backwards`, the last moment is the first of the walk; y has each output
//! at its own moment all the same. Where the mask is zero, a moment is skipped: h and c stay, and the output is
//! that of the moment before in the walk, zero, or h. With `last_only`, y has one moment, the last of the walk;
//! with `states_after`, h and c after the walk come as more moments behind the outputs.
//!
//! | operand      | dtype | shape                 | layouts |
//! |--------------|-------|-----------------------|---------|
//! | x            | f32   | `[N, T, I]` or `[T, N, I]` | rows    |
//! | w            | f32   | `[4, S, I]`             | rows, gates16 |
//! | recurrent    | f32   | `[4, S, S]`             | rows, gates16 |
//! | bias         | f32   | `[4, S]`                | rows    |
//! | mask         | f32   | `[N, T]` or `[T, N]`    | rows; with `mask` |
//! | first hidden | f32   | `[N, S]`                | rows; with `start` 2 |
//! | first cell   | f32   | `[N, S]`                | rows; with `start` 2 |
//! | hidden       | f32   | `[N, S]`                | rows; state |
//! | cell         | f32   | `[N, S]`                | rows; state |
//! | y            | f32   | `[N, T, S]` or `[T, N, S]`, or another number of moments; `[N, S]` | rows    |
//!
//! The rule proves the shapes, that parameters are in their domains, that the states are such, and that nothing
//! written shares memory with another operand.

use super::recurrence::{Input, Recurrent, WIDE_TILE, Weights, activate};
use crate::arch::{Active, Arch, Loops, ROW_TILE, clamp};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::weight::Weight;
use bytemuck::try_cast_slice_mut;
use flatpack_format::OpCode;
use flatpack_format::ops::recurrence::Activation;
use flatpack_format::ops::unidirectional_sequence_lstm::{RULE, UnidirectionalSequenceLstmParams};

/// The kernel.
pub const KERNEL: Kernel = kernel::<Active>();

/// The kernel, with the loops of an instruction set.
pub(crate) const fn kernel<A: Arch>() -> Kernel {
    Kernel::new(OpCode::UnidirectionalSequenceLstm, RULE, run::<A, f32>)
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
    let params: &UnidirectionalSequenceLstmParams = node.params()?;
    let state = |at| node.input(params.walk.state_at(at, 2));
    let (reads, [y, hidden, cell]) = operands.split([node.output()?, state(0)?, state(1)?])?;
    let y = try_cast_slice_mut(y).ok()?;
    let (hidden, cell) = (try_cast_slice_mut(hidden).ok()?, try_cast_slice_mut(cell).ok()?);
    let step = Recurrent::<W>::begin(node, &params.walk, &reads, &mut [&mut *hidden, &mut *cell])?;
    let (weights, gate, new) = (step.weights, step.gate_activation, step.activation);
    let clip = params.cell_clip;
    step.walk::<A>(y, [hidden, cell], |x, h, cell, y| {
        A::vectorize(Moment::<W, T> { weights, gate, new, clip, x, h, cell, y })
    })
}

/// One row of a sequence at one moment.
struct Moment<'a, W, const T: usize> {
    weights: Weights<'a, W>,
    gate: Activation,
    new: Activation,
    clip: f32,
    x: Input<'a>,
    h: &'a [f32],
    cell: &'a mut [f32],
    y: &'a mut [f32],
}

impl<W: Weight, const T: usize> Loops for Moment<'_, W, T> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<A: Arch>(self) -> Option<()> {
        let Self { weights, gate, new, clip, x, h, cell, y } = self;
        for first in (0..weights.units).step_by(T) {
            let mut sums = [[0.0; T]; 4];
            weights.gates::<A, T, 4>([0, 1, 2, 3], first, x, h, &mut sums)?;
            let [i, f, g, o] = &mut sums;
            for (function, gate) in [(gate, &mut *i), (gate, &mut *f), (new, &mut *g), (gate, &mut *o)] {
                activate::<A>(function, gate);
            }
            let mut bounded = [0.0; T];
            let cells = cell.get_mut(first..)?.iter_mut().zip(&mut bounded);
            for ((c, bounded), ((i, f), g)) in cells.zip(i.iter().zip(f).zip(g)) {
                *c = clamp(*f * *c + *i * *g, -clip, clip);
                *bounded = *c;
            }
            activate::<A>(new, &mut bounded);
            let outputs = o.iter().zip(&bounded);
            y.get_mut(first..)?.iter_mut().zip(outputs).for_each(|(y, (o, c))| *y = o * c);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_step::{Input, difference, noise, refusal_with_states, stream};
    use bytemuck::bytes_of;
    use flatpack_format::Misfit;
    use flatpack_format::ops::recurrence::Recurrence;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// x, w, recurrent, bias, hidden, cell.
    fn operands(x: [u32; 3], batch: u32, units: u32, seed: u32) -> Vec<Input> {
        vec![
            noise(&x, seed),
            noise(&[4, units, x[2]], seed ^ 1),
            noise(&[4, units, units], seed ^ 2),
            noise(&[4, units], seed ^ 3),
            noise(&[batch, units], seed ^ 4),
            noise(&[batch, units], seed ^ 5),
        ]
    }

    fn formula(operands: &[Input], batch: u32, time_major: bool, clip: f64, xs: &[Input]) -> Vec<Vec<f32>> {
        let [_, w, recurrent, bias, hidden, cell] = operands else { panic!() };
        let units = bias.dims[1];
        let wide = |input: &Input| -> Vec<Vec<f64>> {
            let rows = input.values.chunks(units as usize);
            rows.map(|row| row.iter().map(|&v| f64::from(v)).collect()).collect()
        };
        let (mut hidden, mut cell) = (wide(hidden), wide(cell));
        let logistic = |v: f64| 1.0 / (1.0 + (-v).exp());
        let mut step = |x: &Input| {
            let time = x.dims[usize::from(!time_major)];
            let mut y = vec![0.0; (batch * time * units) as usize];
            for (n, t) in (0..batch).flat_map(|n| (0..time).map(move |t| (n, t))) {
                let at = |i: u32| x.at(&if time_major { [t, n, i] } else { [n, t, i] });
                let before = hidden[n as usize].clone();
                for s in 0..units {
                    let [i, f, g, o] = [0, 1, 2, 3].map(|gate| {
                        let of_x: f64 = (0..x.dims[2]).map(|i| at(i) * w.at(&[gate, s, i])).sum();
                        let of_h: f64 =
                            (0..units).map(|i| before[i as usize] * recurrent.at(&[gate, s, i])).sum();
                        bias.at(&[gate, s]) + of_x + of_h
                    });
                    let c = &mut cell[n as usize][s as usize];
                    *c = (logistic(f) * *c + logistic(i) * g.tanh()).clamp(-clip, clip);
                    let h = logistic(o) * c.tanh();
                    hidden[n as usize][s as usize] = h;
                    let row = if time_major { t * batch + n } else { n * time + t };
                    y[(row * units + s) as usize] = h as f32;
                }
            }
            y
        };
        xs.iter().map(&mut step).collect()
    }

    const BATCH_FIRST: UnidirectionalSequenceLstmParams =
        UnidirectionalSequenceLstmParams { walk: Recurrence::PLAIN, cell_clip: f32::INFINITY };

    proptest! {
        #[test]
        fn a_stream_meets_the_formula(
            (batch, time, inputs) in (1u32..3, 1u32..5, 1u32..12),
            units in 1u32..11,
            time_major: bool,
            cell_clip in prop_oneof![Just(f32::INFINITY), 0f32..1.0],
            seed: u32,
        ) {
            let dims = if time_major { [time, batch, inputs] } else { [batch, time, inputs] };
            let operands = operands(dims, batch, units, seed);
            let xs: Vec<Input> = (0..3).map(|at| noise(&dims, seed ^ at << 8)).collect();
            let walk = Recurrence { time_major: time_major.into(), ..Recurrence::PLAIN };
            let params = UnidirectionalSequenceLstmParams { walk, cell_clip };
            let got = stream(OpCode::UnidirectionalSequenceLstm, bytes_of(&params), &operands, 2, &xs);
            let want = formula(&operands, batch, time_major, cell_clip.into(), &xs);
            for (got, want) in got.iter().zip(want) {
                prop_assert!(difference(got, &want) < 1e-5);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let fitting = operands([2, 5, 3], 2, 4, 1);
        let refused = |params: &UnidirectionalSequenceLstmParams, at: usize, dims: &[u32]| {
            let mut operands = fitting.clone();
            operands[at] = noise(dims, 9);
            refusal_with_states(OpCode::UnidirectionalSequenceLstm, bytes_of(params), &operands, 2)
        };
        assert_eq!(refused(&BATCH_FIRST, 0, &[10, 3]), Misfit::Rank(0));
        assert_eq!(refused(&BATCH_FIRST, 0, &[5, 2, 3]), Misfit::Shape(4));
        assert_eq!(refused(&BATCH_FIRST, 1, &[4, 4, 2]), Misfit::Shape(1));
        assert_eq!(refused(&BATCH_FIRST, 1, &[3, 4, 3]), Misfit::Shape(1));
        assert_eq!(refused(&BATCH_FIRST, 1, &[4, 12]), Misfit::Rank(1));
        assert_eq!(refused(&BATCH_FIRST, 2, &[4, 4, 3]), Misfit::Shape(2));
        assert_eq!(refused(&BATCH_FIRST, 3, &[16]), Misfit::Shape(3));
        assert_eq!(refused(&BATCH_FIRST, 4, &[2, 3]), Misfit::Shape(4));
        assert_eq!(refused(&BATCH_FIRST, 5, &[1, 4]), Misfit::Shape(5));
        let walk = Recurrence { time_major: 2, ..Recurrence::PLAIN };
        let params = UnidirectionalSequenceLstmParams { walk, ..BATCH_FIRST };
        assert_eq!(refused(&params, 3, &[4, 4]), Misfit::Params);
        for cell_clip in [-1.0, f32::NAN] {
            let params = UnidirectionalSequenceLstmParams { cell_clip, ..BATCH_FIRST };
            assert_eq!(refused(&params, 3, &[4, 4]), Misfit::Params);
        }
    }
}
