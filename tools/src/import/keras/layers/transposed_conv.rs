//! Transposed convolutions.

use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::transpose_conv_2d::TransposeConv2dParams;
use flatpack_format::ops::transpose_conv_3d::TransposeConv3dParams;

use super::Lower;
use super::conv::operands;
use super::spatial::{Padding, Window, activated, as_image, channels_first, halves, lifted, spatial_dims};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, Weights, size_of_layer, sizes_of_layer};
use crate::import::keras::network::Layer;

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("Conv1DTranspose", Lower::Map(transposed_conv::<1>)),
    ("Conv2DTranspose", Lower::Map(transposed_conv::<2>)),
    ("Conv3DTranspose", Lower::Map(transposed_conv::<3>)),
];

/// A kernel `[K…, O, C]` and a bias `[O]` over `N` spatial axes.
///
/// It is the gradient of a convolution from the output to the input, whose padding says what is cut
/// off the result.
fn transposed_conv<const N: usize>(
    low: &mut Lowering,
    layer: &Layer,
    x: TensorId,
) -> Result<TensorId, Fault> {
    let window = Window::<N>::of_convolution(layer)?;
    let filters = size_of_layer(layer, "filters")?;
    activated(low, layer, x, |low, x| {
        let (_, input, channels) = spatial_dims::<N>(low, x)?;
        let mut weights = Weights::of(layer);
        let kernel = weights.take("kernel", &[&window.size[..], &[filters, channels]].concat())?;
        let bias = weights.take_if(layer.config.bool_or("use_bias", true)?, "bias", &[filters])?;
        weights.end()?;
        let output = output_extents(layer, &window, input)?;
        let crop = crop(&window, input, output)?;
        let outputs_first: Vec<usize> = std::iter::once(N).chain(0..N).chain([N + 1]).collect();
        if N == 3 {
            let dims = [&[filters], &window.size[..], &[channels]].concat();
            let operands = operands(low, x, kernel, &outputs_first, &dims, bias)?;
            let params = TransposeConv3dParams {
                stride: lifted(window.stride, 1),
                dilation: lifted(window.dilation, 1),
                crop: lifted(crop, 0),
                output: lifted(output, 1),
                clamp: Clamp::NONE,
            };
            return low.node(OpCode::TransposeConv3d, params, &operands);
        }
        let [rows, columns] = lifted(window.size, 1);
        let params = TransposeConv2dParams {
            stride: lifted(window.stride, 1),
            dilation: lifted(window.dilation, 1),
            crop: lifted(crop, 0),
            output: lifted(output, 1),
            clamp: Clamp::NONE,
        };
        as_image(low, x, |low, x| {
            let dims = [filters, rows, columns, channels];
            let operands = operands(low, x, kernel, &outputs_first, &dims, bias)?;
            low.node(OpCode::TransposeConv2d, params, &operands)
        })
    })
}

/// The extents of the output. A convolution leaves open which of several outputs belongs to an input;
/// the argument `output_padding` says which, or else the largest is taken.
fn output_extents<const N: usize>(
    layer: &Layer,
    window: &Window<N>,
    input: [u32; N],
) -> Result<[u32; N], Fault> {
    if let Some(extents) = stored_extents(layer)? {
        return Ok(extents);
    }
    let output_padding = match layer.config.get("output_padding") {
        Some(_) => Some(sizes_of_layer(layer, "output_padding", [0; N])?),
        None => None,
    };
    let extent = |axis: usize| {
        let (input, stride, reach) =
            (u64::from(input[axis]), u64::from(window.stride[axis]), u64::from(window.reach(axis)));
        let between = input.saturating_sub(1) * stride;
        match (window.padding, output_padding) {
            (Padding::Same, None) => input * stride,
            (Padding::Same, Some(more)) => between + reach % 2 + u64::from(more[axis]),
            (_, None) => between + reach.max(stride),
            (_, Some(more)) => between + reach + u64::from(more[axis]),
        }
    };
    let extents: [u64; N] = std::array::from_fn(extent);
    let mut output = [0; N];
    for (to, from) in output.iter_mut().zip(extents) {
        *to = u32::try_from(from).map_err(|_| Fault::Limit {
            what: "an extent of the output",
            found: from,
            limit: u64::from(u32::MAX),
        })?;
    }
    Ok(output)
}

/// The output's extents as Keras 1 stores them, with batch and channels.
fn stored_extents<const N: usize>(layer: &Layer) -> Result<Option<[u32; N]>, Fault> {
    let stored = layer.config.get("output_shape").and_then(|shape| shape.as_array());
    let Some(shape) = stored.filter(|shape| shape.len() == N + 2) else { return Ok(None) };
    let first = if channels_first(layer)? { 2 } else { 1 };
    let extents = shape[first..first + N].iter().map(|extent| u32::try_from(extent.as_u64()?).ok());
    Ok(extents.collect::<Option<Vec<u32>>>().and_then(|extents| extents.try_into().ok()))
}

/// What is cut off before the first element: the padding of the convolution from output to input.
fn crop<const N: usize>(window: &Window<N>, input: [u32; N], output: [u32; N]) -> Result<[u32; N], Fault> {
    let mut crop = [0; N];
    for axis in 0..N {
        let (stride, reach) = (window.stride[axis], window.reach(axis));
        let back = match window.padding {
            Padding::Same => output[axis].div_ceil(stride),
            _ => (output[axis].saturating_add(1)).saturating_sub(reach).div_ceil(stride),
        };
        if back != input[axis] {
            return Err(Fault::Unexpected {
                place: "the output's size".into(),
                found: format!("{output:?}"),
                expected: format!("one from which a convolution makes {input:?}; see `output_padding`"),
            });
        }
        if window.padding == Padding::Same {
            let covered = (u64::from(back) - 1) * u64::from(stride) + u64::from(reach);
            let cut = covered.saturating_sub(u64::from(output[axis]));
            [crop[axis], _] = halves(cut as u32);
        }
    }
    Ok(crop)
}
