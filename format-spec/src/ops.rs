//! One module per operator: its parameter record and its rule.
//!
//! Operators without parameters of their own share the rule of their family: [`unary`] and
//! [`binary`].

pub mod add_i8;
pub mod average_pool_2d;
pub mod average_pool_2d_i8;
pub mod batch_matmul;
pub mod batch_matmul_i8;
pub mod binary;
pub mod broadcast_to;
pub mod celu;
pub mod clip;
pub mod concatenate;
pub mod conv_2d;
pub mod conv_2d_i8;
pub mod conv_2d_w16;
pub mod conv_2d_w8;
pub mod conv_3d;
pub mod depthwise_conv_2d;
pub mod depthwise_conv_2d_i8;
pub mod depthwise_conv_2d_w16;
pub mod depthwise_conv_2d_w8;
pub mod dequantize;
pub mod div_i8;
pub mod elu;
pub mod fully_connected;
pub mod fully_connected_i8;
pub mod fully_connected_w16;
pub mod fully_connected_w8;
pub mod gather;
pub mod gather_w16;
pub mod gather_w8;
pub mod gelu;
pub mod group_normalization;
pub mod hard_sigmoid;
pub mod hash;
pub mod l2_normalization;
pub mod l2_normalization_i8;
pub mod layer_normalization;
pub mod leaky_relu;
pub mod log_softmax;
pub mod log_softmax_i8;
pub mod lookup;
pub mod max_pool_2d;
pub mod max_pool_2d_i8;
pub mod maximum_i8;
pub mod mean;
pub mod minimum_i8;
pub mod mul_i8;
pub mod pad;
pub mod prelu;
pub mod prelu_i8;
pub mod quantize;
pub mod recurrence;
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
pub mod select;
pub mod softmax;
pub mod softmax_i8;
pub mod softmax_i8_i16;
pub mod sparsemax;
pub mod squared_difference_i8;
pub mod squareplus;
pub mod strided_slice;
pub mod sub_i8;
pub mod sum;
pub mod sum_i8;
pub mod svdf;
pub mod svdf_i8;
pub mod thresholded_relu;
pub mod transpose;
pub mod transpose_conv_2d;
pub mod transpose_conv_2d_i8;
pub mod transpose_conv_2d_w16;
pub mod transpose_conv_2d_w8;
pub mod transpose_conv_3d;
pub mod unary;
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

use crate::op::{Misfit, OpRule};
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

/// A fused activation: bounds on the result. `min = −∞, max = +∞` for none.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct Clamp {
    /// Lower bound.
    pub min: f32,
    /// Upper bound.
    pub max: f32,
}

impl Clamp {
    /// No bounds.
    pub const NONE: Self = Self { min: f32::NEG_INFINITY, max: f32::INFINITY };

    /// The bounds are ordered, so that clamping is defined.
    pub(crate) fn valid(&self) -> Result<(), Misfit> {
        if self.min <= self.max { Ok(()) } else { Err(Misfit::Params) }
    }
}

/// What an operator on 8-bit integers does with a sum before it writes it: `zero_point` is added,
/// then the bounds hold.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct OutputI8 {
    /// The integer that stands for zero in y.
    pub zero_point: i32,
    /// Lower bound on y: −128 or that of the fused activation.
    pub min: i32,
    /// Upper bound on y: 127 or that of the fused activation.
    pub max: i32,
}

impl OutputI8 {
    /// The zero point and the bounds are 8-bit integers, and the bounds are ordered.
    pub(crate) fn valid(&self) -> Result<(), Misfit> {
        let bytes = [self.zero_point, self.min, self.max].into_iter().all(|v| i8::try_from(v).is_ok());
        if bytes && self.min <= self.max { Ok(()) } else { Err(Misfit::Params) }
    }
}

/// An integer that stands for zero in an 8-bit tensor.
pub(crate) fn zero_point_valid(zero_point: i32) -> Result<(), Misfit> {
    i8::try_from(zero_point).map(|_| ()).map_err(|_| Misfit::Params)
}

/// How a sum becomes an output: multiplied by `mantissa · 2^(shift − 31)`. The last dimension of a
/// `requant` operand, whose elements are `i32`.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct Multiplier {
    /// From 2³⁰ to 2³¹ − 1, or 0.
    pub mantissa: i32,
    /// From −31 to 30.
    pub shift: i32,
}

impl Multiplier {
    /// The domain of both fields.
    pub fn valid(&self) -> bool {
        Self::all_valid(core::slice::from_ref(self))
    }

