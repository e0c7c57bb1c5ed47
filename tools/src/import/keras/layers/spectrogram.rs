//! Spectrograms: windows over a signal, their Fourier transform, and sums of its bins.

use std::f64::consts::PI;

use flatpack_format::OpCode;
use flatpack_format::ops::conv_2d::Conv2dParams;
use flatpack_format::ops::{Clamp, fully_connected::FullyConnectedParams};
use serde_json::Value;

use super::Lower;
use super::merging::concatenated;
use super::operation::{over, wrong};
use super::reshaping::Slice;
use super::spatial::{channels_first, halves};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, Weights, constant_array, size_of_layer};
use crate::import::keras::network::Layer;

pub(super) const LAYERS: &[(&str, Lower)] =
    &[("MelSpectrogram", Lower::Map(mel_spectrogram)), ("STFTSpectrogram", Lower::Map(stft_spectrogram))];

/// Keras' `backend.epsilon()`.
const EPSILON: f32 = 1e-7;

/// The products of a signal `[N, T]` with kernels `[F, L]`, `stride` apart: `[N, frames, F]`.
fn framed(
    low: &mut Lowering,
    signal: TensorId,
    kernels: TensorId,
    stride: u32,
    pad: [u32; 2],
) -> Result<TensorId, Fault> {
    let (dims, of_kernels) = (low.dims(signal), low.dims(kernels));
    let (&[batch, len], &[filters, taps]) = (dims.as_slice(), of_kernels.as_slice()) else {
        return Err(wrong("the call", format!("a tensor of shape {dims:?}"), "batch and samples"));
    };
    let signal = low.reshape(signal, &[batch, 1, len, 1])?;
    let kernels = low.reshape(kernels, &[filters, 1, taps, 1])?;
    let params = Conv2dParams {
        stride: [1, stride],
        dilation: [1; 2],
        pad_h: [0; 2],
        pad_w: pad,
        groups: 1,
        clamp: Clamp::NONE,
    };
    let y = low.node(OpCode::Conv2d, params, &[signal, kernels])?;
    let frames = low.graph.dims(y)[2];
    low.reshape(y, &[batch, frames, filters])
}

/// `re² + im²`.
fn power(low: &mut Lowering, real: TensorId, imaginary: TensorId) -> Result<TensorId, Fault> {
    let (real, imaginary) = (low.unary(OpCode::Square, real)?, low.unary(OpCode::Square, imaginary)?);
    low.binary(OpCode::Add, real, imaginary)
}

/// At least so much.
fn at_least(low: &mut Lowering, x: TensorId, least: f32) -> Result<TensorId, Fault> {
    let least = low.scalar(least);
    low.binary(OpCode::Maximum, x, least)
}

