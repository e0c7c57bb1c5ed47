//! A walk over the moments of a sequence, and the functions of gates: what recurrent operators have in common.

use super::{elu, gelu, hard_sigmoid, hard_swish, mish, selu, softsign, swish};
use crate::arch::{Arch, Loops, PANEL_LEN, Panel, Patch, clamp};
use crate::kernel::Node;
use crate::math::{exp, softplus};
use crate::operands::Reads;
use crate::weight::Weight;
use core::ops::Range;
use flatpack_format::Layout;
use flatpack_format::ops::recurrence::{Activation, GIVEN, HELD, KEPT, REPEATED, Recurrence};

/// Extents of a sequence, and how it is walked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    pub(super) batch: usize,
    pub(super) time: usize,
    pub(super) inputs: usize,
    pub(super) units: usize,
    /// x is `[time, batch, inputs]`, not `[batch, time, inputs]`; likewise y and the mask.
    pub(super) time_major: bool,
    pub(super) backwards: bool,
    pub(super) last_only: bool,
    /// What the output of a moment that is skipped is: one of [`REPEATED`], [`ZEROED`], [`HELD`].
    pub(super) skipped: u32,
    /// States that y has behind its outputs.
    pub(super) states_after: usize,
}

/// What a walk reads and writes.
pub(super) struct Walked<'a, T, C> {
    /// Where it is zero, moments are skipped.
    pub(super) mask: Option<&'a [f32]>,
    pub(super) y: &'a mut [T],
    /// For each element of the batch, the hidden state, and what else the step wants there.
    pub(super) hidden: &'a mut [T],
    pub(super) cell: &'a mut [C],
}

impl Sequence {
    /// A walk in the order of time that skips nothing over x `[N, T, I]`, or `[T, N, I]`.
    pub(super) fn new([first, second, inputs]: [usize; 3], units: usize, time_major: bool) -> Self {
        let (batch, time) = if time_major { (second, first) } else { (first, second) };
        Self {
            batch,
            time,
            inputs,
            units,
            time_major,
            backwards: false,
            last_only: false,
            skipped: REPEATED,
            states_after: 0,
        }
    }

    /// The walk of a step with so many states.
    fn of(walk: &Recurrence, x: [usize; 3], units: usize, states: usize) -> Self {
        Self {
            backwards: walk.backwards == 1,
            last_only: walk.last_only == 1,
            skipped: walk.mask,
            states_after: if walk.states_after == 1 { states } else { 0 },
            ..Self::new(x, units, walk.time_major == 1)
        }
    }

    /// Number of the row of an element of the batch at a moment, of so many.
    fn row(&self, n: usize, t: usize, of: usize) -> usize {
        if self.time_major { t * self.batch + n } else { n * of + t }
    }

    /// Outputs in y.
    fn outputs(&self) -> usize {
        if self.last_only { 1 } else { self.time }
    }

    /// A row of x.
    pub(super) fn row_of<'x, T>(&self, x: &'x [T], row: usize) -> Option<&'x [T]> {
        x.get(row * self.inputs..)?.get(..self.inputs)
    }

    /// Where the output of a moment begins in y.
    fn y_at(&self, n: usize, t: usize) -> usize {
        let t = if self.last_only { 0 } else { t };
        self.row(n, t, self.outputs() + self.states_after) * self.units
    }

    /// Calls `step` for each element of the batch and each moment that is not skipped, in the order of the walk,
    /// with the number of its row of x, the hidden state, the cell, and y, which then becomes the hidden state.
    pub(super) fn walk<T: Copy + Default, C>(
        &self,
        walked: Walked<'_, T, C>,
        mut step: impl FnMut(usize, &mut [T], &mut [C], &mut [T]) -> Option<()>,
    ) -> Option<()> {
        let Walked { mask, y, hidden, cell } = walked;
        let &Self { batch, time, units, .. } = self;
        let per_element = |len: usize| len.checked_div(batch);
        let (hidden_len, cell_len) = (per_element(hidden.len())?, per_element(cell.len())?);
        for n in 0..batch {
            let hidden = hidden.get_mut(n * hidden_len..)?.get_mut(..hidden_len)?;
            let cell = cell.get_mut(n * cell_len..)?.get_mut(..cell_len)?;
            let mut before = None;
            for moment in 0..time {
                let t = if self.backwards { time - 1 - moment } else { moment };
                let (row, y_at) = (self.row(n, t, time), self.y_at(n, t));
                let skipped = match mask {
                    Some(mask) => *mask.get(row)? == 0.0,
                    None => false,
                };
                if skipped {
                    for unit in 0..units {
                        let output = match (self.skipped, before) {
                            (HELD, _) => *hidden.get(unit)?,
                            (REPEATED, Some(before)) => *y.get(before + unit)?,
                            _ => T::default(),
                        };
                        *y.get_mut(y_at + unit)? = output;
                    }
                } else {
                    let y = y.get_mut(y_at..)?.get_mut(..units)?;
                    step(row, hidden, cell, y)?;
                    hidden.iter_mut().zip(y).for_each(|(hidden, y)| *hidden = *y);
                }
                before = Some(y_at);
            }
        }
        Some(())
    }

    /// The first `units` elements of what a state has for an element of the batch.
    fn of_state<'a>(&self, state: &'a mut [f32], n: usize) -> Option<&'a mut [f32]> {
        let len = state.len().checked_div(self.batch)?;
        state.get_mut(n * len..)?.get_mut(..self.units)
    }
}

