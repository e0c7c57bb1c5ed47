//! A reshape goes behind what works element by element, and behind zeros around an image. So a Conv1D, which is a
//! convolution of an image of one row, comes to lie beside its padding, bias, batch normalisation and activation, and
//! other passes make one operator of them.

use flatpack_format::ops::pad::PadParams;
use flatpack_format::ops::reshape::ReshapeParams;
use flatpack_format::{MAX_RANK, OpCode, Shape, TensorType};

use crate::graph::{Graph, Node, TensorId};
use crate::ops;

/// Runs the pass.
pub fn run(graph: &mut Graph) -> Vec<String> {
    let mut details = Vec::new();
    let mut position = 0;
    while position < graph.nodes.len() {
        let node = &graph.nodes[position];
        let layer = node.layer.clone();
        if node.op == OpCode::Reshape {
            if let Some(source) = reshaped(graph, node.inputs[0]) {
                graph.nodes[position].inputs[0] = source;
                details.push(format!("{layer}: one reshape of two"));
            }
        } else if let Some(before) = before_reshape(graph, node) {
            details.push(format!("{layer}: {} before reshape", node.op.name()));
            put_before(graph, position, before);
        }
        position += 1;
    }
    details
}

/// What a reshape makes this tensor of.
fn reshaped(graph: &Graph, id: TensorId) -> Option<TensorId> {
    let node = &graph.nodes[graph.producer(id)?];
    (node.op == OpCode::Reshape).then(|| node.inputs[0])
}

/// A node that computes the same elements from what was reshaped.
struct Before {
    params: Vec<u8>,
    inputs: Vec<TensorId>,
    dims: Vec<u32>,
}

fn before_reshape(graph: &Graph, node: &Node) -> Option<Before> {
    if node.op == OpCode::Pad { zeros(graph, node) } else { elements(graph, node) }
}

/// Of an elementwise node whose inputs are reshaped from one shape to that of its output, or are constants of one
/// element, or one per channel where the reshape keeps channels.
fn elements(graph: &Graph, node: &Node) -> Option<Before> {
    if !ops::operator(node.op).is_elementwise {
        return None;
    }
    let y = graph.dims(node.output);
    let (constants, tensors): (Vec<TensorId>, Vec<TensorId>) =
        node.inputs.iter().partition(|&&id| graph.is_constant(id));
    let dims = graph.dims(reshaped(graph, *tensors.first()?)?).to_vec();
    let fits = |&id: &TensorId| {
        let source = reshaped(graph, id);
        graph.dims(id) == y && source.is_some_and(|source| graph.dims(source) == dims)
    };
    let broadcasts = |&id: &TensorId| {
        let of = graph.dims(id);
        let len: u32 = of.iter().product();
        // Alone, a factor or term of one element goes the other way: nearer to what it folds into behind the reshape.
        let folds = matches!(node.op, OpCode::Add | OpCode::Sub | OpCode::Mul | OpCode::Div);
        let is_of_channels = of.last() == Some(&len) && y.last() == Some(&len) && dims.last() == Some(&len);
        of.len() <= dims.len() && (if len == 1 { !folds } else { is_of_channels })
    };
    if !tensors.iter().all(fits) || !constants.iter().all(broadcasts) {
        return None;
    }
    let inputs = node.inputs.iter().map(|&id| reshaped(graph, id).unwrap_or(id)).collect();
    Some(Before { params: node.params.clone(), inputs, dims })
}

/// Of zeros, or other elements, around axes that are longer than one element: a reshape that only adds or drops axes
/// of one element leaves them in their order.
fn zeros(graph: &Graph, node: &Node) -> Option<Before> {
    let source = reshaped(graph, node.inputs[0])?;
    let (x, mut dims) = (graph.dims(node.inputs[0]), graph.dims(source).to_vec());
    let longer = |dims: &[u32]| -> Vec<usize> { (0..dims.len()).filter(|&axis| dims[axis] > 1).collect() };
    let axes: Vec<(usize, usize)> = longer(x).into_iter().zip(longer(&dims)).collect();
    let same = longer(x).len() == longer(&dims).len() && axes.iter().all(|&(from, to)| x[from] == dims[to]);
    let params: PadParams = node.params();
    let around = |axis: usize| params.before[axis] + params.after[axis];
    if !same || (0..x.len()).any(|axis| x[axis] == 1 && around(axis) > 0) {
        return None;
    }
    let mut moved = PadParams { before: [0; MAX_RANK], after: [0; MAX_RANK], value: params.value };
    for (from, to) in axes {
        (moved.before[to], moved.after[to]) = (params.before[from], params.after[from]);
        dims[to] += around(from);
    }
    Some(Before { params: bytemuck::bytes_of(&moved).to_vec(), inputs: vec![source], dims })
}

/// Puts a node before the reshape of its inputs: what it made is reshaped from what it makes now.
fn put_before(graph: &mut Graph, position: usize, before: Before) {
    let output = graph.nodes[position].output;
    let tensor = graph.tensor(output);
    let (name, dtype, shape) = (tensor.name.clone(), tensor.tensor_type.dtype, tensor.shape());
    let made =
        TensorType { dtype, shape: Shape::new(&before.dims).expect("the shape of a tensor that there is") };
    let between = graph.add_tensor(&name, made, None);
    graph.reshaped.insert(between, output);
    let node = &mut graph.nodes[position];
    (node.params, node.inputs, node.output) = (before.params, before.inputs, between);
    let layer = node.layer.clone();
    let params = bytemuck::bytes_of(&ReshapeParams::new(&shape)).to_vec();
    graph
        .nodes
        .insert(position + 1, Node { layer, op: OpCode::Reshape, params, inputs: vec![between], output });
}

