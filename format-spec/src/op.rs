//! Operators: their numbers, names and rules, and the step record.

use crate::ops;
use crate::rows::RowWise;
use crate::tensor::{Layout, TensorType};
use bytemuck::{Pod, Zeroable};

/// The largest number of inputs a step may have.
pub const MAX_INPUTS: usize = 16;

/// The largest number of tensors a step may write: outputs and scratches.
pub const MAX_WRITES: usize = 8;

/// One scheduled operator: 24 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct StepRecord {
    /// An [`OpCode`].
    pub op: u16,
    /// Number of input operands, at most 16.
    pub input_count: u8,
    /// Number of output operands, at least 1; at most 8 with the scratch operands.
    pub output_count: u8,
    /// Number of scratch operands.
    pub scratch_count: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Index of the first operand in the operands section; those of a step follow each other.
    pub first_operand: u32,
    /// First byte of the parameter record, from the start of the file.
    pub params_offset: u32,
    /// Length of the parameter record: what the operator's rule says.
    pub params_bytes: u32,
    /// Zero.
    pub reserved_2: u32,
}

/// Why operands or parameters do not fit an operator. The number is that of the operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Another number of operands than the operator takes.
    Count,
    /// The element type of an operand is not one the operator takes.
    DType(u8),
    /// The number of dimensions of an operand is wrong.
    Rank(u8),
    /// The dimensions of an operand do not fit the others, or the parameters.
    Shape(u8),
    /// An operand is in a layout that the operator does not read.
    Layout(u8),
    /// An operand may not share memory with an output here.
    Alias(u8),
    /// An operand must be constant, and its elements in their domain.
    Constant(u8),
    /// An operand must lie in the state memory, and be what the step writes after its first output.
    State(u8),
    /// A parameter is outside of its domain.
    Params,
    /// A size does not fit 32 bits.
    Overflow,
}

crate::say! { Misfit:
    Self::Count => "another number of operands than the operator takes";
    Self::DType(at) => "operand {} has an element type that the operator does not take", at;
    Self::Rank(at) => "operand {} has a wrong number of dimensions", at;
    Self::Shape(at) => "the shape of operand {} does not fit the other operands", at;
    Self::Layout(at) => "operand {} is in a layout that the operator does not read", at;
    Self::Alias(at) => "operand {} may not share memory with the output", at;
    Self::Constant(at) => "operand {} is not constant, or holds what it may not", at;
    Self::State(at) => "operand {} must lie in the state memory and be an output of the step too", at;
    Self::Params => "a parameter is outside of its domain";
    Self::Overflow => "a size does not fit 32 bits";
}

impl core::error::Error for Misfit {}

/// What an operator demands of its operands and parameters: the part that building a file and
/// checking it have in common.
#[derive(Clone, Copy)]
pub struct OpRule {
    /// Size of the parameter record.
    pub params_bytes: u32,
    /// The type of the output, from the parameter record and the input types; an error if they do
    /// not fit each other.
    pub output: fn(&[u8], &[TensorType]) -> Result<TensorType, Misfit>,
    /// Multiply-accumulates for these parameters, inputs and output; 0 for operators that multiply
    /// nothing.
    pub macs: fn(&[u8], &[TensorType], &TensorType) -> u64,
    /// How a step with these parameters, inputs and output goes row by row, if it does; see [`RowWise`].
    pub rows: fn(&[u8], &[TensorType], &TensorType) -> Option<RowWise>,
    /// The inputs that are weights, a bit for each.
    pub weights: u32,
    /// The layouts that weights may have besides `rows`, for these parameters.
    pub packed: fn(&[u8]) -> &'static [Layout],
    /// The inputs, a bit for each, that may be the very memory of the output.
    pub in_place: u32,
    /// The input that holds constant [`Multiplier`](crate::ops::Multiplier)s.
    pub multipliers: Option<u8>,
    /// How many of the last inputs are states, which the step writes after its first output.
    pub states: u8,
}

