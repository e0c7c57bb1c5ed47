//! One module per operator: what the passes and the reference need to know of it.
//!
//! The operator's record and shape rule are in `flatpack-format`, its kernel in
//! `flatpack-runtime`, both under the same name.

use crate::exact::{Operand, Values};
use crate::graph::{Graph, Node, TensorId};
use crate::reference::Reference;
use flatpack_format::{Layout, OpCode};
use moment::{MomentOf, WindowOf};
use part::Part;
use std::ops::Range;
use tract_core::internal::{TractResult, bail};
use tract_core::model::OutletId;

mod binary;
mod binary_i8;
pub mod moment;
mod moves;
pub mod part;
mod pool_i8;
mod recurrence;
mod reduction;
mod unary;
mod weighted_i8;

pub mod abs;
pub mod add;
pub mod add_i8;
pub mod average_pool_2d;
pub mod average_pool_2d_i8;
pub mod batch_matmul;
pub mod batch_matmul_i8;
pub mod broadcast_to;
pub mod ceil;
pub mod celu;
pub mod clip;
pub mod concatenate;
pub mod conv_2d;
pub mod conv_2d_i8;
pub mod conv_2d_w16;
pub mod conv_2d_w8;
pub mod conv_3d;
pub mod cos;
pub mod depthwise_conv_2d;
pub mod depthwise_conv_2d_i8;
pub mod depthwise_conv_2d_w16;
pub mod depthwise_conv_2d_w8;
pub mod dequantize;
pub mod div;
pub mod div_i8;
pub mod elu;
pub mod equal;
pub mod erf;
pub mod exp;
pub mod floor;
pub mod fully_connected;
pub mod fully_connected_i8;
pub mod fully_connected_w16;
pub mod fully_connected_w8;
pub mod gather;
pub mod gather_w16;
pub mod gather_w8;
pub mod gelu;
pub mod greater;
pub mod greater_equal;
pub mod group_normalization;
pub mod hard_sigmoid;
pub mod hard_swish;
pub mod hash;
pub mod l2_normalization;
pub mod l2_normalization_i8;
pub mod layer_normalization;
pub mod leaky_relu;
pub mod log;
pub mod log_softmax;
pub mod log_softmax_i8;
pub mod logistic;
pub mod lookup;
pub mod max_pool_2d;
pub mod max_pool_2d_i8;
pub mod maximum;
pub mod maximum_i8;
pub mod mean;
pub mod minimum;
pub mod minimum_i8;
pub mod mish;
pub mod mul;
pub mod mul_i8;
pub mod neg;
pub mod not_equal;
pub mod pad;
pub mod pow;
pub mod prelu;
pub mod prelu_i8;
pub mod quantize;
pub mod reduce_max;
pub mod reduce_max_i8;
pub mod reduce_min;
pub mod reduce_min_i8;
pub mod reduce_prod;
pub mod requantize;
pub mod reshape;
pub mod resize_bilinear;
pub mod resize_bilinear_i8;
pub mod resize_nearest_neighbor;
pub mod rms_normalization;
pub mod round;
pub mod rsqrt;
pub mod select;
pub mod selu;
pub mod sign;
pub mod sin;
pub mod softmax;
pub mod softmax_i8;
pub mod softmax_i8_i16;
pub mod softplus;
pub mod softsign;
pub mod sparsemax;
pub mod sqrt;
pub mod square;
pub mod squared_difference;
pub mod squared_difference_i8;
pub mod squareplus;
pub mod strided_slice;
pub mod sub;
pub mod sub_i8;
pub mod sum;
pub mod sum_i8;
pub mod svdf;
pub mod svdf_i8;
pub mod swish;
pub mod tanh;
pub mod thresholded_relu;
pub mod transpose;
pub mod transpose_conv_2d;
pub mod transpose_conv_2d_i8;
pub mod transpose_conv_2d_w16;
pub mod transpose_conv_2d_w8;
pub mod transpose_conv_3d;
pub mod unidirectional_sequence_gru;
pub mod unidirectional_sequence_gru_w16;
pub mod unidirectional_sequence_gru_w8;
pub mod unidirectional_sequence_lstm;
pub mod unidirectional_sequence_lstm_i8;
pub mod unidirectional_sequence_lstm_w16;
pub mod unidirectional_sequence_lstm_w8;
pub mod unidirectional_sequence_rnn;
pub mod unidirectional_sequence_rnn_w16;
pub mod unidirectional_sequence_rnn_w8;

