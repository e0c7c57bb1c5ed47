//! A convolution of one pixel is a fully connected layer. Threads share the weights of that; of an image they would share
//! the rows, and this one has one.

use crate::graph::{Graph, Node, TensorId};
use flatpack_format::ops::conv_2d::Conv2dParams;
use flatpack_format::ops::conv_2d_i8::Conv2dI8Params;
use flatpack_format::ops::fully_connected::FullyConnectedParams;
use flatpack_format::ops::fully_connected_i8::FullyConnectedI8Params;
use flatpack_format::{OpCode, Shape};
use std::collections::HashMap;

/// Runs the pass, after those that look for convolutions.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut matrices: HashMap<TensorId, TensorId> = HashMap::new();
    let mut details = Vec::new();
    for position in 0..graph.nodes.len() {
        let Some(mut node) = fully_connected(graph, &graph.nodes[position]) else { continue };
        let weights = node.inputs[1];
        node.inputs[1] = *matrices.entry(weights).or_insert_with(|| matrix(graph, weights));
        details.push(format!("{}: convolution of one pixel as fully connected", node.layer));
        graph.nodes[position] = node;
    }
    details
}

/// The layer that computes what this node does from weights `[O, I]`, if it is a convolution that sees one pixel.
fn fully_connected(graph: &Graph, node: &Node) -> Option<Node> {
    let mut layer = node.clone();
    let groups = match node.op {
        OpCode::Conv2d | OpCode::Conv2dW8 | OpCode::Conv2dW16 => {
            let Conv2dParams { clamp, groups, .. } = node.params();
            layer.op = match node.op {
                OpCode::Conv2d => OpCode::FullyConnected,
                OpCode::Conv2dW8 => OpCode::FullyConnectedW8,
                _ => OpCode::FullyConnectedW16,
            };
            layer.set_params(FullyConnectedParams { clamp });
            groups
        }
        OpCode::Conv2dI8 => {
            let Conv2dI8Params { groups, x_zero_point, w_zero_point, y, .. } = node.params();
            layer.op = OpCode::FullyConnectedI8;
            layer.set_params(FullyConnectedI8Params { x_zero_point, w_zero_point, y });
            groups
        }
        _ => return None,
    };
    let is_one = |id: TensorId| matches!(graph.dims(id), [_, 1, 1, _]);
    let all = [node.inputs[0], node.inputs[1], node.output].into_iter().all(is_one);
    (groups == 1 && all && graph.is_constant(node.inputs[1])).then_some(layer)
}

/// Weights `[O, 1, 1, I]` as `[O, I]`.
fn matrix(graph: &mut Graph, weights: TensorId) -> TensorId {
    let mut tensor = graph.tensor(weights).clone();
    if let &[outputs, _, _, depth] = tensor.dims() {
        tensor.tensor_type.shape = Shape::new(&[outputs, depth]).expect("two dimensions");
    }
    graph.add(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Data;
    use crate::quant::Quant;
    use flatpack_format::DType;
    use flatpack_format::ops::{Clamp, OutputI8};

    const CLAMP: Clamp = Clamp { min: 0.0, max: 6.0 };
    const PARAMS: Conv2dParams = Conv2dParams { clamp: CLAMP, ..Conv2dParams::POINTS };

    fn reals(x: [u32; 4], w: [u32; 4], params: Conv2dParams) -> Graph {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&x).unwrap());
        let values: Vec<f32> = (0..w.iter().product::<u32>()).map(|v| v as f32).collect();
        let w = graph.add_stored("w", &w, Data::F32(values.into()), None);
        graph.add_node("layer", OpCode::Conv2d, params, &[x, w]).unwrap();
        graph
    }

    #[test]
    fn weights_are_a_matrix() {
        let mut graph = reals([3, 1, 1, 2], [4, 1, 1, 2], PARAMS);
        assert_eq!(run(&mut graph), ["layer: convolution of one pixel as fully connected"]);
        let node = &graph.nodes[0];
        assert_eq!((node.op, node.params()), (OpCode::FullyConnected, FullyConnectedParams { clamp: CLAMP }));
        assert_eq!(graph.dims(node.inputs[1]), [4, 2]);
        assert_eq!(graph.dims(node.output), [3, 1, 1, 4]);
        let types = node.inputs.iter().map(|&id| graph.tensor(id).tensor_type).collect::<Vec<_>>();
        let y = (node.op.rule().output)(&node.params, &types);
        assert_eq!(y, Ok(graph.tensor(node.output).tensor_type));
        assert!(run(&mut graph).is_empty());
    }

    #[test]
    fn integers_keep_their_parameters() {
        let y = OutputI8 { zero_point: 3, min: -128, max: 100 };
        let Conv2dParams { stride, dilation, pad_h, pad_w, groups, .. } = PARAMS;
        let params =
            Conv2dI8Params { stride, dilation, pad_h, pad_w, groups, x_zero_point: 7, w_zero_point: -1, y };
        let mut graph = reals([1, 1, 1, 2], [4, 1, 1, 2], PARAMS);
        let weights = graph.nodes[0].inputs[1];
        graph.tensors[weights.0].quant = Some(Quant::per_channel(DType::I8, vec![0.5; 4], 0));
        graph.nodes[0].op = OpCode::Conv2dI8;
        graph.nodes[0].set_params(params);
        assert_eq!(run(&mut graph).len(), 1);
        let node = &graph.nodes[0];
        let expected = FullyConnectedI8Params { x_zero_point: 7, w_zero_point: -1, y };
        assert_eq!((node.op, node.params()), (OpCode::FullyConnectedI8, expected));
        assert_eq!(graph.tensor(node.inputs[1]).quant.as_ref().map(|quant| quant.axis), Some(0));
    }

    #[test]
    fn other_convolutions_stay() {
        let padded = Conv2dParams { pad_w: [1, 0], ..PARAMS };
        for mut graph in [
            reals([1, 1, 2, 2], [4, 1, 1, 2], PARAMS),
            reals([1, 1, 2, 2], [4, 1, 2, 2], PARAMS),
            reals([1, 1, 1, 2], [4, 1, 1, 2], padded),
            reals([1, 1, 1, 2], [4, 1, 1, 1], Conv2dParams { groups: 2, ..PARAMS }),
        ] {
            assert!(run(&mut graph).is_empty());
            assert_eq!(graph.nodes[0].op, OpCode::Conv2d);
        }
    }
}
