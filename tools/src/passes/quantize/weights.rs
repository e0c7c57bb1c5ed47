//! Weights as signed bytes with a scale for each output, and the bias as 32-bit integers: TensorFlow
//! Lite's scheme.
//!
//! Rounding the weights moves the mean of each output, where inputs have a mean other than zero. As
//! operators with weights are linear, the difference is what they make of the mean of their input and
//! the differences of the weights; it is taken back in the bias (Nagel, van Baalen, Blankevoort and
//! Welling, "Data-free quantization through weight equalization and bias correction", 2019).

use crate::graph::{Data, Graph, Node};
use crate::ops::Linear;
use crate::passes::fold_constants;
use crate::passes::fuse_activation::set_clamp;
use crate::quant::Quant;
use flatpack_format::DType;
use flatpack_format::ops::Clamp;

/// The largest magnitude of a weight's integer: −128 is not used.
const LARGEST: f64 = 127.0;

/// The largest magnitude of a bias: half of what 32 bits hold, the other half is for the sum.
const LARGEST_BIAS: f64 = (1u32 << 30) as f64;

/// The magnitude that the bias of an output without weights gets: fine enough that its rounding is far
/// below a step of the output.
const LONE_BIAS: f64 = (1u32 << 20) as f64;

/// Replaces weights (input 1) and bias (input 2) of a node that is linear in them by constants of
/// integers. `x` and `y` are how integers stand for its input and output, `mean` is the mean of its input.
///
/// # Errors
/// If weights or bias are not constant or not finite.
pub(super) fn quantize(
    graph: &mut Graph,
    node: &mut Node,
    linear: &Linear,
    [x, y]: [&Quant; 2],
    mean: Option<&[f32]>,
) -> Result<(), String> {
    let outputs = *graph.dims(node.output).last().unwrap_or(&0) as usize;
    let w = reals(graph, node, 1, "weights")?;
    let bias = match node.inputs.len() {
        0..3 => None,
        _ => Some(reals(graph, node, 2, "bias")?),
    };
    let of_output: Vec<usize> = (0..w.len()).map(|index| (linear.output_of)(graph, node, index)).collect();
    let mut largest = vec![0.0f64; outputs];
    for (&w, &output) in w.iter().zip(&of_output) {
        largest[output] = largest[output].max(f64::from(w).abs());
    }
    let (x_scale, y_scale) = (f64::from(x.scale()), f64::from(y.scale()));
    let scale_of = |output: usize| {
        let bias = bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]).abs());
        scale(largest[output], bias, x_scale, y_scale)
    };
    let scales: Vec<f32> = (0..outputs).map(scale_of).collect();

    let tensor = graph.tensor(node.inputs[1]);
    let (name, dims) = (tensor.name.clone(), tensor.dims().to_vec());
    let axis = axis_of(&dims, &of_output, outputs)
        .ok_or("its weights do not belong to outputs along one of their axes")?;
    let integer = |(&w, &output): (&f32, &usize)| {
        (f64::from(w) / f64::from(scales[output])).round().clamp(-LARGEST, LARGEST) as i8
    };
    let integers: Vec<i8> = w.iter().zip(&of_output).map(integer).collect();
    let quant = Quant::per_channel(DType::I8, scales.clone(), axis);
    let bias = match mean {
        Some(mean) => {
            let stored: Vec<i32> = integers.iter().map(|&q| q.into()).collect();
            let rounded = quant.reals(&stored, &dims);
            let differences = w.iter().zip(rounded).map(|(w, rounded)| w - rounded).collect();
            let shifts = output_means(graph, node, mean, differences);
            let bias = bias.unwrap_or_else(|| vec![0.0; outputs]);
            Some(bias.iter().zip(shifts).map(|(b, shift)| b + shift).collect())
        }
        None => bias,
    };
    let bias_name = node.inputs.get(2).map(|&bias| graph.tensor(bias).name.clone());
    node.inputs.truncate(1);
    node.inputs.push(graph.add_stored(&name, &dims, Data::I8(integers.into()), Some(quant)));
    if let Some(bias) = bias {
        let name = bias_name.unwrap_or_else(|| format!("{}/bias", node.layer));
        let integer = |(&b, &w): (&f32, &f32)| (f64::from(b) / (x_scale * f64::from(w))).round() as i32;
        let integers: Vec<i32> = bias.iter().zip(&scales).map(integer).collect();
        let scales = scales.iter().map(|w| x.scale() * w).collect();
        let quant = Quant::per_channel(DType::I32, scales, 0);
        let data = Data::I32(integers.into());
        node.inputs.push(graph.add_stored(&name, &[outputs as u32], data, Some(quant)));
    }
    Ok(())
}