/// Each channel of `[N, T, C]` by the kernels `[L, 1, F]` that the layer has as weights.
fn stft_spectrogram(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let mode = layer.config.str_or("mode", "log")?;
    let taps = size_of_layer(layer, "frame_length")?;
    let step = match layer.config.get("frame_step") {
        Some(_) => size_of_layer(layer, "frame_step")?,
        None => taps / 2,
    };
    let dims = low.dims(x);
    let &[batch, second, third] = dims.as_slice() else {
        return Err(wrong("the call", format!("a tensor of shape {dims:?}"), "batch, samples and channels"));
    };
    let is_first = channels_first(layer)?;
    let (x, channels, len) =
        if is_first { (x, second, third) } else { (low.transpose(x, &[0, 2, 1])?, third, second) };
    let signal = low.reshape(x, &[batch * channels, len])?;
    let pad = match layer.config.str_or("padding", "valid")? {
        "same" if step > 0 => {
            let reach = (len.div_ceil(step) - 1) * step + taps;
            halves(reach.saturating_sub(len))
        }
        _ => [0, 0],
    };
    let mut weights = Weights::of(layer);
    let mut part = |low: &mut Lowering, name: &str, taken: bool| {
        if !taken {
            return Ok(None);
        }
        let kernel = weights.take_any(name)?;
        let bins = kernel.array.shape.last().map_or(0, |&bins| bins as u32);
        if kernel.array.shape != [taps as usize, 1, bins as usize] {
            return Err(Fault::Weights {
                found: format!("a {name} of shape {:?}", kernel.array.shape),
                expected: format!("one of shape [{taps}, 1, bins]"),
            });
        }
        let kernel = low.weight_as(kernel, &[2, 1, 0], &[bins, taps])?;
        framed(low, signal, kernel, step, pad).map(Some)
    };
    let real = part(low, "real kernel", mode != "imag")?;
    let imaginary = part(low, "imaginary kernel", mode != "real")?;
    weights.end()?;
    let y = match (mode, real, imaginary) {
        ("real", Some(part), _) | ("imag", _, Some(part)) => part,
        ("stft", Some(real), Some(imaginary)) => concatenated(low, &[real, imaginary], 2)?,
        ("psd", Some(real), Some(imaginary)) => {
            // Bins but the first and the last stand for a negative frequency too.
            let power = power(low, real, imaginary)?;
            let bins = low.graph.tensor(power).shape().last();
            let times = |bin: u32| if bin == 0 || bin + 1 == bins { 1.0 } else { 2.0 };
            let times = low.constant("sides", &[bins], (0..bins).map(times).collect());
            low.binary(OpCode::Mul, power, times)?
        }
        ("magnitude" | "log", Some(real), Some(imaginary)) => {
            let power = power(low, real, imaginary)?;
            let power = at_least(low, power, EPSILON)?;
            let magnitude = low.unary(OpCode::Sqrt, power)?;
            if mode == "log" {
                let magnitude = at_least(low, magnitude, EPSILON)?;
                low.unary(OpCode::Log, magnitude)?
            } else {
                magnitude
            }
        }
        _ => {
            return Err(Fault::Unsupported {
                what: format!("spectrograms with the mode {mode:?}"),
                remedy: "use \"log\", \"magnitude\", \"psd\", \"real\", \"imag\" or \"stft\"".into(),
            });
        }
    };
    let (frames, bins) = (low.graph.dims(y)[1], low.graph.dims(y)[2]);
    let y = low.reshape(y, &[batch, channels, frames, bins])?;
    match (is_first, layer.config.bool_or("expand_dims", false)?) {
        (false, true) => low.transpose(y, &[0, 2, 3, 1]),
        (true, true) => Ok(y),
        (false, false) => {
            let y = low.transpose(y, &[0, 2, 1, 3])?;
            low.reshape(y, &[batch, frames, channels * bins])
        }
        (true, false) => {
            let y = low.transpose(y, &[0, 1, 3, 2])?;
            low.reshape(y, &[batch, channels * bins, frames])
        }
    }
}

/// The window of a Fourier transform, in the middle of `len` positions.
fn window(layer: &Layer, sequence: u32, len: u32) -> Result<Vec<f64>, Fault> {
    // TensorFlow's windows are periodic where their length is even.
    let period = f64::from(sequence + u32::from(sequence.is_multiple_of(2)) - 1).max(1.0);
    let cosine = |share: f64| {
        let at = |n: u32| 1.0 - share - share * (2.0 * PI * f64::from(n) / period).cos();
        if sequence == 1 { vec![1.0] } else { (0..sequence).map(at).collect::<Vec<f64>>() }
    };
    let taps = match layer.config.0.get("window") {
        Some(Value::Null) => vec![1.0; len as usize],
        None => cosine(0.5),
        Some(Value::String(name)) if name == "hann" => cosine(0.5),
        Some(Value::String(name)) if name == "hamming" => cosine(0.46),
        Some(values @ Value::Array(_)) => constant_array(values)?.values.into_iter().map(f64::from).collect(),
        Some(other) => {
            return Err(wrong("`window`", other.to_string(), "\"hann\", \"hamming\" or its values"));
        }
    };
    let missing = len as usize - taps.len().min(len as usize);
    let mut padded = vec![0.0; missing / 2];
    padded.extend(taps);
    padded.resize(len as usize, 0.0);
    Ok(padded)
}

/// `x` `[N, T]` with `count` samples more on either side, mirrored at the first and the last one.
fn mirrored(low: &mut Lowering, x: TensorId, count: u32) -> Result<TensorId, Fault> {
    let len = low.graph.dims(x)[1];
    if count == 0 {
        return Ok(x);
    }
    if count >= len {
        return Err(wrong(
            "the call",
            format!("{len} samples"),
            format!("more than {count}, to mirror them"),
        ));
    }
    let mut part = |first: u32| {
        let mut slice = Slice::of(low, x);
        (slice.begin[1], slice.stride[1], slice.size[1]) = (first, -1, count);
        slice.take(low, x)
    };
    let parts = [part(count)?, x, part(len - 2)?];
    concatenated(low, &parts, 1)
}

fn mel(hertz: f64) -> f64 {
    1127.0 * (1.0 + hertz / 700.0).ln()
}