    /// Whether all are in their domain. A model has thousands, so that each is to take few instructions.
    #[inline]
    pub fn all_valid(multipliers: &[Self]) -> bool {
        let (mut mantissas, mut shifts) = (0, 0);
        let mut take = |by: &Self| {
            mantissas |= by.mantissa;
            // From 1 to 31 for shifts from −31 to 30, and past that for all others.
            shifts |= (by.shift ^ by.shift >> 31).wrapping_add(1) as u32;
        };
        let (fours, rest) = multipliers.as_chunks();
        fours.iter().for_each(|[a, b, c, d]| [a, b, c, d].into_iter().for_each(&mut take));
        rest.iter().for_each(take);
        mantissas >= 0 && shifts < 32
    }

    /// Whether all are between 2⁻²² and ½ with mantissas of full length, as those of products in real models
    /// are: then twice the mantissa has exactly 32 bits, and a zero point can be added before the shift.
    pub fn all_plain(multipliers: &[Self]) -> bool {
        // Without branches: each execution of a step asks.
        let (mut mantissas, mut shifts) = (0u32, 0u32);
        for by in multipliers {
            // 31 bits, of which the first is 1, become 30.
            mantissas |= by.mantissa as u32 ^ 1 << 30;
            // From 0 to 20, and 11 more: 5 bits.
            let places = !by.shift as u32;
            shifts |= places | places.wrapping_add(11);
        }
        mantissas < 1 << 30 && shifts < 32
    }
}

/// Demands inputs of exactly these element types and gives their shapes.
pub(crate) fn inputs_of<const N: usize>(
    inputs: &[TensorType],
    dtypes: [DType; N],
) -> Result<[&Shape; N], Misfit> {
    let inputs: &[TensorType; N] = inputs.try_into().map_err(|_| Misfit::Count)?;
    for ((at, input), dtype) in inputs.iter().enumerate().zip(dtypes) {
        if input.dtype != dtype {
            return Err(Misfit::DType(at as u8));
        }
    }
    Ok(inputs.each_ref().map(|input| &input.shape))
}

/// The operands of an operator with 8-bit weights: x, w, bias (i32), requant (i32).
pub(crate) const WEIGHTED_I8: [DType; 4] = [DType::I8, DType::I8, DType::I32, DType::I32];

/// Demands that `bias` has one element per output, and `requant` one multiplier for all or for each.
pub(crate) fn check_requant([bias, requant]: [&Shape; 2], outputs: u32) -> Result<(), Misfit> {
    check_bias(Some(*bias), outputs, 2)?;
    match requant.dims() {
        &[rows, 2] if rows == outputs || rows == 1 => Ok(()),
        _ => Err(Misfit::Shape(3)),
    }
}

/// The parameter record at the start of `params`.
pub(crate) fn read<P: Pod>(params: &[u8]) -> Result<P, Misfit> {
    bytemuck::try_pod_read_unaligned(params).map_err(|_| Misfit::Params)
}

/// The shape that a parameter record spells out: `rank` dimensions, then zeros.
pub(crate) fn shape(dims: &[u32; MAX_RANK], rank: u32) -> Result<Shape, Misfit> {
    let (used, unused) = dims.split_at_checked(rank as usize).ok_or(Misfit::Params)?;
    if unused.iter().any(|&dim| dim != 0) {
        return Err(Misfit::Params);
    }
    Shape::new(used).ok_or(Misfit::Params)
}

/// Demands exactly `N` float32 inputs and gives their shapes.
pub(crate) fn f32_inputs<const N: usize>(inputs: &[TensorType]) -> Result<[Shape; N], Misfit> {
    let inputs: &[TensorType; N] = inputs.try_into().map_err(|_| Misfit::Count)?;
    for (at, input) in inputs.iter().enumerate() {
        if input.dtype != DType::F32 {
            return Err(Misfit::DType(at as u8));
        }
    }
    Ok(inputs.map(|input| input.shape))
}

/// Demands one input, float32 or of one byte.
pub(crate) fn f32_or_byte(inputs: &[TensorType]) -> Result<TensorType, Misfit> {
    let &[x] = inputs else { return Err(Misfit::Count) };
    if x.dtype == DType::F32 || x.dtype.bytes() == 1 { Ok(x) } else { Err(Misfit::DType(0)) }
}

/// Splits off an optional last input, such as a bias: `N` inputs or `N + 1`.
pub(crate) fn f32_inputs_and_bias<const N: usize>(
    inputs: &[TensorType],
) -> Result<([Shape; N], Option<Shape>), Misfit> {
    match inputs.split_at_checked(N) {
        Some((first, [])) => Ok((f32_inputs(first)?, None)),
        Some((first, [bias])) if bias.dtype == DType::F32 => Ok((f32_inputs(first)?, Some(bias.shape))),
        Some((_, [_])) => Err(Misfit::DType(N as u8)),
        _ => Err(Misfit::Count),
    }
}

