//! What the elementwise operators of two 8-bit integers have in common.

use super::weighted_i8::activation;
use crate::exact::{Operand, Values};
use crate::fixed;
use crate::graph::{Data, Graph, Node, TensorId};
use crate::quant::Quant;
use flatpack_format::DType;
use flatpack_format::ops::OutputI8;
use flatpack_format::ops::binary::BinaryParams;

/// The operands of an operator of two reals that signed bytes stand for.
pub(crate) struct Quantised {
    /// The inputs, constants stored as signed bytes.
    pub(crate) inputs: Vec<TensorId>,
    pub(crate) a: Quant,
    pub(crate) b: Quant,
    pub(crate) y: Quant,
}

/// The operands of `node`.
pub(crate) fn operands(graph: &mut Graph, node: &Node) -> Result<Quantised, String> {
    let y = activation(graph, node.output, "y")?.clone();
    let (a_id, a) = signed(graph, node.inputs[0], "the first input")?;
    let (b_id, b) = signed(graph, node.inputs[1], "the second input")?;
    Ok(Quantised { inputs: vec![a_id, b_id], a, b, y })
}

/// The operands of an operator that asks for integers which stand for reals alike, and what it does with
/// its result.
pub(crate) fn alike(graph: &mut Graph, node: &Node) -> Result<(Vec<TensorId>, OutputI8), String> {
    let BinaryParams { clamp } = node.params();
    let made = operands(graph, node)?;
    for (quant, what) in [(&made.a, "the first input"), (&made.b, "the second input")] {
        if *quant != made.y {
            return Err(format!(
                "{what} has scale {} and zero point {}, the output {} and {}: they must be equal",
                quant.scale(),
                quant.zero_point(),
                made.y.scale(),
                made.y.zero_point()
            ));
        }
    }
    Ok((made.inputs, fixed::output(&made.y, clamp)))
}

/// An operand of signed bytes with one scale; a constant is made one.
pub(crate) fn signed(graph: &mut Graph, id: TensorId, what: &str) -> Result<(TensorId, Quant), String> {
    let tensor = graph.tensor(id);
    let Some(data) = &tensor.data else {
        return Ok((id, activation(graph, id, what)?.clone()));
    };
    let (mut quant, values) = match (&tensor.quant, data) {
        (Some(quant), Data::I8(values)) if quant.is_per_tensor() => (quant.clone(), values.clone()),
        (Some(quant), Data::U8(values)) if quant.is_per_tensor() => {
            (quant.clone(), values.iter().map(|v| (v ^ 0x80) as i8).collect())
        }
        (Some(_), _) => {
            return Err(format!(
                "{what}, `{}`, is stored as {}, expected 8-bit integers with one scale",
                tensor.name,
                data.dtype().name()
            ));
        }
        (None, _) => return Err(format!("{what}, `{}`, is not quantised, the output is", tensor.name)),
    };
    if quant.dtype == DType::U8 {
        quant.zero_points[0] -= 128;
        quant.dtype = DType::I8;
    }
    let (name, dims) = (tensor.name.clone(), tensor.dims().to_vec());
    Ok((graph.add_raw(&name, &dims, Data::I8(values)), quant))
}

/// `f` of the elements that broadcasting brings together.
pub(crate) fn broadcast(inputs: &[Operand<'_>], dims: &[u32], f: impl Fn(i64, i64) -> i32) -> Values {
    let element = |of: &Operand<'_>, mut index: usize| {
        let (mut position, mut stride) = (0, 1);
        let mut own = of.dims.iter().rev();
        for &dim in dims.iter().rev() {
            let len = own.next().map_or(1, |&len| len as usize);
            if len > 1 {
                position += index % dim as usize * stride;
            }
            (index, stride) = (index / dim as usize, stride * len);
        }
        i64::from(of.values.integers()[position])
    };
    let count: usize = dims.iter().map(|&dim| dim as usize).product();
    let y = (0..count).map(|index| f(element(&inputs[0], index), element(&inputs[1], index)));
    Values::Integers(y.collect())
}
