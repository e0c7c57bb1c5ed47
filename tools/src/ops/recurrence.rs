//! What the recurrent operators on float32 have in common: one moment after the other, each by formulas.

use crate::graph::{Graph, Node};
use crate::reference::{Erf, Reference, sizes};
use flatpack_format::ops::Clamp;
use flatpack_format::ops::recurrence::{Activation, GIVEN, HELD, REPEATED, Recurrence, ZEROS};
use std::f64::consts::FRAC_1_SQRT_2;
use tract_core::internal::{Datum, Tensor, TractResult, bail, ensure};
use tract_core::model::OutletId;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cast::cast;
use tract_core::ops::logic::{comp_eq, comp_gt, comp_ne};
use tract_core::ops::math::{add, div, exp, ln, mul, tanh};

/// The most moments: tract's graph has all operators of each.
const MAX_MOMENTS: usize = 1 << 12;

/// The sums of a moment: `[batch, gates, units]` each, with the gates of the weights.
pub(super) struct Sums {
    /// Of x, with the bias.
    pub(super) of_x: OutletId,
    /// The hidden state `[batch, units]` and other states.
    pub(super) states: Vec<OutletId>,
    /// Recurrent weights `[gates, units, units]`.
    pub(super) recurrent: OutletId,
    /// The bias, `[rows, units]`.
    pub(super) bias: OutletId,
    pub(super) units: usize,
}

impl Sums {
    /// `Σ v · recurrent[gate]`.
    pub(super) fn product(&self, r: &mut Reference, gate: usize, v: OutletId) -> TractResult<OutletId> {
        let weights = r.wire(Slice::new(0, gate, gate + 1), &[self.recurrent])?;
        let weights = r.reshape(&[self.units, self.units], weights)?;
        r.einsum("nu,su->ns", &[v, weights])
    }

    /// `bias[gate] + Σ x · w[gate]`.
    pub(super) fn gate_of_x(&self, r: &mut Reference, gate: usize) -> TractResult<OutletId> {
        r.wire(Slice::new(1, gate * self.units, (gate + 1) * self.units), &[self.of_x])
    }

    /// `bias[gate] + Σ x · w[gate] + Σ v · recurrent[gate]`.
    pub(super) fn gate(&self, r: &mut Reference, gate: usize, v: OutletId) -> TractResult<OutletId> {
        let of_x = self.gate_of_x(r, gate)?;
        let of_v = self.product(r, gate, v)?;
        r.wire(add(), &[of_x, of_v])
    }
}

/// The output of a recurrent operator: `step` gives the states after a moment, hidden first.
pub(super) fn reference(
    r: &mut Reference,
    graph: &Graph,
    node: &Node,
    walk: &Recurrence,
    inputs: &[OutletId],
    mut step: impl FnMut(&mut Reference, &Sums) -> TractResult<Vec<OutletId>>,
) -> TractResult<OutletId> {
    let &[x, w, recurrent, bias, ..] = inputs else { bail!("a recurrent step without weights") };
    let (x_dims, w_dims) = (sizes(graph.dims(node.inputs[0])), sizes(graph.dims(node.inputs[1])));
    let (gates, units, depth) = (w_dims[0], w_dims[1], w_dims[2]);
    let (time_axis, batch_axis) = if walk.time_major == 1 { (0, 1) } else { (1, 0) };
    let (time, batch) = (x_dims[time_axis], x_dims[batch_axis]);
    ensure!(time <= MAX_MOMENTS, "a sequence of {time} moments, expected at most {MAX_MOMENTS}");
    let count = usize::from(node.op.rule().states);
    let mut states = Vec::new();
    for at in 0..count {
        states.push(match walk.start {
            ZEROS => r.constant(Tensor::zero::<f32>(&[batch, units])?)?,
            GIVEN => inputs[walk.first_value_at(at).unwrap_or_default()],
            // What is beside the state in its memory is room.
            _ => {
                let kept = inputs[walk.state_at(at, count)];
                let dims = r.dims(kept)?;
                let rows = r.reshape(&[batch, dims.iter().skip(1).product()], kept)?;
                r.wire(Slice::new(1, 0, units), &[rows])?
            }
        });
    }
    let flat = r.reshape(&[gates * units, depth], w)?;
    let products = r.einsum("abi,gi->abg", &[x, flat])?;
    let rows = r.reshape(&[r.dims(bias)?.iter().product()], bias)?;
    let rows = r.wire(Slice::new(0, 0, gates * units), &[rows])?;
    let products = r.bias(products, Some(rows))?;

    let zeros = r.constant(Tensor::zero::<f32>(&[batch, units])?)?;
    let mut output = zeros;
    let mut moments = vec![zeros; time];
    for moment in 0..time {
        let t = if walk.backwards == 1 { time - 1 - moment } else { moment };
        let of_x = r.wire(Slice::new(time_axis, t, t + 1), &[products])?;
        let of_x = r.reshape(&[batch, gates * units], of_x)?;
        let sums = Sums { of_x, states: states.clone(), recurrent, bias, units };
        let mut after = step(r, &sums)?;
        output = match walk.mask_at() {
            None => after[0],
            Some(at) => {
                let there = r.wire(Slice::new(time_axis, t, t + 1), &[inputs[at]])?;
                let there = r.reshape(&[batch, 1], there)?;
                let none = r.scalar_like(there, 0.0)?;
                let [yes, no] = [comp_ne(), comp_eq()].map(|comparison| TypedBinOp(comparison, None));
                let shares = [r.wire(yes, &[there, none])?, r.wire(no, &[there, none])?];
                let skipped = match walk.mask {
                    REPEATED => output,
                    HELD => states[0],
                    _ => zeros,
                };
                let output = chosen(r, shares, [after[0], skipped])?;
                for (after, before) in after.iter_mut().zip(&states) {
                    *after = chosen(r, shares, [*after, *before])?;
                }
                output
            }
        };
        states = after;
        moments[t] = output;
    }
    if walk.last_only == 1 {
        moments = vec![output];
    }
    if walk.last_only == 1 && walk.states_after == 0 {
        return Ok(output);
    }
    if walk.states_after == 1 {
        moments.extend(states);
    }
    let mut dims = [batch, 1, units];
    dims.swap(1, time_axis);
    let moments: TractResult<Vec<OutletId>> = moments.into_iter().map(|y| r.reshape(&dims, y)).collect();
    r.wire(TypedConcat { axis: time_axis }, &moments?)
}