/// The result of an operator on integers from its inputs. The last argument are the extents of the
/// output.
pub type Exact = fn(&Node, &[Operand<'_>], &[u32]) -> Values;

/// From an operator on reals, whose operands are quantised, to the one on integers; or why there is
/// none.
pub type Lower = fn(&mut Graph, &Node) -> Result<Node, String>;

/// Some rows of a node's output alone; `None` where they are not computed from some rows of the inputs.
pub type PartOf = fn(&Graph, &Node, Range<u32>) -> Option<Part>;

/// How integers stand for the reals that an operator computes, where its operands are quantised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputScale {
    /// By a scale for the range of its own values.
    Own,
    /// As for its inputs, which all have one scale.
    OfInputs,
    /// By one that TensorFlow Lite's specification demands.
    Fixed {
        /// The scale.
        scale: f32,
        /// The integer that stands for zero.
        zero_point: i32,
    },
}

/// What the passes and the reference need to know of an operator.
#[derive(Clone, Copy)]
pub struct Operator {
    /// The operator.
    pub op: OpCode,
    /// Adds the operator to tract's graph, by formulas of its own. `inputs` are tract's outlets for
    /// the node's inputs, in order, constants included.
    pub reference: fn(&mut Reference, &Graph, &Node, &[OutletId]) -> TractResult<OutletId>,
    /// The result, exactly: of operators on integers, which tract does not compute.
    pub exact: Option<Exact>,
    /// The operator on 8-bit integers that stands for this operator on reals where its operands are
    /// quantised, with TensorFlow Lite's results.
    pub integer: Option<Lower>,
    /// How integers stand for its output.
    pub scale: OutputScale,
    /// Whether each element is computed from those at its place in the inputs, which broadcast to its shape.
    pub is_elementwise: bool,
    /// Where the record holds a [`flatpack_format::ops::Clamp`], in bytes: activations fuse there.
    pub clamp: Option<usize>,
    /// The operator is linear in its weights (input 1) and a bias (input 2): per-output factors and
    /// terms fold into them.
    pub linear: Option<Linear>,
    /// Whether the weights may be written in another layout than `rows`, and are read faster so.
    pub packs: Option<Packs>,
    /// Some rows of the output, where each is computed from some rows of the inputs.
    pub part: Option<PartOf>,
    /// One moment of the output, where it is computed from the same moment of the inputs.
    pub moment: Option<MomentOf>,
    /// The window that the operator moves over moments, if it does.
    pub window: Option<WindowOf>,
    /// The same operator with its weights in fewer bytes than float32 takes.
    pub fewer_bytes: Option<FewerBytes>,
}

/// Which layouts weights may have, where the parameters allow it.
#[derive(Clone, Copy, Debug)]
pub enum Packs {
    /// `panel16`.
    Reals(fn(&[u8]) -> bool),
    /// `pairs` and `panel16x4`.
    Integers {
        /// Of the parameters.
        pairs: fn(&[u8]) -> bool,
        /// Of the parameters and the dimensions of the weights.
        panels: fn(&[u8], &[u32]) -> bool,
    },
    /// `gates16`.
    Gates,
}

impl Packs {
    /// The layout that gateways read fastest, if it is another one than `rows`.
    pub fn on_gateways(self, params: &[u8], weights: &[u32]) -> Option<Layout> {
        match self {
            Self::Reals(when) => when(params).then_some(Layout::Panel16),
            Self::Integers { panels, .. } => panels(params, weights).then_some(Layout::Panel16x4),
            Self::Gates => Some(Layout::Gates16),
        }
    }
}

/// Operators that read the weights of another in fewer bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FewerBytes {
    /// On weights of signed bytes.
    pub w8: OpCode,
    /// On weights of binary16.
    pub w16: OpCode,
    /// Where weights and scales are.
    pub operands: WeightOperands,
}

