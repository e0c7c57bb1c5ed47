//! Long short-term memory over a sequence of 8-bit integers, with a cell of 16 bits. At each moment, with
//! x there and h, c of the moment before, for each unit
//!
//! ```text
//! i, f, g, o = σ, σ, tanh, σ of bound(bound((bias[0, gate] + Σ x · w[gate]) · requant[gate])
//!                                   + bound((bias[1, gate] + Σ h · recurrent[gate]) · requant[4 + gate]))
//! c = bound(bound(f · c · requant[8]) + bound(i · g · requant[9])), bounded by cell_clip
//! y = h = requantize(o · tanh(c) · requant[10])
//! ```
//!
//! where `bound` is to 16 bits. As TensorFlow Lite's reference kernel, with `−zx · Σ w` and `−zh · Σ
//! recurrent` in the bias. h and c begin as the states `hidden` and `cell`, and end there.
//!
//! | operand   | dtype | shape                 | layouts |
//! |-----------|-------|-----------------------|---------|
//! | x         | i8    | `[N, T, I]` or `[T, N, I]` | rows    |
//! | w         | i8    | `[4, S, I]`             | rows    |
//! | recurrent | i8    | `[4, S, S]`             | rows    |
//! | bias      | i32   | `[2, 4, S]`             | rows    |
//! | requant   | i32   | `[11, 2]`               | rows; constant multipliers |
//! | hidden    | i8    | `[N, S]`                | rows; state |
//! | cell      | i16   | `[N, S]`                | rows; state |
//! | y         | i8    | `[N, T, S]` or `[T, N, S]` | rows    |
//!
//! The rule proves the shapes, that parameters and multipliers are in their domains, that the states are
//! such, and that nothing written shares memory with another operand.

use super::recurrence::{Sequence, Walked};
use crate::arch::{Active, Arch, Scratch};
use crate::kernel::{Kernel, Node};
use crate::operands::Operands;
use crate::pieces::{pieces, pieces_mut};
use bytemuck::try_cast_slice_mut;
use flatpack_format::OpCode;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::unidirectional_sequence_lstm_i8::{RULE, UnidirectionalSequenceLstmI8Params};

/// The kernel.
pub const KERNEL: Kernel = Kernel::new(OpCode::UnidirectionalSequenceLstmI8, RULE, run::<Active>);

/// Moments of which x is multiplied at once.
const MOMENTS: usize = 4;

/// Units that are computed at once where there is no memory for all of them, nor for more than one moment.
const UNITS: usize = 16;

/// Words of memory for a unit: a sum of each gate, or of each moment, and 16 bits of each gate at each moment.
const WORDS: usize = MOMENTS + 4 * MOMENTS / 2;

