//! How many arrays a layer has.
//!
//! Needed only where arrays of several layers are in one list and their names do not tell them
//! apart.

use super::network::{Inner, Layer};
use super::version::Dialect;
use crate::array::Array;
use crate::import::Fault;

/// The arrays of a layer as a file of some dialect has them, in the order of `layer.weights`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WeightCounts {
    /// Trained by gradients: they come first.
    pub(super) trainable: usize,
    /// Not trained by gradients, such as moving averages.
    pub(super) other: usize,
}

impl WeightCounts {
    /// The counts for `layer`, which holds no layers inside. A class that is not in the table has
    /// none: true of most of Keras' layers, and the sum is checked where it matters.
    pub(super) fn of(layer: &Layer, dialect: Dialect) -> Result<Self, Fault> {
        let flag = |key: &str, default: bool| layer.config.bool_or(key, default).map(usize::from);
        let (trainable, other) = match layer.class.as_str() {
            _ if layer.is_operation => (0, 0),
            _ if matches!(layer.inner, Inner::Weight) => (1, 0),
            // A kernel, a recurrent kernel and a bias for each gate, unless made for a GPU.
            "LSTM" if dialect == Dialect::Keras1 && layer.config.str_or("consume_less", "")? != "gpu" => {
                (12, 0)
            }
            "ConvLSTM2D" if dialect == Dialect::Keras1 => (12, 0),
            "GRU" if dialect == Dialect::Keras1 && layer.config.str_or("consume_less", "")? != "gpu" => {
                (9, 0)
            }
            "Dense" | "EinsumDense" | "Conv1D" | "Conv2D" | "Conv3D" | "Conv1DTranspose"
            | "Conv2DTranspose" | "Conv3DTranspose" | "DepthwiseConv1D" | "DepthwiseConv2D"
            | "LocallyConnected1D" | "LocallyConnected2D" => match layer.class.as_str() {
                "EinsumDense" => (1 + usize::from(layer.config.get("bias_axes").is_some()), 0),
                _ => (1 + flag("use_bias", true)?, 0),
            },
            "SeparableConv1D" | "SeparableConv2D" | "LSTM" | "GRU" | "SimpleRNN" | "LSTMCell" | "GRUCell"
            | "SimpleRNNCell" | "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" => {
                (2 + flag("use_bias", true)?, 0)
            }
            "CuDNNLSTM" | "CuDNNGRU" => (3, 0),
            "BatchNormalization" | "SyncBatchNormalization" => {
                (flag("scale", true)? + flag("center", true)?, 2)
            }
            "LayerNormalization" | "GroupNormalization" => (flag("scale", true)? + flag("center", true)?, 0),
            "Embedding" | "PReLU" => (1, 0),
            "Attention" => {
                let concat = layer.config.str_or("score_mode", "dot")? == "concat";
                (flag("use_scale", false)? + usize::from(concat), 0)
            }
            "AdditiveAttention" => (flag("use_scale", true)?, 0),
            "MultiHeadAttention" | "GroupQueryAttention" | "GroupedQueryAttention" => {
                ((4 + flag("use_gate", false)?) * (1 + flag("use_bias", true)?), 0)
            }
            "Normalization" if layer.config.get("mean").is_none() => (0, 3),
            _ => (0, 0),
        };
        Ok(Self { trainable, other })
    }

    pub(super) fn sum(self) -> usize {
        self.trainable + self.other
    }
}

/// Whether `arrays` have the shapes that the layer's arguments ask for, as far as those are plain:
/// the last extent of a kernel, and vectors of one length in normalizations.
pub(super) fn shapes_fit<'a>(
    layer: &Layer,
    dialect: Dialect,
    arrays: impl IntoIterator<Item = &'a Array>,
) -> bool {
    debug_assert!(layer.inner.is_leaf());
    let shapes: Vec<&[usize]> = arrays.into_iter().map(|array| array.shape.as_slice()).collect();
    let size = |key: &str, times: usize| layer.config.usize(key).ok().map(|size| size.saturating_mul(times));
    let (rank, last) = match layer.class.as_str() {
        _ if dialect == Dialect::Keras1 => (None, None),
        "Dense" => (Some(2), size("units", 1)),
        "Conv1D" => (Some(3), size("filters", 1)),
        "Conv2D" => (Some(4), size("filters", 1)),
        "Conv3D" => (Some(5), size("filters", 1)),
        "ConvLSTM1D" => (Some(3), size("filters", 4)),
        "ConvLSTM2D" => (Some(4), size("filters", 4)),
        "ConvLSTM3D" => (Some(5), size("filters", 4)),
        "LSTM" | "LSTMCell" | "CuDNNLSTM" => (Some(2), size("units", 4)),
        "GRU" | "GRUCell" | "CuDNNGRU" => (Some(2), size("units", 3)),
        "SimpleRNN" | "SimpleRNNCell" => (Some(2), size("units", 1)),
        "Embedding" => (Some(2), size("output_dim", 1)),
        "DepthwiseConv2D" => (Some(4), None),
        "BatchNormalization" | "SyncBatchNormalization" => {
            return shapes.iter().all(|shape| shape.len() == 1 && *shape == shapes[0]);
        }
        _ => (None, None),
    };
    shapes.first().is_none_or(|kernel| {
        rank.is_none_or(|rank| kernel.len() == rank) && last.is_none_or(|last| kernel.last() == Some(&last))
    })
}
