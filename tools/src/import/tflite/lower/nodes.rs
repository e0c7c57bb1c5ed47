//! Adding operators for the layer in progress.

use bytemuck::Pod;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::ops::clip::ClipParams;
use flatpack_format::{OpCode, Shape};

use super::{Lowering, misfit};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::tflite::options::Activation;

/// The most operators: splitting one long axis asks for as many as it has elements.
const MAX_OPERATORS: usize = 1 << 16;

impl Lowering<'_, '_> {
    /// The extents of a tensor, batch first.
    pub(crate) fn dims(&self, id: TensorId) -> Vec<u32> {
        self.graph.dims(id).to_vec()
    }

    /// Adds an operator for the layer in progress.
    pub(crate) fn node<P: Pod>(
        &mut self,
        op: OpCode,
        params: P,
        inputs: &[TensorId],
    ) -> Result<TensorId, Fault> {
        if self.graph.nodes.len() >= MAX_OPERATORS {
            return Err(Fault::Limit {
                what: "the number of operators",
                found: self.graph.nodes.len() as u64 + 1,
                limit: MAX_OPERATORS as u64,
            });
        }
        self.graph.add_node(&self.layer, op, params, inputs).map_err(|error| {
            let found = format!("operands of shapes {:?}", error.inputs);
            misfit(format!("operator {}", error.op.name()), found, format!("such as fit ({})", error.misfit))
        })
    }

    /// Adds an operator that moves elements and leaves them as they are: their integers, too.
    pub(crate) fn moving<P: Pod>(
        &mut self,
        op: OpCode,
        params: P,
        inputs: &[TensorId],
    ) -> Result<TensorId, Fault> {
        let y = self.node(op, params, inputs)?;
        let quant = inputs.first().and_then(|x| self.graph.tensors[x.0].quant.clone());
        // Which axis has several scales after the move nobody asks: activations have one.
        self.graph.tensors[y.0].quant = quant.filter(|quant| quant.scales.len() == 1);
        Ok(y)
    }

    /// Adds an operator of one element, without parameters.
    pub(crate) fn unary(&mut self, op: OpCode, x: TensorId) -> Result<TensorId, Fault> {
        self.node(op, (), &[x])
    }

    /// Adds an operator of two elements, with broadcasting.
    pub(crate) fn binary(
        &mut self,
        op: OpCode,
        a: TensorId,
        b: TensorId,
        clamp: Clamp,
    ) -> Result<TensorId, Fault> {
        self.node(op, BinaryParams { clamp }, &[a, b])
    }

    /// Adds an operator that changes nothing but what integers stand for.
    pub(crate) fn unbounded(&mut self, x: TensorId) -> Result<TensorId, Fault> {
        self.node(OpCode::Clip, ClipParams { clamp: Clamp::NONE }, &[x])
    }

    /// A constant without dimensions.
    pub(crate) fn scalar(&mut self, value: f32) -> TensorId {
        self.graph.add_constant("constant", &[], vec![value])
    }

    /// A constant.
    pub(crate) fn constant(&mut self, dims: &[u32], values: Vec<f32>) -> Result<TensorId, Fault> {
        let shape = Shape::new(dims).filter(|shape| shape.len() == u32::try_from(values.len()).ok());
        match shape.filter(|shape| !shape.is_empty()) {
            Some(shape) => Ok(self.graph.add_constant("constant", shape.dims(), values)),
            None => Err(misfit("a constant", format!("{} values", values.len()), format!("{dims:?}"))),
        }
    }

    /// An axis of `x`, counted from the end if negative.
    pub(crate) fn axis(&self, x: TensorId, axis: i64) -> Result<usize, Fault> {
        axis_of(self.graph.dims(x).len(), axis)
    }
}

/// An axis of a tensor with so many, counted from the end if negative.
pub(crate) fn axis_of(rank: usize, axis: i64) -> Result<usize, Fault> {
    let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| misfit("the axis", axis.to_string(), format!("one of {rank}")))
}

/// The bounds of a fused activation.
pub(crate) fn clamp(activation: Activation) -> Result<Clamp, Fault> {
    Ok(match activation {
        Activation::None => Clamp::NONE,
        Activation::Relu => Clamp { min: 0.0, max: f32::INFINITY },
        Activation::ReluN1To1 => Clamp { min: -1.0, max: 1.0 },
        Activation::Relu6 => Clamp { min: 0.0, max: 6.0 },
        Activation::Tanh | Activation::SignBit => {
            return Err(Fault::Unsupported {
                what: format!("the fused activation {activation:?}"),
                remedy: "make the activation an operator of its own and convert the model again".into(),
            });
        }
    })
}
