//! Weights as signed bytes with a scale for each output, and the bias as 32-bit integers: TensorFlow
//! Lite's scheme.

use crate::graph::{Data, Graph, Node};
use crate::ops::Linear;
use crate::quant::Quant;
use flatpack_format::DType;

/// The largest magnitude of a weight's integer: −128 is not used.
const LARGEST: f64 = 127.0;

/// The largest magnitude of a bias: half of what 32 bits hold, the other half is for the sum.
const LARGEST_BIAS: f64 = (1u32 << 30) as f64;

/// The magnitude that the bias of an output without weights gets: fine enough that its rounding is far
/// below a step of the output.
const LONE_BIAS: f64 = (1u32 << 20) as f64;

/// Replaces weights (input 1) and bias (input 2) of a node that is linear in them by constants of
/// integers. `x` and `y` are how integers stand for its input and output.
///
/// # Errors
/// If weights or bias are not constant or not finite.
pub(super) fn quantize(
    graph: &mut Graph,
    node: &mut Node,
    linear: &Linear,
    x: &Quant,
    y: &Quant,
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
    node.inputs[1] = graph.add_stored(&name, &dims, Data::I8(integers.into()), Some(quant));

    if let Some(bias) = bias {
        let name = graph.tensor(node.inputs[2]).name.clone();
        let integer = |(&b, &w): (&f32, &f32)| (f64::from(b) / (x_scale * f64::from(w))).round() as i32;
        let integers: Vec<i32> = bias.iter().zip(&scales).map(integer).collect();
        let scales = scales.iter().map(|w| x.scale() * w).collect();
        let quant = Quant::per_channel(DType::I32, scales, 0);
        node.inputs[2] = graph.add_stored(&name, &[outputs as u32], Data::I32(integers.into()), Some(quant));
    }
    Ok(())
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
    use flatpack_format::ops::Clamp;
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
        quantized(&mut graph)?;
        let node = &graph.nodes[0];
        let integers = |input: usize| graph.integers(node.inputs[input]).unwrap();
        Ok((integers(1), integers(2), graph.quant(node.inputs[1]).unwrap().scales.clone()))
    }

    fn quantized(graph: &mut Graph) -> Result<(), String> {
        let mut node = graph.nodes[0].clone();
        let linear = ops::operator(node.op).linear.unwrap();
        let [x, y] = [0.5, 2.0].map(|scale| Quant::per_tensor(DType::I8, scale, 3));
        quantize(graph, &mut node, &linear, &x, &y)?;
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
        quantized(&mut graph).unwrap();
        let quant = graph.quant(graph.nodes[0].inputs[1]).unwrap();
        assert_eq!(quant.axis, 2);
        assert_eq!(quant.scales, [25.0, 26.0, 27.0].map(|w: f32| (f64::from(w) / 127.0) as f32));
        assert_eq!(graph.nodes[0].inputs.len(), 2);
    }
}
