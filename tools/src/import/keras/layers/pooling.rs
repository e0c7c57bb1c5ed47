//! Pooling over windows and over everything.

use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::average_pool_2d::Pool2dParams;
use flatpack_format::ops::mean::ReduceParams;

use super::Lower;
use super::spatial::{Padding, Window, as_image, channels_first, channels_last, lifted, spatial_dims};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::Lowering;
use crate::import::keras::network::Layer;

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("AveragePooling1D", Lower::Map(|low, layer, x| pool::<1>(low, layer, OpCode::AveragePool2d, x))),
    ("AveragePooling2D", Lower::Map(|low, layer, x| pool::<2>(low, layer, OpCode::AveragePool2d, x))),
    ("AveragePooling3D", Lower::Map(|low, layer, x| pool_3d(low, layer, OpCode::AveragePool2d, x))),
    ("GlobalAveragePooling1D", Lower::Masked(global_average)),
    ("GlobalAveragePooling2D", Lower::Map(|low, layer, x| global_pool::<2>(low, layer, OpCode::Mean, x))),
    ("GlobalAveragePooling3D", Lower::Map(|low, layer, x| global_pool::<3>(low, layer, OpCode::Mean, x))),
    ("GlobalMaxPooling1D", Lower::Map(|low, layer, x| global_pool::<1>(low, layer, OpCode::ReduceMax, x))),
    ("GlobalMaxPooling2D", Lower::Map(|low, layer, x| global_pool::<2>(low, layer, OpCode::ReduceMax, x))),
    ("GlobalMaxPooling3D", Lower::Map(|low, layer, x| global_pool::<3>(low, layer, OpCode::ReduceMax, x))),
    ("MaxPooling1D", Lower::Map(|low, layer, x| pool::<1>(low, layer, OpCode::MaxPool2d, x))),
    ("MaxPooling2D", Lower::Map(|low, layer, x| pool::<2>(low, layer, OpCode::MaxPool2d, x))),
    ("MaxPooling3D", Lower::Map(|low, layer, x| pool_3d(low, layer, OpCode::MaxPool2d, x))),
];

/// The window of a pooling layer.
fn window_of<const N: usize>(layer: &Layer) -> Result<Window<N>, Fault> {
    let window = Window::of_pooling(layer)?;
    if window.padding == Padding::Causal {
        return Err(Fault::Unexpected {
            place: "`padding`".into(),
            found: "\"causal\"".into(),
            expected: "\"valid\" or \"same\"".into(),
        });
    }
    Ok(window)
}

fn pool<const N: usize>(
    low: &mut Lowering,
    layer: &Layer,
    op: OpCode,
    x: TensorId,
) -> Result<TensorId, Fault> {
    let window = window_of::<N>(layer)?;
    channels_last(low, layer, x, |low, x| {
        let (_, input, _) = spatial_dims::<N>(low, x)?;
        let [pad_h, pad_w] = lifted(window.pads(input), [0, 0]);
        let params = Pool2dParams {
            window: lifted(window.size, 1),
            stride: lifted(window.stride, 1),
            pad_h,
            pad_w,
            clamp: Clamp::NONE,
        };
        as_image(low, x, |low, x| low.node(op, params, &[x]))
    })
}

/// Three axes as one pool over rows and columns of each slice, then one over the slices. That is exact
/// for averages too: padding does not count, so all slices have the same number of elements in the
/// same window.
fn pool_3d(low: &mut Lowering, layer: &Layer, op: OpCode, x: TensorId) -> Result<TensorId, Fault> {
    let window = window_of::<3>(layer)?;
    channels_last(low, layer, x, |low, x| {
        let (batch, input, channels) = spatial_dims::<3>(low, x)?;
        let [size_d, size_h, size_w] = window.size;
        let [stride_d, stride_h, stride_w] = window.stride;
        let [pad_d, pad_h, pad_w] = window.pads(input);
        let [slices, rows, columns] = input;
        let images = low.reshape(x, &[batch * slices, rows, columns, channels])?;
        let within = Pool2dParams {
            window: [size_h, size_w],
            stride: [stride_h, stride_w],
            pad_h,
            pad_w,
            clamp: Clamp::NONE,
        };
        let pooled = low.node(op, within, &[images])?;
        let (_, [rows, columns], _) = spatial_dims::<2>(low, pooled)?;
        let lines = low.reshape(pooled, &[batch, slices, rows * columns, channels])?;
        let across = Pool2dParams {
            window: [size_d, 1],
            stride: [stride_d, 1],
            pad_h: pad_d,
            pad_w: [0, 0],
            clamp: Clamp::NONE,
        };
        let y = low.node(op, across, &[lines])?;
        let (_, [slices, _], _) = spatial_dims::<2>(low, y)?;
        low.reshape(y, &[batch, slices, rows, columns, channels])
    })
}

fn global_pool<const N: usize>(
    low: &mut Lowering,
    layer: &Layer,
    op: OpCode,
    x: TensorId,
) -> Result<TensorId, Fault> {
    spatial_dims::<N>(low, x)?;
    let params = ReduceParams {
        axis: if channels_first(layer)? { 2 } else { 1 },
        axis_count: N as u32,
        keep_dims: u32::from(layer.config.bool_or("keepdims", false)?),
    };
    low.node(op, params, &[x])
}

/// The mean over the time steps that count.
fn global_average(
    low: &mut Lowering,
    layer: &Layer,
    x: TensorId,
    mask: Option<TensorId>,
) -> Result<TensorId, Fault> {
    let Some(mask) = mask else { return global_pool::<1>(low, layer, OpCode::Mean, x) };
    let (axis, features) = if channels_first(layer)? { (2, 1) } else { (1, 2) };
    let mut dims = low.dims(mask);
    if dims.len() == 2 {
        dims.insert(features, 1);
    }
    let mask = low.reshape(mask, &dims)?;
    let counted = low.binary(OpCode::Mul, x, mask)?;
    let sum = global_pool::<1>(low, layer, OpCode::Sum, counted)?;
    let keep_dims = u32::from(layer.config.bool_or("keepdims", false)?);
    let count = low.node(OpCode::Sum, ReduceParams { axis, axis_count: 1, keep_dims }, &[mask])?;
    low.binary(OpCode::Div, sum, count)
}
