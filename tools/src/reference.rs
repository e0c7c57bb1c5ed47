//! Reference predictions by tract-core: the graph as it was imported, before any pass, computed by
//! an engine that shares no code with ours. A state is a constant here, as a first run finds it.

use crate::graph::{Graph, Node, TensorId};
use crate::ops;
use flatpack_format::ops::Clamp;
use std::collections::HashMap;
use std::sync::Arc;
use tract_core::axes::AxesMapping;
use tract_core::internal::*;
use tract_core::ops::array::{Gather, Pad, PadMode, Slice};
use tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_core::ops::cast::cast;
use tract_core::ops::cnn::{Conv, Deconv, KernelFormat, PaddingSpec, PoolSpec};
use tract_core::ops::einsum::EinSum;
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::logic::Iff;
use tract_core::ops::math;
use tract_core::ops::nn::{DataFormat, Reduce, Reducer};

/// The version that makes the predictions, for the file's metadata.
pub const PRODUCER: &str = "tract-core 0.23.9";

/// A graph in tract's terms, under construction.
#[derive(Debug)]
pub struct Reference {
    model: TypedModel,
    outlets: HashMap<TensorId, OutletId>,
    layer: String,
    parts: usize,
}

/// A graph that tract is ready to run.
#[derive(Debug)]
pub struct Predictor {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<Vec<usize>>,
    computed: Vec<TensorId>,
}

impl Predictor {
    /// Translates a graph for tract, to predict every tensor that it computes.
    ///
    /// # Errors
    /// If tract refuses an operator.
    pub fn new(graph: &Graph) -> TractResult<Self> {
        Self::of(graph, graph.nodes.iter().map(|node| node.output).collect())
    }

    /// Translates a graph for tract, to predict the model's outputs alone: tract may fuse the rest.
    ///
    /// # Errors
    /// If tract refuses an operator.
    pub fn of_outputs(graph: &Graph) -> TractResult<Self> {
        Self::of(graph, graph.outputs.clone())
    }

    fn of(graph: &Graph, computed: Vec<TensorId>) -> TractResult<Self> {
        let mut reference = Reference {
            model: TypedModel::default(),
            outlets: HashMap::new(),
            layer: String::new(),
            parts: 0,
        };
        let mut inputs = Vec::new();
        for (position, &input) in graph.inputs.iter().enumerate() {
            let dims = sizes(graph.dims(input));
            let outlet = reference.model.add_source(format!("input {position}"), f32::fact(&dims))?;
            reference.outlets.insert(input, outlet);
            inputs.push(dims.to_vec());
        }
        for node in &graph.nodes {
            reference
                .add(graph, node)
                .with_context(|| format!("{} of layer {}", node.op.name(), node.layer))?;
        }
        let outlets: Vec<OutletId> = computed.iter().map(|id| reference.outlets[id]).collect();
        reference.model.select_output_outlets(&outlets)?;
        Ok(Self { plan: reference.model.into_optimized()?.into_runnable()?, inputs, computed })
    }

    /// The values of the tensors that it predicts, for these inputs of a first run.
    ///
    /// # Errors
    /// If tract fails to compute.
    pub fn predict(&self, inputs: &[Vec<f32>]) -> TractResult<HashMap<TensorId, Vec<f32>>> {
        let tensors: TractResult<TVec<TValue>> = inputs
            .iter()
            .zip(&self.inputs)
            .map(|(values, dims)| Ok(Tensor::from_shape(dims, values)?.into_tvalue()))
            .collect();
        let outputs = self.plan.run(tensors?)?;
        let values = outputs.iter().map(|t| Ok(t.to_plain_array_view::<f32>()?.iter().copied().collect()));
        let values: TractResult<Vec<Vec<f32>>> = values.collect();
        Ok(self.computed.iter().copied().zip(values?).collect())
    }
}

/// Windows along the axes between batch and channels, one entry per axis.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    /// Input positions between neighbouring windows.
    pub stride: &'a [u32],
    /// Input positions between neighbouring taps.
    pub dilation: &'a [u32],
    /// Positions before the first and after the last.
    pub pad: &'a [[u32; 2]],
}