/// The mean of each output where the input is `x`, with these weights, and no bias and bounds.
fn output_means(graph: &Graph, node: &Node, x: &[f32], w: Vec<f32>) -> Vec<f32> {
    let mut alone = Graph::default();
    let inputs = vec![
        alone.add_constant("x", graph.dims(node.inputs[0]), x.to_vec()),
        alone.add_constant("w", graph.dims(node.inputs[1]), w),
    ];
    let output = alone.add_tensor("y", graph.tensor(node.output).tensor_type, None);
    let mut node = Node { inputs, output, ..node.clone() };
    set_clamp(&mut node, Clamp::NONE);
    let values = fold_constants::compute(&alone, &node).unwrap_or_default();
    let outputs = *alone.dims(output).last().unwrap_or(&1) as usize;
    let mut means = vec![0.0f64; outputs];
    for row in values.chunks_exact(outputs) {
        means.iter_mut().zip(row).for_each(|(mean, &v)| *mean += f64::from(v));
    }
    let rows = (values.len() / outputs).max(1) as f64;
    means.iter().map(|sum| (sum / rows) as f32).collect()
}

/// The finite elements of a constant input.
fn reals(graph: &Graph, node: &Node, input: usize, what: &str) -> Result<Vec<f32>, String> {
    let tensor = graph.tensor(node.inputs[input]);
    let values = tensor.reals().ok_or_else(|| format!("its {what} are computed, expected constants"))?;
    match values.iter().all(|v| v.is_finite()) {
        true => Ok(values),
        false => Err(format!("its {what} hold infinities or NaNs")),
    }
}

/// The scale of the weights of one output, from their largest magnitude and that of its bias.
fn scale(largest: f64, bias: f64, x_scale: f64, y_scale: f64) -> f32 {
    let scale = match (largest > 0.0, bias > 0.0) {
        // The integers of the bias stay within their bound: the weights get a larger scale.
        (true, _) => (largest / LARGEST).max(bias / (x_scale * LARGEST_BIAS)),
        (false, true) => bias / (x_scale * LONE_BIAS),
        // What is always zero has any scale: this one makes the multiplier 1.
        (false, false) => y_scale / x_scale,
    };
    (scale as f32).clamp(f32::MIN_POSITIVE, f32::MAX)
}

