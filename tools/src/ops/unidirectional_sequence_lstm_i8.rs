//! Long short-term memory over a sequence of 8-bit integers, with a cell of 16 bits.

use super::Operator;
use super::svdf_i8::one_scale;
use super::weighted_i8::{activation, multiply, requantize};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Data, Graph, Node, TensorId};
use crate::quant::Quant;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::recurrence::Recurrence;
use flatpack_format::ops::unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams;
use flatpack_format::ops::unidirectional_sequence_lstm_i8::UnidirectionalSequenceLstmI8Params;
use flatpack_format::{DType, OpCode};

/// The operator.
pub const OPERATOR: Operator = Operator::on_integers(OpCode::UnidirectionalSequenceLstmI8, exact);

/// What the sums of a gate count in.
const GATE_SCALE: f64 = 1.0 / 4096.0;

/// What gates and `tanh(c)` count in.
const UNIT_SCALE: f64 = 1.0 / 32768.0;

/// Weights `[4, S, …]` with a scale for each gate, or one for all.
fn weights<'a>(graph: &'a Graph, id: TensorId, what: &str) -> Result<(Vec<i8>, &'a Quant), String> {
    match (&graph.tensor(id).data, graph.quant(id)) {
        (Some(Data::I8(values)), Some(quant))
            if (quant.scales.len() == 4 && quant.axis == 0) || quant.is_per_tensor() =>
        {
            if quant.zero_points.iter().any(|&zero_point| zero_point != 0) {
                return Err(format!("{what} with a zero point other than 0"));
            }
            Ok((values.to_vec(), quant))
        }
        (Some(Data::I8(_)), Some(_)) => Err(format!("{what} with other scales than one for each gate")),
        _ => Err(format!("{what}: computed or stored otherwise, expected i8 constants")),
    }
}

/// `−zero_point · Σ w` of each row.
fn offsets(w: &[i8], depth: usize, zero_point: i32) -> impl Iterator<Item = i32> + '_ {
    w.chunks_exact(depth)
        .map(move |row| row.iter().fold(0i32, |sum, &w| sum.wrapping_sub(zero_point.wrapping_mul(w.into()))))
}

/// A layer of reals on quantised operands.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let UnidirectionalSequenceLstmParams { walk, cell_clip } = node.params();
    let time_major = walk.time_major;
    if walk != (Recurrence { time_major, ..Recurrence::PLAIN }) {
        return Err("another walk or other functions than those of TensorFlow Lite".into());
    }
    let &[x, w, recurrent, bias, hidden, cell] = node.inputs.as_slice() else {
        return Err("another number of operands than six".into());
    };
    activation(graph, node.output, "y")?;
    let x_quant = activation(graph, x, "x")?;
    let hidden_quant = one_scale(graph, hidden, DType::I8, "the hidden state")?;
    let cell_quant = one_scale(graph, cell, DType::I16, "the cell")?;
    if cell_quant.zero_point() != 0 {
        return Err("a cell with a zero point other than 0".into());
    }
    let (w_values, w_quant) = weights(graph, w, "weights")?;
    let (recurrent_values, recurrent_quant) = weights(graph, recurrent, "recurrent weights")?;
    let biases = graph.integers(bias).ok_or("a bias of reals")?;

    let of_gate =
        |quant: &Quant, gate: usize| if quant.is_per_tensor() { quant.scale() } else { quant.scales[gate] };
    let gate = |x: &Quant, w: &Quant, gate| x.real_scale() * f64::from(of_gate(w, gate)) / GATE_SCALE;
    let of_x = [0, 1, 2, 3].map(|at| gate(x_quant, w_quant, at));
    let of_h = [0, 1, 2, 3].map(|at| gate(hidden_quant, recurrent_quant, at));
    let cell_scale = cell_quant.real_scale();
    let rest = [
        UNIT_SCALE * cell_scale / cell_scale,
        UNIT_SCALE * UNIT_SCALE / cell_scale,
        UNIT_SCALE * UNIT_SCALE / hidden_quant.real_scale(),
    ];
    let mut requant = Vec::new();
    for real in of_x.into_iter().chain(of_h).chain(rest) {
        let by = fixed::multiplier(real).ok_or("scales have no multiplier in 32 bits")?;
        requant.extend([by.mantissa, by.shift]);
    }
    let cell_shift = cell_scale.log2().round() as i32 + 12;
    // A bound is cut to an integer, as by a cast.
    let cell_clip = match cell_clip {
        f32::INFINITY => 32768,
        clip => (f64::from(clip) / cell_scale).min(32767.0) as i32,
    };
    let y = fixed::output(hidden_quant, Clamp::NONE);
    let (depth, units) = (graph.dims(w)[2] as usize, graph.dims(w)[1]);
    let with_x =
        offsets(&w_values, depth, x_quant.zero_point()).zip(&biases).map(|(v, b)| v.wrapping_add(*b));
    let with_h = offsets(&recurrent_values, units as usize, hidden_quant.zero_point());
    let folded: Vec<i32> = with_x.chain(with_h).collect();

    let (w_dims, recurrent_dims) = (graph.dims(w).to_vec(), graph.dims(recurrent).to_vec());
    let name = |what: &str| format!("{} {what}", node.layer);
    let inputs = vec![
        x,
        graph.add_raw(&name("weights"), &w_dims, Data::I8(w_values.into())),
        graph.add_raw(&name("recurrent weights"), &recurrent_dims, Data::I8(recurrent_values.into())),
        graph.add_raw(&name("bias"), &[2, 4, units], Data::I32(folded.into())),
        graph.add_raw(&name("requant"), &[11, 2], Data::I32(requant.into())),
        hidden,
        cell,
    ];
    let mut node = Node { op: OpCode::UnidirectionalSequenceLstmI8, inputs, ..node.clone() };
    node.set_params(UnidirectionalSequenceLstmI8Params { time_major, cell_clip, cell_shift, y });
    Ok(node)
}