impl Reference {
    fn add(&mut self, graph: &Graph, node: &Node) -> TractResult<()> {
        self.layer.clone_from(&node.layer);
        let inputs: TractResult<Vec<OutletId>> =
            node.inputs.iter().map(|&id| self.outlet(graph, id)).collect();
        let outlet = (ops::operator(node.op).reference)(self, graph, node, &inputs?)?;
        let dims = self.dims(outlet)?;
        let expected = sizes(graph.dims(node.output));
        ensure!(dims[..] == expected[..], "tract makes {dims:?}, the rule of the operator {expected:?}");
        self.outlets.insert(node.output, outlet);
        Ok(())
    }

    fn outlet(&mut self, graph: &Graph, id: TensorId) -> TractResult<OutletId> {
        if let Some(&outlet) = self.outlets.get(&id) {
            return Ok(outlet);
        }
        let initial = graph.initial(id).and_then(|initial| initial.reals());
        let data = initial.context("a tensor that nothing computes")?;
        let outlet = self.constant(Tensor::from_shape(&sizes(graph.dims(id)), &data)?)?;
        self.outlets.insert(id, outlet);
        Ok(outlet)
    }

    fn name(&mut self) -> String {
        self.parts += 1;
        format!("{} {}", self.layer, self.parts)
    }

    /// The static extents of an outlet.
    pub fn dims(&self, outlet: OutletId) -> TractResult<Vec<usize>> {
        let shape = self.model.outlet_fact(outlet)?.shape.as_concrete().context("a dynamic shape")?;
        Ok(shape.to_vec())
    }

    /// A constant.
    pub fn constant(&mut self, values: Tensor) -> TractResult<OutletId> {
        let name = self.name();
        self.model.add_const(name, values)
    }

    /// A constant of one element, of the type of `x`, that broadcasts to the shape of `x`.
    pub fn scalar_like(&mut self, x: OutletId, value: f64) -> TractResult<OutletId> {
        let fact = self.model.outlet_fact(x)?;
        let value = tensor0(value).cast_to_dt(fact.datum_type)?.into_owned();
        let value = value.broadcast_into_rank(fact.rank())?;
        self.constant(value)
    }

    /// Adds one of tract's operators.
    pub fn wire(&mut self, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) -> TractResult<OutletId> {
        let name = self.name();
        Ok(self.model.wire_node(name, op, inputs)?[0])
    }

    /// Adds one of tract's binary operators, with broadcasting from the last axis on.
    pub fn binary(&mut self, op: TypedBinOp, inputs: &[OutletId]) -> TractResult<OutletId> {
        let inputs = self.of_one_rank(inputs)?;
        self.wire(op, &inputs)
    }

    /// The same outlets with axes of length 1 before those of lower rank, as broadcasting lines them up.
    pub fn of_one_rank(&mut self, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let name = self.name();
        wire_rank_broadcast(&name, &mut self.model, inputs)
    }

    /// A binary operator with a scalar on the right.
    pub fn with_scalar(&mut self, op: TypedBinOp, x: OutletId, value: f64) -> TractResult<OutletId> {
        let value = self.scalar_like(x, value)?;
        self.wire(op, &[x, value])
    }

    /// Where a comparison of `x` with a scalar holds, `yes`, else `no`.
    pub fn select(
        &mut self,
        comparison: Box<dyn BinMiniOp>,
        [x, bound]: [OutletId; 2],
        [yes, no]: [OutletId; 2],
    ) -> TractResult<OutletId> {
        let condition = self.wire(TypedBinOp(comparison, None), &[x, bound])?;
        self.wire(Iff, &[condition, yes, no])
    }

    /// `formula` of `x` in float64, rounded once: for what loses digits in float32, and for what
    /// tract approximates there.
    pub fn in_f64(
        &mut self,
        x: OutletId,
        formula: impl FnOnce(&mut Self, OutletId) -> TractResult<OutletId>,
    ) -> TractResult<OutletId> {
        let x = self.wire(cast(f64::datum_type()), &[x])?;
        let y = formula(self, x)?;
        self.wire(cast(f32::datum_type()), &[y])
    }

