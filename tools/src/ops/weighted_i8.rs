//! What the operators on 8-bit integers with weights have in common: how their operands are made of
//! the quantised weights and bias of an operator on reals.

use super::WeightOperands;
use crate::fixed;
use crate::graph::{Data, Graph, Node, TensorId};
use crate::quant::Quant;
use flatpack_format::DType;
use flatpack_format::ops::{Clamp, Multiplier, OutputI8};

/// Operands and parameters.
pub(crate) struct Weighted {
    /// x, w, bias, requant.
    pub(crate) inputs: Vec<TensorId>,
    pub(crate) x_zero_point: i32,
    pub(crate) w_zero_point: i32,
    pub(crate) y: OutputI8,
}

/// The annotation of an activation of signed bytes with one scale.
pub(crate) fn activation<'a>(graph: &'a Graph, id: TensorId, what: &str) -> Result<&'a Quant, String> {
    match graph.quant(id) {
        Some(quant) if quant.dtype == DType::I8 && quant.is_per_tensor() => Ok(quant),
        Some(quant) if quant.is_per_tensor() => {
            Err(format!("{what} is {} integers, expected i8", quant.dtype.name()))
        }
        Some(_) => Err(format!("{what} has a scale for each channel, expected one")),
        None => Err(format!("{what} is not quantised, the other operands are")),
    }
}

/// Signed bytes and their zero point from weights that are stored as signed or unsigned bytes.
fn weights(graph: &Graph, id: TensorId) -> Result<(Vec<i8>, &Quant), String> {
    let stored = graph.tensor(id);
    match (&stored.data, &stored.quant) {
        (Some(Data::I8(values)), Some(quant)) => Ok((values.to_vec(), quant)),
        (Some(Data::U8(values)), Some(quant)) => {
            Ok((values.iter().map(|v| (v ^ 0x80) as i8).collect(), quant))
        }
        (Some(data), Some(_)) => Err(format!("weights are {}, expected 8-bit integers", data.dtype().name())),
        (Some(_), None) => Err("weights are not quantised, the activations are".into()),
        (None, _) => Err("weights that are computed are not supported".into()),
    }
}

/// Makes the operands of an operator with weights (input 1) and perhaps a bias (input 2). With
/// `folded`, `−x_zero_point · Σ (w − w_zero_point)` is added to the bias.
pub(crate) fn operands(
    graph: &mut Graph,
    node: &Node,
    clamp: Clamp,
    folded: bool,
) -> Result<Weighted, String> {
    let (x, y) = (activation(graph, node.inputs[0], "x")?, activation(graph, node.output, "y")?);
    let (w, w_quant) = weights(graph, node.inputs[1])?;
    let outputs = *graph.dims(node.output).last().unwrap_or(&0) as usize;
    let unsigned = i32::from(w_quant.dtype == DType::U8) * 128;
    let w_zero_point = w_quant.zero_point() - unsigned;
    if w_quant.zero_points.iter().any(|zero_point| zero_point - unsigned != w_zero_point) {
        return Err("weights have a zero point for each channel, expected 0 for all".into());
    }
    if ![1, outputs].contains(&w_quant.scales.len()) {
        return Err(format!("weights have {} scales for {outputs} outputs", w_quant.scales.len()));
    }
    let along_outputs = super::operator(node.op)
        .fewer_bytes
        .is_some_and(|fewer| fewer.operands == WeightOperands::Outputs(w_quant.axis));
    if !w_quant.is_per_tensor() && !along_outputs {
        return Err(format!("weights have scales along axis {}, which does not count outputs", w_quant.axis));
    }

    let requant: Option<Vec<Multiplier>> = w_quant
        .scales
        .iter()
        .map(|&w_scale| fixed::multiplier(x.real_scale() * f64::from(w_scale) / y.real_scale()))
        .collect();
    let requant = requant.ok_or("scales have no multiplier in 32 bits")?;
    let requant: Vec<i32> = requant.iter().flat_map(|by| [by.mantissa, by.shift]).collect();

    let mut bias: Vec<i64> = match node.inputs.get(2) {
        Some(&bias) => match graph.integers(bias) {
            Some(values) => values.into_iter().map(i64::from).collect(),
            None => return Err("the bias is not quantised, the activations are".into()),
        },
        None => vec![0; outputs],
    };
    let (x_zero_point, y) = (x.zero_point(), fixed::output(y, clamp));
    if folded && let Some(linear) = super::operator(node.op).linear {
        for (index, &w) in w.iter().enumerate() {
            let w = i64::from(w) - i64::from(w_zero_point);
            bias[(linear.output_of)(graph, node, index)] -= i64::from(x_zero_point) * w;
        }
    }
    // The kernels' sums wrap, so that what leaves 32 bits here comes back there.
    let bias: Vec<i32> = bias.into_iter().map(|v| v as i32).collect();

    let (w_name, w_dims) = (graph.tensor(node.inputs[1]).name.clone(), graph.dims(node.inputs[1]).to_vec());
    let rows = requant.len() as u32 / 2;
    let inputs = vec![
        node.inputs[0],
        graph.add_raw(&w_name, &w_dims, Data::I8(w.into())),
        graph.add_raw(&format!("{} bias", node.layer), &[outputs as u32], Data::I32(bias.into())),
        graph.add_raw(&format!("{} requant", node.layer), &[rows, 2], Data::I32(requant.into())),
    ];
    Ok(Weighted { inputs, x_zero_point, w_zero_point, y })
}

/// `Σ x · (w − zw)` of 8-bit integers. As many products as are added up at a time are less than 2³¹.
pub(crate) fn products(x: &[i32], w: &[i32], zw: i32) -> i64 {
    let of = |(x, w): (&[i32], &[i32])| i64::from(x.iter().zip(w).map(|(x, w)| x * (w - zw)).sum::<i32>());
    x.chunks(1 << 15).zip(w.chunks(1 << 15)).map(of).sum()
}

/// `x · mantissa · 2^(shift − 31)`, rounded twice to the nearest as the published reference does: to 32
/// bits, halves up, and by the shift, halves away from zero.
pub(crate) fn multiply(x: i64, mantissa: i64, shift: i64) -> i64 {
    // A sum of 32 bits that is shifted left keeps 32 bits.
    let wide = i128::from(((x << shift.max(0)) as i32) as i64) * i128::from(mantissa);
    let high = (2 * wide + (1 << 31)).div_euclid(1 << 32).min(i128::from(i32::MAX));
    nearest(high, (-shift).max(0) as u32) as i64
}

/// `numerator / 2^bits` to the nearest, halves away from zero.
fn nearest(numerator: i128, bits: u32) -> i128 {
    let divisor = 1i128 << bits;
    numerator.signum() * ((2 * numerator.abs() + divisor) / (2 * divisor))
}

/// `x` times a multiplier of a record.
pub(crate) fn multiplied(x: i64, by: Multiplier) -> i64 {
    multiply(x, by.mantissa.into(), by.shift.into())
}

/// A sum as an element of the output.
pub(crate) fn requantized(sum: i64, by: Multiplier, y: &OutputI8) -> i32 {
    let moved = multiplied((sum as i32).into(), by) + i64::from(y.zero_point);
    moved.clamp(y.min.into(), y.max.into()) as i32
}

/// A sum as an element of the output. `requant` are the multipliers of all outputs.
pub(crate) fn requantize(sum: i64, requant: &[i32], output: usize, y: &OutputI8) -> i32 {
    let at = if requant.len() == 2 { 0 } else { 2 * output };
    requantized(sum, Multiplier { mantissa: requant[at], shift: requant[at + 1] }, y)
}
