//! Convolutions whose weights are not shared: each position of the output has a kernel of its own.

use flatpack_format::OpCode;
use flatpack_format::ops::batch_matmul::BatchMatmulParams;

use super::Lower;
use super::merging::concatenated;
use super::reshaping::{Slice, padded};
use super::spatial::{Padding, Window, activated, channels_first, spatial_dims};
use crate::array::Array;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, Weights, dims_of, size_of_layer};
use crate::import::keras::network::Layer;

pub(super) const LAYERS: &[(&str, Lower)] = &[
    ("LocallyConnected1D", Lower::Map(locally_connected::<1>)),
    ("LocallyConnected2D", Lower::Map(locally_connected::<2>)),
];

/// What each output position sees, `[P, batch, K · C]`, times its kernel `[P, K · C, filters]`, and a bias
/// `[P…, filters]`.
fn locally_connected<const N: usize>(
    low: &mut Lowering,
    layer: &Layer,
    x: TensorId,
) -> Result<TensorId, Fault> {
    let window = Window::<N>::of_convolution(layer)?;
    let filters = size_of_layer(layer, "filters")?;
    activated(low, layer, x, |low, x| {
        let (batch, input, channels) = spatial_dims::<N>(low, x)?;
        let taps = Taps::of(layer, &window, input, channels, filters)?;
        let [positions, seen] = [taps.positions(), taps.len() * channels as usize];
        let kernel_dims = dims_of(&[positions, seen, filters as usize])?;
        let mut weights = Weights::of(layer);
        let kernel = match layer.config.usize_or("implementation", 1)? {
            1 => {
                let kernel = weights.take("kernel", &kernel_dims)?;
                low.derived(&[kernel], "taps", &kernel.name, &kernel_dims, |of| taps.of_positions(of[0]))?
            }
            2 => {
                let kernel = weights.take("kernel", &taps.dense_dims()?)?;
                low.derived(&[kernel], "dense", &kernel.name, &kernel_dims, |of| taps.of_dense(of[0]))?
            }
            3 => {
                let kernel = weights.take_any("kernel")?;
                let order = taps.sorted(kernel.array.len()).ok_or_else(|| Fault::Weights {
                    found: format!("`{}` of shape {:?}", kernel.name, kernel.array.shape),
                    expected: "a weight for each input that an output sees".into(),
                })?;
                low.derived(&[kernel], "sparse", &kernel.name, &kernel_dims, |of| {
                    let mut values = vec![0.0; positions * seen * filters as usize];
                    order.iter().zip(&of[0].values).for_each(|(&at, &value)| values[at] = value);
                    values
                })?
            }
            other => {
                return Err(Fault::Unexpected {
                    place: "`implementation`".into(),
                    found: other.to_string(),
                    expected: "1, 2 or 3".into(),
                });
            }
        };
        let bias_dims = [&taps.output[..], &[filters]].concat();
        let bias = weights.take_if(layer.config.bool_or("use_bias", true)?, "bias", &bias_dims)?;
        weights.end()?;

        let patches = patches(low, x, &window, &taps)?;
        let patches = low.reshape(patches, &[batch, kernel_dims[0], kernel_dims[1]])?;
        let patches = low.transpose(patches, &[1, 0, 2])?;
        let y = low.node(OpCode::BatchMatmul, BatchMatmulParams { transpose_b: 0 }, &[patches, kernel])?;
        let y = low.transpose(y, &[1, 0, 2])?;
        let y = low.reshape(y, &[&[batch], &bias_dims[..]].concat())?;
        let Some(bias) = bias else { return Ok(y) };
        let bias = low.derived(&[bias], "bias of positions", &bias.name, &bias_dims, |of| {
            // Where the channels come first, Keras takes the same elements for `[filters, P…]`.
            let values = of[0].values.clone();
            if !taps.channels_first {
                return values;
            }
            Array::new([filters as usize, positions], values).transposed(&[1, 0]).values
        })?;
        low.binary(OpCode::Add, y, bias)
    })
}

/// What each position of the output sees, `[batch, P…, K · C]`.
fn patches<const N: usize>(
    low: &mut Lowering,
    x: TensorId,
    window: &Window<N>,
    taps: &Taps<N>,
) -> Result<TensorId, Fault> {
    let x = padded(low, x, 1, &taps.pads, 0.0)?;
    let mut parts = Vec::new();
    for tap in 0..taps.len() {
        let tap = unravelled(tap, window.size);
        let mut slice = Slice::of(low, x);
        slice.begin[1..=N].copy_from_slice(&tap);
        slice.stride[1..=N].copy_from_slice(&window.stride.map(|stride| stride as i32));
        slice.size[1..=N].copy_from_slice(&taps.output);
        parts.push(slice.take(low, x)?);
    }
    concatenated(low, &parts, -1)
}

/// The weights of a layer, counted as `[P, K, C, filters]`: output position, position in the window, channel, filter.
struct Taps<const N: usize> {
    window: Window<N>,
    input: [u32; N],
    pads: [[u32; 2]; N],
    output: [u32; N],
    channels: usize,
    filters: usize,
    channels_first: bool,
}

/// One of them.
struct Tap {
    position: usize,
    /// Where it is in the input; none in the padding.
    source: Option<usize>,
    channel: usize,
    filter: usize,
}