/// Demands that a bias, if there is one, has one element per output.
pub(crate) fn check_bias(bias: Option<Shape>, outputs: u32, operand: u8) -> Result<(), Misfit> {
    match bias {
        Some(shape) if shape.dims() != [outputs] => Err(Misfit::Shape(operand)),
        _ => Ok(()),
    }
}

/// The operands of an operator on float32 with weights: x, w, with 8-bit weights their scales, and
/// perhaps a bias.
pub(crate) struct Weighted {
    pub(crate) x: Shape,
    pub(crate) w: Shape,
    scales: Option<Shape>,
    bias: Option<Shape>,
}

impl Weighted {
    /// Demands operands of the right number and element types, the weights being of type `w`.
    pub(crate) fn of(inputs: &[TensorType], w: DType) -> Result<Self, Misfit> {
        let [x, weights, more @ ..] = inputs else { return Err(Misfit::Count) };
        let (scales, bias) = match more {
            [] if w != DType::I8 => (None, None),
            [bias] if w != DType::I8 => (None, Some(bias)),
            [scales] if w == DType::I8 => (Some(scales), None),
            [scales, bias] if w == DType::I8 => (Some(scales), Some(bias)),
            _ => return Err(Misfit::Count),
        };
        let dtype = |at: usize| if at == 1 { w } else { DType::F32 };
        if let Some((at, _)) = inputs.iter().enumerate().find(|&(at, input)| input.dtype != dtype(at)) {
            return Err(Misfit::DType(at as u8));
        }
        let shape = |tensor: &TensorType| tensor.shape;
        Ok(Self { x: x.shape, w: weights.shape, scales: scales.map(shape), bias: bias.map(shape) })
    }

    /// Demands that scales and bias, where there are some, have one element per output; one scale may
    /// serve all outputs.
    pub(crate) fn check_outputs(&self, outputs: u32) -> Result<(), Misfit> {
        match self.scales {
            None => check_bias(self.bias, outputs, 2),
            Some(scales) if scales.dims() == [outputs] || scales.dims() == [1] => {
                check_bias(self.bias, outputs, 3)
            }
            Some(_) => Err(Misfit::Shape(2)),
        }
    }
}

/// What a rule leaves out: the operator multiplies nothing, does not go row by row, takes weights in rows,
/// and writes over none of its inputs.
pub(crate) const PLAIN: OpRule = OpRule {
    params_bytes: 0,
    output: |_, _| Err(Misfit::Count),
    macs: |_, _, _| 0,
    rows: |_, _, _| None,
    weights: 1 << 1,
    packed: |_| &[],
    in_place: 0,
    multipliers: None,
    states: 0,
};

/// A spatial window along one axis: the positions it takes over a padded input.
///
/// `⌊(input + pad_before + pad_after − ((window − 1) · dilation + 1)) / stride⌋ + 1`
pub(crate) fn window_positions(
    input: u32,
    window: u32,
    stride: u32,
    dilation: u32,
    pad: [u32; 2],
) -> Result<u32, Misfit> {
    let reach = window
        .checked_sub(1)
        .and_then(|w| w.checked_mul(dilation))
        .and_then(|w| w.checked_add(1))
        .ok_or(Misfit::Params)?;
    let padded = pad.iter().try_fold(input, |sum, &p| sum.checked_add(p)).ok_or(Misfit::Overflow)?;
    let room = padded.checked_sub(reach).ok_or(Misfit::Shape(0))?;
    // Kernels count positions in i32.
    if dilation == 0 || padded > i32::MAX as u32 / 2 || reach > i32::MAX as u32 / 2 {
        return Err(Misfit::Params);
    }
    Ok(room.checked_div(stride).ok_or(Misfit::Params)? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipliers_have_a_domain() {
        let valid = |mantissa, shift| {
            let all = [Multiplier { mantissa: 1 << 30, shift: -7 }, Multiplier { mantissa, shift }];
            assert_eq!(Multiplier::all_valid(&all), all[1].valid());
            all[1].valid()
        };
        assert!((-40..40).all(|shift| valid(i32::MAX, shift) == (-31..=30).contains(&shift)));
        assert!(valid(0, -31) && !valid(-1, 0) && !valid(i32::MIN, 0));
        assert!(!valid(0, i32::MAX) && !valid(0, i32::MIN) && !valid(0, i32::MAX - 1));
    }
}
