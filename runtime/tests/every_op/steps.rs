//! A small step of every operator.

use super::Sample;
use bytemuck::{Pod, bytes_of};
use flatpack_format::ops::*;
use flatpack_format::{DType, OpCode};

fn sample(op: OpCode, params: impl Pod, inputs: &[&[u32]], constants: &[&[u32]]) -> Sample {
    let dims = |shapes: &[&[u32]]| shapes.iter().map(|dims| dims.to_vec()).collect();
    Sample {
        op,
        params: bytes_of(&params).to_vec(),
        inputs: dims(inputs),
        constants: dims(constants),
        states: vec![],
        packable: false,
        dtypes: &[],
    }
}

/// A sample with states after its other operands.
fn stateful(states: &[&[u32]], sample: Sample) -> Sample {
    Sample { states: states.iter().map(|dims| dims.to_vec()).collect(), ..sample }
}

/// A sample whose first operands have these element types.
fn typed(dtypes: &'static [DType], sample: Sample) -> Sample {
    Sample { dtypes, ..sample }
}

/// A recurrent operator of so many gates and biases whose weights are stored in fewer bytes.
fn in_fewer_bytes(op: OpCode, params: impl Pod, gates: u32, biases: u32) -> Sample {
    use OpCode::{UnidirectionalSequenceGruW8, UnidirectionalSequenceLstmW8, UnidirectionalSequenceRnnW8};
    let (dtypes, scales): (&'static [DType], u32) = match op {
        UnidirectionalSequenceGruW8 | UnidirectionalSequenceLstmW8 | UnidirectionalSequenceRnnW8 => {
            (&[DType::F32, DType::I8, DType::I8], 2 * gates)
        }
        _ => (&[DType::F32, DType::F16, DType::F16], 0),
    };
    let weights: [&[u32]; 3] = [&[gates, 5, 3], &[gates, 5, 5], &[biases + scales, 5]];
    typed(dtypes, sample(op, params, &[&[1, 2, 3]], &weights))
}

/// x, w, bias, requant.
const WEIGHTED_I8: &[DType] = &[DType::I8, DType::I8, DType::I32, DType::I32];
const BY: Multiplier = Multiplier { mantissa: 1 << 30, shift: -3 };
const Y: OutputI8 = OutputI8 { zero_point: -7, min: -100, max: 90 };

fn packable(sample: Sample) -> Sample {
    Sample { packable: true, ..sample }
}

const CLAMP: Clamp = Clamp { min: -3.0, max: 3.0 };
const IMAGE: &[u32] = &[1, 4, 4, 2];
const CUBE: &[u32] = &[1, 2, 3, 3, 2];

fn pool(op: OpCode) -> Sample {
    let params = average_pool_2d::Pool2dParams {
        window: [2, 3],
        stride: [2, 1],
        pad_h: [1, 0],
        pad_w: [1, 2],
        clamp: CLAMP,
    };
    sample(op, params, &[IMAGE], &[])
}

fn reduction(op: OpCode) -> Sample {
    sample(op, mean::ReduceParams { axis: 1, axis_count: 2, keep_dims: 1 }, &[IMAGE], &[])
}

fn binary(op: OpCode) -> Sample {
    sample(op, binary::BinaryParams { clamp: CLAMP }, &[&[2, 3, 4]], &[&[3, 1]])
}

fn unary(op: OpCode, params: impl Pod) -> Sample {
    sample(op, params, &[&[2, 3, 4]], &[])
}

fn gathered(op: OpCode, table: &[&[u32]]) -> Sample {
    sample(op, gather::GatherParams { from_end: 1 }, &[&[3, 2]], table)
}

/// The step of an operator with its weights, the first constant, in fewer bytes.
fn stored(op: OpCode, float: OpCode, scaled: bool) -> Sample {
    let mut sample = Sample { op, ..step(float) };
    if scaled {
        sample.constants.insert(1, sample.constants[1].clone());
        return typed(&[DType::F32, DType::I8], sample);
    }
    typed(&[DType::F32, DType::F16], sample)
}