/// Where an operator has its weights, and the scales of those that are signed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightOperands {
    /// The weights are input 1, of which this dimension counts outputs; the scales of the outputs, or the one of all,
    /// come between weights and bias.
    Outputs(usize),
    /// The weights are inputs 1 and 2 `[G, S, …]`, and the bias is input 3 `[B, S]`; a scale for each unit of each
    /// gate lies behind it, those of input 1 and then those of input 2.
    Gates,
}

impl FewerBytes {
    const fn of_outputs(w8: OpCode, w16: OpCode, axis: usize) -> Self {
        Self { w8, w16, operands: WeightOperands::Outputs(axis) }
    }

    const fn of_gates(w8: OpCode, w16: OpCode) -> Self {
        Self { w8, w16, operands: WeightOperands::Gates }
    }
}

/// How weights belong to outputs and to input channels.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// Which output channel uses the weight with this flat index.
    pub output_of: fn(&Graph, &Node, usize) -> usize,
    /// Which input channel it multiplies.
    pub input_of: fn(&Graph, &Node, usize) -> usize,
    /// Whether every output sees all its taps, so that a term added to all inputs is a constant
    /// added to the outputs.
    pub unpadded: fn(&Graph, &Node) -> bool,
}

impl Operator {
    /// An operator that keeps its output apart, fuses nothing and folds nothing.
    pub const fn new(
        op: OpCode,
        reference: fn(&mut Reference, &Graph, &Node, &[OutletId]) -> TractResult<OutletId>,
    ) -> Self {
        Self {
            op,
            reference,
            exact: None,
            integer: None,
            scale: OutputScale::Own,
            is_elementwise: false,
            clamp: None,
            linear: None,
            packs: None,
            part: None,
            moment: None,
            window: None,
            fewer_bytes: None,
        }
    }

    /// An operator on integers.
    pub const fn on_integers(op: OpCode, exact: Exact) -> Self {
        let real = Self::new(op, |_, _, _, _| bail!("an operator on integers is not for tract"));
        Self { exact: Some(exact), ..real }
    }
}