/// The one of two for which a condition holds. (tract's own selection fails where it finds that a part of the
/// conditions is constant.)
fn chosen(r: &mut Reference, conditions: [OutletId; 2], of: [OutletId; 2]) -> TractResult<OutletId> {
    let mut parts = Vec::new();
    for (condition, value) in conditions.into_iter().zip(of) {
        let share = r.wire(cast(f32::datum_type()), &[condition])?;
        parts.push(r.wire(mul(), &[share, value])?);
    }
    r.wire(add(), &parts)
}

/// The function with this number of `x`, rounded once.
pub(super) fn activate(r: &mut Reference, function: u32, x: OutletId) -> TractResult<OutletId> {
    let Some(function) = Activation::from_number(function) else { bail!("an unknown function") };
    if function == Activation::Linear {
        return Ok(x);
    }
    r.in_f64(x, |r, x| formula(r, function, x))
}

fn formula(r: &mut Reference, function: Activation, x: OutletId) -> TractResult<OutletId> {
    let line = |r: &mut Reference, slope: f64, offset: f64, min: f32, max: f32| {
        let scaled = r.with_scalar(mul(), x, slope)?;
        let shifted = r.with_scalar(add(), scaled, offset)?;
        r.clamp(Clamp { min, max }, shifted)
    };
    let times = |r: &mut Reference, factor: OutletId| r.wire(mul(), &[x, factor]);
    // `x` where x > 0, else `below`.
    let positive = |r: &mut Reference, below: OutletId| {
        let zero = r.scalar_like(x, 0.0)?;
        r.select(comp_gt(), [x, zero], [x, below])
    };
    let of_exp = |r: &mut Reference, term: f64| {
        let power = r.wire(exp(), &[x])?;
        r.with_scalar(add(), power, term)
    };
    match function {
        Activation::Linear => Ok(x),
        Activation::Logistic => super::logistic::logistic(r, x),
        Activation::Tanh => r.wire(tanh(), &[x]),
        Activation::Relu => r.clamp(Clamp { min: 0.0, max: f32::INFINITY }, x),
        Activation::Relu6 => r.clamp(Clamp { min: 0.0, max: 6.0 }, x),
        Activation::HardTanh => r.clamp(Clamp { min: -1.0, max: 1.0 }, x),
        Activation::HardSigmoid => line(r, 1.0 / 6.0, 0.5, 0.0, 1.0),
        Activation::SteepHardSigmoid => line(r, 0.2, 0.5, 0.0, 1.0),
        Activation::LeakyRelu => {
            let below = r.with_scalar(mul(), x, 0.2)?;
            positive(r, below)
        }
        Activation::Elu => {
            let below = of_exp(r, -1.0)?;
            positive(r, below)
        }
        Activation::Selu => {
            let below = of_exp(r, -1.0)?;
            let below = r.with_scalar(mul(), below, 1.673_263_242_354_377_2)?;
            let unscaled = positive(r, below)?;
            r.with_scalar(mul(), unscaled, 1.050_700_987_355_480_5)
        }
        Activation::Exp => r.wire(exp(), &[x]),
        Activation::Softplus => {
            let sum = of_exp(r, 1.0)?;
            r.wire(ln(), &[sum])
        }
        Activation::Softsign => {
            let size = r.wire(tract_core::ops::math::abs(), &[x])?;
            let size = r.with_scalar(add(), size, 1.0)?;
            r.wire(div(), &[x, size])
        }
        Activation::Swish => {
            let share = super::logistic::logistic(r, x)?;
            times(r, share)
        }
        Activation::HardSwish => {
            let share = line(r, 1.0 / 6.0, 0.5, 0.0, 1.0)?;
            times(r, share)
        }
        Activation::Gelu => {
            let scaled = r.with_scalar(mul(), x, FRAC_1_SQRT_2)?;
            let bend = r.wire(Erf, &[scaled])?;
            let sum = r.with_scalar(add(), bend, 1.0)?;
            let share = r.with_scalar(mul(), sum, 0.5)?;
            times(r, share)
        }
        Activation::Mish => {
            let sum = of_exp(r, 1.0)?;
            let softplus = r.wire(ln(), &[sum])?;
            let share = r.wire(tanh(), &[softplus])?;
            times(r, share)
        }
    }
}