/// A step of the operator.
pub(crate) fn step(op: OpCode) -> Sample {
    use OpCode as Op;
    match op {
        Op::Conv2d => packable(sample(
            op,
            conv_2d::Conv2dParams {
                stride: [1, 2],
                dilation: [2, 1],
                pad_h: [1, 1],
                pad_w: [0, 1],
                groups: 1,
                clamp: CLAMP,
            },
            &[IMAGE],
            &[&[3, 2, 2, 2], &[3]],
        )),
        Op::DepthwiseConv2d => sample(
            op,
            depthwise_conv_2d::DepthwiseConv2dParams {
                stride: [1, 2],
                dilation: [2, 1],
                pad_h: [1, 1],
                pad_w: [0, 1],
                clamp: CLAMP,
            },
            &[IMAGE],
            &[&[2, 3, 4], &[4]],
        ),
        Op::TransposeConv2d => packable(sample(
            op,
            transpose_conv_2d::TransposeConv2dParams {
                stride: [2, 1],
                dilation: [1, 2],
                crop: [1, 0],
                output: [7, 7],
                clamp: CLAMP,
            },
            &[IMAGE],
            &[&[3, 2, 2, 2], &[3]],
        )),
        Op::Conv3d => packable(sample(
            op,
            conv_3d::Conv3dParams {
                stride: [1, 2, 1],
                dilation: [1, 1, 2],
                pad: [[1, 0], [0, 1], [1, 1]],
                groups: 1,
                clamp: CLAMP,
            },
            &[CUBE],
            &[&[2, 2, 2, 2, 2], &[2]],
        )),
        Op::TransposeConv3d => packable(sample(
            op,
            transpose_conv_3d::TransposeConv3dParams {
                stride: [1, 2, 1],
                dilation: [1, 1, 2],
                crop: [0, 1, 0],
                output: [3, 4, 5],
                clamp: CLAMP,
            },
            &[CUBE],
            &[&[2, 2, 2, 2, 2], &[2]],
        )),
        Op::FullyConnected => packable(sample(
            op,
            fully_connected::FullyConnectedParams { clamp: CLAMP },
            &[&[3, 5]],
            &[&[6, 5], &[6]],
        )),
        Op::BatchMatmul => {
            sample(op, batch_matmul::BatchMatmulParams { transpose_b: 1 }, &[&[2, 3, 4]], &[&[2, 5, 4]])
        }
        Op::AveragePool2d | Op::MaxPool2d => pool(op),
        Op::Softmax => sample(op, softmax::SoftmaxParams { axis: 1 }, &[&[2, 3, 4]], &[]),
        Op::LogSoftmax => sample(op, log_softmax::LogSoftmaxParams { axis: 1 }, &[&[2, 3, 4]], &[]),
        Op::Sparsemax => sample(op, sparsemax::SparsemaxParams { axis: 1 }, &[&[2, 3, 4]], &[]),
        Op::Mean | Op::Sum | Op::ReduceMax | Op::ReduceMin | Op::ReduceProd => reduction(op),
        Op::LayerNormalization => sample(
            op,
            layer_normalization::LayerNormalizationParams { axis_count: 2, epsilon: 1e-3 },
            &[&[2, 3, 4]],
            &[&[12], &[12]],
        ),
        Op::GroupNormalization => sample(
            op,
            group_normalization::GroupNormalizationParams { groups: 2, epsilon: 1e-3 },
            &[&[2, 3, 4]],
            &[&[4], &[4]],
        ),
        Op::L2Normalization => sample(
            op,
            l2_normalization::L2NormalizationParams { axis: 1, axis_count: 2, epsilon: 1e-6 },
            &[&[2, 3, 4]],
            &[],
        ),
        Op::RmsNormalization => sample(
            op,
            rms_normalization::RmsNormalizationParams { axis_count: 1, epsilon: 1e-6 },
            &[&[2, 3, 4]],
            &[&[4]],
        ),
        Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Div
        | Op::Maximum
        | Op::Minimum
        | Op::Pow
        | Op::SquaredDifference
        | Op::Equal
        | Op::NotEqual
        | Op::Greater
        | Op::GreaterEqual => binary(op),
        Op::Gather => gathered(op, &[&[5, 2, 2]]),
        Op::GatherW8 => typed(&[DType::F32, DType::I8], gathered(op, &[&[5, 2, 2], &[5]])),
        Op::GatherW16 => typed(&[DType::F32, DType::F16], gathered(op, &[&[5, 2, 2]])),
        Op::Select => sample(op, [0u8; 0], &[&[2, 3, 4], &[3, 4]], &[&[3, 1]]),
        Op::Prelu => sample(op, [0u8; 0], &[&[2, 3, 4]], &[&[3, 1]]),
        Op::Concatenate => {
            sample(op, concatenate::ConcatenateParams { axis: 1 }, &[&[2, 3, 4], &[2, 1, 4]], &[&[2, 2, 4]])
        }
        Op::Pad => sample(
            op,
            pad::PadParams { before: [1, 0, 2, 0, 0, 0], after: [0, 1, 0, 0, 0, 0], value: -1.0 },
            &[&[2, 3, 4]],
            &[],
        ),
        Op::StridedSlice => sample(
            op,
            strided_slice::StridedSliceParams {
                begin: [1, 0, 3, 0, 0, 0],
                stride: [1, 2, -2, 1, 1, 1],
                size: [1, 2, 2, 1, 1, 1],
            },
            &[&[2, 3, 4]],
            &[],
        ),
        Op::Transpose => {
            sample(op, transpose::TransposeParams { perm: [2, 0, 1, 3, 4, 5] }, &[&[2, 3, 4]], &[])
        }
        Op::Reshape => {
            sample(op, reshape::ReshapeParams { dims: [4, 6, 0, 0, 0, 0], rank: 2 }, &[&[2, 3, 4]], &[])
        }
        Op::BroadcastTo => {
            sample(op, broadcast_to::BroadcastToParams { dims: [2, 3, 4, 0, 0, 0], rank: 3 }, &[&[3, 1]], &[])
        }
        Op::ResizeNearestNeighbor => sample(
            op,
            resize_nearest_neighbor::ResizeNearestNeighborParams { size: [3, 5], grid: 1 },
            &[IMAGE],
            &[],
        ),
        Op::ResizeBilinear => {
            sample(op, resize_bilinear::ResizeBilinearParams { size: [3, 5], grid: 1 }, &[IMAGE], &[])
        }
        Op::Clip => unary(op, clip::ClipParams { clamp: CLAMP }),
        Op::LeakyRelu => unary(op, leaky_relu::LeakyReluParams { alpha: 0.3 }),
        Op::ThresholdedRelu => {
            unary(op, thresholded_relu::ThresholdedReluParams { threshold: 0.5, slope: 0.1, max: 6.0 })
        }
        Op::Elu => unary(op, elu::EluParams { alpha: 1.5 }),
        Op::Celu => unary(op, celu::CeluParams { alpha: 1.5 }),
        Op::Gelu => unary(op, gelu::GeluParams { approximate: 1 }),
        Op::HardSigmoid => unary(op, hard_sigmoid::HardSigmoidParams { slope: 0.2, offset: 0.5 }),
        Op::Hash => unary(op, hash::HashParams { bins: 1000, keyed: 1, key: [1, 2, 3, 4] }),
        Op::Squareplus => unary(op, squareplus::SquareplusParams { b: 4.0 }),
        Op::Selu
        | Op::Logistic
        | Op::HardSwish
        | Op::Swish
        | Op::Mish
        | Op::Softplus
        | Op::Softsign
        | Op::Tanh
        | Op::Exp
        | Op::Log
        | Op::Sqrt
        | Op::Rsqrt
        | Op::Abs
        | Op::Neg
        | Op::Square
        | Op::Erf
        | Op::Sin
        | Op::Cos
        | Op::Floor
        | Op::Ceil
        | Op::Round
        | Op::Sign => unary(op, [0u8; 0]),
        Op::Quantize => unary(op, quantize::QuantizeParams { scale: 0.01, zero_point: 9, dtype: 1 }),
        Op::Dequantize => {
            typed(&[DType::U8], unary(op, dequantize::DequantizeParams { scale: 0.5, zero_point: 200 }))
        }
        Op::Lookup => typed(&[DType::I8, DType::I8], sample(op, [0u8; 0], &[&[2, 3, 4]], &[&[256]])),
        Op::Conv2dI8 => typed(
            WEIGHTED_I8,
            sample(
                op,
                conv_2d_i8::Conv2dI8Params {
                    stride: [1, 2],
                    dilation: [2, 1],
                    pad_h: [1, 1],
                    pad_w: [0, 1],
                    groups: 1,
                    x_zero_point: 5,
                    w_zero_point: 3,
                    y: Y,
                },
                &[IMAGE],
                &[&[3, 2, 2, 2], &[3], &[3, 2]],
            ),
        ),
        Op::DepthwiseConv2dI8 => typed(
            WEIGHTED_I8,
            sample(
                op,
                depthwise_conv_2d_i8::DepthwiseConv2dI8Params {
                    stride: [1, 2],
                    dilation: [2, 1],
                    pad_h: [1, 1],
                    pad_w: [0, 1],
                    x_zero_point: 5,
                    w_zero_point: 3,
                    y: Y,
                },
                &[IMAGE],
                &[&[2, 3, 4], &[4], &[4, 2]],
            ),
        ),
        Op::TransposeConv2dI8 => typed(
            WEIGHTED_I8,
            sample(
                op,
                transpose_conv_2d_i8::TransposeConv2dI8Params {
                    stride: [2, 1],
                    dilation: [1, 2],
                    crop: [1, 0],
                    output: [7, 7],
                    x_zero_point: 5,
                    w_zero_point: 3,
                    y: Y,
                },
                &[IMAGE],
                &[&[3, 2, 2, 2], &[3], &[3, 2]],
            ),
        ),
        Op::BatchMatmulI8 => typed(
            &[DType::I8, DType::I8],
            sample(
                op,
                batch_matmul_i8::BatchMatmulI8Params {
                    transpose_b: 0,
                    a_zero_point: 5,
                    b_zero_point: -3,
                    multiplier: BY,
                    y: Y,
                },
                &[&[2, 3, 4]],
                &[&[2, 4, 9]],
            ),
        ),
        Op::AveragePool2dI8 => typed(
            &[DType::I8],
            sample(
                op,
                average_pool_2d_i8::AveragePool2dI8Params {
                    window: [2, 3],
                    stride: [2, 1],
                    pad_h: [1, 0],
                    pad_w: [1, 2],
                    origin: -128,
                    min: -100,
                    max: 90,
                },
                &[IMAGE],
                &[],
            ),
        ),
        Op::MaxPool2dI8 => typed(
            &[DType::I8],
            sample(
                op,
                max_pool_2d_i8::MaxPool2dI8Params {
                    window: [2, 3],
                    stride: [2, 1],
                    pad_h: [1, 0],
                    pad_w: [1, 2],
                    min: -100,
                    max: 90,
                },
                &[IMAGE],
                &[],
            ),
        ),
        Op::SumI8 => typed(
            &[DType::I8],
            sample(
                op,
                sum_i8::SumI8Params {
                    axis: 1,
                    axis_count: 2,
                    keep_dims: 1,
                    x_zero_point: 5,
                    multiplier: BY,
                    y: Y,
                },
                &[IMAGE],
                &[],
            ),
        ),
        Op::ReduceMaxI8 | Op::ReduceMinI8 => typed(&[DType::I8], reduction(op)),
        Op::LogSoftmaxI8 => {
            let params = log_softmax_i8::LogSoftmaxI8Params {
                axis: 1,
                multiplier: Multiplier { mantissa: 1 << 30, shift: 24 },
                reverse: Multiplier { mantissa: 1 << 30, shift: -22 },
                diff_min: -124,
            };
            typed(&[DType::I8], unary(op, params))
        }
        Op::L2NormalizationI8 => typed(
            &[DType::I8],
            unary(
                op,
                l2_normalization_i8::L2NormalizationI8Params { axis: 1, axis_count: 2, x_zero_point: 5 },
            ),
        ),
        Op::SubI8 | Op::SquaredDifferenceI8 => Sample { op, ..step(Op::AddI8) },
        Op::MulI8 | Op::DivI8 => {
            let multiplier = Multiplier { mantissa: 1_900_000_000, shift: -5 };
            let params = mul_i8::MulI8Params { a_zero_point: 3, b_zero_point: -4, multiplier, y: Y };
            typed(&[DType::I8, DType::I8], sample(op, params, &[&[2, 3, 4]], &[&[3, 1]]))
        }
        Op::MaximumI8 | Op::MinimumI8 => {
            let params = maximum_i8::MaximumI8Params { min: -100, max: 90 };
            typed(&[DType::I8, DType::I8], sample(op, params, &[&[2, 3, 4]], &[&[3, 1]]))
        }
        Op::PreluI8 => {
            let by = |shift| Multiplier { mantissa: 1_900_000_000, shift };
            let params = prelu_i8::PreluI8Params {
                x_zero_point: 3,
                alpha_zero_point: -4,
                x_multiplier: by(0),
                multiplier: by(-6),
                y: Y,
            };
            typed(&[DType::I8, DType::I8], sample(op, params, &[&[2, 3, 4]], &[&[3, 1]]))
        }
        Op::ResizeBilinearI8 => {
            let params = resize_bilinear_i8::ResizeBilinearI8Params {
                size: [3, 5],
                step: [1365, 819],
                first: [170, -103],
            };
            typed(&[DType::I8], sample(op, params, &[IMAGE], &[]))
        }
        Op::Requantize => {
            let multiplier = Multiplier { mantissa: 1 << 30, shift: -3 };
            let params =
                requantize::RequantizeParams { x_zero_point: 4, multiplier, y_zero_point: -9, dtype: 1 };
            typed(&[DType::I16], unary(op, params))
        }
        Op::SoftmaxI8 | Op::SoftmaxI8I16 => {
            let multiplier = Multiplier { mantissa: 1 << 30, shift: 24 };
            typed(
                &[DType::I8],
                unary(op, softmax_i8::SoftmaxI8Params { axis: 1, multiplier, diff_min: -124 }),
            )
        }
        Op::AddI8 => {
            let by = |shift| Multiplier { mantissa: 1_900_000_000, shift };
            let params = add_i8::AddI8Params {
                a_zero_point: 3,
                b_zero_point: -4,
                a_multiplier: by(-2),
                b_multiplier: by(0),
                multiplier: by(-19),
                y: Y,
            };
            typed(&[DType::I8, DType::I8], sample(op, params, &[&[2, 3, 4]], &[&[3, 1]]))
        }
        Op::FullyConnectedI8 => typed(
            WEIGHTED_I8,
            sample(
                op,
                fully_connected_i8::FullyConnectedI8Params { x_zero_point: -5, w_zero_point: 0, y: Y },
                &[&[3, 5]],
                &[&[6, 5], &[6], &[1, 2]],
            ),
        ),
        Op::Svdf => stateful(
            &[&[2, 4, 3]],
            sample(op, svdf::SvdfParams { rank: 2, clamp: CLAMP }, &[&[2, 5]], &[&[4, 5], &[4, 3], &[2]]),
        ),
        Op::SvdfI8 => stateful(
            &[&[2, 4, 3]],
            typed(
                &[DType::I8, DType::I8, DType::I32, DType::I16, DType::I32, DType::I32, DType::I16],
                sample(
                    op,
                    svdf_i8::SvdfI8Params { rank: 2, y: Y },
                    &[&[2, 5]],
                    &[&[4, 5], &[4], &[4, 3], &[2], &[2, 2]],
                ),
            ),
        ),
        Op::UnidirectionalSequenceLstm => stateful(
            &[&[1, 5], &[1, 5]],
            sample(
                op,
                unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams {
                    walk: recurrence::Recurrence::PLAIN,
                    cell_clip: 10.0,
                },
                &[&[1, 2, 3]],
                &[&[4, 5, 3], &[4, 5, 5], &[4, 5]],
            ),
        ),
        // With all that a walk may have: a mask, first values, states behind the last output.
        Op::UnidirectionalSequenceGru => stateful(
            &[&[1, 2, 5]],
            sample(
                op,
                unidirectional_sequence_gru::UnidirectionalSequenceGruParams {
                    walk: recurrence::Recurrence {
                        backwards: 1,
                        start: recurrence::GIVEN,
                        last_only: 1,
                        states_after: 1,
                        mask: recurrence::REPEATED,
                        ..recurrence::Recurrence::PLAIN
                    },
                    reset_after: 0,
                },
                &[&[1, 2, 3]],
                &[&[3, 5, 3], &[3, 5, 5], &[3, 5], &[1, 2], &[1, 5]],
            ),
        ),
        Op::UnidirectionalSequenceRnn => stateful(
            &[&[1, 5]],
            sample(
                op,
                unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams {
                    walk: recurrence::Recurrence {
                        gate_activation: recurrence::Activation::Linear as u32,
                        ..recurrence::Recurrence::PLAIN
                    },
                },
                &[&[1, 2, 3]],
                &[&[1, 5, 3], &[1, 5, 5], &[1, 5]],
            ),
        ),
        Op::UnidirectionalSequenceLstmW8 | Op::UnidirectionalSequenceLstmW16 => {
            let params = unidirectional_sequence_lstm::UnidirectionalSequenceLstmParams {
                walk: recurrence::Recurrence::PLAIN,
                cell_clip: 10.0,
            };
            stateful(&[&[1, 5], &[1, 5]], in_fewer_bytes(op, params, 4, 4))
        }
        Op::UnidirectionalSequenceGruW8 | Op::UnidirectionalSequenceGruW16 => {
            let params = unidirectional_sequence_gru::UnidirectionalSequenceGruParams {
                walk: recurrence::Recurrence::PLAIN,
                reset_after: 1,
            };
            stateful(&[&[1, 5]], in_fewer_bytes(op, params, 3, 4))
        }
        Op::UnidirectionalSequenceRnnW8 | Op::UnidirectionalSequenceRnnW16 => {
            let gate_activation = recurrence::Activation::Linear as u32;
            let params = unidirectional_sequence_rnn::UnidirectionalSequenceRnnParams {
                walk: recurrence::Recurrence { gate_activation, ..recurrence::Recurrence::PLAIN },
            };
            stateful(&[&[1, 5]], in_fewer_bytes(op, params, 1, 1))
        }
        Op::UnidirectionalSequenceLstmI8 => stateful(
            &[&[1, 5], &[1, 5]],
            typed(
                &[DType::I8, DType::I8, DType::I8, DType::I32, DType::I32, DType::I8, DType::I16],
                sample(
                    op,
                    unidirectional_sequence_lstm_i8::UnidirectionalSequenceLstmI8Params {
                        time_major: 1,
                        cell_clip: 20000,
                        cell_shift: 1,
                        y: Y,
                    },
                    &[&[2, 1, 3]],
                    &[&[4, 5, 3], &[4, 5, 5], &[2, 4, 5], &[11, 2]],
                ),
            ),
        ),
        Op::Conv2dW8 => stored(op, Op::Conv2d, true),
        Op::DepthwiseConv2dW8 => stored(op, Op::DepthwiseConv2d, true),
        Op::TransposeConv2dW8 => stored(op, Op::TransposeConv2d, true),
        Op::FullyConnectedW8 => stored(op, Op::FullyConnected, true),
        Op::Conv2dW16 => stored(op, Op::Conv2d, false),
        Op::DepthwiseConv2dW16 => stored(op, Op::DepthwiseConv2d, false),
        Op::TransposeConv2dW16 => stored(op, Op::TransposeConv2d, false),
        Op::FullyConnectedW16 => stored(op, Op::FullyConnected, false),
    }
}