    /// Bounds on an outlet, where they are finite.
    pub fn clamp(&mut self, clamp: Clamp, x: OutletId) -> TractResult<OutletId> {
        let mut y = x;
        if clamp.min > f32::NEG_INFINITY {
            y = self.with_scalar(math::max(), y, clamp.min.into())?;
        }
        if clamp.max < f32::INFINITY {
            y = self.with_scalar(math::min(), y, clamp.max.into())?;
        }
        Ok(y)
    }

    /// A bias over the last axis, if there is one.
    pub fn bias(&mut self, x: OutletId, bias: Option<OutletId>) -> TractResult<OutletId> {
        match bias {
            Some(bias) => self.binary(math::add(), &[x, bias]),
            None => Ok(x),
        }
    }

    /// The inputs x, w, scales and perhaps bias of an operator with weights as x, `w · scales` and bias.
    /// Scales, or the one, belong to outputs, which dimension `axis` of the weights counts.
    pub fn scaled_weights(&mut self, axis: usize, inputs: &[OutletId]) -> TractResult<Vec<OutletId>> {
        let [x, w, scales, bias @ ..] = inputs else { bail!("weights without scales") };
        let mut along_axis = vec![1; self.dims(*w)?.len()];
        along_axis[axis] = self.dims(*scales)?[0];
        let scales = self.reshape(&along_axis, *scales)?;
        let w = self.wire(math::mul(), &[*w, scales])?;
        Ok([&[*x, w], bias].concat())
    }

    /// Sums, maxima, … over `axes`, each of which stays with length 1.
    pub fn reduce(&mut self, reducer: Reducer, axes: &[usize], x: OutletId) -> TractResult<OutletId> {
        self.wire(Reduce { axes: axes.into(), reducer }, &[x])
    }

    /// Means over `axes`, each of which stays with length 1.
    pub fn mean(&mut self, axes: &[usize], x: OutletId) -> TractResult<OutletId> {
        let dims = self.dims(x)?;
        let len: usize = axes.iter().map(|&axis| dims[axis]).product();
        let sum = self.reduce(Reducer::Sum, axes, x)?;
        self.with_scalar(math::mul(), sum, 1.0 / len as f64)
    }

    /// `(x − mean) / √(variance + epsilon)`, both over `axes`.
    pub fn normalize(&mut self, axes: &[usize], epsilon: f32, x: OutletId) -> TractResult<OutletId> {
        let mean = self.mean(axes, x)?;
        let centred = self.binary(math::sub(), &[x, mean])?;
        self.divide_by_rms(axes, epsilon, centred)
    }

    /// `x / √(mean(x²) + epsilon)` over `axes`.
    pub fn divide_by_rms(&mut self, axes: &[usize], epsilon: f32, x: OutletId) -> TractResult<OutletId> {
        let squares = self.wire(math::square(), &[x])?;
        let mean = self.mean(axes, squares)?;
        let mean = self.with_scalar(math::add(), mean, epsilon.into())?;
        let rms = self.wire(math::sqrt(), &[mean])?;
        self.binary(math::div(), &[x, rms])
    }

    /// A scale and a bias over the last axis: inputs 1 and 2 of a normalisation, where it has them.
    pub fn scale_and_bias(&mut self, x: OutletId, inputs: &[OutletId]) -> TractResult<OutletId> {
        let scaled = match inputs.get(1) {
            Some(&scale) => self.binary(math::mul(), &[x, scale])?,
            None => x,
        };
        self.bias(scaled, inputs.get(2).copied())
    }

    /// The same elements in another shape.
    pub fn reshape(&mut self, dims: &[usize], x: OutletId) -> TractResult<OutletId> {
        let dim = |dims: &[usize]| dims.iter().map(|d| d.to_dim()).collect();
        let from = dim(&self.dims(x)?);
        self.wire(AxisOp::Reshape(0, from, dim(dims)), &[x])
    }

    /// The axes in another order: axis `i` of the result is axis `perm[i]` of `x`.
    pub fn transpose(&mut self, perm: &[usize], x: OutletId) -> TractResult<OutletId> {
        perm_to_ops(perm).into_iter().try_fold(x, |x, op| self.wire(op, &[x]))
    }

    /// The elements at `indices` of an axis, in that order.
    pub fn gather(
        &mut self,
        axis: usize,
        indices: impl IntoIterator<Item = i64>,
        x: OutletId,
    ) -> TractResult<OutletId> {
        let indices: Vec<i64> = indices.into_iter().collect();
        let indices = self.constant(tensor1(&indices))?;
        self.wire(Gather::new(axis), &[x, indices])
    }