/// A recurrent step on float32.
pub(super) struct Recurrent<'a, W = f32> {
    sequence: Sequence,
    x: &'a [f32],
    mask: Option<&'a [f32]>,
    pub(super) weights: Weights<'a, W>,
    pub(super) activation: Activation,
    pub(super) gate_activation: Activation,
}

impl<'a, T: Weight> Recurrent<'a, T> {
    /// The operands of a step, whose states begin as `walk` says.
    pub(super) fn begin<const W: usize>(
        node: &Node<'_>,
        walk: &Recurrence,
        reads: &Reads<'a, W>,
        states: &mut [&mut [f32]],
    ) -> Option<Self> {
        let [gates, units, inputs] = node.input_dims(1)?;
        let sequence = Sequence::of(walk, node.input_dims(0)?, units, states.len());
        let get = |at: usize| reads.get::<f32>(node.input(at)?);
        for (at, state) in states.iter_mut().enumerate() {
            if walk.start != KEPT {
                state.fill(0.0);
            }
            if walk.start == GIVEN {
                let given = get(walk.first_value_at(at)?)?;
                for n in 0..sequence.batch {
                    let state = sequence.of_state(state, n)?;
                    state.iter_mut().zip(given.get(n * units..)?).for_each(|(state, given)| *state = *given);
                }
            }
        }
        let mask = match walk.mask_at() {
            Some(at) => Some(get(at)?),
            None => None,
        };
        let matrix = |at: usize| {
            let weights = node.input(at)?;
            Some(Matrix { w: reads.get::<T>(weights)?, in_panels: weights.layout() == Layout::Gates16 })
        };
        let (w, recurrent) = (matrix(1)?, matrix(2)?);
        let bias = get(3)?;
        let scales = if T::SCALED { 2 * gates * units } else { 0 };
        let (bias, scales) = bias.split_at_checked(bias.len().checked_sub(scales)?)?;
        Some(Self {
            sequence,
            x: get(0)?,
            mask,
            weights: Weights { w, recurrent, bias, scales, gates, units, inputs },
            activation: Activation::from_number(walk.activation)?,
            gate_activation: Activation::from_number(walk.gate_activation)?,
        })
    }

