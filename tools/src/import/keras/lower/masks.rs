//! Masks: which time steps of a sequence count. A mask is a tensor `[batch, time]`, 1 where a step counts, else
//! 0. Keras hands one on from layer to layer beside the values: a layer begins one ([`Lowering::counted`]), passes
//! it on, merges several, uses it, or loses it.

use std::collections::HashSet;

use flatpack_format::OpCode;
use flatpack_format::ops::mean::ReduceParams;

use super::Lowering;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::Masks;
use crate::import::keras::layers::{concatenated, recurrent_result_masks};
use crate::import::keras::network::{Arg, Call, Layer, Network, TensorRef};
use crate::import::keras::version::Dialect;

/// Layers whose results have the mask of their input; others have none, where nothing is said of them here.
/// From `supports_masking` in Keras 2.15 and 3.15, which agree on these.
const PASS_ON: &[&str] = &[
    "Activation",
    "ActivityRegularization",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "GroupNormalization",
    "GroupQueryAttention",
    "GroupedQueryAttention",
    "LayerNormalization",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SyncBatchNormalization",
    "ThresholdedReLU",
    "TimeDistributed",
    "UnitNormalization",
];

/// Layers that do so since Keras 3.
const PASS_ON_IN_KERAS_3: &[&str] = &["Identity", "Normalization", "Rescaling"];

impl Lowering {
    /// The mask of the input of a layer that takes one: its argument `mask`, else that of its first tensor.
    pub(crate) fn mask_of(&self, call: &Call) -> Result<Option<TensorId>, Fault> {
        Ok(self.masks_given(call)?.into_iter().next().flatten())
    }

    /// The masks of the inputs of a model: its argument `mask`, else those of its tensors.
    pub(super) fn masks_given(&self, call: &Call) -> Result<Vec<Option<TensorId>>, Fault> {
        let of = |arg: &Arg| arg.as_tensor().map(|mask| self.value(mask)).transpose();
        match call.kwarg("mask") {
            Some(Arg::List(masks)) => masks.iter().map(of).collect(),
            Some(mask @ Arg::Tensor(_)) => Ok(vec![of(mask)?]),
            _ => Ok(self.masks_of(call)),
        }
    }

    /// The mask behind what a map has in place of a layer, which does not say how its code treats them.
    pub(super) fn mask_behind(
        &self,
        masks: Option<Masks>,
        mask: Option<TensorId>,
    ) -> Result<Option<TensorId>, Fault> {
        match (masks, mask) {
            (_, None) | (Some(Masks::End), _) => Ok(None),
            (Some(Masks::Pass), mask) => Ok(mask),
            (None, Some(_)) => Err(Fault::Map {
                place: "the entry that stands for it".into(),
                detail: "a mask comes to the layer: add `masks = \"pass\"` where the class has \
                         `supports_masking = True` and hands it on, else `masks = \"end\"`"
                    .into(),
            }),
        }
    }

    /// The mask that comes with a tensor.
    pub(crate) fn mask_of_argument(&self, arg: &Arg) -> Option<TensorId> {
        arg.as_tensor().and_then(|tensor| self.masks.get(&tensor).copied())
    }

    /// The mask of each tensor in the first argument of a call.
    pub(crate) fn masks_of(&self, call: &Call) -> Vec<Option<TensorId>> {
        let of = |arg: &Arg| self.mask_of_argument(arg);
        match call.args.first().or_else(|| call.kwarg("inputs")) {
            Some(Arg::List(args)) => args.iter().map(of).collect(),
            Some(arg) => vec![of(arg)],
            None => Vec::new(),
        }
    }

    /// Where elements of `x` differ from `value`: with `any`, where one does along the last axis, which stays with
    /// length 1.
    pub(crate) fn counted(&mut self, x: TensorId, value: f32, any: bool) -> Result<TensorId, Fault> {
        let key = (x, value.to_bits(), any);
        if let Some(&made) = self.counted.get(&key) {
            return Ok(made);
        }
        let bound = self.scalar(value);
        let mut mask = self.binary(OpCode::NotEqual, x, bound)?;
        if any {
            let axis = self.axis(x, -1)? as u32;
            mask =
                self.node(OpCode::ReduceMax, ReduceParams { axis, axis_count: 1, keep_dims: 1 }, &[mask])?;
        }
        self.counted.insert(key, mask);
        Ok(mask)
    }

    /// Refuses an attention that takes a mask away from a tensor which something else reads, where neither comes
    /// after the other: which is first depends on how Keras orders them.
    pub(super) fn refuse_masks_by_order(&mut self, network: &Network, call: &Call) -> Result<(), Fault> {
        let layer = network.layer(call.layer);
        if layer.class != "MultiHeadAttention" || !self.attention_takes_masks {
            return Ok(());
        }
        let masked: Vec<TensorRef> =
            call.tensors().into_iter().filter(|tensor| self.masks.contains_key(tensor)).collect();
        let reads = |other: &Call| other.tensors().iter().any(|tensor| masked.contains(tensor));
        let is_apart = |other: &&Call| {
            (other.layer, other.node) != (call.layer, call.node)
                && reads(other)
                && !comes_after(network, other, call)
                && !comes_after(network, call, other)
        };
        let Some(other) = network.calls.iter().find(is_apart) else { return Ok(()) };
        self.path.push((layer.name.clone(), layer.class.clone()));
        Err(Fault::Unsupported {
            what: format!(
                "a mask on a tensor that this layer and `{}` read side by side (since Keras 3.8, the one that runs \
                 first takes it)",
                network.layer(other.layer).name
            ),
            remedy: "pass the masks as arguments, such as `query_mask`, or give each of the two a tensor of its own"
                .into(),
        })
    }