/// The published table of the logistic function at steps of 1/24, in 1/65536: raised between its neighbours
/// by half of what the curve bulges over the line between them.
fn table(step: i64) -> i64 {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    if step >= 255 {
        return 65535;
    }
    let (x, h) = (step as f64 / 24.0, 1.0 / 24.0);
    let bulge = |a: f64| logistic(a + h / 2.0) - (logistic(a) + logistic(a + h)) / 2.0;
    (65536.0 * (logistic(x) + (bulge(x) + bulge(x - h)) / 4.0)).round() as i64
}

/// The table's value at `x` of `unit` to a step, times `unit`.
fn between(x: i64, unit: i64) -> i64 {
    let (step, rest) = (x / unit, x % unit);
    if step >= 255 { 65535 * unit } else { table(step) * (unit - rest) + table(step + 1) * rest }
}

/// The logistic function of a gate's sum, in 1/32768.
fn logistic(x: i64) -> i64 {
    let of_magnitude = between(3 * x.abs(), 512);
    let result = if x >= 0 { of_magnitude } else { 65536 * 512 - of_magnitude - 1 };
    (result + 512).div_euclid(1024)
}

/// The hyperbolic tangent of `x · 2^shift / 4096`, in 1/32768.
fn tanh(x: i64, shift: i64) -> i64 {
    let steps = match shift {
        0.. => (3 * x) << shift,
        _ => (3 * x + (1 << (-shift - 1))).div_euclid(1 << -shift),
    };
    let of_magnitude = between(steps.abs(), 256) - 32768 * 256;
    let result = if steps >= 0 { of_magnitude } else { -of_magnitude - 1 };
    (result + 128).div_euclid(256)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: UnidirectionalSequenceLstmI8Params = node.params();
    let [x, w, recurrent, bias, requant, hidden, cell] = [0, 1, 2, 3, 4, 5, 6].map(|at| inputs[at]);
    let requant = requant.values.integers();
    let by =
        |v: i64, at: usize| multiply(i64::from(v as i32), requant[2 * at].into(), requant[2 * at + 1].into());
    let bound = |v: i64| v.clamp(-32768, 32767);
    let [first, second, units] = [0, 1, 2].map(|axis| dims[axis] as usize);
    let (time, batch) = if p.time_major == 1 { (first, second) } else { (second, first) };
    let depth = x.dims[2] as usize;
    let mut y = vec![0; time * batch * units];
    for n in 0..batch {
        let mut h: Vec<i64> = (0..units).map(|s| hidden.at(&[n, s])).collect();
        let mut c: Vec<i64> = (0..units).map(|s| cell.at(&[n, s])).collect();
        for t in 0..time {
            let place = if p.time_major == 1 { [t, n] } else { [n, t] };
            let gate = |gate: usize, s: usize| {
                let of_x: i64 =
                    (0..depth).map(|i| x.at(&[place[0], place[1], i]) * w.at(&[gate, s, i])).sum();
                let of_h: i64 = (0..units).map(|i| h[i] * recurrent.at(&[gate, s, i])).sum();
                let of_x = bound(by(of_x + bias.at(&[0, gate, s]), gate));
                bound(of_x + bound(by(of_h + bias.at(&[1, gate, s]), 4 + gate)))
            };
            let next: Vec<(i64, i64)> = (0..units)
                .map(|s| {
                    let (i, f) = (logistic(gate(0, s)), logistic(gate(1, s)));
                    let sum = bound(bound(by(f * c[s], 8)) + bound(by(i * tanh(gate(2, s), 0), 9)));
                    let c = sum.clamp(-i64::from(p.cell_clip), p.cell_clip.into());
                    let product = tanh(c, p.cell_shift.into()) * logistic(gate(3, s));
                    (requantize(product, &requant[20..], 0, &p.y).into(), c)
                })
                .collect();
            (h, c) = next.into_iter().unzip();
            let row = (place[0] * second + place[1]) * units;
            y[row..row + units].iter_mut().zip(&h).for_each(|(y, h)| *y = *h as i32);
        }
    }
    Values::Integers(y)
}