    /// [`Sequence::walk`], then the states behind the outputs, where y has them. `cell` may be empty.
    pub(super) fn walk<A: Arch>(
        &self,
        y: &mut [f32],
        [hidden, cell]: [&mut [f32]; 2],
        mut step: impl FnMut(Input<'_>, &mut [f32], &mut [f32], &mut [f32]) -> Option<()>,
    ) -> Option<()> {
        let Self { sequence, x, mask, weights, .. } = *self;
        let walked = Walked { mask, y: &mut *y, hidden: &mut *hidden, cell: &mut *cell };
        match weights.rows_ahead::<A>(&sequence) {
            0 => sequence.walk(walked, |row, hidden, cell, y| {
                step(Input::Row(sequence.row_of(x, row)?), hidden, cell, y)
            })?,
            rows => {
                let mut ahead = Ahead { rows, made: 0..0, sums: [0.0; AHEAD] };
                sequence.walk(walked, |row, hidden, cell, y| {
                    step(ahead.of::<A, T>(row, x, &sequence, &weights)?, hidden, cell, y)
                })?;
            }
        }
        let rows = sequence.outputs() + sequence.states_after;
        for (at, state) in [hidden, cell].into_iter().enumerate().take(sequence.states_after) {
            for n in 0..sequence.batch {
                let y_at = sequence.row(n, sequence.outputs() + at, rows) * sequence.units;
                let y = y.get_mut(y_at..)?;
                y.iter_mut().zip(sequence.of_state(state, n)?).for_each(|(y, state)| *y = *state);
            }
        }
        Some(())
    }
}

/// What a moment multiplies with the weights of x.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// A row of x.
    Row(&'a [f32]),
    /// What [`Weights::of_x`] gives of it: for each gate, sums of whole tiles.
    Sums(&'a [f32]),
}

/// Sums of x of some rows, made before their moments: so weights of x are read once for several of them.
struct Ahead {
    /// How many rows there is room for.
    rows: usize,
    made: Range<usize>,
    sums: [f32; AHEAD],
}

/// Sums that there is room for. Tests see several blocks of rows.
const AHEAD: usize = if cfg!(test) { 1024 } else { 8192 };

/// Bytes of weights that stay in a first-level cache from moment to moment: of fewer, none are made before. Tests see more.
const NEAR: usize = if cfg!(test) { 0 } else { 32 << 10 };

/// Rows whose sums are made at once.
const ROWS: usize = 6;

impl Ahead {
    /// What is multiplied at the moment of a row.
    fn of<A: Arch, W: Weight>(
        &mut self,
        row: usize,
        x: &[f32],
        sequence: &Sequence,
        weights: &Weights<'_, W>,
    ) -> Option<Input<'_>> {
        if !self.made.contains(&row) {
            // A walk backwards finds in a block what one forwards does.
            let first = row - row.checked_rem(self.rows)?;
            self.made = first..(first + self.rows).min(sequence.batch * sequence.time);
            weights.add_ahead::<A>(self.made.clone(), x, sequence, &mut self.sums)?;
        }
        let len = weights.sums_of_row();
        Some(Input::Sums(self.sums.get((row - self.made.start) * len..)?.get(..len)?))
    }
}

/// A row of weights for each unit of each gate.
#[derive(Clone, Copy)]
struct Matrix<'a, W> {
    w: &'a [W],
    /// In layout `gates16`, not in rows.
    in_panels: bool,
}

impl<'a, W: Weight> Matrix<'a, W> {
    /// The panel of some unit of all gates, where there are panels.
    fn panel(&self, unit: usize, depth: usize, gates: usize) -> Option<Panel<'a, W>> {
        let (rows, _) = self.w.as_chunks();
        let len = depth * gates;
        Some(Panel { w: rows.get(unit / PANEL_LEN * len..)?.get(..len)?, gates })
    }
}

/// Weights of gates.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, W> {
    w: Matrix<'a, W>,
    recurrent: Matrix<'a, W>,
    bias: &'a [f32],
    /// Those of w and then those of recurrent, where weights are scaled.
    scales: &'a [f32],
    gates: usize,
    pub(super) units: usize,
    inputs: usize,
}

/// Which weights are multiplied.
#[derive(Clone, Copy)]
enum Product {
    OfX,
    OfH,
}

/// Sums of some units of a gate, from unit `first` on; past the last unit they are nothing.
pub(super) type Tile<const T: usize> = [f32; T];

/// Units that are computed at once where vectors are wide.
pub(super) const WIDE_TILE: usize = PANEL_LEN;

