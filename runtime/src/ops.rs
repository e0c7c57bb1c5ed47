//! One module per operator: what it computes, and its kernel.

use crate::arch::{Active, Arch};
use crate::kernel::Kernel;

mod binary;
mod binary_i8;
mod moves;
mod pool;
mod recurrence;
mod reduce;
mod reduce_i8;
mod unary;

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

/// Every kernel, by opcode. Firmware names the kernels of its model instead, so that the linker
/// drops the others.
pub const ALL: &[Kernel] = &all::<Active>();

/// Every kernel, by opcode: those that much time is spent in with the loops of an instruction set, the others with the
/// loops of this build.
pub(crate) const fn all<A: Arch>() -> [Kernel; 124] {
    [
        conv_2d::kernel::<A>(),
        depthwise_conv_2d::kernel::<A>(),
        transpose_conv_2d::kernel::<A>(),
        conv_3d::KERNEL,
        transpose_conv_3d::KERNEL,
        fully_connected::kernel::<A>(),
        batch_matmul::kernel::<A>(),
        average_pool_2d::kernel::<A>(),
        max_pool_2d::kernel::<A>(),
        softmax::kernel::<A>(),
        log_softmax::kernel::<A>(),
        sparsemax::KERNEL,
        mean::kernel::<A>(),
        sum::kernel::<A>(),
        reduce_max::kernel::<A>(),
        reduce_min::kernel::<A>(),
        reduce_prod::kernel::<A>(),
        layer_normalization::kernel::<A>(),
        group_normalization::kernel::<A>(),
        l2_normalization::kernel::<A>(),
        rms_normalization::kernel::<A>(),
        add::kernel::<A>(),
        sub::kernel::<A>(),
        mul::kernel::<A>(),
        div::kernel::<A>(),
        maximum::kernel::<A>(),
        minimum::kernel::<A>(),
        pow::KERNEL,
        prelu::kernel::<A>(),
        concatenate::KERNEL,
        pad::KERNEL,
        strided_slice::KERNEL,
        transpose::KERNEL,
        reshape::KERNEL,
        broadcast_to::KERNEL,
        resize_nearest_neighbor::KERNEL,
        resize_bilinear::KERNEL,
        clip::kernel::<A>(),
        leaky_relu::kernel::<A>(),
        thresholded_relu::KERNEL,
        elu::kernel::<A>(),
        selu::KERNEL,
        celu::KERNEL,
        gelu::kernel::<A>(),
        logistic::kernel::<A>(),
        hard_sigmoid::kernel::<A>(),
        hard_swish::kernel::<A>(),
        swish::kernel::<A>(),
        mish::KERNEL,
        softplus::KERNEL,
        softsign::KERNEL,
        squareplus::KERNEL,
        tanh::kernel::<A>(),
        exp::kernel::<A>(),
        log::KERNEL,
        sqrt::KERNEL,
        rsqrt::KERNEL,
        abs::KERNEL,
        neg::KERNEL,
        square::KERNEL,
        erf::KERNEL,
        sin::KERNEL,
        cos::KERNEL,
        floor::KERNEL,
        ceil::KERNEL,
        round::KERNEL,
        sign::KERNEL,
        quantize::kernel::<A>(),
        dequantize::kernel::<A>(),
        lookup::kernel::<A>(),
        conv_2d_i8::kernel::<A>(),
        depthwise_conv_2d_i8::kernel::<A>(),
        transpose_conv_2d_i8::kernel::<A>(),
        fully_connected_i8::kernel::<A>(),
        batch_matmul_i8::kernel::<A>(),
        average_pool_2d_i8::kernel::<A>(),
        max_pool_2d_i8::kernel::<A>(),
        sum_i8::kernel::<A>(),
        reduce_max_i8::kernel::<A>(),
        reduce_min_i8::kernel::<A>(),
        softmax_i8::kernel::<A>(),
        log_softmax_i8::KERNEL,
        l2_normalization_i8::KERNEL,
        add_i8::kernel::<A>(),
        sub_i8::kernel::<A>(),
        mul_i8::kernel::<A>(),
        div_i8::KERNEL,
        maximum_i8::KERNEL,
        minimum_i8::KERNEL,
        prelu_i8::KERNEL,
        resize_bilinear_i8::KERNEL,
        squared_difference_i8::kernel::<A>(),
        conv_2d_w8::kernel::<A>(),
        depthwise_conv_2d_w8::kernel::<A>(),
        transpose_conv_2d_w8::kernel::<A>(),
        fully_connected_w8::kernel::<A>(),
        conv_2d_w16::kernel::<A>(),
        depthwise_conv_2d_w16::kernel::<A>(),
        transpose_conv_2d_w16::kernel::<A>(),
        fully_connected_w16::kernel::<A>(),
        svdf::KERNEL,
        svdf_i8::KERNEL,
        unidirectional_sequence_lstm::kernel::<A>(),
        unidirectional_sequence_lstm_i8::KERNEL,
        squared_difference::KERNEL,
        requantize::KERNEL,
        softmax_i8_i16::KERNEL,
        equal::KERNEL,
        not_equal::KERNEL,
        greater::KERNEL,
        greater_equal::KERNEL,
        select::KERNEL,
        gather::KERNEL,
        gather_w8::KERNEL,
        gather_w16::KERNEL,
        unidirectional_sequence_gru::kernel::<A>(),
        unidirectional_sequence_rnn::kernel::<A>(),
        unidirectional_sequence_lstm_w8::kernel::<A>(),
        unidirectional_sequence_gru_w8::kernel::<A>(),
        unidirectional_sequence_rnn_w8::kernel::<A>(),
        unidirectional_sequence_lstm_w16::kernel::<A>(),
        unidirectional_sequence_gru_w16::kernel::<A>(),
        unidirectional_sequence_rnn_w16::kernel::<A>(),
        hash::KERNEL,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::OpCode;
    use std::vec::Vec;

    #[test]
    fn every_operator_has_one_kernel_in_the_order_of_opcodes() {
        assert_eq!(ALL.iter().map(|kernel| kernel.op).collect::<Vec<_>>(), OpCode::ALL);
    }
}
