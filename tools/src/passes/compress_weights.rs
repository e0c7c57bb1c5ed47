//! Weights in fewer bytes than float32 takes; what is computed with them stays float32.
//!
//! Weights that the source stores as 8-bit integers or binary16 stay as they are, where integers
//! stand for reals by a scale for each output, or one for all, and the zero point is 0 or can be
//! moved there. On request, float32 weights become such: signed bytes with a scale for each output,
//! the largest magnitude over 127, each to the nearest, halves away from zero; or binary16, each to
//! the nearest, of two the even one.

use crate::graph::{Data, Graph, Node, Tensor, TensorId};
use crate::half;
use crate::ops::{self, FewerBytes, WeightOperands};
use flatpack_format::DType;
use std::collections::HashMap;

/// How weights are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightFormat {
    /// As binary32.
    #[default]
    Float32,
    /// As 8-bit integers, with a scale for each output.
    Int8,
    /// As binary16.
    Float16,
}

impl WeightFormat {
    /// The element type.
    pub fn dtype(self) -> DType {
        match self {
            Self::Float32 => DType::F32,
            Self::Int8 => DType::I8,
            Self::Float16 => DType::F16,
        }
    }
}

/// What the pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compressed {
    /// Layer by layer, in a sentence each: also what stays float32, and why.
    pub details: Vec<String>,
    /// Whether weights have other values than before.
    pub rounded: bool,
}

/// Weights in fewer bytes, as operands of a node.
#[derive(Clone)]
struct Stored {
    w: TensorId,
    scales: Option<TensorId>,
}

/// Runs the pass. Float32 weights become `format`, but those of layers within one of the names in `keep`.
pub fn run(graph: &mut Graph, format: WeightFormat, keep: &[String]) -> Compressed {
    let mut compressed = Compressed::default();
    // Weights that several nodes share stay one constant.
    let mut made: HashMap<(TensorId, FewerBytes, bool), Result<Stored, &'static str>> = HashMap::new();
    let mut gates = HashMap::new();
    for position in 0..graph.nodes.len() {
        let node = &graph.nodes[position];
        let Some(fewer) = ops::operator(node.op).fewer_bytes else { continue };
        let WeightOperands::Outputs(axis) = fewer.operands else {
            compressed.gates(graph, position, fewer, format, keep, &mut gates);
            continue;
        };
        let w = node.inputs[1];
        let Some(data) = graph.tensor(w).data.as_ref().filter(|_| is_of_reals(graph, w)) else { continue };
        let (layer, before) = (node.layer.clone(), data.dtype());
        let readable = reads_as_stored(graph, node);
        let kept = keep.iter().any(|name| node.is_within(name));
        let mut as_it_is = readable && (kept || format != WeightFormat::Int8 || before != DType::F16);
        if !as_it_is && (format == WeightFormat::Float32 || kept) {
            if format != WeightFormat::Float32 {
                compressed.details.push(format!("{layer}: weights stay f32, as asked"));
            }
            continue;
        }
        let mut stored = |as_it_is: bool| {
            let stored = made.entry((w, fewer, as_it_is)).or_insert_with(|| match as_it_is {
                true => take(graph, w, axis).ok_or("no operator reads them as they are"),
                false => make(graph, w, axis, format),
            });
            stored.clone()
        };
        let mut found = stored(as_it_is);
        if let (Err(reason), true) = (&found, readable && !as_it_is) {
            compressed.details.push(format!("{layer}: weights stay {}: {reason}", before.name()));
            (found, as_it_is) = (stored(true), true);
        }
        let stored = match found {
            Ok(stored) => stored,
            Err(reason) => {
                compressed.details.push(format!("{layer}: weights stay f32: {reason}"));
                continue;
            }
        };
        compressed.rounded |= !as_it_is;
        let (after, count) = (graph.tensor(stored.w).tensor_type.dtype, graph.tensor(stored.w).shape().len());
        let node = &mut graph.nodes[position];
        node.op = if after == DType::I8 { fewer.w8 } else { fewer.w16 };
        node.inputs.splice(1..2, std::iter::once(stored.w).chain(stored.scales));
        let count = count.unwrap_or_default();
        compressed.details.push(format!(
            "{layer}: {count} weights of {} as {}",
            node.op.name(),
            after.name()
        ));
    }
    compressed
}