impl<W: Weight> Weights<'_, W> {
    /// `bias[row]` of the units from `first` on.
    pub(super) fn bias<const T: usize>(&self, row: usize, first: usize) -> Option<Tile<T>> {
        let mut sums = [0.0; T];
        let bias = self.bias.get(row * self.units + first..(row + 1) * self.units)?;
        sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum = *bias);
        Some(sums)
    }

    /// Sums of all gates of a row of x, each of whole tiles.
    fn sums_of_row(&self) -> usize {
        self.gates * self.units.next_multiple_of(PANEL_LEN)
    }

    /// How many rows have their sums made before their moments; 0 if none.
    fn rows_ahead<A: Arch>(&self, sequence: &Sequence) -> usize {
        // Rows of neighbouring moments have to be neighbours.
        let side_by_side = !sequence.time_major || sequence.batch == 1;
        let far = size_of_val(self.w.w) + size_of_val(self.recurrent.w) > NEAR;
        if !A::WIDE_TILES || !self.w.in_panels || !far || sequence.time == 1 || !side_by_side {
            return 0;
        }
        let rows = AHEAD.checked_div(self.sums_of_row()).unwrap_or_default();
        if rows < ROWS { 0 } else { rows }
    }

    /// `bias[gate] + Σ x · w[gate]` of some rows of x, for all gates: for each row, one gate's tiles after the other's.
    fn add_ahead<A: Arch>(
        &self,
        rows: Range<usize>,
        x: &[f32],
        sequence: &Sequence,
        to: &mut [f32],
    ) -> Option<()> {
        let last = rows.end.checked_sub(1)?;
        let (len, gate_len) = (self.sums_of_row(), self.units.next_multiple_of(PANEL_LEN));
        let tiles = (0..self.units).step_by(PANEL_LEN);
        for (first, gate) in tiles.flat_map(|first| (0..self.gates).map(move |gate| (first, gate))) {
            let (panel, bias) = (self.w.panel(first, self.inputs, self.gates)?, self.bias(gate, first)?);
            for at in rows.clone().step_by(ROWS) {
                // The last row may be there more than once.
                let mut some: [&[f32]; ROWS] = [&[]; ROWS];
                for (row, x_row) in (at..).zip(&mut some) {
                    *x_row = sequence.row_of(x, row.min(last))?;
                }
                let mut sums = if W::SCALED { [[0.0; PANEL_LEN]; ROWS] } else { [bias; ROWS] };
                A::gate_rows_f32(some, &panel, gate, &mut sums)?;
                for (row, sums) in (at..).zip(&mut sums) {
                    if W::SCALED {
                        let products = *sums;
                        *sums = bias;
                        self.add_scaled(sums, &products, gate, first)?;
                    }
                    let to_at = (row.min(last) - rows.start) * len + gate * gate_len + first;
                    *to.get_mut(to_at..)?.first_chunk_mut()? = *sums;
                }
            }
        }
        Some(())
    }

    /// Adds products to sums of the units from `first` on, each multiplied by the scale of its row; those of
    /// recurrent weights follow those of w.
    fn add_scaled<const T: usize>(
        &self,
        sums: &mut Tile<T>,
        products: &Tile<T>,
        row: usize,
        first: usize,
    ) -> Option<()> {
        let scales = self.scales.get(row * self.units + first..)?.iter().take(self.units - first);
        let products = products.iter().zip(scales);
        sums.iter_mut().zip(products).for_each(|(sum, (product, scale))| *sum += scale * product);
        Some(())
    }

    /// `sums[g] += Σ x · w[gate g]`, with the sum multiplied by the scale of its row where weights are scaled.
    fn add<A: Arch, const T: usize, const G: usize>(
        &self,
        product: Product,
        x: &[f32],
        gates: [usize; G],
        first: usize,
        sums: &mut [Tile<T>; G],
    ) -> Option<()> {
        let (matrix, depth, scales_of) = match product {
            Product::OfX => (self.w, self.inputs, 0),
            Product::OfH => (self.recurrent, self.units, self.gates),
        };
        if !W::SCALED {
            return self.multiply::<A, T, G>(matrix, x.get(..depth)?, gates, first, sums);
        }
        let mut products = [[0.0; T]; G];
        self.multiply::<A, T, G>(matrix, x.get(..depth)?, gates, first, &mut products)?;
        for ((sums, products), gate) in sums.iter_mut().zip(&products).zip(gates) {
            self.add_scaled(sums, products, scales_of + gate, first)?;
        }
        Some(())
    }

    fn multiply<A: Arch, const T: usize, const G: usize>(
        &self,
        matrix: Matrix<'_, W>,
        x: &[f32],
        gates: [usize; G],
        first: usize,
        sums: &mut [Tile<T>; G],
    ) -> Option<()> {
        let (units, depth) = (self.units, x.len());
        if matrix.in_panels {
            let panel = matrix.panel(first, depth, self.gates)?;
            return A::gates_f32(x, &panel, gates, first % PANEL_LEN, sums);
        }
        let patch = Patch::one_tap([x], depth);
        let some = units.checked_sub(first)?.min(T);
        for (sums, gate) in sums.iter_mut().zip(gates) {
            let w = matrix.w.get((gate * units + first) * depth..)?;
            A::gemm_rows_f32(&patch, w, depth, &mut [sums.get_mut(..some)?])?;
        }
        Some(())
    }

    /// `sums[g] = bias[gate g] + Σ x · w[gate g]`, of gates whose biases have their number.
    pub(super) fn of_x<A: Arch, const T: usize, const G: usize>(
        &self,
        gates: [usize; G],
        first: usize,
        x: Input<'_>,
        sums: &mut [Tile<T>; G],
    ) -> Option<()> {
        match x {
            Input::Row(x) => {
                for (sums, gate) in sums.iter_mut().zip(gates) {
                    *sums = self.bias(gate, first)?;
                }
                self.add::<A, T, G>(Product::OfX, x, gates, first, sums)?;
            }
            Input::Sums(made) => {
                for (sums, gate) in sums.iter_mut().zip(gates) {
                    let at = gate * self.units.next_multiple_of(PANEL_LEN) + first;
                    *sums = *made.get(at..)?.first_chunk()?;
                }
            }
        }
        Some(())
    }

    /// `sums[g] += Σ h · recurrent[gate g]`.
    pub(super) fn add_h<A: Arch, const T: usize, const G: usize>(
        &self,
        gates: [usize; G],
        first: usize,
        h: &[f32],
        sums: &mut [Tile<T>; G],
    ) -> Option<()> {
        self.add::<A, T, G>(Product::OfH, h, gates, first, sums)
    }

    /// `sums[g] = bias[gate g] + Σ x · w[gate g] + Σ h · recurrent[gate g]`, added up in this order.
    pub(super) fn gates<A: Arch, const T: usize, const G: usize>(
        &self,
        gates: [usize; G],
        first: usize,
        x: Input<'_>,
        h: &[f32],
        sums: &mut [Tile<T>; G],
    ) -> Option<()> {
        self.of_x::<A, T, G>(gates, first, x, sums)?;
        self.add_h::<A, T, G>(gates, first, h, sums)
    }
}

