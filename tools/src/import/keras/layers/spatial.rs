//! What layers over rows and columns have in common: the position of the channels, windows, padding.

use super::activation;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, sizes_of_layer};
use crate::import::keras::network::Layer;

/// Whether the channels are the first axis after the batch; otherwise they are the last.
pub(super) fn channels_first(layer: &Layer) -> Result<bool, Fault> {
    match layer.config.str_or("data_format", "channels_last")? {
        "channels_last" => Ok(false),
        "channels_first" => Ok(true),
        other => Err(Fault::Unexpected {
            place: "`data_format`".into(),
            found: format!("{other:?}"),
            expected: "\"channels_last\" or \"channels_first\"".into(),
        }),
    }
}

/// Applies `f`, which keeps the rank, to `x` with the channels last.
pub(super) fn channels_last(
    low: &mut Lowering,
    layer: &Layer,
    x: TensorId,
    f: impl FnOnce(&mut Lowering, TensorId) -> Result<TensorId, Fault>,
) -> Result<TensorId, Fault> {
    if channels_first(layer)? { low.over_last_axes(x, &[1], |low, x, _| f(low, x)) } else { f(low, x) }
}

/// Applies `f`, which keeps the rank, to `x` with the channels last, then the layer's activation.
pub(super) fn activated(
    low: &mut Lowering,
    layer: &Layer,
    x: TensorId,
    f: impl FnOnce(&mut Lowering, TensorId) -> Result<TensorId, Fault>,
) -> Result<TensorId, Fault> {
    // Before the channels move back, where that makes no difference: next to its operator.
    if activation::is_elementwise(&layer.config, "activation") {
        return channels_last(low, layer, x, |low, x| {
            let y = f(low, x)?;
            activation::of_layer(low, layer, y)
        });
    }
    let y = channels_last(low, layer, x, f)?;
    activation::of_layer(low, layer, y)
}

/// The extents of `x`: batch, `N` spatial ones, channels.
pub(super) fn spatial_dims<const N: usize>(
    low: &Lowering,
    x: TensorId,
) -> Result<(u32, [u32; N], u32), Fault> {
    let dims = low.graph.dims(x);
    if let [batch, inner @ .., channels] = dims
        && let Ok(spatial) = inner.try_into()
    {
        return Ok((*batch, spatial, *channels));
    }
    Err(Fault::Unexpected {
        place: "the call".into(),
        found: format!("a tensor of shape {dims:?}"),
        expected: format!("batch, channels and {N} more axes"),
    })
}

/// How a layer treats the borders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// Windows lie within the input.
    Valid,
    /// There are `⌈input / stride⌉` windows; zeros on both sides, the odd one after the end.
    Same,
    /// A window ends where its output is: zeros before the start alone.
    Causal,
}

impl Padding {
    fn of(layer: &Layer) -> Result<Self, Fault> {
        match layer.config.str_or("padding", "valid")?.to_ascii_lowercase().as_str() {
            "valid" => Ok(Self::Valid),
            "same" => Ok(Self::Same),
            "causal" => Ok(Self::Causal),
            other => Err(Fault::Unsupported {
                what: format!("the padding {other:?}"),
                remedy: "use \"valid\" or \"same\", with ZeroPadding layers where more is needed".into(),
            }),
        }
    }
}

/// The window of a layer over `N` spatial axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<const N: usize> {
    pub(super) size: [u32; N],
    pub(super) stride: [u32; N],
    pub(super) dilation: [u32; N],
    pub(super) padding: Padding,
}

impl<const N: usize> Window<N> {
    /// The window of a convolution.
    pub(super) fn of_convolution(layer: &Layer) -> Result<Self, Fault> {
        Self {
            size: required(layer, "kernel_size")?,
            stride: sizes_of_layer(layer, "strides", [1; N])?,
            dilation: sizes_of_layer(layer, "dilation_rate", [1; N])?,
            padding: Padding::of(layer)?,
        }
        .checked()
    }

    /// The window of a pooling layer: by default, windows lie side by side.
    pub(super) fn of_pooling(layer: &Layer) -> Result<Self, Fault> {
        let size = required(layer, "pool_size")?;
        let stride = sizes_of_layer(layer, "strides", size)?;
        Self { size, stride, dilation: [1; N], padding: Padding::of(layer)? }.checked()
    }

    fn checked(self) -> Result<Self, Fault> {
        let limit = 1 << 16;
        let sizes = [("a window", self.size), ("strides", self.stride), ("a dilation", self.dilation)];
        for (what, size) in sizes {
            if size.iter().any(|&size| size == 0 || size > limit) {
                return Err(Fault::Unexpected {
                    place: what.into(),
                    found: format!("{size:?}"),
                    expected: format!("sizes from 1 to {limit}"),
                });
            }
        }
        Ok(self)
    }

    /// The input positions that a window reaches over.
    pub(super) fn reach(&self, axis: usize) -> u32 {
        (self.size[axis] - 1) * self.dilation[axis] + 1
    }

    /// Zeros before and after each axis of an input of these extents.
    pub(super) fn pads(&self, input: [u32; N]) -> [[u32; 2]; N] {
        std::array::from_fn(|axis| {
            let reach = self.reach(axis);
            match self.padding {
                Padding::Valid => [0, 0],
                Padding::Causal => [reach - 1, 0],
                Padding::Same => {
                    let stride = self.stride[axis];
                    let covered = input[axis].div_ceil(stride).saturating_sub(1) * stride;
                    halves(covered.saturating_add(reach).saturating_sub(input[axis]))
                }
            }
        })
    }
}

/// A number in two halves, the larger one last.
pub(super) fn halves(number: u32) -> [u32; 2] {
    [number / 2, number.div_ceil(2)]
}

fn required<const N: usize>(layer: &Layer, key: &str) -> Result<[u32; N], Fault> {
    match layer.config.get(key) {
        Some(_) => sizes_of_layer(layer, key, [0; N]),
        None => Err(Fault::Unexpected {
            place: format!("`{key}`"),
            found: "nothing".into(),
            expected: format!("{N} sizes"),
        }),
    }
}

/// The last `N` of `M` values, after as many `fill`s as are missing.
pub(super) fn lifted<T: Copy, const N: usize, const M: usize>(values: [T; N], fill: T) -> [T; M] {
    std::array::from_fn(|at| (at + N).checked_sub(M).map_or(fill, |at| values[at]))
}

/// Applies `f` to `x` seen as an image: `[N, L, C]` as `[N, 1, L, C]`, `[N, H, W, C]` as it is.
pub(super) fn as_image(
    low: &mut Lowering,
    x: TensorId,
    f: impl FnOnce(&mut Lowering, TensorId) -> Result<TensorId, Fault>,
) -> Result<TensorId, Fault> {
    let &[batch, length, channels] = low.graph.dims(x) else { return f(low, x) };
    let image = low.reshape(x, &[batch, 1, length, channels])?;
    let y = f(low, image)?;
    match low.graph.dims(y) {
        &[batch, 1, length, channels] => low.reshape(y, &[batch, length, channels]),
        _ => Ok(y),
    }
}
