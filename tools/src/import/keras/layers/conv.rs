//! Convolutions: full, depthwise, separable.

use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::conv_2d::Conv2dParams;
use flatpack_format::ops::conv_3d::Conv3dParams;
use flatpack_format::ops::depthwise_conv_2d::DepthwiseConv2dParams;

use super::Lower;
use super::spatial::{Window, activated, as_image, lifted, spatial_dims};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, Weights, size_of_layer};
use crate::import::keras::network::{Layer, Weight};

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("Conv1D", Lower::Map(conv::<1>)),
    ("Conv2D", Lower::Map(conv::<2>)),
    ("Conv3D", Lower::Map(conv::<3>)),
    ("DepthwiseConv1D", Lower::Map(depthwise_conv::<1>)),
    ("DepthwiseConv2D", Lower::Map(depthwise_conv::<2>)),
    ("SeparableConv1D", Lower::Map(separable_conv::<1>)),
    ("SeparableConv2D", Lower::Map(separable_conv::<2>)),
];

/// A kernel `[K…, C / groups, O]` and a bias `[O]` over `N` spatial axes.
fn conv<const N: usize>(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let window = Window::<N>::of_convolution(layer)?;
    let filters = size_of_layer(layer, "filters")?;
    let groups = match layer.config.get("groups") {
        Some(_) => size_of_layer(layer, "groups")?,
        None => 1,
    };
    activated(low, layer, x, |low, x| {
        let (.., channels) = spatial_dims::<N>(low, x)?;
        let depth = channels.checked_div(groups).filter(|depth| depth * groups == channels);
        let depth = depth.ok_or_else(|| Fault::Unexpected {
            place: "`groups`".into(),
            found: groups.to_string(),
            expected: format!("a number that divides the {channels} channels of the input"),
        })?;
        let mut weights = Weights::of(layer);
        let kernel = weights.take("kernel", &[&window.size[..], &[depth, filters]].concat())?;
        let bias = weights.take_if(layer.config.bool_or("use_bias", true)?, "bias", &[filters])?;
        weights.end()?;
        convolution(low, x, &window, groups, filters, kernel, bias)
    })
}

/// The convolution of an input whose channels are last, by a kernel `[K…, C / groups, filters]` of the window's size.
pub(super) fn convolution<const N: usize>(
    low: &mut Lowering,
    x: TensorId,
    window: &Window<N>,
    groups: u32,
    filters: u32,
    kernel: &Weight,
    bias: Option<&Weight>,
) -> Result<TensorId, Fault> {
    let (_, input, channels) = spatial_dims::<N>(low, x)?;
    let depth = channels / groups;
    let outputs_first: Vec<usize> = std::iter::once(N + 1).chain(0..=N).collect();
    let pads = window.pads(input);
    let clamp = Clamp::NONE;
    if N == 3 {
        let dims = [&[filters], &window.size[..], &[depth]].concat();
        let operands = operands(low, x, kernel, &outputs_first, &dims, bias)?;
        let params = Conv3dParams {
            stride: lifted(window.stride, 1),
            dilation: lifted(window.dilation, 1),
            pad: lifted(pads, [0, 0]),
            groups,
            clamp,
        };
        return low.node(OpCode::Conv3d, params, &operands);
    }
    let [rows, columns] = lifted(window.size, 1);
    let [pad_h, pad_w] = lifted(pads, [0, 0]);
    let params = Conv2dParams {
        stride: lifted(window.stride, 1),
        dilation: lifted(window.dilation, 1),
        pad_h,
        pad_w,
        groups,
        clamp,
    };
    as_image(low, x, |low, x| {
        let dims = [filters, rows, columns, depth];
        let operands = operands(low, x, kernel, &outputs_first, &dims, bias)?;
        low.node(OpCode::Conv2d, params, &operands)
    })
}