impl<const N: usize> Taps<N> {
    fn of(
        layer: &Layer,
        window: &Window<N>,
        input: [u32; N],
        channels: u32,
        filters: u32,
    ) -> Result<Self, Fault> {
        let sizes = window.size.iter().zip(&input);
        if filters == 0 || window.dilation != [1; N] || sizes.clone().any(|(size, input)| size > input) {
            return Err(Fault::Unexpected {
                place: "the layer".into(),
                found: format!("{filters} filters of a window of {:?}", window.size),
                expected: format!("filters, and a window that fits into {input:?}"),
            });
        }
        // Windows begin half of their size before their output, also where strides make other layers shift them.
        let is_same = window.padding == Padding::Same;
        let before = window.size.map(|size| if is_same { size / 2 } else { 0 });
        let output: [u32; N] = std::array::from_fn(|axis| {
            let begins = if is_same { input[axis] } else { input[axis] - window.size[axis] + 1 };
            begins.div_ceil(window.stride[axis])
        });
        let pads = std::array::from_fn(|axis| {
            let end = (output[axis] - 1) * window.stride[axis] + window.size[axis];
            [before[axis], end.saturating_sub(before[axis] + input[axis])]
        });
        let (channels, filters) = (channels as usize, filters as usize);
        let channels_first = channels_first(layer)?;
        Ok(Self { window: *window, input, pads, output, channels, filters, channels_first })
    }

    /// P.
    fn positions(&self) -> usize {
        self.output.iter().map(|&extent| extent as usize).product()
    }

    /// K.
    fn len(&self) -> usize {
        self.window.size.iter().map(|&extent| extent as usize).product()
    }

    fn inputs(&self) -> usize {
        self.input.iter().map(|&extent| extent as usize).product()
    }

    fn iter(&self) -> impl Iterator<Item = Tap> {
        let all = (0..self.positions()).flat_map(|position| (0..self.len()).map(move |tap| (position, tap)));
        all.flat_map(move |(position, tap)| {
            let source = self.source(position, tap);
            (0..self.channels).flat_map(move |channel| {
                (0..self.filters).map(move |filter| Tap { position, source, channel, filter })
            })
        })
    }

    fn source(&self, position: usize, tap: usize) -> Option<usize> {
        let (position, tap) = (unravelled(position, self.output), unravelled(tap, self.window.size));
        (0..N).try_fold(0, |source, axis| {
            let at = position[axis] * self.window.stride[axis] + tap[axis];
            let at = at.checked_sub(self.pads[axis][0]).filter(|&at| at < self.input[axis])?;
            Some(source * self.input[axis] as usize + at as usize)
        })
    }

    /// Of a kernel for each position; where channels come first, they do so in the windows.
    fn of_positions(&self, kernel: &Array) -> Vec<f32> {
        if !self.channels_first {
            return kernel.values.clone();
        }
        let shape = [self.positions(), self.channels, self.len(), self.filters];
        Array::new(shape, kernel.values.clone()).transposed(&[0, 2, 1, 3]).values
    }

    /// The shape of a kernel from all of the input to all of the output.
    fn dense_dims(&self) -> Result<Vec<u32>, Fault> {
        let [channels, filters] = [self.channels as u32, self.filters as u32];
        let dims = if self.channels_first {
            [&[channels], &self.input[..], &[filters], &self.output[..]].concat()
        } else {
            [&self.input[..], &[channels], &self.output[..], &[filters]].concat()
        };
        let extents: Vec<usize> = dims.iter().map(|&extent| extent as usize).collect();
        dims_of(&extents)
    }

    /// Of a kernel from all of the input to all of the output: what a position does not see does not count.
    fn of_dense(&self, kernel: &Array) -> Vec<f32> {
        let outputs = self.positions() * self.filters;
        let value = |tap: Tap| {
            let (output, input) = self.ends(&tap)?;
            kernel.values.get(input * outputs + output).copied()
        };
        self.iter().map(|tap| value(tap).unwrap_or(0.0)).collect()
    }

    /// The number of its output and that of its input among all, as the layer's tensors have them.
    fn ends(&self, tap: &Tap) -> Option<(usize, usize)> {
        let source = tap.source?;
        Some(if self.channels_first {
            (tap.filter * self.positions() + tap.position, tap.channel * self.inputs() + source)
        } else {
            (tap.position * self.filters + tap.filter, source * self.channels + tap.channel)
        })
    }

    /// Where the weights are which see something, in the order of their outputs, then of their inputs; if they are
    /// so many.
    fn sorted(&self, count: usize) -> Option<Vec<usize>> {
        // Half of a window or more, along each axis, lies in the input: far too few are found without counting all.
        if count < self.positions().checked_mul(self.channels * self.filters)? {
            return None;
        }
        let ends = self.iter().enumerate().filter_map(|(at, tap)| Some((self.ends(&tap)?, at)));
        let mut order: Vec<_> = ends.collect();
        order.sort_unstable();
        (order.len() == count).then(|| order.into_iter().map(|(_, at)| at).collect())
    }
}

/// The index of an element of an array by its number.
fn unravelled<const N: usize>(mut number: usize, extents: [u32; N]) -> [u32; N] {
    let mut index = [0; N];
    for (index, extent) in index.iter_mut().zip(extents).rev() {
        *index = (number % extent as usize) as u32;
        number /= extent as usize;
    }
    index
}