impl core::fmt::Debug for OpRule {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OpRule {{ params_bytes: {} }}", self.params_bytes)
    }
}

macro_rules! opcodes {
    ($($number:literal = $name:ident, $text:literal, $rule:expr;)*) => {
        /// Operators by number. Numbers are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum OpCode { $(#[doc = concat!("`", $text, "`")] $name = $number,)* }

        const _: () = {
            $(assert!($rule.params_bytes <= u8::MAX as u32, "see OpCode::params_bytes");)*
        };

        impl OpCode {
            /// All operators, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The operator's one name: that of its file in each crate.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The operator with this number, if there is one.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// Size of the operator's parameter record.
            pub const fn params_bytes(self) -> u32 {
                // A table of bytes.
                (match self { $(Self::$name => $rule.params_bytes as u8),* }) as u32
            }

            /// The operator's rule. Firmware should name the rule of the operators that it has
            /// instead: this table keeps them all in the program.
            pub const fn rule(self) -> OpRule {
                match self { $(Self::$name => $rule),* }
            }
        }
    };
}

opcodes! {
    1 = Conv2d, "conv_2d", ops::conv_2d::RULE;
    2 = DepthwiseConv2d, "depthwise_conv_2d", ops::depthwise_conv_2d::RULE;
    3 = TransposeConv2d, "transpose_conv_2d", ops::transpose_conv_2d::RULE;
    4 = Conv3d, "conv_3d", ops::conv_3d::RULE;
    5 = TransposeConv3d, "transpose_conv_3d", ops::transpose_conv_3d::RULE;
    6 = FullyConnected, "fully_connected", ops::fully_connected::RULE;
    7 = BatchMatmul, "batch_matmul", ops::batch_matmul::RULE;
    8 = AveragePool2d, "average_pool_2d", ops::average_pool_2d::RULE;
    9 = MaxPool2d, "max_pool_2d", ops::max_pool_2d::RULE;
    10 = Softmax, "softmax", ops::softmax::RULE;
    11 = LogSoftmax, "log_softmax", ops::log_softmax::RULE;
    12 = Sparsemax, "sparsemax", ops::sparsemax::RULE;
    13 = Mean, "mean", ops::mean::RULE;
    14 = Sum, "sum", ops::sum::RULE;
    15 = ReduceMax, "reduce_max", ops::reduce_max::RULE;
    16 = ReduceMin, "reduce_min", ops::reduce_min::RULE;
    17 = ReduceProd, "reduce_prod", ops::reduce_prod::RULE;
    18 = LayerNormalization, "layer_normalization", ops::layer_normalization::RULE;
    19 = GroupNormalization, "group_normalization", ops::group_normalization::RULE;
    20 = L2Normalization, "l2_normalization", ops::l2_normalization::RULE;
    21 = RmsNormalization, "rms_normalization", ops::rms_normalization::RULE;
    22 = Add, "add", ops::binary::RULE;
    23 = Sub, "sub", ops::binary::RULE;
    24 = Mul, "mul", ops::binary::RULE;
    25 = Div, "div", ops::binary::RULE;
    26 = Maximum, "maximum", ops::binary::RULE;
    27 = Minimum, "minimum", ops::binary::RULE;
    28 = Pow, "pow", ops::binary::RULE;
    29 = Prelu, "prelu", ops::prelu::RULE;
    30 = Concatenate, "concatenate", ops::concatenate::RULE;
    31 = Pad, "pad", ops::pad::RULE;
    32 = StridedSlice, "strided_slice", ops::strided_slice::RULE;
    33 = Transpose, "transpose", ops::transpose::RULE;
    34 = Reshape, "reshape", ops::reshape::RULE;
    35 = BroadcastTo, "broadcast_to", ops::broadcast_to::RULE;
    36 = ResizeNearestNeighbor, "resize_nearest_neighbor", ops::resize_nearest_neighbor::RULE;
    37 = ResizeBilinear, "resize_bilinear", ops::resize_bilinear::RULE;
    38 = Clip, "clip", ops::clip::RULE;
    39 = LeakyRelu, "leaky_relu", ops::leaky_relu::RULE;
    40 = ThresholdedRelu, "thresholded_relu", ops::thresholded_relu::RULE;
    41 = Elu, "elu", ops::elu::RULE;
    42 = Selu, "selu", ops::unary::RULE;
    43 = Celu, "celu", ops::celu::RULE;
    44 = Gelu, "gelu", ops::gelu::RULE;
    45 = Logistic, "logistic", ops::unary::RULE;
    46 = HardSigmoid, "hard_sigmoid", ops::hard_sigmoid::RULE;
    47 = HardSwish, "hard_swish", ops::unary::RULE;
    48 = Swish, "swish", ops::unary::RULE;
    49 = Mish, "mish", ops::unary::RULE;
    50 = Softplus, "softplus", ops::unary::RULE;
    51 = Softsign, "softsign", ops::unary::RULE;
    52 = Squareplus, "squareplus", ops::squareplus::RULE;
    53 = Tanh, "tanh", ops::unary::RULE;
    54 = Exp, "exp", ops::unary::RULE;
    55 = Log, "log", ops::unary::RULE;
    56 = Sqrt, "sqrt", ops::unary::RULE;
    57 = Rsqrt, "rsqrt", ops::unary::RULE;
    58 = Abs, "abs", ops::unary::RULE;
    59 = Neg, "neg", ops::unary::RULE;
    60 = Square, "square", ops::unary::RULE;
    61 = Erf, "erf", ops::unary::RULE;
    62 = Sin, "sin", ops::unary::RULE;
    63 = Cos, "cos", ops::unary::RULE;
    64 = Floor, "floor", ops::unary::RULE;
    65 = Ceil, "ceil", ops::unary::RULE;
    66 = Round, "round", ops::unary::RULE;
    67 = Sign, "sign", ops::unary::RULE;
    68 = Quantize, "quantize", ops::quantize::RULE;
    69 = Dequantize, "dequantize", ops::dequantize::RULE;
    70 = Lookup, "lookup", ops::lookup::RULE;
    71 = Conv2dI8, "conv_2d_i8", ops::conv_2d_i8::RULE;
    72 = DepthwiseConv2dI8, "depthwise_conv_2d_i8", ops::depthwise_conv_2d_i8::RULE;
    73 = TransposeConv2dI8, "transpose_conv_2d_i8", ops::transpose_conv_2d_i8::RULE;
    74 = FullyConnectedI8, "fully_connected_i8", ops::fully_connected_i8::RULE;
    75 = BatchMatmulI8, "batch_matmul_i8", ops::batch_matmul_i8::RULE;
    76 = AveragePool2dI8, "average_pool_2d_i8", ops::average_pool_2d_i8::RULE;
    77 = MaxPool2dI8, "max_pool_2d_i8", ops::max_pool_2d_i8::RULE;
    79 = SumI8, "sum_i8", ops::sum_i8::RULE;
    80 = ReduceMaxI8, "reduce_max_i8", ops::reduce_max_i8::RULE;
    81 = ReduceMinI8, "reduce_min_i8", ops::reduce_min_i8::RULE;
    82 = SoftmaxI8, "softmax_i8", ops::softmax_i8::RULE;
    83 = LogSoftmaxI8, "log_softmax_i8", ops::log_softmax_i8::RULE;
    84 = L2NormalizationI8, "l2_normalization_i8", ops::l2_normalization_i8::RULE;
    85 = AddI8, "add_i8", ops::add_i8::RULE;
    86 = SubI8, "sub_i8", ops::sub_i8::RULE;
    87 = MulI8, "mul_i8", ops::mul_i8::RULE;
    88 = DivI8, "div_i8", ops::div_i8::RULE;
    89 = MaximumI8, "maximum_i8", ops::maximum_i8::RULE;
    90 = MinimumI8, "minimum_i8", ops::minimum_i8::RULE;
    91 = PreluI8, "prelu_i8", ops::prelu_i8::RULE;
    92 = ResizeBilinearI8, "resize_bilinear_i8", ops::resize_bilinear_i8::RULE;
    93 = SquaredDifferenceI8, "squared_difference_i8", ops::squared_difference_i8::RULE;
    94 = Conv2dW8, "conv_2d_w8", ops::conv_2d_w8::RULE;
    95 = DepthwiseConv2dW8, "depthwise_conv_2d_w8", ops::depthwise_conv_2d_w8::RULE;
    96 = TransposeConv2dW8, "transpose_conv_2d_w8", ops::transpose_conv_2d_w8::RULE;
    97 = FullyConnectedW8, "fully_connected_w8", ops::fully_connected_w8::RULE;
    98 = Conv2dW16, "conv_2d_w16", ops::conv_2d_w16::RULE;
    99 = DepthwiseConv2dW16, "depthwise_conv_2d_w16", ops::depthwise_conv_2d_w16::RULE;
    100 = TransposeConv2dW16, "transpose_conv_2d_w16", ops::transpose_conv_2d_w16::RULE;
    101 = FullyConnectedW16, "fully_connected_w16", ops::fully_connected_w16::RULE;
    102 = Svdf, "svdf", ops::svdf::RULE;
    103 = SvdfI8, "svdf_i8", ops::svdf_i8::RULE;
    104 = UnidirectionalSequenceLstm, "unidirectional_sequence_lstm", ops::unidirectional_sequence_lstm::RULE;
    105 = UnidirectionalSequenceLstmI8, "unidirectional_sequence_lstm_i8", ops::unidirectional_sequence_lstm_i8::RULE;
    107 = SquaredDifference, "squared_difference", ops::binary::RULE;
    108 = Requantize, "requantize", ops::requantize::RULE;
    109 = SoftmaxI8I16, "softmax_i8_i16", ops::softmax_i8_i16::RULE;
    110 = Equal, "equal", ops::binary::RULE;
    111 = NotEqual, "not_equal", ops::binary::RULE;
    112 = Greater, "greater", ops::binary::RULE;
    113 = GreaterEqual, "greater_equal", ops::binary::RULE;
    114 = Select, "select", ops::select::RULE;
    115 = Gather, "gather", ops::gather::RULE;
    116 = GatherW8, "gather_w8", ops::gather_w8::RULE;
    117 = GatherW16, "gather_w16", ops::gather_w16::RULE;
    120 = UnidirectionalSequenceGru, "unidirectional_sequence_gru", ops::unidirectional_sequence_gru::RULE;
    121 = UnidirectionalSequenceRnn, "unidirectional_sequence_rnn", ops::unidirectional_sequence_rnn::RULE;
    122 = UnidirectionalSequenceLstmW8, "unidirectional_sequence_lstm_w8", ops::unidirectional_sequence_lstm_w8::RULE;
    123 = UnidirectionalSequenceGruW8, "unidirectional_sequence_gru_w8", ops::unidirectional_sequence_gru_w8::RULE;
    124 = UnidirectionalSequenceRnnW8, "unidirectional_sequence_rnn_w8", ops::unidirectional_sequence_rnn_w8::RULE;
    125 = UnidirectionalSequenceLstmW16, "unidirectional_sequence_lstm_w16", ops::unidirectional_sequence_lstm_w16::RULE;
    126 = UnidirectionalSequenceGruW16, "unidirectional_sequence_gru_w16", ops::unidirectional_sequence_gru_w16::RULE;
    127 = UnidirectionalSequenceRnnW16, "unidirectional_sequence_rnn_w16", ops::unidirectional_sequence_rnn_w16::RULE;
    128 = Hash, "hash", ops::hash::RULE;
}
