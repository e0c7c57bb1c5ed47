//! Makes float32 of constants that operators on reals read and that are stored otherwise, but for
//! weights that there are operators for.

use super::compress_weights::reads_as_stored;
use crate::graph::{Data, Graph, TensorId};
use flatpack_format::DType;

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut read: Vec<TensorId> = Vec::new();
    for node in &graph.nodes {
        let stay = reads_as_stored(graph, node);
        read.extend(node.inputs.iter().enumerate().filter(|(at, _)| !(stay && *at == 1)).map(|(_, id)| id));
    }
    widen(graph, &read)
}

/// Makes float32 of weights too, in a graph of reals.
pub fn with_weights(graph: &mut Graph) -> Vec<String> {
    let read: Vec<TensorId> = graph.nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
    widen(graph, &read)
}

fn widen(graph: &mut Graph, read: &[TensorId]) -> Vec<String> {
    let mut details = Vec::new();
    for &id in read {
        let tensor = graph.tensor(id);
        let Some(data) = tensor.data.as_ref().filter(|data| data.dtype() != DType::F32) else { continue };
        if tensor.tensor_type.dtype != DType::F32 {
            continue;
        }
        details.push(format!("{}: {} becomes f32", tensor.name, data.dtype().name()));
        let reals = tensor.reals().unwrap_or_default();
        let tensor = &mut graph.tensors[id.0];
        (tensor.data, tensor.quant) = (Some(Data::F32(reals.into())), None);
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Quant;
    use flatpack_format::ops::Clamp;
    use flatpack_format::ops::binary::BinaryParams;
    use flatpack_format::{OpCode, Shape};

    #[test]
    fn reals_are_what_the_integers_stand_for() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[2]).unwrap());
        let quant = Quant::per_tensor(DType::I8, 0.5, 1);
        let w = graph.add_stored("w", &[2], Data::I8([3, -3].into()), Some(quant));
        graph.add_node("y", OpCode::Add, BinaryParams { clamp: Clamp::NONE }, &[x, w]).unwrap();
        assert_eq!(run(&mut graph), ["w: i8 becomes f32"]);
        assert_eq!(graph.data(w).unwrap()[..], [1.0, -2.0]);
        assert_eq!(run(&mut graph), [""; 0]);
    }
}
