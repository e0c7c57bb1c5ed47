//! The order of calls in a graph.

use super::arguments::Arguments;
use super::network::{Arg, Call, Inner, Layer, LayerId, TensorRef};
use super::version::Dialect;
use crate::import::Fault;

/// Counts the calls of each layer from 0.
///
/// A model that is called inside another one has, in some versions of Keras, an own call number 0
/// from when it was made, so that its calls in the file are counted from 1. Every call in a file is
/// used by another or is an output, so the numbers in use tell which it is. Keras 3 counts such a
/// model's calls from 1 among the inputs and outputs (`ends`), and from 0 among the calls.
pub(super) fn renumber<'a>(
    dialect: Dialect,
    layers: &[Layer],
    nodes: &mut [Vec<Arguments>],
    ends: impl Iterator<Item = &'a mut TensorRef>,
) -> Result<(), (LayerId, Fault)> {
    let mut used: Vec<Option<(usize, usize)>> = vec![None; layers.len()];
    let mut note = |tensor: &mut TensorRef| {
        let (least, most) = used[tensor.layer.0].get_or_insert((tensor.node, tensor.node));
        *least = tensor.node.min(*least);
        *most = tensor.node.max(*most);
    };
    let mut ends: Vec<&mut TensorRef> = ends.collect();
    for tensor in ends.iter_mut().filter(|_| dialect == Dialect::Keras3) {
        let layer = &layers[tensor.layer.0];
        if layer.class == "Functional" && matches!(layer.inner, Inner::Network(_)) {
            tensor.node = tensor.node.saturating_sub(1);
        }
    }
    ends.iter_mut().for_each(|tensor| note(tensor));
    nodes.iter_mut().flatten().for_each(|arguments| visit(arguments, &mut note));

    let first: Vec<usize> = layers
        .iter()
        .zip(nodes.iter().map(Vec::len))
        .zip(&used)
        .map(|((layer, count), used)| match (&layer.inner, used) {
            (Inner::Network(_), Some((least, most))) if *least >= 1 && *most == count => 1,
            _ => 0,
        })
        .collect();
    let counts: Vec<usize> = layers
        .iter()
        .zip(nodes.iter())
        .map(|(layer, nodes)| if layer.class == "InputLayer" { 1 } else { nodes.len() })
        .collect();
    let mut beyond = None;
    let mut shift = |tensor: &mut TensorRef| {
        let at = tensor.layer.0;
        tensor.node -= first[at];
        if tensor.node >= counts[at] {
            beyond = Some(*tensor);
        }
    };
    ends.iter_mut().for_each(|tensor| shift(tensor));
    nodes.iter_mut().flatten().for_each(|arguments| visit(arguments, &mut shift));
    match beyond {
        None => Ok(()),
        Some(tensor) => Err((
            tensor.layer,
            Fault::Unexpected {
                place: "`inbound_nodes`".into(),
                found: format!("the result of call {} used", tensor.node),
                expected: format!("one of the layer's {} calls", counts[tensor.layer.0]),
            },
        )),
    }
}

fn visit((args, kwargs): &mut Arguments, f: &mut impl FnMut(&mut TensorRef)) {
    fn walk(arg: &mut Arg, f: &mut impl FnMut(&mut TensorRef)) {
        match arg {
            Arg::Tensor(tensor) => f(tensor),
            Arg::List(args) => args.iter_mut().for_each(|arg| walk(arg, f)),
            Arg::Dict(args) => args.iter_mut().for_each(|(_, arg)| walk(arg, f)),
            Arg::Slice { start, stop, step } => [start, stop, step].into_iter().for_each(|arg| walk(arg, f)),
            Arg::Constant(_) | Arg::Ellipsis => {}
        }
    }
    args.iter_mut().chain(kwargs.iter_mut().map(|(_, arg)| arg)).for_each(|arg| walk(arg, f));
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Unseen,
    Open,
    Done,
}

/// The calls that `outputs` need, each behind those it needs itself, and otherwise in the order of
/// the file.
pub(super) fn calls(
    layers: &[Layer],
    nodes: Vec<Vec<Arguments>>,
    outputs: &[TensorRef],
) -> Result<Vec<Call>, (LayerId, Fault)> {
    let mut found: Vec<Vec<Option<Call>>> = nodes
        .into_iter()
        .enumerate()
        .map(|(layer, nodes)| {
            let call = |(node, (args, kwargs))| Some(Call { layer: LayerId(layer), node, args, kwargs });
            nodes.into_iter().enumerate().map(call).collect()
        })
        .collect();
    let needs: Vec<Vec<Vec<(usize, usize)>>> = found
        .iter()
        .map(|calls| {
            let of = |call: &Option<Call>| {
                call.iter().flat_map(Call::tensors).map(|t| (t.layer.0, t.node)).collect()
            };
            calls.iter().map(of).collect()
        })
        .collect();
    let is_input = |layer: usize| layers[layer].class == "InputLayer";

    let needed = reachable(&needs, outputs, is_input);
    let mut state: Vec<Vec<State>> = needs.iter().map(|calls| vec![State::Unseen; calls.len()]).collect();
    let mut ordered = Vec::new();
    let in_file_order = needed.iter().enumerate().flat_map(|(layer, calls)| {
        calls.iter().enumerate().filter(|(_, needed)| **needed).map(move |(node, _)| (layer, node))
    });
    for start in in_file_order {
        let mut stack = vec![start];
        while let Some(&(layer, node)) = stack.last() {
            let open_before = std::mem::replace(&mut state[layer][node], State::Open);
            if open_before == State::Done {
                state[layer][node] = State::Done;
                stack.pop();
                continue;
            }
            let mut waiting = false;
            for &(layer, node) in needs[layer][node].iter().rev().filter(|(layer, _)| !is_input(*layer)) {
                match state[layer][node] {
                    State::Unseen => {
                        stack.push((layer, node));
                        waiting = true;
                    }
                    State::Open => {
                        return Err((
                            LayerId(layer),
                            Fault::Unexpected {
                                place: "`inbound_nodes`".into(),
                                found: "a call that needs its own result".into(),
                                expected: "a graph without cycles".into(),
                            },
                        ));
                    }
                    State::Done => {}
                }
            }
            if !waiting {
                state[layer][node] = State::Done;
                stack.pop();
                ordered.extend(found[layer][node].take());
            }
        }
    }
    Ok(ordered)
}

/// Which calls lead to `outputs`.
fn reachable(
    needs: &[Vec<Vec<(usize, usize)>>],
    outputs: &[TensorRef],
    is_input: impl Fn(usize) -> bool,
) -> Vec<Vec<bool>> {
    let mut needed: Vec<Vec<bool>> = needs.iter().map(|calls| vec![false; calls.len()]).collect();
    let mut stack: Vec<(usize, usize)> = outputs.iter().map(|tensor| (tensor.layer.0, tensor.node)).collect();
    while let Some((layer, node)) = stack.pop() {
        if !is_input(layer) && !std::mem::replace(&mut needed[layer][node], true) {
            stack.extend(&needs[layer][node]);
        }
    }
    needed
}