fn run<A: Arch>(node: &Node<'_>, operands: Operands<'_>) -> Option<()> {
    let params: &UnidirectionalSequenceLstmI8Params = node.params()?;
    let [_, units, inputs] = node.input_dims(1)?;
    let sequence = Sequence::new(node.input_dims(0)?, units, params.time_major == 1);
    let (reads, [y, hidden, cell]) = operands.split([node.output()?, node.input(5)?, node.input(6)?])?;
    let x = reads.get::<i8>(node.input(0)?)?;
    let w = reads.get::<i8>(node.input(1)?)?;
    let recurrent = reads.get::<i8>(node.input(2)?)?;
    let bias = reads.get::<i32>(node.input(3)?)?;
    let (x_bias, h_bias) = bias.split_at_checked(4 * units)?;
    let requant: &[Multiplier; 11] = reads.get(node.input(4)?)?.try_into().ok()?;
    let &[x0, x1, x2, x3, h0, h1, h2, h3, forget, add, out] = requant;
    let (y, hidden) = (try_cast_slice_mut(y).ok()?, try_cast_slice_mut(hidden).ok()?);
    let cell = try_cast_slice_mut::<_, i16>(cell).ok()?;
    let (low, high) = (params.cell_clip.wrapping_neg(), params.cell_clip);
    let x_step = if sequence.time_major { sequence.batch * inputs } else { inputs };

    let (mut scratch, mut own) = (A::Scratch::new(), [0; WORDS * UNITS]);
    let (memory, tile, moments) = match scratch.words(WORDS * units) {
        [] => (own.as_mut_slice(), UNITS, 1),
        memory => (memory, units, MOMENTS),
    };
    let (sums, gates) = memory.split_at_mut_checked(MOMENTS * tile)?;
    let gates: &mut [i16] = try_cast_slice_mut(gates).ok()?;
    // The moments of which `gates` has what x adds.
    let mut known = 0..0;
    sequence.walk(Walked { mask: None, y, hidden, cell }, |row, h, cell, y| {
        let x = x.get(row * inputs..)?;
        for (tile_at, cell) in cell.chunks_mut(tile.max(1)).enumerate() {
            let len = cell.len();
            let y = y.get_mut(tile_at * tile..)?.get_mut(..len)?;
            let rows_of = |gate: usize| {
                let first = gate * units + tile_at * tile;
                first..first + len
            };
            if known.is_empty() {
                let after = x.len().checked_sub(inputs)?.checked_div(x_step)?;
                known = 0..moments.min(after + 1);
                gates.fill(0);
                for (gate, by) in [x0, x1, x2, x3].into_iter().enumerate() {
                    let (rows, sums) = (rows_of(gate), sums.get_mut(..known.len() * len)?);
                    let w = w.get(rows.start * inputs..)?;
                    A::sums_of_moments_i8(sums, x_bias.get(rows)?, x, [inputs, x_step], w)?;
                    for (gates, sums) in pieces_mut(gates, 4 * len).zip(pieces(sums, len)) {
                        A::add_multiplied_i16(gates.get_mut(gate * len..)?, sums, by);
                    }
                }
            }
            let gates = gates.get_mut(known.next()? * 4 * len..)?.get_mut(..4 * len)?;
            let sums = sums.get_mut(..len)?;
            for (gate, by) in [h0, h1, h2, h3].into_iter().enumerate() {
                let rows = rows_of(gate);
                let w = recurrent.get(rows.start * units..)?;
                A::row_sums_i8(sums, h_bias.get(rows)?, h, w)?;
                A::add_multiplied_i16(gates.get_mut(gate * len..)?, sums, by);
            }
            let (before, after) = gates.split_at_mut_checked(2 * len)?;
            let (g, o) = after.split_at_mut_checked(len)?;
            [&mut *before, &mut *o].into_iter().for_each(|gates| A::logistic_i16(gates));
            A::tanh_i16(g, 0);
            let (i, f) = before.split_at_checked(len)?;
            multiply(sums, f, cell);
            cell.fill(0);
            A::add_multiplied_i16(cell, sums, forget);
            multiply(sums, i, g);
            A::add_multiplied_i16(cell, sums, add);
            for (c, g) in cell.iter_mut().zip(&mut *g) {
                *c = i32::from(*c).min(high).max(low) as i16;
                *g = *c;
            }
            A::tanh_i16(g, params.cell_shift);
            multiply(sums, g, o);
            A::requantize_row_i8(y, sums, out, &params.y);
        }
        Some(())
    })
}

