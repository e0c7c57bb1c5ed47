//! Zeros added around an image become the padding of the convolution that reads it.

use crate::graph::{Graph, Node};
use flatpack_format::OpCode;
use flatpack_format::ops::conv_2d::Conv2dParams;
use flatpack_format::ops::conv_3d::Conv3dParams;
use flatpack_format::ops::depthwise_conv_2d::DepthwiseConv2dParams;
use flatpack_format::ops::pad::PadParams;

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    let mut position = 0;
    while position < graph.nodes.len() {
        let node = &graph.nodes[position];
        let merged = graph.only_consumer(node.output).and_then(|consumer| {
            let spatial = spatial_zeros(graph, node)?;
            let reader = &graph.nodes[consumer];
            (reader.inputs[0] == node.output).then_some(())?;
            Some((consumer, with_padding(reader, &spatial)?))
        });
        let Some((consumer, reader)) = merged else {
            position += 1;
            continue;
        };
        graph.nodes[consumer] = reader;
        let pad = graph.nodes.remove(position);
        let reader = &mut graph.nodes[consumer - 1];
        reader.inputs[0] = pad.inputs[0];
        details.push(format!("{}: into {} of {}", pad.layer, reader.op.name(), reader.layer));
    }
    details
}

/// Zeros before and after each spatial axis, if `node` adds these and nothing else.
fn spatial_zeros(graph: &Graph, node: &Node) -> Option<Vec<[u32; 2]>> {
    (node.op == OpCode::Pad).then_some(())?;
    let params: PadParams = node.params();
    let rank = graph.dims(node.output).len();
    let zeros: Vec<[u32; 2]> =
        params.before.into_iter().zip(params.after).map(|(b, a)| [b, a]).take(rank).collect();
    let (first, rest) = zeros.split_first()?;
    let (last, spatial) = rest.split_last()?;
    (params.value == 0.0 && *first == [0, 0] && *last == [0, 0]).then(|| spatial.to_vec())
}

/// A convolution with more padding.
fn with_padding(reader: &Node, zeros: &[[u32; 2]]) -> Option<Node> {
    let mut node = reader.clone();
    let add = |to: &mut [u32; 2], zeros: &[u32; 2]| {
        *to = [to[0] + zeros[0], to[1] + zeros[1]];
    };
    match (reader.op, zeros) {
        (OpCode::Conv2d, [h, w]) => {
            let mut params: Conv2dParams = reader.params();
            add(&mut params.pad_h, h);
            add(&mut params.pad_w, w);
            node.set_params(params);
        }
        (OpCode::DepthwiseConv2d, [h, w]) => {
            let mut params: DepthwiseConv2dParams = reader.params();
            add(&mut params.pad_h, h);
            add(&mut params.pad_w, w);
            node.set_params(params);
        }
        (OpCode::Conv3d, [_, _, _]) => {
            let mut params: Conv3dParams = reader.params();
            params.pad.iter_mut().zip(zeros).for_each(|(to, zeros)| add(to, zeros));
            node.set_params(params);
        }
        _ => return None,
    }
    Some(node)
}