impl Compressed {
    /// Compresses the weights of a recurrent layer, if that is asked for. What layers share stays one constant.
    fn gates(
        &mut self,
        graph: &mut Graph,
        position: usize,
        fewer: FewerBytes,
        format: WeightFormat,
        keep: &[String],
        made: &mut HashMap<[TensorId; 3], Result<[TensorId; 3], &'static str>>,
    ) {
        let node = &graph.nodes[position];
        let layer = node.layer.clone();
        if format == WeightFormat::Float32 {
            return;
        }
        if keep.iter().any(|name| node.is_within(name)) {
            self.details.push(format!("{layer}: weights stay f32, as asked"));
            return;
        }
        let operands = [node.inputs[1], node.inputs[2], node.inputs[3]];
        if operands.iter().any(|&operand| graph.tensor(operand).data.is_none()) {
            return;
        }
        match made.entry(operands).or_insert_with(|| make_gates(graph, operands, format)) {
            Err(reason) => self.details.push(format!("{layer}: weights stay f32: {reason}")),
            Ok(stored) => {
                let op = if format == WeightFormat::Int8 { fewer.w8 } else { fewer.w16 };
                let count: u32 = stored[..2].iter().filter_map(|&w| graph.tensor(w).shape().len()).sum();
                self.details.push(format!(
                    "{layer}: {count} weights of {} as {}",
                    op.name(),
                    format.dtype().name()
                ));
                self.rounded = true;
                let node = &mut graph.nodes[position];
                node.op = op;
                node.inputs[1..4].copy_from_slice(stored);
            }
        }
    }
}

/// Weights of gates as operands in fewer bytes, with their bias, or why they stay float32.
fn make_gates(
    graph: &mut Graph,
    [w, recurrent, bias]: [TensorId; 3],
    format: WeightFormat,
) -> Result<[TensorId; 3], &'static str> {
    if format == WeightFormat::Float16 {
        let [w, recurrent] = [make(graph, w, 0, format)?.w, make(graph, recurrent, 0, format)?.w];
        return Ok([w, recurrent, bias]);
    }
    let mut rows = graph.tensor(bias).reals().unwrap_or_default();
    let mut stored = [w, recurrent];
    for weights in &mut stored {
        let tensor = graph.tensor(*weights);
        let (name, dims) = (tensor.name.clone(), tensor.dims().to_vec());
        let reals = finite(tensor)?;
        let (w, scales) = quantize(&reals, &[dims[0] * dims[1], dims[2]], 0);
        refuse_longer(&w, &scales)?;
        *weights = graph.add_raw(&name, &dims, Data::I8(w.into()));
        rows.extend(scales);
    }
    let tensor = graph.tensor(bias);
    let (name, units) = (format!("{} and scales", tensor.name), tensor.dims()[1]);
    let bias = graph.add_constant(&name, &[rows.len() as u32 / units.max(1), units], rows);
    Ok([stored[0], stored[1], bias])
}

/// Whether a tensor is one of reals, however they are stored.
fn is_of_reals(graph: &Graph, id: TensorId) -> bool {
    graph.tensor(id).tensor_type.dtype == DType::F32
}

/// Whether there is an operator that reads the weights of a node as they are stored, in fewer bytes
/// than float32 takes.
pub fn reads_as_stored(graph: &Graph, node: &Node) -> bool {
    let Some(fewer) = ops::operator(node.op).fewer_bytes else { return false };
    let WeightOperands::Outputs(axis) = fewer.operands else { return false };
    let w = graph.tensor(node.inputs[1]);
    match w.data {
        Some(Data::F16(_)) => true,
        Some(_) => signed(graph, node.inputs[1], axis).is_some(),
        None => false,
    }
}

/// Bytes of the constants that nodes read: as they are stored, and if all reals were float32.
pub fn constant_bytes(graph: &Graph) -> (u64, u64) {
    let mut read: Vec<TensorId> = graph.nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
    read.sort_unstable();
    read.dedup();
    let data = read.iter().filter_map(|&id| Some((id, graph.tensor(id).data.as_ref()?)));
    data.fold((0, 0), |(stored, floats), (id, data)| {
        let bytes = data.bytes().len() as u64;
        let as_float = if is_of_reals(graph, id) { 4 * data.len() as u64 } else { bytes };
        (stored + bytes, floats + as_float)
    })
}