#[cfg(test)]
mod tests {
    use flatpack_format::ops::Clamp;
    use flatpack_format::ops::binary::BinaryParams;
    use flatpack_format::ops::conv_2d::Conv2dParams;

    use super::*;
    use crate::build::{Options, build};

    /// The steps of a graph that `make` goes on with from an image `[1, 1, 4, 3]`, reshaped to `[1, 4, 3]`, each with
    /// a receipt.
    fn steps(make: impl Fn(&mut Graph, TensorId) -> TensorId) -> Vec<OpCode> {
        let mut graph = Graph::default();
        let input = graph.add_input("x", Shape::new(&[1, 1, 4, 3]).unwrap());
        let x = graph.add_node("x", OpCode::Exp, (), &[input]).unwrap();
        let x = reshape(&mut graph, x, &[1, 4, 3]);
        let y = make(&mut graph, x);
        graph.outputs.push(y);
        let built = build(graph, &Options::default()).unwrap();
        assert_eq!(built.draft.cases[0].receipts.len(), built.plan.steps.len());
        built.plan.steps.iter().map(|node| node.op).collect()
    }

    fn reshape(graph: &mut Graph, x: TensorId, dims: &[u32]) -> TensorId {
        let shape = Shape::new(dims).unwrap();
        graph.add_node("reshape", OpCode::Reshape, ReshapeParams::new(&shape), &[x]).unwrap()
    }

    fn with(graph: &mut Graph, op: OpCode, x: TensorId, dims: &[u32]) -> TensorId {
        let len = dims.iter().product::<u32>() as usize;
        let constant = graph.add_constant("constant", dims, vec![0.5; len]);
        graph.add_node("with", op, BinaryParams { clamp: Clamp::NONE }, &[x, constant]).unwrap()
    }

    fn convolved(graph: &mut Graph, x: TensorId) -> TensorId {
        let x = reshape(graph, x, &[1, 1, graph.dims(x)[1], 3]);
        let w = graph.add_constant("w", &[3, 1, 1, 3], vec![0.25; 9]);
        let y = graph.add_node("conv", OpCode::Conv2d, Conv2dParams::POINTS, &[x, w]).unwrap();
        let time = graph.dims(y)[2];
        reshape(graph, y, &[1, time, 3])
    }

    #[test]
    fn a_convolution_over_time_takes_in_what_is_around_it() {
        let found = steps(|graph, x| {
            let mut pad = PadParams { before: [0; MAX_RANK], after: [0; MAX_RANK], value: 0.0 };
            pad.before[1] = 1;
            let padded = graph.add_node("pad", OpCode::Pad, pad, &[x]).unwrap();
            let y = convolved(graph, padded);
            let y = with(graph, OpCode::Add, y, &[3]);
            let y = with(graph, OpCode::Mul, y, &[1, 1, 3]);
            let y = convolved(graph, y);
            let y = with(graph, OpCode::Add, y, &[3]);
            with(graph, OpCode::Maximum, y, &[1])
        });
        assert_eq!(found, [OpCode::Exp, OpCode::Conv2d, OpCode::Conv2d, OpCode::Maximum]);
    }

    #[test]
    fn two_tensors_that_are_reshaped_alike_are_added_before() {
        let found = steps(|graph, x| {
            let y = convolved(graph, x);
            let z = with(graph, OpCode::Add, y, &[3]);
            let other = graph.add_node("other", OpCode::Sin, (), &[y]).unwrap();
            let sum = BinaryParams { clamp: Clamp::NONE };
            graph.add_node("sum", OpCode::Add, sum, &[z, other]).unwrap()
        });
        assert_eq!(found, [OpCode::Exp, OpCode::Conv2d, OpCode::Add, OpCode::Sin, OpCode::Add]);
    }

    #[test]
    fn what_knows_its_place_in_the_shape_stays_behind() {
        // A factor for each moment, zeros where the image has one row, channels that were none before.
        let of_moments = steps(|graph, x| with(graph, OpCode::Mul, x, &[4, 1]));
        assert_eq!(of_moments, [OpCode::Exp, OpCode::Mul]);
        let flat = steps(|graph, x| {
            let x = reshape(graph, x, &[1, 12]);
            with(graph, OpCode::Pow, x, &[12])
        });
        assert_eq!(flat, [OpCode::Exp, OpCode::Pow]);
        let of_rows = steps(|graph, x| {
            let x = reshape(graph, x, &[1, 4, 1, 3]);
            let mut pad = PadParams { before: [0; MAX_RANK], after: [0; MAX_RANK], value: 0.0 };
            pad.before[2] = 1;
            graph.add_node("pad", OpCode::Pad, pad, &[x]).unwrap()
        });
        assert_eq!(of_rows, [OpCode::Exp, OpCode::Pad]);
    }
}