    /// A product of tensors in Einstein's notation, such as `abk,ok->abo`.
    pub fn einsum(&mut self, axes: &str, inputs: &[OutletId]) -> TractResult<OutletId> {
        let axes: AxesMapping = axes.parse()?;
        self.wire(EinSum { axes, operating_dt: f32::datum_type(), q_params: None }, inputs)
    }

    /// Windows over x `[N, …, C]`, with as many outputs as channels.
    pub fn pool_spec(&self, x: OutletId, kernel: &[usize], windows: Windows<'_>) -> TractResult<PoolSpec> {
        let channels = *self.dims(x)?.last().context("no channels")?;
        let taps = kernel.iter().try_fold(1usize, |taps, len| taps.checked_mul(*len));
        ensure!(
            taps.is_some_and(|taps| taps <= MAX_TAPS),
            "a window of {kernel:?}: more than {MAX_TAPS} taps"
        );
        let side = |side: usize| windows.pad.iter().map(|pad| pad[side] as usize).collect();
        Ok(PoolSpec {
            data_format: DataFormat::NHWC,
            kernel_shape: kernel.into(),
            padding: PaddingSpec::Explicit(side(0), side(1)),
            dilations: Some(sizes(windows.dilation)),
            strides: Some(sizes(windows.stride)),
            input_channels: channels,
            output_channels: channels,
        })
    }

    /// A convolution over x `[N, …, C]` with weights `[O, …, C / groups]` and an optional bias.
    pub fn conv(
        &mut self,
        inputs: &[OutletId],
        windows: Windows<'_>,
        groups: usize,
    ) -> TractResult<OutletId> {
        let dims = self.dims(inputs[1])?;
        let pool_spec = PoolSpec {
            output_channels: dims[0],
            ..self.pool_spec(inputs[0], &dims[1..dims.len() - 1], windows)?
        };
        let bias = match inputs.get(2) {
            Some(&bias) => bias,
            None => self.constant(Tensor::zero::<f32>(&dims[..1])?)?,
        };
        let weights = self.wire(AxisOp::Move(dims.len() - 1, 1), &inputs[1..2])?;
        let conv = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: groups, q_params: None };
        self.wire(conv, &[inputs[0], weights, bias])
    }

    /// A transposed convolution over x `[N, …, C]` with weights `[O, …, C]` and an optional bias:
    /// `output` positions of each axis from position `crop` of the full result on, zeros past it.
    pub fn transpose_conv(
        &mut self,
        inputs: &[OutletId],
        stride: &[u32],
        dilation: &[u32],
        crop: &[u32],
        output: &[u32],
    ) -> TractResult<OutletId> {
        let dims = self.dims(inputs[1])?;
        // tract computes the full result, and adds what is missing of what is asked for.
        let mut elements = Some(dims[0]);
        for (axis, &len) in self.dims(inputs[0])?[1..].iter().enumerate().take(stride.len()) {
            let reach = len.saturating_sub(1).saturating_mul(stride[axis] as usize);
            let taps = dims[axis + 1].saturating_sub(1).saturating_mul(dilation[axis] as usize);
            let asked = (crop[axis] as usize).saturating_add(output[axis] as usize);
            let full = reach.saturating_add(taps).saturating_add(1).max(asked);
            elements = elements.and_then(|elements| elements.checked_mul(full));
        }
        ensure!(
            elements.is_some_and(|elements| elements <= MAX_FULL),
            "a transposed convolution by {stride:?} to {output:?} from {crop:?} on: more than {MAX_FULL} elements"
        );
        let pad = vec![[0, 0]; stride.len()];
        let windows = Windows { stride, dilation, pad: &pad };
        let pool_spec = PoolSpec {
            output_channels: dims[0],
            ..self.pool_spec(inputs[0], &dims[1..dims.len() - 1], windows)?
        };
        let adjustments = tvec![0; stride.len()];
        let zeros = self.constant(Tensor::zero::<f32>(&dims[..1])?)?;
        let weights = self.wire(AxisOp::Move(dims.len() - 1, 1), &inputs[1..2])?;
        let deconv = Deconv { pool_spec, kernel_format: KernelFormat::OIHW, adjustments, group: 1 };
        let mut y = self.wire(deconv, &[inputs[0], weights, zeros])?;

        let full = self.dims(y)?;
        let mut pads = vec![(0, 0); full.len()];
        for (axis, (crop, output)) in crop.iter().zip(output).enumerate() {
            pads[axis + 1].1 = ((crop + output) as usize).saturating_sub(full[axis + 1]);
        }
        y = self.wire(Pad { pads, mode: PadMode::default() }, &[y])?;
        for (axis, (&crop, &output)) in crop.iter().zip(output).enumerate() {
            y = self.wire(Slice::new(axis + 1, crop as usize, (crop + output) as usize), &[y])?;
        }
        self.bias(y, inputs.get(2).copied())
    }
}