/// Weights of bytes, moved so that 0 stands for zero, and their scales: one, or one for each output.
/// `None` if the weights are stored otherwise, or do not fit signed bytes then.
fn signed(graph: &Graph, id: TensorId, axis: usize) -> Option<(Vec<i8>, Vec<f32>)> {
    let tensor = graph.tensor(id);
    let quant = tensor.quant.as_ref()?;
    let Some(data @ (Data::I8(_) | Data::U8(_))) = &tensor.data else { return None };
    let outputs = tensor.dims()[axis] as usize;
    if !quant.is_per_tensor() && (quant.axis != axis || quant.scales.len() != outputs) {
        return None;
    }
    let output_of = output_of(tensor.dims(), axis);
    let zero_point = |index: usize| match quant.zero_points[..] {
        [one] => one,
        _ => quant.zero_points[output_of(index)],
    };
    let integers = data.integers()?;
    let moved = integers.iter().enumerate().map(|(index, &q)| i8::try_from(q - zero_point(index)).ok());
    Some((moved.collect::<Option<Vec<i8>>>()?, quant.scales.clone()))
}

/// Stored weights as operands.
fn take(graph: &mut Graph, id: TensorId, axis: usize) -> Option<Stored> {
    let (name, dims) = (graph.tensor(id).name.clone(), graph.dims(id).to_vec());
    if let Some(Data::F16(bits)) = graph.tensor(id).data.clone() {
        return Some(Stored { w: graph.add_raw(&name, &dims, Data::F16(bits)), scales: None });
    }
    let (w, scales) = signed(graph, id, axis)?;
    Some(add_signed(graph, &name, &dims, w, scales))
}

fn add_signed(graph: &mut Graph, name: &str, dims: &[u32], w: Vec<i8>, scales: Vec<f32>) -> Stored {
    let w = graph.add_raw(name, dims, Data::I8(w.into()));
    let scales = graph.add_constant(&format!("{name} scales"), &[scales.len() as u32], scales);
    Stored { w, scales: Some(scales) }
}

/// Reals as operands in fewer bytes, or why they stay float32.
fn make(graph: &mut Graph, id: TensorId, axis: usize, format: WeightFormat) -> Result<Stored, &'static str> {
    let tensor = graph.tensor(id);
    let (name, dims) = (tensor.name.clone(), tensor.dims().to_vec());
    let reals = finite(tensor)?;
    if format == WeightFormat::Float16 {
        let bits: Vec<u16> = reals.iter().map(|&v| half::nearest(v)).collect();
        if bits.iter().any(|bits| bits & 0x7fff == half::INFINITY) {
            return Err("some are too large for binary16");
        }
        return Ok(Stored { w: graph.add_raw(&name, &dims, Data::F16(bits.into())), scales: None });
    }
    let (w, scales) = quantize(&reals, &dims, axis);
    refuse_longer(&w, &scales)?;
    Ok(add_signed(graph, &name, &dims, w, scales))
}

/// The reals of a tensor, if all are finite.
fn finite(tensor: &Tensor) -> Result<Vec<f32>, &'static str> {
    let reals = tensor.reals().unwrap_or_default();
    if reals.iter().all(|v| v.is_finite()) { Ok(reals) } else { Err("some are not finite") }
}

/// Refuses weights that take as many bytes with their scales as float32 would.
fn refuse_longer(w: &[i8], scales: &[f32]) -> Result<(), &'static str> {
    if w.len() + 4 * scales.len() < 4 * w.len() {
        return Ok(());
    }
    Err("with their scales, they would take no fewer bytes")
}

/// To which output a weight belongs, by its index, if dimension `axis` counts outputs.
fn output_of(dims: &[u32], axis: usize) -> impl Fn(usize) -> usize {
    let inner: usize = dims[axis + 1..].iter().map(|&dim| dim as usize).product();
    let outputs = dims[axis] as usize;
    move |index| index / inner % outputs
}