/// The products of elements.
fn multiply(products: &mut [i32], a: &[i16], b: &[i16]) {
    for (product, (a, b)) in products.iter_mut().zip(a.iter().zip(b)) {
        *product = i32::from(*a).wrapping_mul(i32::from(*b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::{logistic, multiply, tanh};
    use crate::one_step::{Input, refusal_with_states, stream, typed, whole};
    use bytemuck::bytes_of;
    use flatpack_format::ops::OutputI8;
    use flatpack_format::{DType, Misfit};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const PARAMS: UnidirectionalSequenceLstmI8Params = UnidirectionalSequenceLstmI8Params {
        time_major: 0,
        cell_clip: 32768,
        cell_shift: 1,
        y: OutputI8 { zero_point: 3, min: -128, max: 127 },
    };

    /// Multipliers of 2^(shift − 1).
    fn requant() -> Input {
        let shifts = [1, 2, 1, 0, 1, 2, 1, 2, -14, -18, -22];
        let words: Vec<f32> = shifts.into_iter().flat_map(|shift| [(1 << 30) as f32, shift as f32]).collect();
        typed(&[11, 2], &words, DType::I32)
    }

    /// x, w, recurrent, bias, requant, hidden, cell.
    fn operands(x: [u32; 3], batch: u32, units: u32, seed: u32) -> Vec<Input> {
        vec![
            whole(&x, seed, DType::I8),
            whole(&[4, units, x[2]], seed ^ 1, DType::I8),
            whole(&[4, units, units], seed ^ 2, DType::I8),
            whole(&[2, 4, units], seed ^ 3, DType::I32),
            requant(),
            whole(&[batch, units], seed ^ 4, DType::I8),
            whole(&[batch, units], seed ^ 5, DType::I16),
        ]
    }

    /// Moment by moment and unit by unit, with the functions that have tests of their own.
    fn formula(
        operands: &[Input],
        batch: u32,
        params: &UnidirectionalSequenceLstmI8Params,
        xs: &[Input],
    ) -> Vec<Vec<f32>> {
        let [_, w, recurrent, bias, requant, hidden, cell] = operands else { panic!() };
        let (units, time_major) = (w.dims[1], params.time_major == 1);
        let wide = |input: &Input| -> Vec<Vec<i64>> {
            let rows = input.values.chunks(units as usize);
            rows.map(|row| row.iter().map(|&v| v as i64).collect()).collect()
        };
        let (mut hidden, mut cell) = (wide(hidden), wide(cell));
        let by = |v: i64, at: u32| -> i64 {
            let [mantissa, shift] = [0, 1].map(|i| requant.at(&[at, i]) as i32);
            i64::from(multiply(v.try_into().unwrap(), Multiplier { mantissa, shift }))
        };
        let bound = |v: i64| v.clamp(-32768, 32767);
        let narrow = |v: i64| i16::try_from(v).unwrap();
        let mut step = |x: &Input| {
            let time = x.dims[usize::from(!time_major)];
            let mut y = vec![0.0; (batch * time * units) as usize];
            for (n, t) in (0..batch).flat_map(|n| (0..time).map(move |t| (n, t))) {
                let at = |i: u32| x.at(&if time_major { [t, n, i] } else { [n, t, i] });
                let before = hidden[n as usize].clone();
                for s in 0..units {
                    let [i, f, g, o] = [0, 1, 2, 3].map(|gate| {
                        let of_x: f64 = (0..x.dims[2]).map(|i| at(i) * w.at(&[gate, s, i])).sum();
                        let of_h: i64 =
                            (0..units).map(|i| before[i as usize] * recurrent.at(&[gate, s, i]) as i64).sum();
                        let of_x = bound(by(of_x as i64 + bias.at(&[0, gate, s]) as i64, gate));
                        let of_h = bound(by(of_h + bias.at(&[1, gate, s]) as i64, 4 + gate));
                        narrow(bound(of_x + of_h))
                    });
                    let [i, f, o] = [i, f, o].map(|gate| i64::from(logistic(gate)));
                    let c = &mut cell[n as usize][s as usize];
                    let sum = bound(bound(by(f * *c, 8)) + bound(by(i * i64::from(tanh(g, 0)), 9)));
                    *c = sum.clamp(-i64::from(params.cell_clip), params.cell_clip.into());
                    let product = o * i64::from(tanh(narrow(*c), params.cell_shift));
                    let h = (by(product, 10) + i64::from(params.y.zero_point)).clamp(-128, 127);
                    hidden[n as usize][s as usize] = h;
                    let row = if time_major { t * batch + n } else { n * time + t };
                    y[(row * units + s) as usize] = h as f32;
                }
            }
            y
        };
        xs.iter().map(&mut step).collect()
    }

    proptest! {
        #[test]
        fn a_stream_meets_the_formula(
            (batch, time, inputs) in (1u32..3, 1u32..8, 1u32..12),
            units in 1u32..40,
            time_major in 0u32..2,
            cell_clip in prop_oneof![Just(32768), 0..3000i32],
            cell_shift in -3..4i32,
            seed: u32,
        ) {
            let dims = if time_major == 1 { [time, batch, inputs] } else { [batch, time, inputs] };
            let operands = operands(dims, batch, units, seed);
            let xs: Vec<Input> = (0..3).map(|at| whole(&dims, seed ^ at << 8, DType::I8)).collect();
            let params = UnidirectionalSequenceLstmI8Params { time_major, cell_clip, cell_shift, ..PARAMS };
            let got = stream(OpCode::UnidirectionalSequenceLstmI8, bytes_of(&params), &operands, 2, &xs);
            prop_assert_eq!(got, formula(&operands, batch, &params, &xs));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let fitting = operands([2, 5, 3], 2, 4, 1);
        let refused = |params: &UnidirectionalSequenceLstmI8Params, at: usize, input: Input| {
            let mut operands = fitting.clone();
            operands[at] = input;
            refusal_with_states(OpCode::UnidirectionalSequenceLstmI8, bytes_of(params), &operands, 2)
        };
        for (at, operand) in fitting.iter().enumerate() {
            let other = whole(&operand.dims, 1, DType::U8);
            assert_eq!(refused(&PARAMS, at, other), Misfit::DType(at as u8));
        }
        let words = |dims| whole(dims, 1, DType::I32);
        assert_eq!(refused(&PARAMS, 3, words(&[4, 4])), Misfit::Shape(3));
        assert_eq!(refused(&PARAMS, 4, words(&[8, 2])), Misfit::Shape(4));
        assert_eq!(refused(&PARAMS, 4, words(&[11, 2])), Misfit::Constant(4));
        assert_eq!(refused(&PARAMS, 5, whole(&[2, 3], 1, DType::I8)), Misfit::Shape(5));
        assert_eq!(refused(&PARAMS, 6, whole(&[1, 4], 1, DType::I16)), Misfit::Shape(6));
        for params in [
            UnidirectionalSequenceLstmI8Params { time_major: 2, ..PARAMS },
            UnidirectionalSequenceLstmI8Params { cell_clip: -1, ..PARAMS },
            UnidirectionalSequenceLstmI8Params { cell_clip: 32769, ..PARAMS },
            UnidirectionalSequenceLstmI8Params { cell_shift: 15, ..PARAMS },
            UnidirectionalSequenceLstmI8Params { cell_shift: -16, ..PARAMS },
        ] {
            assert_eq!(refused(&params, 4, requant()), Misfit::Params);
        }
    }
}
