//! What the operators that only move elements have in common: they do the same with integers, if
//! those stand for the same reals before and after.

use crate::graph::{Data, Graph, Node};

/// The same operator on integers.
pub(crate) fn same_quant(graph: &mut Graph, node: &Node) -> Result<Node, String> {
    let mut moved = node.clone();
    let Some(quant) = graph.quant(node.output).cloned() else {
        return Err("reals are made of integers, which takes a conversion of its own".into());
    };
    for input in &mut moved.inputs {
        let tensor = graph.tensor(*input);
        match (&tensor.data, &tensor.quant) {
            (_, Some(own)) if *own != quant => {
                return Err(format!(
                    "`{}` has scale {} and zero point {}, the output {} and {}: they must be equal",
                    tensor.name,
                    own.scale(),
                    own.zero_point(),
                    quant.scale(),
                    quant.zero_point()
                ));
            }
            (None, Some(_)) => {}
            (None, None) => return Err(format!("`{}` is not quantised, the output is", tensor.name)),
            (Some(_), _) => {
                let reals = tensor.reals().unwrap_or_default();
                let (name, dims) = (tensor.name.clone(), tensor.dims().to_vec());
                let integers = reals.iter().map(|&v| quant.quantize(v) as i8).collect();
                *input = graph.add_raw(&name, &dims, Data::I8(integers));
            }
        }
    }
    Ok(moved)
}
