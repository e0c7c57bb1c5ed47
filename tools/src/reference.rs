//! Reference predictions by tract-core: the graph as it was imported, before any pass, computed by
//! an engine that shares no code with ours.

use crate::graph::{Graph, Node, TensorId};
use crate::ops;
use flatpack_format::ops::Clamp;
use std::collections::HashMap;
use std::sync::Arc;
use tract_core::axes::AxesMapping;
use tract_core::internal::*;
use tract_core::ops::cnn::{Conv, KernelFormat, PaddingSpec, PoolSpec};
use tract_core::ops::einsum::EinSum;
use tract_core::ops::math;
use tract_core::ops::nn::DataFormat;

/// The version that makes the predictions, for the file's metadata.
pub const PRODUCER: &str = "tract-core 0.23.9";

/// A graph in tract's terms, under construction.
#[derive(Debug)]
pub struct Reference {
    model: TypedModel,
    outlets: HashMap<TensorId, OutletId>,
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
    /// Translates a graph for tract.
    ///
    /// # Errors
    /// If tract refuses an operator.
    pub fn new(graph: &Graph) -> TractResult<Self> {
        let mut reference = Reference { model: TypedModel::default(), outlets: HashMap::new(), parts: 0 };
        let mut inputs = Vec::new();
        for (position, &input) in graph.inputs.iter().enumerate() {
            let dims: Vec<usize> = graph.dims(input).iter().map(|&d| d as usize).collect();
            let outlet = reference.model.add_source(format!("input {position}"), f32::fact(&dims))?;
            reference.outlets.insert(input, outlet);
            inputs.push(dims);
        }
        for node in &graph.nodes {
            reference
                .add(graph, node)
                .with_context(|| format!("{} of layer {}", node.op.name(), node.layer))?;
        }
        let computed: Vec<TensorId> = graph.nodes.iter().map(|node| node.output).collect();
        let outlets: Vec<OutletId> = computed.iter().map(|id| reference.outlets[id]).collect();
        reference.model.select_output_outlets(&outlets)?;
        Ok(Self { plan: reference.model.into_optimized()?.into_runnable()?, inputs, computed })
    }

    /// The values of every computed tensor for these inputs.
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

impl Reference {
    fn add(&mut self, graph: &Graph, node: &Node) -> TractResult<()> {
        let inputs: TractResult<Vec<OutletId>> =
            node.inputs.iter().map(|&id| self.outlet(graph, id)).collect();
        let outlet = (ops::operator(node.op).reference)(self, graph, node, &inputs?)?;
        let dims = self.dims(outlet)?;
        let expected: Vec<usize> = graph.dims(node.output).iter().map(|&d| d as usize).collect();
        ensure!(dims == expected, "tract makes {dims:?}, the rule of the operator {expected:?}");
        self.outlets.insert(node.output, outlet);
        Ok(())
    }

    fn outlet(&mut self, graph: &Graph, id: TensorId) -> TractResult<OutletId> {
        if let Some(&outlet) = self.outlets.get(&id) {
            return Ok(outlet);
        }
        let data = graph.data(id).context("a tensor that nothing computes")?;
        let dims: Vec<usize> = graph.dims(id).iter().map(|&d| d as usize).collect();
        let outlet = self.constant(&dims, data)?;
        self.outlets.insert(id, outlet);
        Ok(outlet)
    }

    fn name(&mut self, of: &str) -> String {
        self.parts += 1;
        format!("{of} {}", self.parts)
    }

    /// The static extents of an outlet.
    pub fn dims(&self, outlet: OutletId) -> TractResult<Vec<usize>> {
        let shape = self.model.outlet_fact(outlet)?.shape.as_concrete().context("a dynamic shape")?;
        Ok(shape.to_vec())
    }

    /// A constant.
    pub fn constant(&mut self, dims: &[usize], values: &[f32]) -> TractResult<OutletId> {
        let name = self.name("constant");
        self.model.add_const(name, Tensor::from_shape(dims, values)?)
    }