/// Signed bytes and a scale for each output along `axis`: `w ≈ scale · q`.
fn quantize(reals: &[f32], dims: &[u32], axis: usize) -> (Vec<i8>, Vec<f32>) {
    let output_of = output_of(dims, axis);
    let mut scales = vec![0.0f32; dims[axis] as usize];
    for (index, v) in reals.iter().enumerate() {
        let largest = &mut scales[output_of(index)];
        *largest = largest.max(v.abs());
    }
    scales.iter_mut().for_each(|scale| *scale = (*scale / 127.0).max(f32::MIN_POSITIVE));
    let nearest = |(index, &v): (usize, &f32)| {
        (f64::from(v) / f64::from(scales[output_of(index)])).round().clamp(-127.0, 127.0) as i8
    };
    (reals.iter().enumerate().map(nearest).collect(), scales)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Quant;
    use flatpack_format::ops::Clamp;
    use flatpack_format::ops::depthwise_conv_2d::DepthwiseConv2dParams;
    use flatpack_format::ops::fully_connected::FullyConnectedParams;
    use flatpack_format::ops::recurrence::{Activation, Recurrence};
    use flatpack_format::ops::unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams;
    use flatpack_format::{OpCode, Shape};

    const FULL: FullyConnectedParams = FullyConnectedParams { clamp: Clamp::NONE };

    /// A fully connected layer with these weights `[outputs, 2]`.
    fn dense(data: Data, quant: Option<Quant>) -> Graph {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 2]).unwrap());
        let w = graph.add_stored("w", &[data.len() as u32 / 2, 2], data, quant);
        let y = graph.add_node("dense", OpCode::FullyConnected, FULL, &[x, w]).unwrap();
        graph.outputs.push(y);
        graph
    }

    /// The operator, weights and scales of the first node.
    fn stored(graph: &Graph) -> (OpCode, &Data, Option<&[f32]>) {
        let node = &graph.nodes[0];
        let scales = node.inputs.get(2).and_then(|&scales| graph.data(scales)).map(|scales| &scales[..]);
        (node.op, graph.tensor(node.inputs[1]).data.as_ref().unwrap(), scales)
    }

    #[test]
    fn the_largest_weight_of_each_output_becomes_127() {
        let reals = vec![63.5, -0.75, -31.75, 0.125, 0.0, 0.0, 127.0, 1.5, 127.0, -1.5];
        let mut graph = dense(Data::F32(reals.into()), None);
        let compressed = run(&mut graph, WeightFormat::Int8, &[]);
        assert_eq!(compressed.details, ["dense: 10 weights of fully_connected_w8 as i8"]);
        assert!(compressed.rounded);
        // Halves go away from zero.
        let q = Data::I8([127, -2, -127, 1, 0, 0, 127, 2, 127, -2].into());
        let scales = [0.5, 0.25, f32::MIN_POSITIVE, 1.0, 1.0];
        assert_eq!(stored(&graph), (OpCode::FullyConnectedW8, &q, Some(&scales[..])));
    }

    #[test]
    fn weights_of_binary16_that_do_not_become_integers_stay_such() {
        let of = |weights: [f32; 4], keep: &[String]| {
            let bits = weights.map(half::nearest);
            let mut graph = dense(Data::F16(bits.into()), None);
            let compressed = run(&mut graph, WeightFormat::Int8, keep);
            (stored(&graph).0, graph.tensor(graph.nodes[0].inputs[1]).tensor_type.dtype, compressed)
        };
        let (op, dtype, compressed) = of([1.0, f32::INFINITY, 2.0, 3.0], &[]);
        assert_eq!((op, dtype, compressed.rounded), (OpCode::FullyConnectedW16, DType::F16, false));
        assert_eq!(compressed.details[0], "dense: weights stay f16: some are not finite");
        let (op, dtype, compressed) = of([1.0; 4], &["dense".into()]);
        assert_eq!((op, dtype, compressed.rounded), (OpCode::FullyConnectedW16, DType::F16, false));
    }

    #[test]
    fn weights_that_integers_would_not_shorten_stay() {
        let mut graph = dense(Data::F32([1.0, 2.0].into()), None);
        let params = DepthwiseConv2dParams {
            stride: [1, 1],
            dilation: [1, 1],
            pad_h: [0, 0],
            pad_w: [0, 0],
            clamp: Clamp::NONE,
        };
        let x = graph.add_input("x", Shape::new(&[1, 1, 1, 2]).unwrap());
        let w = graph.add_constant("w", &[1, 1, 2], [1.0, 2.0]);
        graph.add_node("depthwise", OpCode::DepthwiseConv2d, params, &[x, w]).unwrap();
        let details = run(&mut graph, WeightFormat::Int8, &[]).details;
        assert_eq!(
            details,
            [
                "dense: 2 weights of fully_connected_w8 as i8",
                "depthwise: weights stay f32: with their scales, they would take no fewer bytes"
            ]
        );
    }

    #[test]
    fn weights_past_binary16_stay() {
        let mut graph = dense(Data::F32([1.0, 65519.0].into()), None);
        run(&mut graph, WeightFormat::Float16, &[]);
        assert_eq!(stored(&graph), (OpCode::FullyConnectedW16, &Data::F16([0x3c00, 0x7bff].into()), None));
        for (v, reason) in [(65520.0, "some are too large for binary16"), (f32::NAN, "some are not finite")] {
            let mut graph = dense(Data::F32([1.0, v].into()), None);
            let compressed = run(&mut graph, WeightFormat::Float16, &[]);
            assert_eq!(compressed.details, [format!("dense: weights stay f32: {reason}")]);
            assert!(!compressed.rounded);
            assert_eq!(graph.nodes[0].op, OpCode::FullyConnected);
        }
    }

    /// A recurrent layer without gates and with 2 units on 1 input.
    fn recurrent(w: [f32; 2]) -> Graph {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 1, 1]).unwrap());
        let w = graph.add_constant("w", &[1, 2, 1], w.to_vec());
        let recurrent = graph.add_constant("recurrent", &[1, 2, 2], vec![63.5, -0.5, 0.0, 127.0]);
        let bias = graph.add_constant("bias", &[1, 2], vec![3.0, 4.0]);
        let state = graph.add_state("hidden", &[1, 2], Data::F32([0.0; 2].into()), None);
        let walk = Recurrence { gate_activation: Activation::Linear as u32, ..Recurrence::PLAIN };
        let params = UnidirectionalSequenceRnnParams { walk };
        let inputs = [x, w, recurrent, bias, state];
        let y = graph.add_node("rnn", OpCode::UnidirectionalSequenceRnn, params, &inputs).unwrap();
        graph.outputs.push(y);
        graph
    }

    #[test]
    fn scales_of_gates_are_behind_their_bias() {
        let wide = |graph: &mut Graph| {
            // One input would not pay for its scale.
            let x = graph.add_input("x", Shape::new(&[1, 1, 2]).unwrap());
            let w = graph.add_constant("w", &[1, 2, 2], vec![127.0, 1.0, 0.25, -31.75]);
            graph.nodes[0].inputs[..2].copy_from_slice(&[x, w]);
        };
        let mut graph = recurrent([0.0; 2]);
        wide(&mut graph);
        // A second layer of the same weights shares them.
        let again = graph.nodes[0].clone();
        graph.nodes.push(again);
        let details = run(&mut graph, WeightFormat::Int8, &[]).details;
        assert_eq!(details, ["rnn: 8 weights of unidirectional_sequence_rnn_w8 as i8"; 2]);
        let data = |at: usize| graph.tensor(graph.nodes[0].inputs[at]).data.clone().unwrap();
        assert_eq!(data(1), Data::I8([127, 1, 1, -127].into()));
        assert_eq!(data(2), Data::I8([127, -1, 0, 127].into()));
        assert_eq!(data(3), Data::F32([3.0, 4.0, 1.0, 0.25, 0.5, 1.0].into()));
        assert_eq!(graph.dims(graph.nodes[0].inputs[3]), [3, 2]);
        assert_eq!(graph.nodes[0].op, OpCode::UnidirectionalSequenceRnnW8);
        assert_eq!(graph.nodes[0].inputs, graph.nodes[1].inputs);
        let node = &graph.nodes[0];
        graph.infer(node.op, &node.params, &node.inputs).unwrap();
    }

    #[test]
    fn weights_of_gates_stay_where_they_are_to_or_must() {
        let of = |w: [f32; 2], format, keep: &[String]| {
            let mut graph = recurrent(w);
            let details = run(&mut graph, format, keep).details;
            (graph.nodes[0].op, details.concat())
        };
        let float = OpCode::UnidirectionalSequenceRnn;
        assert_eq!(of([1.0; 2], WeightFormat::Float32, &[]), (float, String::new()));
        let short = "rnn: weights stay f32: with their scales, they would take no fewer bytes";
        assert_eq!(of([1.0; 2], WeightFormat::Int8, &[]), (float, short.into()));
        let kept = of([1.0; 2], WeightFormat::Float16, &["rnn".to_owned()]);
        assert_eq!(kept, (float, "rnn: weights stay f32, as asked".into()));
        let infinite = of([f32::INFINITY, 0.0], WeightFormat::Float16, &[]);
        assert_eq!(infinite, (float, "rnn: weights stay f32: some are not finite".into()));
        let half = of([1.0; 2], WeightFormat::Float16, &[]);
        let words = "rnn: 6 weights of unidirectional_sequence_rnn_w16 as f16";
        assert_eq!(half, (OpCode::UnidirectionalSequenceRnnW16, words.into()));
    }

    #[test]
    fn layers_that_are_kept_stay() {
        let mut graph = dense(Data::F32([1.0, 2.0].into()), None);
        let compressed = run(&mut graph, WeightFormat::Int8, &["dense".to_owned()]);
        assert_eq!(compressed.details, ["dense: weights stay f32, as asked"]);
        assert_eq!(graph.nodes[0].op, OpCode::FullyConnected);
    }

    #[test]
    fn weights_that_are_stored_as_integers_are_moved_to_zero_where_that_is_exact() {
        let per_tensor = |dtype, zero_point| Some(Quant::per_tensor(dtype, 0.5, zero_point));
        for (data, quant, q) in [
            (Data::I8([1, -128].into()), per_tensor(DType::I8, 0), [1, -128]),
            (Data::U8([0, 255].into()), per_tensor(DType::U8, 128), [-128, 127]),
            (Data::U8([3, 130].into()), per_tensor(DType::U8, 3), [0, 127]),
        ] {
            let mut graph = dense(data, quant);
            assert!(reads_as_stored(&graph, &graph.nodes[0]));
            let compressed = run(&mut graph, WeightFormat::Float32, &[]);
            assert!(!compressed.rounded);
            assert_eq!(stored(&graph), (OpCode::FullyConnectedW8, &Data::I8(q.into()), Some(&[0.5][..])));
        }
        for (data, quant) in [
            (Data::U8([3, 131].into()), per_tensor(DType::U8, 2)),
            (Data::I8([-128, 0].into()), per_tensor(DType::I8, 1)),
            (Data::I16([1, 2].into()), per_tensor(DType::I16, 0)),
            (Data::I8([1, 2].into()), Some(Quant::per_channel(DType::I8, vec![1.0, 2.0], 1))),
            (Data::I8([1, 2].into()), None),
        ] {
            let graph = dense(data, quant);
            assert!(!reads_as_stored(&graph, &graph.nodes[0]));
        }
    }

    #[test]
    fn stored_weights_keep_their_values_unless_integers_are_asked_for() {
        let quant = Quant::per_channel(DType::I8, vec![0.5, 2.0], 0);
        for (data, quant) in [
            (Data::I8([1, -3, 5, 127].into()), Some(quant)),
            (Data::F16([0x3c00, 0x3800, 0x4000, 0xc000].into()), None),
        ] {
            for format in [WeightFormat::Float32, WeightFormat::Float16, WeightFormat::Int8] {
                let mut graph = dense(data.clone(), quant.clone());
                let before = graph.tensor(graph.nodes[0].inputs[1]).reals().unwrap();
                let compressed = run(&mut graph, format, &[]);
                let (op, w, scales) = stored(&graph);
                let halves = data.dtype() == DType::F16 && format != WeightFormat::Int8;
                assert_eq!(op, if halves { OpCode::FullyConnectedW16 } else { OpCode::FullyConnectedW8 });
                assert_eq!(compressed.rounded, data.dtype() == DType::F16 && !halves);
                if !compressed.rounded {
                    let scale = |index: usize| scales.map_or(1.0, |scales| scales[index / 2]);
                    let reals: Vec<f32> =
                        w.floats().iter().enumerate().map(|(index, q)| q * scale(index)).collect();
                    assert_eq!(reals, before);
                }
            }
        }
    }

    #[test]
    fn weights_that_layers_share_stay_one_constant() {
        let mut graph = dense(Data::F32([1.0, 2.0, 3.0, 4.0].into()), None);
        let (x, w) = (graph.outputs[0], graph.nodes[0].inputs[1]);
        graph.add_node("again", OpCode::FullyConnected, FULL, &[x, w]).unwrap();
        assert_eq!(constant_bytes(&graph), (16, 16));
        run(&mut graph, WeightFormat::Int8, &[]);
        assert_eq!(graph.nodes[0].inputs[1..], graph.nodes[1].inputs[1..]);
        assert_eq!(constant_bytes(&graph).0, 4 + 2 * 4);
    }
}
