//! A depthwise convolution of one channel is a convolution: that multiplies whole windows with rows of
//! weights, where the other would go tap by tap. Both add up the same products in the same order.

use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::conv_2d::Conv2dParams;
use flatpack_format::ops::depthwise_conv_2d::DepthwiseConv2dParams;

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    for position in 0..graph.nodes.len() {
        if let Some(node) = convolution(graph, position) {
            details.push(format!("{}: depthwise convolution of one channel as convolution", node.layer));
            graph.nodes[position] = node;
        }
    }
    details
}

/// The convolution that computes what this node does, if it is a depthwise one of one channel.
fn convolution(graph: &mut Graph, position: usize) -> Option<Node> {
    let mut node = graph.nodes[position].clone();
    if node.op != OpCode::DepthwiseConv2d || graph.dims(node.inputs[0]).last() != Some(&1) {
        return None;
    }
    let w = graph.tensor(node.inputs[1]).clone();
    let (&[height, width, outputs], data) = (w.dims(), w.data.as_ref()?) else { return None };
    // [KH, KW, O] becomes [O, KH, KW, 1].
    let taps = (height * width) as usize;
    let count = outputs as usize;
    let data = data.picked((0..count).flat_map(|o| (0..taps).map(move |tap| tap * count + o)));
    let mut quant = w.quant;
    if let Some(quant) = quant.as_mut().filter(|quant| !quant.is_per_tensor()) {
        if quant.axis != 2 {
            return None;
        }
        quant.axis = 0;
    }
    node.inputs[1] = graph.add_stored(&w.name, &[outputs, height, width, 1], data, quant);
    let DepthwiseConv2dParams { stride, dilation, pad_h, pad_w, clamp } = node.params();
    node.op = OpCode::Conv2d;
    node.set_params(Conv2dParams { stride, dilation, pad_h, pad_w, groups: 1, clamp });
    Some(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Data;
    use crate::quant::Quant;
    use flatpack_format::ops::Clamp;
    use flatpack_format::{DType, Shape};

    const PARAMS: DepthwiseConv2dParams = DepthwiseConv2dParams {
        stride: [2, 1],
        dilation: [1, 2],
        pad_h: [0, 1],
        pad_w: [2, 0],
        clamp: Clamp { min: 0.0, max: 6.0 },
    };

    fn depthwise(channels: u32, quant: Option<Quant>) -> Graph {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 4, 5, channels]).unwrap());
        let w =
            graph.add_stored("w", &[2, 1, 3 * channels], Data::I8((0..6 * channels as i8).collect()), quant);
        graph.add_node("layer", OpCode::DepthwiseConv2d, PARAMS, &[x, w]).unwrap();
        graph
    }

    #[test]
    fn weights_are_rows_of_taps() {
        let quant = Quant::per_channel(DType::I8, vec![1.0, 2.0, 3.0], 2);
        let mut graph = depthwise(1, Some(quant));
        assert_eq!(run(&mut graph), ["layer: depthwise convolution of one channel as convolution"]);
        let node = &graph.nodes[0];
        assert_eq!(node.op, OpCode::Conv2d);
        let params: Conv2dParams = node.params();
        assert_eq!((params.stride, params.dilation, params.groups), ([2, 1], [1, 2], 1));
        assert_eq!((params.pad_h, params.pad_w, params.clamp), (PARAMS.pad_h, PARAMS.pad_w, PARAMS.clamp));
        let w = graph.tensor(node.inputs[1]);
        assert_eq!(w.dims(), [3, 2, 1, 1]);
        assert_eq!(w.data, Some(Data::I8([0, 3, 1, 4, 2, 5].into())));
        assert_eq!(w.quant.as_ref().map(|quant| quant.axis), Some(0));
        assert!(run(&mut graph).is_empty());
    }

    #[test]
    fn several_channels_stay() {
        let mut graph = depthwise(2, None);
        assert!(run(&mut graph).is_empty());
        assert_eq!(graph.nodes[0].op, OpCode::DepthwiseConv2d);
    }
}