/// Input, kernel with its axes in this order and this shape, and bias if there is one.
pub(super) fn operands(
    low: &mut Lowering,
    x: TensorId,
    kernel: &Weight,
    axes: &[usize],
    dims: &[u32],
    bias: Option<&Weight>,
) -> Result<Vec<TensorId>, Fault> {
    let mut operands = vec![x, low.weight_as(kernel, axes, dims)?];
    if let Some(bias) = bias {
        operands.push(low.weight(bias)?);
    }
    Ok(operands)
}

/// A kernel `[K…, C, multiplier]` and a bias `[C · multiplier]`: each channel by itself.
fn depthwise_conv<const N: usize>(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let window = Window::<N>::of_convolution(layer)?;
    activated(low, layer, x, |low, x| {
        let (input, multiplier) = (spatial_dims::<N>(low, x)?, multiplier(layer)?);
        let mut weights = Weights::of(layer);
        let (kernel, outputs) = depthwise_kernel(&mut weights, &window, input.2, multiplier)?;
        let bias = weights.take_if(layer.config.bool_or("use_bias", true)?, "bias", &[outputs])?;
        weights.end()?;
        depthwise(low, x, &window, input.1, kernel, outputs, bias)
    })
}

/// A depthwise convolution without bias, then a 1 × 1 convolution with a kernel
/// `[1…, C · multiplier, O]` and a bias `[O]`.
fn separable_conv<const N: usize>(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let window = Window::<N>::of_convolution(layer)?;
    let filters = size_of_layer(layer, "filters")?;
    activated(low, layer, x, |low, x| {
        let (input, multiplier) = (spatial_dims::<N>(low, x)?, multiplier(layer)?);
        let mut weights = Weights::of(layer);
        let (kernel, depth) = depthwise_kernel(&mut weights, &window, input.2, multiplier)?;
        let pointwise = weights.take("pointwise kernel", &[&[1; N][..], &[depth, filters]].concat())?;
        let bias = weights.take_if(layer.config.bool_or("use_bias", true)?, "bias", &[filters])?;
        weights.end()?;
        let y = depthwise(low, x, &window, input.1, kernel, depth, None)?;
        let outputs_first: Vec<usize> = std::iter::once(N + 1).chain(0..=N).collect();
        as_image(low, y, |low, y| {
            let operands = operands(low, y, pointwise, &outputs_first, &[filters, 1, 1, depth], bias)?;
            low.node(OpCode::Conv2d, Conv2dParams::POINTS, &operands)
        })
    })
}

/// Outputs per input channel.
fn multiplier(layer: &Layer) -> Result<u32, Fault> {
    if layer.config.get("depth_multiplier").is_none() {
        Ok(1)
    } else {
        size_of_layer(layer, "depth_multiplier")
    }
}

/// A depthwise kernel and its number of outputs.
fn depthwise_kernel<'a, const N: usize>(
    weights: &mut Weights<'a>,
    window: &Window<N>,
    channels: u32,
    multiplier: u32,
) -> Result<(&'a Weight, u32), Fault> {
    let kernel = weights.take("depthwise kernel", &[&window.size[..], &[channels, multiplier]].concat())?;
    Ok((kernel, channels * multiplier))
}

fn depthwise<const N: usize>(
    low: &mut Lowering,
    x: TensorId,
    window: &Window<N>,
    input: [u32; N],
    kernel: &Weight,
    outputs: u32,
    bias: Option<&Weight>,
) -> Result<TensorId, Fault> {
    let [rows, columns] = lifted(window.size, 1);
    let [pad_h, pad_w] = lifted(window.pads(input), [0, 0]);
    let params = DepthwiseConv2dParams {
        stride: lifted(window.stride, 1),
        dilation: lifted(window.dilation, 1),
        pad_h,
        pad_w,
        clamp: Clamp::NONE,
    };
    let as_it_is: Vec<usize> = (0..N + 2).collect();
    as_image(low, x, |low, x| {
        let operands = operands(low, x, kernel, &as_it_is, &[rows, columns, outputs], bias)?;
        low.node(OpCode::DepthwiseConv2d, params, &operands)
    })
}