/// `x = function(x)` for each. Once in a program, not once for each operator.
// A slice: of an array as long as it is, the compiler makes one scalar after the other.
#[inline(never)]
pub(super) fn activate<A: Arch>(function: Activation, x: &mut [f32]) {
    A::vectorize(Activate { function, x });
}

struct Activate<'x> {
    function: Activation,
    x: &'x mut [f32],
}

impl Loops for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(self) {
        let Self { function, x } = self;
        match function {
            Activation::Linear => {}
            Activation::Logistic => each(x, A::logistic_f32),
            Activation::Tanh => each(x, A::tanh_f32),
            Activation::Relu => each(x, |x| clamp(x, 0.0, f32::INFINITY)),
            Activation::Relu6 => each(x, |x| clamp(x, 0.0, 6.0)),
            Activation::HardTanh => each(x, |x| clamp(x, -1.0, 1.0)),
            Activation::HardSigmoid => each(x, |x| hard_sigmoid::hard_sigmoid(1.0 / 6.0, 0.5, x)),
            Activation::SteepHardSigmoid => each(x, |x| hard_sigmoid::hard_sigmoid(0.2, 0.5, x)),
            Activation::LeakyRelu => each(x, |x| if x > 0.0 { x } else { 0.2 * x }),
            Activation::Elu => each(x, |x| elu::elu(1.0, x)),
            Activation::Selu => each(x, selu::selu),
            Activation::Exp => each(x, exp),
            Activation::Softplus => each(x, softplus),
            Activation::Softsign => each(x, softsign::softsign),
            Activation::Swish => each(x, swish::swish::<A>),
            Activation::HardSwish => each(x, hard_swish::hard_swish),
            Activation::Gelu => each(x, gelu::gelu::<A>),
            Activation::Mish => each(x, mish::mish),
        }
    }
}

/// `x = f(x)` for each.
#[inline(always)]
fn each(x: &mut [f32], f: impl Fn(f32) -> f32) {
    x.iter_mut().for_each(|x| *x = f(*x));
}

#[cfg(test)]
pub(super) mod tests;