/// Every operator, by opcode.
pub const ALL: &[Operator] = &[
    conv_2d::OPERATOR,
    depthwise_conv_2d::OPERATOR,
    transpose_conv_2d::OPERATOR,
    conv_3d::OPERATOR,
    transpose_conv_3d::OPERATOR,
    fully_connected::OPERATOR,
    batch_matmul::OPERATOR,
    average_pool_2d::OPERATOR,
    max_pool_2d::OPERATOR,
    softmax::OPERATOR,
    log_softmax::OPERATOR,
    sparsemax::OPERATOR,
    mean::OPERATOR,
    sum::OPERATOR,
    reduce_max::OPERATOR,
    reduce_min::OPERATOR,
    reduce_prod::OPERATOR,
    layer_normalization::OPERATOR,
    group_normalization::OPERATOR,
    l2_normalization::OPERATOR,
    rms_normalization::OPERATOR,
    add::OPERATOR,
    sub::OPERATOR,
    mul::OPERATOR,
    div::OPERATOR,
    maximum::OPERATOR,
    minimum::OPERATOR,
    pow::OPERATOR,
    prelu::OPERATOR,
    concatenate::OPERATOR,
    pad::OPERATOR,
    strided_slice::OPERATOR,
    transpose::OPERATOR,
    reshape::OPERATOR,
    broadcast_to::OPERATOR,
    resize_nearest_neighbor::OPERATOR,
    resize_bilinear::OPERATOR,
    clip::OPERATOR,
    leaky_relu::OPERATOR,
    thresholded_relu::OPERATOR,
    elu::OPERATOR,
    selu::OPERATOR,
    celu::OPERATOR,
    gelu::OPERATOR,
    logistic::OPERATOR,
    hard_sigmoid::OPERATOR,
    hard_swish::OPERATOR,
    swish::OPERATOR,
    mish::OPERATOR,
    softplus::OPERATOR,
    softsign::OPERATOR,
    squareplus::OPERATOR,
    tanh::OPERATOR,
    exp::OPERATOR,
    log::OPERATOR,
    sqrt::OPERATOR,
    rsqrt::OPERATOR,
    abs::OPERATOR,
    neg::OPERATOR,
    square::OPERATOR,
    erf::OPERATOR,
    sin::OPERATOR,
    cos::OPERATOR,
    floor::OPERATOR,
    ceil::OPERATOR,
    round::OPERATOR,
    sign::OPERATOR,
    quantize::OPERATOR,
    dequantize::OPERATOR,
    lookup::OPERATOR,
    conv_2d_i8::OPERATOR,
    depthwise_conv_2d_i8::OPERATOR,
    transpose_conv_2d_i8::OPERATOR,
    fully_connected_i8::OPERATOR,
    batch_matmul_i8::OPERATOR,
    average_pool_2d_i8::OPERATOR,
    max_pool_2d_i8::OPERATOR,
    sum_i8::OPERATOR,
    reduce_max_i8::OPERATOR,
    reduce_min_i8::OPERATOR,
    softmax_i8::OPERATOR,
    log_softmax_i8::OPERATOR,
    l2_normalization_i8::OPERATOR,
    add_i8::OPERATOR,
    sub_i8::OPERATOR,
    mul_i8::OPERATOR,
    div_i8::OPERATOR,
    maximum_i8::OPERATOR,
    minimum_i8::OPERATOR,
    prelu_i8::OPERATOR,
    resize_bilinear_i8::OPERATOR,
    squared_difference_i8::OPERATOR,
    conv_2d_w8::OPERATOR,
    depthwise_conv_2d_w8::OPERATOR,
    transpose_conv_2d_w8::OPERATOR,
    fully_connected_w8::OPERATOR,
    conv_2d_w16::OPERATOR,
    depthwise_conv_2d_w16::OPERATOR,
    transpose_conv_2d_w16::OPERATOR,
    fully_connected_w16::OPERATOR,
    svdf::OPERATOR,
    svdf_i8::OPERATOR,
    unidirectional_sequence_lstm::OPERATOR,
    unidirectional_sequence_lstm_i8::OPERATOR,
    squared_difference::OPERATOR,
    requantize::OPERATOR,
    softmax_i8_i16::OPERATOR,
    equal::OPERATOR,
    not_equal::OPERATOR,
    greater::OPERATOR,
    greater_equal::OPERATOR,
    select::OPERATOR,
    gather::OPERATOR,
    gather_w8::OPERATOR,
    gather_w16::OPERATOR,
    unidirectional_sequence_gru::OPERATOR,
    unidirectional_sequence_rnn::OPERATOR,
    unidirectional_sequence_lstm_w8::OPERATOR,
    unidirectional_sequence_gru_w8::OPERATOR,
    unidirectional_sequence_rnn_w8::OPERATOR,
    unidirectional_sequence_lstm_w16::OPERATOR,
    unidirectional_sequence_gru_w16::OPERATOR,
    unidirectional_sequence_rnn_w16::OPERATOR,
    hash::OPERATOR,
];

/// The operator with this opcode.
///
/// # Panics
/// Never: a test demands that [`ALL`] is complete.
pub fn operator(op: OpCode) -> &'static Operator {
    ALL.iter().find(|o| o.op == op).unwrap_or_else(|| panic!("operator {} has no module", op.name()))
}

/// The states that a node updates, which are the last of its inputs.
pub fn updated(node: &Node) -> &[TensorId] {
    &node.inputs[node.inputs.len().saturating_sub(node.op.rule().states.into())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opcode_is_complete() {
        let operators: Vec<OpCode> = ALL.iter().map(|operator| operator.op).collect();
        assert_eq!(operators, OpCode::ALL);
        let kernels: Vec<OpCode> = flatpack_runtime::ops::ALL.iter().map(|kernel| kernel.op).collect();
        assert_eq!(kernels, OpCode::ALL);
    }
}