/// `[M, F]`: how much each of `bins` frequencies from 0 to half the rate counts in each of `bands` triangles
/// between two frequencies, whose corners are equally far apart in mel. Frequency 0 counts nowhere.
fn triangles(bands: u32, bins: u32, rate: f64, [low, high]: [f64; 2]) -> Vec<f32> {
    let step = (mel(high) - mel(low)) / f64::from(bands + 1);
    let corner = |at: u32| mel(low) + step * f64::from(at);
    let share = |band: u32, bin: u32| {
        let at = mel(rate / 2.0 * f64::from(bin) / f64::from((bins - 1).max(1)));
        let (rising, falling) = ((at - corner(band)) / step, (corner(band + 2) - at) / step);
        if bin == 0 { 0.0 } else { rising.min(falling).max(0.0) as f32 }
    };
    (0..bands).flat_map(|band| (0..bins).map(move |bin| share(band, bin))).collect()
}

/// Powers of a signal `[N, T]` in bands of frequencies, by default in decibels: `[N, bands, frames]`.
fn mel_spectrogram(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let size = |key: &str, default: usize| {
        let size = layer.config.usize_or(key, default)?;
        u32::try_from(size).ok().filter(|&size| (1..1 << 20).contains(&size)).ok_or_else(|| {
            wrong(&format!("`{key}`"), size.to_string(), "a positive number of samples, bands or hertz")
        })
    };
    let len = size("fft_length", 2048)?;
    let (stride, sequence) = (size("sequence_stride", 512)?, size("sequence_length", len as usize)?);
    let (rate, bands) = (size("sampling_rate", 16000)?, size("num_mel_bins", 128)?);
    let lowest = layer.config.f64_or("min_freq", 20.0)?;
    let highest = layer.config.f64_or("max_freq", f64::from(rate / 2))?;
    let exponent = layer.config.f64_or("mag_exp", 2.0)? as f32;
    if low.graph.dims(x).len() != 2 || sequence > len {
        let found = format!("a tensor of shape {:?} and windows of {sequence}", low.graph.dims(x));
        return Err(wrong("the call", found, format!("batch and samples, and windows of at most {len}")));
    }

    let signal = mirrored(low, x, len / 2)?;
    let (window, bins) = (window(layer, sequence, len)?, len / 2 + 1);
    let wave = |wave: fn(f64) -> f64| -> Vec<f32> {
        let at = |bin: u32, n: u32| {
            let turns = u64::from(bin) * u64::from(n) % u64::from(len);
            (window[n as usize] * wave(2.0 * PI * turns as f64 / f64::from(len))) as f32
        };
        (0..bins).flat_map(|bin| (0..len).map(move |n| at(bin, n))).collect()
    };
    let (cosines, sines) = (wave(f64::cos), wave(f64::sin));
    let cosines = low.constant("cosines", &[bins, len], cosines);
    let sines = low.constant("sines", &[bins, len], sines);
    let real = framed(low, signal, cosines, stride, [0, 0])?;
    let imaginary = framed(low, signal, sines, stride, [0, 0])?;
    let mut magnitude = power(low, real, imaginary)?;
    if exponent != 2.0 {
        magnitude = low.unary(OpCode::Sqrt, magnitude)?;
    }
    if exponent != 2.0 && exponent != 1.0 {
        let exponent = low.scalar(exponent);
        magnitude = low.binary(OpCode::Pow, magnitude, exponent)?;
    }
    let triangles = triangles(bands, bins, rate.into(), [lowest, highest]);
    let triangles = low.constant("mel", &[bands, bins], triangles);
    let params = FullyConnectedParams { clamp: Clamp::NONE };
    let mut y = low.node(OpCode::FullyConnected, params, &[magnitude, triangles])?;
    if layer.config.bool_or("power_to_db", true)? {
        y = decibels(low, layer, y)?;
    }
    low.transpose(y, &[0, 2, 1])
}

/// `10 · log₁₀` of powers relative to `ref_power`, not more than `top_db` below the largest.
fn decibels(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let least = layer.config.f64_or("min_power", 1e-10)?;
    let reference = layer.config.f64_or("ref_power", 1.0)?.abs().max(least);
    let x = at_least(low, x, least as f32)?;
    let natural = low.unary(OpCode::Log, x)?;
    let (factor, shift) =
        (low.scalar(10.0 / std::f32::consts::LN_10), low.scalar((-10.0 * reference.log10()) as f32));
    let y = low.binary(OpCode::Mul, natural, factor)?;
    let y = low.binary(OpCode::Add, y, shift)?;
    let axes: Vec<usize> = (0..low.graph.dims(y).len()).collect();
    let top = over(low, OpCode::ReduceMax, y, &axes, true)?;
    let range = low.scalar(layer.config.f64_or("top_db", 80.0)? as f32);
    let bottom = low.binary(OpCode::Sub, top, range)?;
    low.binary(OpCode::Maximum, y, bottom)
}
