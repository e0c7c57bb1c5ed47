//! What the recurrent operators on float32 have in common. tract has no such operator, and its graph of all moments
//! would be as long as the sequence: here is one for it, by naive formulas in float64.

use crate::graph::{Graph, Node};
use crate::reference::{Reference, sizes};
use flatpack_format::DType;
use flatpack_format::ops::recurrence::{Activation, GIVEN, HELD, REPEATED, Recurrence, ZEROS};
use tract_core::internal::*;

/// What happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// With the bits of the bound on the cell.
    Lstm { clip: u32 },
    /// With the reset gate behind the product or before.
    Gru { reset_after: bool },
    /// Without gates.
    Rnn,
}

/// A recurrent operator, for tract.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Walk {
    walk: Recurrence,
    cell: Cell,
    /// Whether scales of the weights are behind the bias.
    is_scaled: bool,
    y: TVec<usize>,
}

/// Adds a recurrent operator to tract's graph.
pub(super) fn reference(
    r: &mut Reference,
    graph: &Graph,
    node: &Node,
    walk: Recurrence,
    cell: Cell,
    inputs: &[OutletId],
) -> TractResult<OutletId> {
    let is_scaled = graph.tensor(node.inputs[1]).tensor_type.dtype == DType::I8;
    r.wire(Walk { walk, cell, is_scaled, y: sizes(graph.dims(node.output)) }, inputs)
}

impl Op for Walk {
    fn name(&self) -> StaticName {
        "Walk".into()
    }

    op_as_typed_op!();
}

impl TypedOp for Walk {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec![f32::fact(&self.y)])
    }

    as_op!();
}

impl EvalOp for Walk {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let tensors: TractResult<Vec<Array>> = inputs.iter().map(|value| Array::of(value)).collect();
        let mut tensors = tensors?;
        if self.is_scaled {
            scale(&mut tensors)?;
        }
        let y: Vec<f32> = self.outputs(&tensors)?.into_iter().map(|v| v as f32).collect();
        Ok(tvec![Tensor::from_shape(&self.y, &y)?.into_tvalue()])
    }
}

/// The elements of a tensor.
struct Array {
    dims: Vec<usize>,
    values: Vec<f64>,
}

impl Array {
    fn of(tensor: &Tensor) -> TractResult<Self> {
        let values = tensor.to_plain_array_view::<f32>()?.iter().map(|&v| v.into()).collect();
        Ok(Self { dims: tensor.shape().to_vec(), values })
    }

    /// The row, along the last axis, with these indices of the axes before.
    fn row(&self, at: &[usize]) -> &[f64] {
        let len = self.dims[at.len()..].iter().product::<usize>();
        let index = at.iter().zip(&self.dims).fold(0, |index, (at, dim)| index * dim + at);
        &self.values[index * len..][..len]
    }
}

/// Multiplies the rows of both weights with their scales, which are behind the bias.
fn scale(inputs: &mut [Array]) -> TractResult<()> {
    let [_, w, recurrent, bias, ..] = inputs else { bail!("a recurrent step without weights") };
    let mut before = bias.dims[0] - 2 * w.dims[0];
    for weights in [w, recurrent] {
        let scales = (before..before + weights.dims[0]).flat_map(|row| bias.row(&[row]));
        let rows = weights.values.chunks_exact_mut(weights.dims[2].max(1));
        rows.zip(scales).for_each(|(row, scale)| row.iter_mut().for_each(|w| *w *= scale));
        before += weights.dims[0];
    }
    Ok(())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// One moment of one element of the batch.
struct Moment<'a> {
    x: &'a [f64],
    w: &'a Array,
    recurrent: &'a Array,
    bias: &'a Array,
}

impl Moment<'_> {
    /// `bias[gate] + Σ x · w[gate]`.
    fn of_x(&self, gate: usize, unit: usize) -> f64 {
        self.bias.row(&[gate])[unit] + dot(self.x, self.w.row(&[gate, unit]))
    }

    /// `Σ h · recurrent[gate]`.
    fn of_h(&self, gate: usize, unit: usize, h: &[f64]) -> f64 {
        dot(h, self.recurrent.row(&[gate, unit]))
    }

    fn sum(&self, gate: usize, unit: usize, h: &[f64]) -> f64 {
        self.of_x(gate, unit) + self.of_h(gate, unit, h)
    }
}