    /// A constant of one element that broadcasts to any shape of `rank` axes.
    pub fn scalar(&mut self, rank: usize, value: f32) -> TractResult<OutletId> {
        self.constant(&vec![1; rank], &[value])
    }

    /// Adds one of tract's operators.
    pub fn wire(
        &mut self,
        node: &Node,
        op: impl Into<Box<dyn TypedOp>>,
        inputs: &[OutletId],
    ) -> TractResult<OutletId> {
        let name = self.name(&node.layer);
        Ok(self.model.wire_node(name, op, inputs)?[0])
    }

    /// Adds one of tract's binary operators, with broadcasting from the last axis on.
    pub fn binary(
        &mut self,
        node: &Node,
        op: impl Into<Box<dyn TypedOp>>,
        inputs: &[OutletId],
    ) -> TractResult<OutletId> {
        let name = self.name(&node.layer);
        let inputs = wire_rank_broadcast(&name, &mut self.model, inputs)?;
        self.wire(node, op, &inputs)
    }

    /// A binary operator with a scalar on the right.
    pub fn with_scalar(
        &mut self,
        node: &Node,
        op: impl Into<Box<dyn TypedOp>>,
        x: OutletId,
        value: f32,
    ) -> TractResult<OutletId> {
        let rank = self.dims(x)?.len();
        let value = self.scalar(rank, value)?;
        self.wire(node, op, &[x, value])
    }

    /// Bounds on an outlet, where they are finite.
    pub fn clamp(&mut self, node: &Node, clamp: Clamp, x: OutletId) -> TractResult<OutletId> {
        let mut y = x;
        if clamp.min > f32::NEG_INFINITY {
            y = self.with_scalar(node, math::max(), y, clamp.min)?;
        }
        if clamp.max < f32::INFINITY {
            y = self.with_scalar(node, math::min(), y, clamp.max)?;
        }
        Ok(y)
    }

    /// A bias over the last axis, if there is one.
    pub fn bias(&mut self, node: &Node, x: OutletId, bias: Option<OutletId>) -> TractResult<OutletId> {
        match bias {
            Some(bias) => self.binary(node, math::add(), &[x, bias]),
            None => Ok(x),
        }
    }

    /// A product of tensors in Einstein's notation, such as `abk,ok->abo`.
    pub fn einsum(&mut self, node: &Node, axes: &str, inputs: &[OutletId]) -> TractResult<OutletId> {
        let axes: AxesMapping = axes.parse()?;
        self.wire(node, EinSum { axes, operating_dt: f32::datum_type(), q_params: None }, inputs)
    }

    /// A convolution of any rank over `[N, …, C]` with weights `[O, …, C / groups]` and an optional
    /// bias.
    #[allow(clippy::too_many_arguments)]
    pub fn conv(
        &mut self,
        graph: &Graph,
        node: &Node,
        inputs: &[OutletId],
        pad: &[[u32; 2]],
        stride: &[u32],
        dilation: &[u32],
        groups: usize,
    ) -> TractResult<OutletId> {
        let x = graph.dims(node.inputs[0]);
        let w = graph.dims(node.inputs[1]);
        let (outputs, kernel) = (w[0] as usize, &w[1..w.len() - 1]);
        let pool_spec = PoolSpec {
            data_format: DataFormat::NHWC,
            kernel_shape: sizes(kernel),
            padding: PaddingSpec::Explicit(
                pad.iter().map(|p| p[0] as usize).collect(),
                pad.iter().map(|p| p[1] as usize).collect(),
            ),
            dilations: Some(sizes(dilation)),
            strides: Some(sizes(stride)),
            input_channels: x[x.len() - 1] as usize,
            output_channels: outputs,
        };
        let bias = match inputs.get(2) {
            Some(&bias) => bias,
            None => self.constant(&[outputs], &vec![0.0; outputs])?,
        };
        let conv = Conv { pool_spec, kernel_fmt: KernelFormat::OHWI, group: groups, q_params: None };
        self.wire(node, conv, &[inputs[0], inputs[1], bias])
    }
}

fn sizes(values: &[u32]) -> TVec<usize> {
    values.iter().map(|&v| v as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::ops::conv_2d::Conv2dParams;
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
}