/// The axis of the weights along which outputs differ.
fn axis_of(dims: &[u32], of_output: &[usize], outputs: usize) -> Option<usize> {
    (0..dims.len()).find(|&axis| {
        let inner: usize = dims[axis + 1..].iter().map(|&d| d as usize).product();
        let along = |(index, &output): (usize, &usize)| index / inner % outputs == output;
        dims[axis] as usize == outputs && of_output.iter().enumerate().all(along)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;
    use flatpack_format::ops::conv_2d::Conv2dParams;
    use flatpack_format::ops::depthwise_conv_2d::DepthwiseConv2dParams;
    use flatpack_format::ops::fully_connected::FullyConnectedParams;
    use flatpack_format::{OpCode, Shape};

    /// Integers of weights, of the bias, and the scales of the weights.
    type Made = (Vec<i32>, Vec<i32>, Vec<f32>);

    /// Quantises the weights `[2, 2]` and bias of a fully connected layer with x in halves.
    fn dense(w: [f32; 4], bias: [f32; 2]) -> Result<Made, String> {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 2]).unwrap());
        let w = graph.add_constant("w", &[2, 2], w.to_vec());
        let bias = graph.add_constant("bias", &[2], bias.to_vec());
        let params = FullyConnectedParams { clamp: Clamp::NONE };
        graph.add_node("dense", OpCode::FullyConnected, params, &[x, w, bias]).unwrap();
        quantized(&mut graph, None)?;
        let node = &graph.nodes[0];
        let integers = |input: usize| graph.integers(node.inputs[input]).unwrap();
        Ok((integers(1), integers(2), graph.quant(node.inputs[1]).unwrap().scales.clone()))
    }

    fn quantized(graph: &mut Graph, mean: Option<&[f32]>) -> Result<(), String> {
        let mut node = graph.nodes[0].clone();
        let linear = ops::operator(node.op).linear.unwrap();
        let [x, y] = [0.5, 2.0].map(|scale| Quant::per_tensor(DType::I8, scale, 3));
        quantize(graph, &mut node, &linear, [&x, &y], mean)?;
        graph.nodes[0] = node;
        Ok(())
    }

    #[test]
    fn each_output_has_the_scale_of_its_largest_weight() {
        let (w, bias, scales) = dense([1.27, -0.6451, -2.54, 0.02], [0.1, -0.004]).unwrap();
        assert_eq!(scales, [0.01, 0.02]);
        assert_eq!(w, [127, -65, -127, 1]);
        // In steps of 0.5 · 0.01 and 0.5 · 0.02.
        assert_eq!(bias, [20, 0]);
    }

    #[test]
    fn an_output_without_weights_keeps_its_bias() {
        let (w, bias, scales) = dense([0.0, 0.0, 0.0, 0.0], [0.3, 0.0]).unwrap();
        assert_eq!(w, [0; 4]);
        assert_eq!(bias, [1 << 20, 0]);
        // x in halves, y in steps of 2: a factor of 1 between them.
        assert_eq!(scales[1], 4.0);
    }

    #[test]
    fn a_bias_that_32_bits_cannot_hold_makes_the_weights_coarser() {
        let (w, bias, scales) = dense([1e-9, 0.0, 1.0, 0.0], [1e3, -1e3]).unwrap();
        assert!(((1 << 30) - bias[0]).abs() < 100, "{bias:?}");
        assert!((f64::from(scales[0]) * 0.5 * f64::from(bias[0]) - 1e3).abs() < 1e-3);
        assert_eq!((w[0], w[2], bias[1]), (0, 127, -254_000));
    }

    #[test]
    fn weights_that_are_not_finite_are_refused() {
        let refused = dense([f32::NAN, 0.0, 0.0, 0.0], [0.0; 2]).unwrap_err();
        assert_eq!(refused, "its weights hold infinities or NaNs");
        assert!(dense([1.0; 4], [0.0, f32::INFINITY]).unwrap_err().contains("bias"));
    }

    #[test]
    fn the_outputs_of_a_depthwise_convolution_are_the_last_axis() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 3, 3, 3]).unwrap());
        let values: Vec<f32> = (0..27).map(|i| (i + 1) as f32).collect();
        let w = graph.add_constant("w", &[3, 3, 3], values);
        let params = DepthwiseConv2dParams {
            stride: [1, 1],
            dilation: [1, 1],
            pad_h: [0, 0],
            pad_w: [0, 0],
            clamp: Clamp::NONE,
        };
        graph.add_node("conv", OpCode::DepthwiseConv2d, params, &[x, w]).unwrap();
        quantized(&mut graph, None).unwrap();
        let quant = graph.quant(graph.nodes[0].inputs[1]).unwrap();
        assert_eq!(quant.axis, 2);
        assert_eq!(quant.scales, [25.0, 26.0, 27.0].map(|w: f32| (f64::from(w) / 127.0) as f32));
        assert_eq!(graph.nodes[0].inputs.len(), 2);
    }

    #[test]
    fn the_bias_takes_up_what_rounding_the_weights_changes_on_average() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", Shape::new(&[1, 4, 1, 1]).unwrap());
        // In steps of 1 / 127: 127, 50.8, 25.4, which become 127, 51, 25.
        let w = graph.add_constant("w", &[1, 3, 1, 1], vec![1.0, 0.4, 0.2]);
        let params = Conv2dParams {
            stride: [1, 1],
            dilation: [1, 1],
            pad_h: [0, 1],
            pad_w: [0, 0],
            groups: 1,
            clamp: Clamp { min: 0.0, max: 0.0 },
        };
        graph.add_node("conv", OpCode::Conv2d, params, &[x, w]).unwrap();
        quantized(&mut graph, Some(&[1000.0, 2000.0, 3000.0, 4000.0])).unwrap();
        let bias = graph.integers(graph.nodes[0].inputs[2]).unwrap();
        // Windows from 1000, 2000 and 3000 on; the last ends in the padding. x is in halves.
        let shift = [(-0.2, 2000.0), (0.4, 3000.0), (-0.2, 3000.0), (0.4, 4000.0), (-0.2, 4000.0)];
        let shift: f64 = shift.iter().map(|(steps, x)| steps * x / 0.5).sum::<f64>() / 3.0;
        assert!((f64::from(bias[0]) - shift).abs() < 1.0, "{bias:?} {shift}");
        assert_eq!(graph.nodes[0].params::<Conv2dParams>().clamp, params.clamp);
    }
}
