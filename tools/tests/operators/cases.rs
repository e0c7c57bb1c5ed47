//! Configurations of each operator, drawn at random: shapes, parameters, values.

mod products;

use crate::draw::Draw;
use bytemuck::{Pod, Zeroable};
use flatpack::graph::{Data, Graph, TensorId};
use flatpack::half;
use flatpack_format::ops::recurrence::{
    Activation, GIVEN, HELD, KEPT, REPEATED, Recurrence, UNMASKED, ZEROED, ZEROS,
};
use flatpack_format::ops::{
    Clamp,
    binary::BinaryParams,
    broadcast_to::BroadcastToParams,
    celu::CeluParams,
    clip::ClipParams,
    concatenate::ConcatenateParams,
    elu::EluParams,
    gather::GatherParams,
    gelu::GeluParams,
    group_normalization::GroupNormalizationParams,
    hard_sigmoid::HardSigmoidParams,
    hash::{HashParams, MAX_BINS},
    l2_normalization::L2NormalizationParams,
    layer_normalization::LayerNormalizationParams,
    leaky_relu::LeakyReluParams,
    log_softmax::LogSoftmaxParams,
    mean::ReduceParams,
    pad::PadParams,
    reshape::ReshapeParams,
    resize_bilinear::ResizeBilinearParams,
    resize_nearest_neighbor::ResizeNearestNeighborParams,
    softmax::SoftmaxParams,
    sparsemax::SparsemaxParams,
    squareplus::SquareplusParams,
    strided_slice::StridedSliceParams,
    svdf::SvdfParams,
    thresholded_relu::ThresholdedReluParams,
    transpose::TransposeParams,
    unidirectional_sequence_gru::UnidirectionalSequenceGruParams,
    unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams,
    unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams,
};
use flatpack_format::{DType, OpCode, Shape};

/// A graph of one node, and values for its inputs.
pub(crate) struct Case {
    pub(crate) graph: Graph,
    pub(crate) inputs: Vec<Vec<f32>>,
}

/// The type that an operator reads its weights in.
fn operator_weights(op: OpCode) -> DType {
    match op {
        OpCode::Conv2dW8
        | OpCode::DepthwiseConv2dW8
        | OpCode::TransposeConv2dW8
        | OpCode::FullyConnectedW8
        | OpCode::GatherW8
        | OpCode::UnidirectionalSequenceGruW8
        | OpCode::UnidirectionalSequenceLstmW8
        | OpCode::UnidirectionalSequenceRnnW8 => DType::I8,
        OpCode::Conv2dW16
        | OpCode::DepthwiseConv2dW16
        | OpCode::TransposeConv2dW16
        | OpCode::FullyConnectedW16
        | OpCode::GatherW16
        | OpCode::UnidirectionalSequenceGruW16
        | OpCode::UnidirectionalSequenceLstmW16
        | OpCode::UnidirectionalSequenceRnnW16 => DType::F16,
        _ => DType::F32,
    }
}

/// Parameters of operators that have none.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Nothing {}

/// A case of `op`.
pub(crate) fn case(op: OpCode, draw: &mut Draw) -> Case {
    let mut build = Build { op, draw, graph: Graph::default(), inputs: Vec::new(), node_inputs: Vec::new() };
    build.any();
    Case { graph: build.graph, inputs: build.inputs }
}

struct Build<'d> {
    op: OpCode,
    draw: &'d mut Draw,
    graph: Graph,
    inputs: Vec<Vec<f32>>,
    node_inputs: Vec<TensorId>,
}

/// A window along one axis.
struct Axis {
    input: u32,
    taps: u32,
    stride: u32,
    dilation: u32,
    pad: [u32; 2],
}

/// A window that the inputs carry over the output, along one axis.
struct TransposedAxis {
    input: u32,
    taps: u32,
    stride: u32,
    dilation: u32,
    crop: u32,
    output: u32,
}