/// The most taps of a window: tract makes a list of them.
const MAX_TAPS: usize = 1 << 22;

/// The most elements of the full result of a transposed convolution.
const MAX_FULL: usize = 1 << 26;

/// The extents of a shape in the type that tract counts with.
pub fn sizes(dims: &[u32]) -> TVec<usize> {
    dims.iter().map(|&d| d as usize).collect()
}

/// Gauss' error function in float64: tract has it in float32 only, to three parts in ten million.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erf;

impl ElementWiseMiniOp for Erf {
    fn name(&self) -> String {
        "Erf".to_owned()
    }

    fn eval_in_place(&self, t: &mut Tensor, _: Option<DatumType>) -> TractResult<()> {
        let mut t = t.try_as_plain_ram_mut()?;
        t.as_slice_mut::<f64>()?.iter_mut().for_each(|x| *x = libm::erf(*x));
        Ok(())
    }
}

impl From<Erf> for Box<dyn TypedOp> {
    fn from(erf: Erf) -> Self {
        Box::new(ElementWiseOp(Box::new(erf), None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::ops::clip::ClipParams;
    use flatpack_format::ops::conv_2d::Conv2dParams;
    use flatpack_format::ops::reshape::ReshapeParams;
    use flatpack_format::{OpCode, Shape};

    #[test]
    fn a_convolution_with_padding_is_what_the_formula_says() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 2, 2, 1]).unwrap());
        let w = graph.add_constant("w", &[1, 2, 2, 1], vec![1.0, 10.0, 100.0, 1000.0]);
        let bias = graph.add_constant("bias", &[1], vec![0.5]);
        let params = Conv2dParams {
            stride: [1, 1],
            dilation: [1, 1],
            pad_h: [0, 1],
            pad_w: [1, 0],
            groups: 1,
            clamp: Clamp { min: f32::NEG_INFINITY, max: 1000.0 },
        };
        let y = graph.add_node("conv", OpCode::Conv2d, params, &[x, w, bias]).unwrap();
        let values = Predictor::new(&graph).unwrap().predict(&[vec![1.0, 2.0, 3.0, 4.0]]).unwrap();
        assert_eq!(values[&y], [1000.0, 1000.0, 30.5, 43.5]);
    }

    #[test]
    fn operators_that_change_nothing_or_take_only_constants_are_predicted_too() {
        let mut graph = Graph::default();
        let shape = Shape::new(&[1, 3]).unwrap();
        let x = graph.add_input("x", shape);
        let none = ClipParams { clamp: Clamp::NONE };
        let clipped = graph.add_node("clip", OpCode::Clip, none, &[x]).unwrap();
        let again = graph.add_node("clip again", OpCode::Clip, none, &[clipped]).unwrap();
        let same = graph.add_node("same", OpCode::Reshape, ReshapeParams::new(&shape), &[again]).unwrap();
        let w = graph.add_constant("w", &[2], vec![-4.0, 4.0]);
        let constant = graph.add_node("constant", OpCode::Abs, [0u8; 0], &[w]).unwrap();
        let values = Predictor::new(&graph).unwrap().predict(&[vec![1.0, 2.0, 3.0]]).unwrap();
        for id in [clipped, again, same] {
            assert_eq!(values[&id], [1.0, 2.0, 3.0]);
        }
        assert_eq!(values[&constant], [4.0, 4.0]);
    }
}