    /// The mask of each result of a call.
    pub(super) fn masks_after(&mut self, layer: &Layer, call: &Call) -> Result<Vec<Option<TensorId>>, Fault> {
        let in_keras_3 = self.dialect == Dialect::Keras3;
        Ok(match layer.class.as_str() {
            _ if layer.is_operation => Vec::new(),
            "Embedding" if layer.config.bool_or("mask_zero", false)? => {
                let x = self.input(call)?;
                vec![Some(self.counted(x, 0.0, false)?)]
            }
            "Masking" => {
                let x = self.input(call)?;
                let mask = self.counted(x, layer.config.f64_or("mask_value", 0.0)? as f32, true)?;
                let mut dims = self.dims(mask);
                dims.pop();
                vec![Some(self.reshape(mask, &dims)?)]
            }
            "Bidirectional" | "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" | "GRU" | "LSTM" | "RNN"
            | "SimpleRNN" => {
                let mask = self.mask_of(call)?;
                recurrent_result_masks(layer, mask)?
            }
            "Add" | "Average" | "Maximum" | "Minimum" | "Multiply" | "Subtract" => {
                let masks = self.masks_of(call);
                if in_keras_3 && masks.iter().any(Option::is_none) {
                    return Ok(Vec::new());
                }
                let op = if in_keras_3 { OpCode::Maximum } else { OpCode::Minimum };
                vec![self.merged(op, masks.into_iter().flatten())?]
            }
            "Concatenate" => vec![self.mask_of_concatenation(layer, call)?],
            "MultiHeadAttention" => {
                let mask = self.mask_of(call)?;
                if self.attention_takes_masks {
                    // Whatever else reads these tensors afterwards finds them without masks.
                    for tensor in call.tensors() {
                        self.masks.remove(&tensor);
                    }
                }
                vec![mask]
            }
            class if PASS_ON.contains(&class) => vec![self.mask_of(call)?],
            class if in_keras_3 && PASS_ON_IN_KERAS_3.contains(&class) => vec![self.mask_of(call)?],
            _ => Vec::new(),
        })
    }

    fn merged(
        &mut self,
        op: OpCode,
        masks: impl Iterator<Item = TensorId>,
    ) -> Result<Option<TensorId>, Fault> {
        let mut merged = None;
        for mask in masks {
            merged = Some(match merged {
                Some(merged) => self.binary(op, merged, mask)?,
                None => mask,
            });
        }
        Ok(merged)
    }

    /// Along time, masks follow each other; along features, a step counts if one of the tensors says so in Keras
    /// 3, if all do in Keras 2. A tensor without a mask counts everywhere.
    fn mask_of_concatenation(&mut self, layer: &Layer, call: &Call) -> Result<Option<TensorId>, Fault> {
        let (masks, tensors) = (self.masks_of(call), self.inputs(call)?);
        let axis = if layer.config.get("axis").is_some() { layer.config.ints("axis")? } else { vec![-1] };
        let (&[axis], Some(&first), true) =
            (axis.as_slice(), tensors.first(), masks.iter().any(Option::is_some))
        else {
            return Ok(None);
        };
        let (axis, rank) = (self.axis(first, axis)?, self.graph.dims(first).len());
        if rank != 3 || axis == 0 {
            return Err(Fault::Unsupported {
                what: format!("a mask on the concatenation of tensors of {rank} axes along axis {axis}"),
                remedy: "concatenate sequences of features, or leave the mask out before".into(),
            });
        }
        if axis == 1 {
            let mut parts = Vec::new();
            for (tensor, mask) in tensors.into_iter().zip(masks) {
                let dims = self.dims(tensor);
                let ones = |low: &mut Self| {
                    low.constant("mask", &dims[..2], vec![1.0; (dims[0] * dims[1]) as usize])
                };
                parts.push(mask.unwrap_or_else(|| ones(self)));
            }
            return concatenated(self, &parts, 1).map(Some);
        }
        if self.dialect != Dialect::Keras3 {
            return self.merged(OpCode::Minimum, masks.into_iter().flatten());
        }
        match masks.iter().copied().collect::<Option<Vec<_>>>() {
            Some(masks) => self.merged(OpCode::Maximum, masks.into_iter()),
            None => Ok(None),
        }
    }
}

/// Whether a call takes, by way of others, a result of another one.
fn comes_after(network: &Network, later: &Call, earlier: &Call) -> bool {
    let is_of = |tensor: &TensorRef, call: &Call| (tensor.layer, tensor.node) == (call.layer, call.node);
    let mut waiting = later.tensors();
    let mut seen: HashSet<TensorRef> = waiting.iter().copied().collect();
    while let Some(tensor) = waiting.pop() {
        if is_of(&tensor, earlier) {
            return true;
        }
        let maker = network.calls.iter().find(|call| is_of(&tensor, call));
        let inputs = maker.map(Call::tensors).unwrap_or_default();
        waiting.extend(inputs.into_iter().filter(|input| seen.insert(*input)));
    }
    false
}
