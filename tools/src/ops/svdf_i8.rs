//! Filters of rank 1 over a feature and over time, of 8-bit integers with a state of 16 bits.

use super::Operator;
use super::weighted_i8::{activation, multiply, requantize};
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Data, Graph, Node, TensorId};
use crate::quant::Quant;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::svdf::SvdfParams;
use flatpack_format::ops::svdf_i8::SvdfI8Params;
use flatpack_format::{DType, OpCode};

/// The operator.
pub const OPERATOR: Operator = Operator::on_integers(OpCode::SvdfI8, exact);

/// A tensor's integers stand for reals with one scale, and have this type.
pub(crate) fn one_scale<'a>(
    graph: &'a Graph,
    id: TensorId,
    dtype: DType,
    what: &str,
) -> Result<&'a Quant, String> {
    match graph.quant(id) {
        Some(quant) if quant.dtype == dtype && quant.is_per_tensor() => Ok(quant),
        Some(quant) => Err(format!(
            "{what}: {} integers with {} scales, expected {} with one",
            quant.dtype.name(),
            quant.scales.len(),
            dtype.name()
        )),
        None => Err(format!("{what}: reals, expected {} integers", dtype.name())),
    }
}

/// Filters of reals on quantised operands. The fused activation is that of the output's range: TensorFlow
/// Lite's kernel has no other.
pub(crate) fn from_reals(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let SvdfParams { rank, .. } = node.params();
    let &[x, w_feature, w_time, bias, state] = node.inputs.as_slice() else {
        return Err("another number of operands than five".into());
    };
    let x_quant = activation(graph, x, "x")?;
    let y = activation(graph, node.output, "y")?;
    let feature_quant = one_scale(graph, w_feature, DType::I8, "the weights of features")?;
    let time_quant = one_scale(graph, w_time, DType::I16, "the weights of time")?;
    let state_quant = one_scale(graph, state, DType::I16, "the state")?;
    if [feature_quant, time_quant, state_quant].iter().any(|quant| quant.zero_point() != 0) {
        return Err("weights or a state with a zero point other than 0".into());
    }
    let requant = [
        x_quant.real_scale() * feature_quant.real_scale() / state_quant.real_scale(),
        state_quant.real_scale() * time_quant.real_scale() / y.real_scale(),
    ];
    let requant: Option<Vec<i32>> = requant
        .iter()
        .map(|&real| fixed::multiplier(real).map(|by| [by.mantissa, by.shift]))
        .collect::<Option<Vec<_>>>()
        .map(|pairs| pairs.concat());
    let requant = requant.ok_or("scales have no multiplier in 32 bits")?;
    let (x_zero_point, y) = (x_quant.zero_point(), fixed::output(y, Clamp::NONE));
    let (Some(Data::I8(features)), Some(Data::I16(times)), Some(biases)) =
        (graph.tensor(w_feature).data.clone(), graph.tensor(w_time).data.clone(), graph.integers(bias))
    else {
        return Err("weights that are computed, or a bias of reals".into());
    };
    let inputs = graph.dims(w_feature)[1] as usize;
    let feature_bias: Vec<i32> = features
        .chunks_exact(inputs)
        .map(|row| row.iter().fold(0i32, |sum, &w| sum.wrapping_sub(x_zero_point.wrapping_mul(w.into()))))
        .collect();
    let (filters, feature_dims) = (feature_bias.len() as u32, graph.dims(w_feature).to_vec());
    let (time_dims, bias_dims) = (graph.dims(w_time).to_vec(), graph.dims(bias).to_vec());
    let name = |what: &str| format!("{} {what}", node.layer);
    let inputs = vec![
        x,
        graph.add_raw(&name("features"), &feature_dims, Data::I8(features)),
        graph.add_raw(&name("feature bias"), &[filters], Data::I32(feature_bias.into())),
        graph.add_raw(&name("time"), &time_dims, Data::I16(times)),
        graph.add_raw(&name("bias"), &bias_dims, Data::I32(biases.into())),
        graph.add_raw(&name("requant"), &[2, 2], Data::I32(requant.into())),
        state,
    ];
    let mut node = Node { op: OpCode::SvdfI8, inputs, ..node.clone() };
    node.set_params(SvdfI8Params { rank, y });
    Ok(node)
}

fn exact(node: &Node, inputs: &[Operand<'_>], dims: &[u32]) -> Values {
    let p: SvdfI8Params = node.params();
    let [x, w_feature, feature_bias, w_time, bias, requant, state] =
        [0, 1, 2, 3, 4, 5, 6].map(|at| inputs[at]);
    let requant = requant.values.integers();
    let (depth, memory, rank) = (x.dims[1] as usize, w_time.dims[1] as usize, p.rank as usize);
    let mut y = Vec::new();
    for n in 0..dims[0] as usize {
        let over_time = |f: usize| -> i64 {
            let products: i64 = (0..depth).map(|i| x.at(&[n, i]) * w_feature.at(&[f, i])).sum();
            let sum = i64::from((feature_bias.at(&[f]) + products) as i32);
            let new = multiply(sum, requant[0].into(), requant[1].into()).clamp(-32768, 32767);
            let kept: i64 = (1..memory).map(|m| state.at(&[n, f, m]) * w_time.at(&[f, m - 1])).sum();
            kept + new * w_time.at(&[f, memory - 1])
        };
        for u in 0..dims[1] as usize {
            let sum: i64 = (u * rank..(u + 1) * rank).map(over_time).sum();
            y.push(requantize(bias.at(&[u]) + sum, &requant[2..], 0, &p.y));
        }
    }
    Values::Integers(y)
}