impl Walk {
    /// The elements of y.
    fn outputs(&self, inputs: &[Array]) -> TractResult<Vec<f64>> {
        let [x, w, recurrent, bias, ..] = inputs else { bail!("a recurrent step without weights") };
        let Self { walk, cell, .. } = self;
        let is_time_major = walk.time_major == 1;
        let (units, count) = (w.dims[1], if let Cell::Lstm { .. } = cell { 2 } else { 1 });
        let (batch, time) = if is_time_major { (x.dims[1], x.dims[0]) } else { (x.dims[0], x.dims[1]) };
        let place = |n: usize, t: usize| if is_time_major { [t, n] } else { [n, t] };
        let outputs = if walk.last_only == 1 { 1 } else { time };
        let rows = outputs + if walk.states_after == 1 { count } else { 0 };
        let mut y = vec![0.0; batch * rows * units];
        let mut put = |n: usize, row: usize, values: &[f64]| {
            let row = if is_time_major { row * batch + n } else { n * rows + row };
            y[row * units..][..units].copy_from_slice(values);
        };
        for n in 0..batch {
            let mut states: Vec<Vec<f64>> = Vec::new();
            for state in 0..count {
                states.push(match walk.start {
                    ZEROS => vec![0.0; units],
                    GIVEN => inputs[walk.first_value_at(state).context("no first value")?].row(&[n]).to_vec(),
                    // What is beside the state in its memory is room.
                    _ => inputs[walk.state_at(state, count)].row(&[n])[..units].to_vec(),
                });
            }
            let mut output = vec![0.0; units];
            for moment in 0..time {
                let t = if walk.backwards == 1 { time - 1 - moment } else { moment };
                let at = place(n, t);
                if walk.mask_at().is_some_and(|mask| inputs[mask].row(&at)[0] == 0.0) {
                    output = match walk.mask {
                        REPEATED => output,
                        HELD => states[0].clone(),
                        _ => vec![0.0; units],
                    };
                } else {
                    states = self.after(&Moment { x: x.row(&at), w, recurrent, bias }, &states);
                    output.clone_from(&states[0]);
                }
                put(n, if walk.last_only == 1 { 0 } else { t }, &output);
            }
            for (at, state) in states.iter().enumerate().take(rows - outputs) {
                put(n, outputs + at, state);
            }
        }
        Ok(y)
    }

    /// The states after a moment.
    fn after(&self, moment: &Moment<'_>, states: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let hidden = &states[0];
        let gate = |sum: f64| function(self.walk.gate_activation, sum);
        let new = |sum: f64| function(self.walk.activation, sum);
        let each = |f: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..hidden.len()).map(f).collect() };
        match self.cell {
            Cell::Rnn => vec![each(&|u| new(moment.sum(0, u, hidden)))],
            Cell::Gru { reset_after } => {
                let reset = each(&|u| gate(moment.sum(1, u, hidden)));
                let scaled = each(&|u| reset[u] * hidden[u]);
                vec![each(&|u| {
                    let keep = gate(moment.sum(0, u, hidden));
                    let sum = if reset_after {
                        let of_hidden = moment.bias.row(&[3])[u] + moment.of_h(2, u, hidden);
                        moment.of_x(2, u) + reset[u] * of_hidden
                    } else {
                        moment.sum(2, u, &scaled)
                    };
                    keep * hidden[u] + (1.0 - keep) * new(sum)
                })]
            }
            Cell::Lstm { clip } => {
                let clip = f64::from(f32::from_bits(clip));
                let cell = each(&|u| {
                    let kept = gate(moment.sum(1, u, hidden)) * states[1][u];
                    let added = gate(moment.sum(0, u, hidden)) * new(moment.sum(2, u, hidden));
                    (kept + added).clamp(-clip, clip)
                });
                vec![each(&|u| gate(moment.sum(3, u, hidden)) * new(cell[u])), cell]
            }
        }
    }
}

/// The function with this number; no other one passes the operators' rules.
fn function(number: u32, x: f64) -> f64 {
    let share = 1.0 / (1.0 + (-x).exp());
    let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
    let positive = |below: f64| if x > 0.0 { x } else { below };
    match Activation::from_number(number) {
        Some(Activation::Linear) => x,
        Some(Activation::Logistic) => share,
        Some(Activation::Tanh) => x.tanh(),
        Some(Activation::Relu) => x.max(0.0),
        Some(Activation::Relu6) => x.clamp(0.0, 6.0),
        Some(Activation::HardTanh) => x.clamp(-1.0, 1.0),
        Some(Activation::HardSigmoid) => (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Some(Activation::SteepHardSigmoid) => (0.2 * x + 0.5).clamp(0.0, 1.0),
        Some(Activation::LeakyRelu) => positive(0.2 * x),
        Some(Activation::Elu) => positive(x.exp_m1()),
        Some(Activation::Selu) => 1.050_700_987_355_480_5 * positive(1.673_263_242_354_377_2 * x.exp_m1()),
        Some(Activation::Exp) => x.exp(),
        Some(Activation::Softplus) => softplus,
        Some(Activation::Softsign) => x / (1.0 + x.abs()),
        Some(Activation::Swish) => x * share,
        Some(Activation::HardSwish) => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Some(Activation::Gelu) => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Some(Activation::Mish) => x * softplus.tanh(),
        None => f64::NAN,
    }
}