/// Where the elementwise functions bend, saturate or change sign.
const EDGES: [f32; 17] =
    [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.5, 3.0, -3.0, 6.0, 20.0, -20.0, 80.0, -80.0, 1e-30];

impl Build<'_> {
    fn any(&mut self) {
        match self.op {
            OpCode::Conv2d | OpCode::Conv2dW8 | OpCode::Conv2dW16 => self.conv_2d(),
            OpCode::DepthwiseConv2d | OpCode::DepthwiseConv2dW8 | OpCode::DepthwiseConv2dW16 => {
                self.depthwise_conv_2d()
            }
            OpCode::TransposeConv2d | OpCode::TransposeConv2dW8 | OpCode::TransposeConv2dW16 => {
                self.transpose_conv_2d()
            }
            OpCode::Conv3d => self.conv_3d(),
            OpCode::TransposeConv3d => self.transpose_conv_3d(),
            OpCode::FullyConnected | OpCode::FullyConnectedW8 | OpCode::FullyConnectedW16 => {
                self.fully_connected()
            }
            OpCode::BatchMatmul => self.batch_matmul(),
            OpCode::AveragePool2d | OpCode::MaxPool2d => self.pool(),
            OpCode::Softmax => self.along_an_axis(|axis| SoftmaxParams { axis }),
            OpCode::LogSoftmax => self.along_an_axis(|axis| LogSoftmaxParams { axis }),
            OpCode::Sparsemax => self.along_an_axis(|axis| SparsemaxParams { axis }),
            OpCode::Mean | OpCode::Sum | OpCode::ReduceMax | OpCode::ReduceMin | OpCode::ReduceProd => {
                self.reduction();
            }
            OpCode::LayerNormalization => self.last_axes_normalization(2),
            OpCode::RmsNormalization => self.last_axes_normalization(1),
            OpCode::GroupNormalization => self.group_normalization(),
            OpCode::L2Normalization => self.l2_normalization(),
            OpCode::Add
            | OpCode::Sub
            | OpCode::Mul
            | OpCode::Div
            | OpCode::Maximum
            | OpCode::Minimum
            | OpCode::Pow
            | OpCode::SquaredDifference
            | OpCode::Equal
            | OpCode::NotEqual
            | OpCode::Greater
            | OpCode::GreaterEqual => self.binary(),
            OpCode::Select => self.select(),
            OpCode::Gather | OpCode::GatherW8 | OpCode::GatherW16 => self.gather(),
            OpCode::Prelu => self.prelu(),
            OpCode::Concatenate => self.concatenate(),
            OpCode::Pad => self.pad(),
            OpCode::StridedSlice => self.strided_slice(),
            OpCode::Transpose => self.transpose(),
            OpCode::Reshape => self.reshape(),
            OpCode::BroadcastTo => self.broadcast_to(),
            OpCode::ResizeNearestNeighbor => {
                let grid = self.draw.from(0..=2);
                self.resize(|size| ResizeNearestNeighborParams { size, grid });
            }
            OpCode::ResizeBilinear => {
                let grid = self.draw.from(0..=2);
                self.resize(|size| ResizeBilinearParams { size, grid });
            }
            OpCode::Svdf => self.svdf(),
            OpCode::UnidirectionalSequenceLstm
            | OpCode::UnidirectionalSequenceLstmW8
            | OpCode::UnidirectionalSequenceLstmW16 => self.recurrent([4, 4, 2, 1], |build, walk| {
                let cell_clip = build.draw.one_of(&[f32::INFINITY, 0.5, 10.0]);
                UnidirectionalSequenceLstmParams { walk, cell_clip }
            }),
            OpCode::UnidirectionalSequenceGru
            | OpCode::UnidirectionalSequenceGruW8
            | OpCode::UnidirectionalSequenceGruW16 => {
                let reset_after = u32::from(self.draw.chance());
                let (biases, room) = if reset_after == 1 { (4, 1) } else { (3, 2) };
                self.recurrent([3, biases, 1, room], |_, walk| UnidirectionalSequenceGruParams {
                    walk,
                    reset_after,
                });
            }
            OpCode::UnidirectionalSequenceRnn
            | OpCode::UnidirectionalSequenceRnnW8
            | OpCode::UnidirectionalSequenceRnnW16 => {
                self.recurrent([1, 1, 1, 1], |_, walk| UnidirectionalSequenceRnnParams { walk });
            }
            OpCode::Clip => {
                let clamp = self.clamp();
                self.unary(ClipParams { clamp });
            }
            OpCode::LeakyRelu => {
                let alpha = self.draw.one_of(&[0.0, 0.01, 0.3, 1.5, -0.5]);
                self.unary(LeakyReluParams { alpha });
            }
            OpCode::ThresholdedRelu => {
                let threshold = self.draw.one_of(&[0.0, 1.0, -0.5]);
                let slope = self.draw.one_of(&[0.0, 0.1]);
                let max = self.draw.one_of(&[f32::INFINITY, 1.5, 6.0]);
                self.unary(ThresholdedReluParams { threshold, slope, max });
            }
            OpCode::Elu => {
                let alpha = self.draw.one_of(&[1.0, 0.3, 2.0]);
                self.unary(EluParams { alpha });
            }
            OpCode::Celu => {
                let alpha = self.draw.one_of(&[1.0, 0.3, 2.0]);
                self.unary(CeluParams { alpha });
            }
            OpCode::Gelu => {
                let approximate = self.draw.from(0..=1);
                self.unary(GeluParams { approximate });
            }
            OpCode::HardSigmoid => {
                let (slope, offset) = self.draw.one_of(&[(0.2, 0.5), (1.0 / 6.0, 0.5)]);
                self.unary(HardSigmoidParams { slope, offset });
            }
            OpCode::Hash => self.hash(),
            OpCode::Squareplus => {
                let b = self.draw.one_of(&[4.0, 0.0, 0.5]);
                self.unary(SquareplusParams { b });
            }
            OpCode::Selu
            | OpCode::Logistic
            | OpCode::HardSwish
            | OpCode::Swish
            | OpCode::Mish
            | OpCode::Softplus
            | OpCode::Softsign
            | OpCode::Tanh
            | OpCode::Exp
            | OpCode::Log
            | OpCode::Sqrt
            | OpCode::Rsqrt
            | OpCode::Abs
            | OpCode::Neg
            | OpCode::Square
            | OpCode::Erf
            | OpCode::Sin
            | OpCode::Cos
            | OpCode::Floor
            | OpCode::Ceil
            | OpCode::Round
            | OpCode::Sign => self.unary(Nothing {}),
            op => panic!("{} computes with integers", op.name()),
        }
    }

    fn node<P: Pod>(&mut self, params: P) {
        let y = self.graph.add_node("layer", self.op, params, &self.node_inputs).expect("a case that fits");
        self.graph.outputs.push(y);
    }

    fn input_of(&mut self, dims: &[u32], values: Vec<f32>) {
        let id = self.graph.add_input("x", Shape::new(dims).unwrap());
        self.inputs.push(values);
        self.node_inputs.push(id);
    }

    fn input(&mut self, dims: &[u32]) {
        let values = self.draw.units(dims.iter().product());
        self.input_of(dims, values);
    }

    /// An input whose mean may be far from zero.
    fn shifted_input(&mut self, dims: &[u32]) {
        let mean = self.draw.one_of(&[0.0, 0.0, 3.0]);
        let values = self.draw.units(dims.iter().product()).iter().map(|value| value + mean).collect();
        self.input_of(dims, values);
    }

    /// A constant, seldom another input of the model.
    fn weights(&mut self, dims: &[u32]) {
        if self.draw.from(0..=9) == 0 { self.input(dims) } else { self.constant(dims) }
    }

    /// Weights, stored as the operator reads them; `axis` counts outputs.
    fn stored_weights(&mut self, dims: &[u32], axis: usize) {
        let values = self.draw.units(dims.iter().product());
        let data = match operator_weights(self.op) {
            DType::I8 => Data::I8(values.iter().map(|v| (v * 127.0).round() as i8).collect()),
            DType::F16 => Data::F16(values.iter().map(|&v| half::nearest(v)).collect()),
            _ => return self.weights(dims),
        };
        let scaled = data.dtype() == DType::I8;
        let w = self.graph.add_raw("w", dims, data);
        self.node_inputs.push(w);
        if scaled {
            let count = self.draw.one_of(&[1, dims[axis]]);
            let scales: Vec<f32> = self.draw.units(count).iter().map(|v| v / 127.0).collect();
            let scales = self.graph.add_constant("scales", &[count], scales);
            self.node_inputs.push(scales);
        }
    }

    /// Weights, stored as the operator reads them; their scales lie elsewhere. Sums stay so small that no function of
    /// them overflows from moment to moment in float32 where it does not in float64.
    fn weights_of_gates(&mut self, dims: &[u32]) {
        let values = self.draw.units(dims.iter().product());
        let small = values.iter().map(|v| v / dims[2] as f32);
        let data = match operator_weights(self.op) {
            DType::I8 => Data::I8(values.iter().map(|v| (v * 127.0).round() as i8).collect()),
            DType::F16 => Data::F16(small.map(half::nearest).collect()),
            _ => Data::F32(small.collect()),
        };
        let w = self.graph.add_raw("w", dims, data);
        self.node_inputs.push(w);
    }

    fn constant(&mut self, dims: &[u32]) {
        let values = self.draw.units(dims.iter().product());
        let id = self.graph.add_constant("w", dims, values);
        self.node_inputs.push(id);
    }

    /// A bias, or none.
    fn bias(&mut self, outputs: u32) {
        if self.draw.chance() {
            self.weights(&[outputs]);
        }
    }

    fn state(&mut self, dims: &[u32]) {
        let values = self.draw.units(dims.iter().product());
        let id = self.graph.add_state("held", dims, Data::F32(values.into()), None);
        self.node_inputs.push(id);
    }

    fn clamp(&mut self) -> Clamp {
        let bounds = [(f32::NEG_INFINITY, f32::INFINITY), (0.0, f32::INFINITY), (0.0, 6.0), (-0.5, 0.25)];
        let (min, max) = self.draw.one_of(&bounds);
        Clamp { min, max }
    }

    fn axis(&mut self) -> Axis {
        let draw = &mut *self.draw;
        let (taps, stride, dilation) = (draw.from(1..=4), draw.from(1..=4), draw.from(1..=3));
        let pad = [draw.from(0..=3), draw.from(0..=3)];
        let reach = (taps - 1) * dilation + 1;
        let input = reach.saturating_sub(pad[0] + pad[1]).max(1) + draw.size(6) - 1;
        Axis { input, taps, stride, dilation, pad }
    }

    fn transposed_axis(&mut self) -> TransposedAxis {
        let draw = &mut *self.draw;
        TransposedAxis {
            input: draw.size(4),
            taps: draw.from(1..=4),
            stride: draw.from(1..=4),
            dilation: draw.from(1..=3),
            crop: draw.from(0..=3),
            output: draw.size(15),
        }
    }

    fn along_an_axis<P: Pod>(&mut self, params: impl Fn(u32) -> P) {
        let x = self.draw.dims(1..=5);
        let axis = self.draw.from(0..=x.len() as u32 - 1);
        let scale = self.draw.one_of(&[1.0, 10.0, 100.0]);
        let values = self.draw.units(x.iter().product()).iter().map(|value| value * scale).collect();
        self.input_of(&x, values);
        self.node(params(axis));
    }

    fn reduction(&mut self) {
        let x = self.draw.dims(1..=6);
        let axis = self.draw.from(0..=x.len() as u32 - 1);
        let axis_count = self.draw.from(1..=x.len() as u32 - axis);
        let keep_dims = self.draw.from(0..=1);
        self.input(&x);
        self.node(ReduceParams { axis, axis_count, keep_dims });
    }

    fn last_axes_normalization(&mut self, constants: usize) {
        let x = self.draw.dims(1..=5);
        let axis_count = self.draw.from(1..=x.len() as u32);
        let len = x[x.len() - axis_count as usize..].iter().product();
        self.shifted_input(&x);
        if self.draw.chance() {
            (0..constants).for_each(|_| self.weights(&[len]));
        }
        self.node(LayerNormalizationParams { axis_count, epsilon: 1e-3 });
    }

    fn group_normalization(&mut self) {
        let groups = self.draw.from(1..=4);
        let channels = groups * self.draw.from(1..=4);
        let mut x = self.draw.dims(2..=5);
        *x.last_mut().unwrap() = channels;
        self.shifted_input(&x);
        if self.draw.chance() {
            self.weights(&[channels]);
            self.weights(&[channels]);
        }
        self.node(GroupNormalizationParams { groups, epsilon: 1e-3 });
    }

    fn l2_normalization(&mut self) {
        let x = self.draw.dims(1..=5);
        let axis = self.draw.from(0..=x.len() as u32 - 1);
        let axis_count = self.draw.from(1..=x.len() as u32 - axis);
        let epsilon = self.draw.one_of(&[1e-12, 1.0]);
        self.input(&x);
        self.node(L2NormalizationParams { axis, axis_count, epsilon });
    }

    /// A shape that broadcasts to `dims`.
    fn narrow(&mut self, dims: &[u32]) -> Vec<u32> {
        let skipped = self.draw.from(0..=dims.len() as u32) as usize;
        dims[skipped..].iter().map(|&dim| if self.draw.chance() { dim } else { 1 }).collect()
    }

    fn binary(&mut self) {
        let y = self.draw.dims(0..=6);
        let (mut a, mut b) = (y.clone(), y.clone());
        if self.draw.chance() {
            (a, b) = (self.narrow(&y), self.narrow(&y));
        }
        for (dims, is_base) in [(a, true), (b, false)] {
            let mut values = self.draw.units(dims.iter().product());
            for value in &mut values {
                match self.op {
                    OpCode::Pow if is_base => *value += 1.5,
                    OpCode::Pow => *value *= self.draw.one_of(&[1.0, 4.0]),
                    // So that some are equal.
                    OpCode::Equal | OpCode::NotEqual | OpCode::Greater | OpCode::GreaterEqual => {
                        *value = (*value * 2.0).round();
                    }
                    OpCode::Div if !is_base => *value += 1.5_f32.copysign(*value),
                    _ => {}
                }
            }
            self.input_of(&dims, values);
        }
        let clamp = self.clamp();
        self.node(BinaryParams { clamp });
    }

    fn select(&mut self) {
        let y = self.draw.dims(0..=6);
        for is_condition in [true, false, false] {
            let dims = if self.draw.chance() { y.clone() } else { self.narrow(&y) };
            let mut values = self.draw.units(dims.iter().product());
            if is_condition {
                values.iter_mut().for_each(|value| *value = value.round());
            }
            self.input_of(&dims, values);
        }
        self.node(Nothing {});
    }

    fn gather(&mut self) {
        let (x, row, rows) = (self.draw.dims(0..=3), self.draw.dims(0..=3), self.draw.size(9));
        let from_end = self.draw.from(0..=1);
        let mut values = self.draw.units(x.iter().product());
        for value in &mut values {
            // Also between rows and past the table.
            *value *= (rows + 1) as f32;
            if self.draw.chance() {
                *value = value.round();
            }
        }
        self.input_of(&x, values);
        self.stored_weights(&[&[rows], &row[..]].concat(), 0);
        self.node(GatherParams { from_end });
    }

    fn hash(&mut self) {
        let dims = self.draw.dims(0..=6);
        let mut values = self.draw.units(dims.iter().product());
        for value in &mut values {
            *value *= 10f32.powi(self.draw.from(0..=20) as i32);
        }
        self.input_of(&dims, values);
        let key = [(); 4].map(|()| self.draw.from(0..=u32::MAX - 1));
        let (bins, keyed) = (self.draw.from(1..=MAX_BINS), self.draw.from(0..=1));
        self.node(HashParams { bins, keyed, key });
    }

    fn prelu(&mut self) {
        let x = self.draw.dims(0..=6);
        let alpha = self.narrow(&x);
        self.input(&x);
        self.weights(&alpha);
        self.node(Nothing {});
    }

    fn concatenate(&mut self) {
        let mut x = self.draw.dims(1..=6);
        let axis = self.draw.from(0..=x.len() as u32 - 1);
        for _ in 0..self.draw.from(1..=4) {
            x[axis as usize] = self.draw.from(1..=5);
            if self.draw.chance() { self.input(&x) } else { self.constant(&x) }
        }
        self.node(ConcatenateParams { axis });
    }

    fn pad(&mut self) {
        let x = self.draw.dims(0..=6);
        let mut params = PadParams { before: [0; 6], after: [0; 6], value: self.draw.one_of(&[0.0, -2.5]) };
        for axis in 0..x.len() {
            params.before[axis] = self.draw.from(0..=2);
            params.after[axis] = self.draw.from(0..=2);
        }
        self.input(&x);
        self.node(params);
    }

    fn strided_slice(&mut self) {
        let x = self.draw.dims(0..=6);
        let mut params = StridedSliceParams { begin: [0; 6], stride: [1; 6], size: [1; 6] };
        for (axis, &dim) in x.iter().enumerate() {
            let stride = self.draw.from(1..=3);
            let size = self.draw.from(1..=dim.div_ceil(stride));
            let reach = (size - 1) * stride;
            let first = self.draw.from(0..=dim - 1 - reach);
            let backwards = self.draw.chance();
            params.begin[axis] = if backwards { first + reach } else { first };
            params.stride[axis] = if backwards { -(stride as i32) } else { stride as i32 };
            params.size[axis] = size;
        }
        self.input(&x);
        self.node(params);
    }

    fn transpose(&mut self) {
        let x = self.draw.dims(0..=6);
        let mut perm = [0, 1, 2, 3, 4, 5];
        perm[..x.len()].copy_from_slice(&self.draw.permutation(x.len()));
        self.input(&x);
        self.node(TransposeParams { perm });
    }

    fn reshape(&mut self) {
        let x = self.draw.dims(0..=6);
        let order = self.draw.permutation(x.len());
        let mut y: Vec<u32> = order.iter().map(|&axis| x[axis as usize]).collect();
        while y.len() > 1 && self.draw.chance() {
            let last = y.pop().unwrap();
            *y.last_mut().unwrap() *= last;
        }
        while y.len() < 6 && self.draw.chance() {
            let at = self.draw.from(0..=y.len() as u32) as usize;
            y.insert(at, 1);
        }
        self.input(&x);
        self.node(ReshapeParams::new(&Shape::new(&y).unwrap()));
    }

    fn broadcast_to(&mut self) {
        let y = self.draw.dims(0..=6);
        let x = self.narrow(&y);
        self.input(&x);
        self.node(BroadcastToParams::new(&Shape::new(&y).unwrap()));
    }

    fn resize<P: Pod>(&mut self, params: impl Fn([u32; 2]) -> P) {
        let [n, h, w, c] = [2, 7, 7, 5].map(|usual| self.draw.size(usual));
        let size = [self.draw.size(15), self.draw.size(15)];
        self.input(&[n, h, w, c]);
        self.node(params(size));
    }

    fn svdf(&mut self) {
        let (batch, inputs, units) = (self.draw.from(1..=3), self.draw.size(20), self.draw.size(10));
        let (rank, memory) = (self.draw.from(1..=3), self.draw.from(1..=6));
        self.input(&[batch, inputs]);
        self.constant(&[units * rank, inputs]);
        self.constant(&[units * rank, memory]);
        self.constant(&[units]);
        self.state(&[batch, units * rank, memory]);
        let clamp = self.clamp();
        self.node(SvdfParams { rank, clamp });
    }

    /// A recurrent operator of so many gates, biases and states; the first state has `room` rows.
    fn recurrent<P: Pod>(
        &mut self,
        [gates, biases, states, room]: [u32; 4],
        params: impl FnOnce(&mut Self, Recurrence) -> P,
    ) {
        let (batch, time, inputs) = (self.draw.from(1..=3), self.draw.from(1..=4), self.draw.size(10));
        let units = self.draw.size(8);
        let mut flag = || u32::from(self.draw.chance());
        let (time_major, backwards, last_only, states_after) = (flag(), flag(), flag(), flag());
        let functions = [0; 2].map(|_| self.draw.one_of(Activation::ALL) as u32);
        let gates_of = |of: u32| if gates == 1 { Activation::Linear as u32 } else { of };
        // Half of them as TensorFlow Lite has them.
        let plain = Recurrence { time_major, ..Recurrence::PLAIN };
        let walk = if self.draw.chance() {
            Recurrence { gate_activation: gates_of(plain.gate_activation), ..plain }
        } else {
            Recurrence {
                backwards,
                start: self.draw.one_of(&[KEPT, ZEROS, GIVEN]),
                last_only,
                states_after,
                mask: self.draw.one_of(&[UNMASKED, REPEATED, ZEROED, HELD]),
                activation: functions[0],
                gate_activation: gates_of(functions[1]),
                ..plain
            }
        };
        let moments = if time_major == 1 { [time, batch] } else { [batch, time] };
        self.input(&[moments[0], moments[1], inputs]);
        self.weights_of_gates(&[gates, units, inputs]);
        self.weights_of_gates(&[gates, units, units]);
        let scales = if operator_weights(self.op) == DType::I8 { 2 * gates } else { 0 };
        let rows = self.draw.units((biases + scales) * units).into_iter().enumerate();
        let row = |(at, v): (usize, f32)| match at as u32 / units {
            row if row < biases => v,
            row if row < biases + gates => v / (127 * inputs) as f32,
            _ => v / (127 * units) as f32,
        };
        let rows: Vec<f32> = rows.map(row).collect();
        let rows = self.graph.add_constant("bias", &[biases + scales, units], rows);
        self.node_inputs.push(rows);
        if walk.mask != UNMASKED {
            let values = (0..batch * time).map(|_| f32::from(u8::from(self.draw.chance()))).collect();
            self.input_of(&moments, values);
        }
        if walk.start == GIVEN {
            (0..states).for_each(|_| self.input(&[batch, units]));
        }
        for state in 0..states {
            self.state(&if state == 0 && room > 1 { vec![batch, room, units] } else { vec![batch, units] });
        }
        let params = params(self, walk);
        self.node(params);
    }

    fn unary<P: Pod>(&mut self, params: P) {
        let dims = self.draw.dims(0..=6);
        let scale = self.draw.one_of(&[1.0, 8.0, 64.0]);
        let mut values = self.draw.units(dims.iter().product());
        for value in &mut values {
            *value = if self.draw.from(0..=7) == 0 { self.draw.one_of(&EDGES) } else { *value * scale };
            if matches!(self.op, OpCode::Log | OpCode::Sqrt | OpCode::Rsqrt) {
                *value = value.abs();
            }
        }
        self.input_of(&dims, values);
        self.node(params);
    }
}
