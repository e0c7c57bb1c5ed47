//! Arrays that older Keras and other backends store differently, moved to where Keras 3 has them.
//! Values are moved, never changed; but for cuDNN's LSTM, of whose two biases Keras 3 has the sum.

use std::path::Path;
use std::sync::Arc;

use super::network::{Layer, Weight};
use super::version::Dialect;
use crate::array::Array;
use crate::import::{Fault, ImportError};

/// Who stored the arrays.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) dialect: Dialect,
    pub(super) backend: Option<&'a str>,
}

/// Rewrites the arrays of `layers` and of all layers inside.
pub(super) fn to_keras3(file: &Path, writer: Writer<'_>, layers: &mut [Layer]) -> Result<(), ImportError> {
    for layer in layers {
        rewrite(writer, layer)
            .map_err(|fault| ImportError::in_layer(file, &layer.name, &layer.class, fault))?;
        to_keras3(file, writer, layer.inner.layers_mut())?;
    }
    Ok(())
}

fn rewrite(writer: Writer<'_>, layer: &mut Layer) -> Result<(), Fault> {
    if writer.dialect == Dialect::Keras1 {
        match layer.class.as_str() {
            "LSTM" if layer.weights.len() == 12 => join_gates(layer, &LSTM_GATES)?,
            "GRU" if layer.weights.len() == 9 => join_gates(layer, &GRU_GATES)?,
            "ConvLSTM2D" if layer.weights.len() == 12 => {
                turn_kernel(layer)?;
                join_gates(layer, &LSTM_GATES)?;
            }
            "Conv1D" | "Conv2D" | "Conv3D" | "Conv2DTranspose" => turn_kernel(layer)?,
            _ => {}
        }
    }
    match layer.class.as_str() {
        "CuDNNLSTM" | "LSTM" => from_cudnn(layer, LSTM_GATES.len()),
        "CuDNNGRU" | "GRU" => from_cudnn(layer, GRU_GATES.len()),
        _ => {}
    }
    // Theano convolves where all others correlate.
    if writer.backend == Some("theano")
        && matches!(layer.class.as_str(), "Conv1D" | "Conv2D" | "Conv3D" | "Conv2DTranspose" | "ConvLSTM2D")
    {
        edit_kernels(layer, |kernel| flip_spatial(&kernel));
    }
    Ok(())
}

/// Positions of Keras 1's gates i, c, f, o in the order of Keras 2: i, f, c, o.
const LSTM_GATES: [usize; 4] = [0, 2, 1, 3];
/// The gates z, r, h, in both.
const GRU_GATES: [usize; 3] = [0, 1, 2];

/// Keras 1 has a kernel, a recurrent kernel and a bias for each gate, one gate after the other; later
/// versions have the gates side by side in one kernel, one recurrent kernel and one bias.
fn join_gates(layer: &mut Layer, gates: &[usize]) -> Result<(), Fault> {
    const PARTS: [&str; 3] = ["kernel", "recurrent_kernel", "bias"];
    let mut joined = Vec::new();
    for (part, name) in PARTS.iter().enumerate() {
        let pieces: Vec<&Array> =
            gates.iter().map(|gate| &*layer.weights[gate * PARTS.len() + part].array).collect();
        let array = join_last_axis(&pieces).ok_or_else(|| Fault::Weights {
            found: format!("a {name} of different shapes for different gates"),
            expected: "the same shape for each gate".into(),
        })?;
        joined.push(Weight::new(*name, array));
    }
    layer.weights = joined;
    Ok(())
}

/// Turns the arrays of a layer that ran on a GPU, which has a bias of 2 · gates · units, into those of one that did
/// not: as Keras does, whichever of the two layers reads them (`_convert_rnn_weights` in its `hdf5_format.py`).
fn from_cudnn(layer: &mut Layer, gates: usize) {
    let [kernel, recurrent, bias] = layer.weights.as_mut_slice() else { return };
    let &[units, columns] = recurrent.array.shape.as_slice() else { return };
    if units.checked_mul(gates) != Some(columns)
        || kernel.array.shape.get(1..) != Some(&[columns])
        || bias.array.shape != [2 * columns]
    {
        return;
    }
    for weight in [kernel, recurrent] {
        weight.array = Arc::new(gates_turned(&weight.array, units));
    }
    let biases = &bias.array.values;
    let (of_input, of_state) = biases.split_at(columns);
    bias.array = Arc::new(if gates == GRU_GATES.len() {
        Array::new([2, columns], biases.clone())
    } else {
        Array::new([columns], of_input.iter().zip(of_state).map(|(a, b)| a + b).collect())
    });
}

/// The matrices of gates side by side, `[rows, gates · units]`, each of which cuDNN has as `[units, rows]` in the
/// same memory.
fn gates_turned(array: &Array, units: usize) -> Array {
    let &[rows, columns] = array.shape.as_slice() else { return array.clone() };
    gather(array, array.shape.clone(), |at| {
        let (gate, unit) = (at[1] / units, at[1] % units);
        let within = unit * rows + at[0];
        within / units * columns + gate * units + within % units
    })
}

/// Arrays of one shape, side by side in the last axis.
fn join_last_axis(pieces: &[&Array]) -> Option<Array> {
    let mut shape = pieces.first()?.shape.clone();
    let last = *shape.last()?;
    if last == 0 || pieces.iter().any(|piece| piece.shape != shape) {
        return None;
    }
    let rows = pieces[0].len() / last;
    let row_of = |row: usize| pieces.iter().flat_map(move |piece| &piece.values[row * last..][..last]);
    let values = (0..rows).flat_map(row_of).copied().collect();
    *shape.last_mut()? = last * pieces.len();
    Some(Array::new(shape, values))
}

/// Turns a Keras 1 kernel to `[spatial…, in, out]`, that of a transposed convolution to
/// `[spatial…, out, in]`.
///
/// Keras 1 has `[spatial…, in, out]` for both with channels last and `[out, in, spatial…]` with
/// channels first. A 1-D convolution has one of these with a second spatial extent of 1.
fn turn_kernel(layer: &mut Layer) -> Result<(), Fault> {
    let Some(kernel) = layer.weights.first() else {
        return Ok(());
    };
    let shape = kernel.array.shape.clone();
    let channels_first = layer.config.str_or("data_format", "channels_last")? == "channels_first";
    let axes: &[usize] = match (layer.class.as_str(), shape.len(), channels_first) {
        ("Conv1D", 4, _) => {
            let (kernel_size, filters) =
                (layer.config.extents("kernel_size", [0])?, layer.config.usize("filters")?);
            if shape[..2] == [kernel_size[0], 1] && shape[3] == filters {
                &[0, 1, 2, 3]
            } else {
                &[2, 3, 1, 0]
            }
        }
        ("Conv2D" | "ConvLSTM2D", 4, true) => &[2, 3, 1, 0],
        ("Conv3D", 5, true) => &[2, 3, 4, 1, 0],
        ("Conv2DTranspose", 4, true) => &[2, 3, 0, 1],
        ("Conv2DTranspose", 4, false) => &[0, 1, 3, 2],
        _ => return Ok(()),
    };
    edit_kernels(layer, |kernel| transpose(&kernel, axes));
    if layer.class == "Conv1D" {
        edit_kernels(layer, |kernel| match kernel.shape[..] {
            [length, 1, inputs, outputs] => Array::new([length, inputs, outputs], kernel.values),
            _ => kernel,
        });
    }
    Ok(())
}

/// Edits the arrays with as many axes as the first, the kernel: that of a recurrent layer, too.
fn edit_kernels(layer: &mut Layer, edit: impl Fn(Array) -> Array) {
    let rank = layer.weights.first().map(|kernel| kernel.array.shape.len());
    for kernel in layer.weights.iter_mut().filter(|weight| Some(weight.array.shape.len()) == rank) {
        kernel.array = Arc::new(edit(Array::clone(&kernel.array)));
    }
}

/// Axis `i` of the result is axis `axes[i]` of `array`.
fn transpose(array: &Array, axes: &[usize]) -> Array {
    let strides = strides(&array.shape);
    let shape: Vec<usize> = axes.iter().map(|axis| array.shape[*axis]).collect();
    let steps: Vec<usize> = axes.iter().map(|axis| strides[*axis]).collect();
    gather(array, shape, |at| at.iter().zip(&steps).map(|(at, step)| at * step).sum())
}

/// Reverses all axes but the last two.
fn flip_spatial(array: &Array) -> Array {
    let strides = strides(&array.shape);
    let spatial = array.shape.len().saturating_sub(2);
    gather(array, array.shape.clone(), |at| {
        let axes = at.iter().zip(&strides).zip(&array.shape).enumerate();
        axes.map(|(axis, ((at, stride), extent))| stride * if axis < spatial { extent - 1 - at } else { *at })
            .sum()
    })
}

/// Elements between neighbours in each axis.
fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// An array of `shape` whose element at an index is the element of `array` at `offset(index)`.
fn gather(array: &Array, shape: Vec<usize>, offset: impl Fn(&[usize]) -> usize) -> Array {
    let mut at = vec![0; shape.len()];
    let mut values = Vec::with_capacity(array.len());
    for _ in 0..array.len() {
        values.push(array.values[offset(&at)]);
        for axis in (0..shape.len()).rev() {
            at[axis] += 1;
            if at[axis] < shape[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    Array::new(shape, values)
}

#[cfg(test)]
mod tests {
    use super::super::network::{Config, Inner};
    use super::*;
    use serde_json::{Value, json};

    fn layer(class: &str, config: Value, weights: Vec<Array>) -> Layer {
        let Value::Object(map) = config else { panic!("not an object") };
        Layer {
            name: "it".into(),
            class: class.into(),
            is_operation: false,
            mapped_class: None,
            module: None,
            registered_name: None,
            config: Config(map),
            inner: Inner::None,
            weights: weights.into_iter().map(|array| Weight::new("w", array)).collect(),
        }
    }

    fn rewritten(dialect: Dialect, backend: Option<&str>, mut layer: Layer) -> Vec<Array> {
        rewrite(Writer { dialect, backend }, &mut layer).unwrap();
        layer.weights.iter().map(|weight| (*weight.array).clone()).collect()
    }

    #[test]
    fn keras_1_lstm_gates_i_c_f_o_are_joined_as_i_f_c_o() {
        // The values name gate (tens) and position (units).
        let gate = |gate: f32| {
            [
                Array::new([2, 1], vec![gate + 1.0, gate + 2.0]),
                Array::new([1, 1], vec![gate + 3.0]),
                Array::new([1], vec![gate + 4.0]),
            ]
        };
        let weights = [0.0, 10.0, 20.0, 30.0].into_iter().flat_map(gate).collect();
        let joined = rewritten(Dialect::Keras1, None, layer("LSTM", json!({"units": 1}), weights));
        assert_eq!(joined[0], Array::new([2, 4], vec![1.0, 21.0, 11.0, 31.0, 2.0, 22.0, 12.0, 32.0]));
        assert_eq!(joined[1], Array::new([1, 4], vec![3.0, 23.0, 13.0, 33.0]));
        assert_eq!(joined[2], Array::new([4], vec![4.0, 24.0, 14.0, 34.0]));
    }

    #[test]
    fn keras_1_kernels_of_a_conv_lstm_are_turned_and_joined() {
        // [out 1, in 1, rows 1, columns 2], of the gates i, c, f, o.
        let gate = |gate: f32| {
            let kernel = |value: f32| Array::new([1, 1, 1, 2], vec![gate + value, gate + value + 1.0]);
            [kernel(1.0), kernel(3.0), Array::new([1], vec![gate + 5.0])]
        };
        let weights: Vec<Array> = [0.0, 10.0, 20.0, 30.0].into_iter().flat_map(gate).collect();
        let config = json!({"data_format": "channels_first", "filters": 1, "kernel_size": [1, 2]});
        let joined = |backend| {
            rewritten(Dialect::Keras1, backend, layer("ConvLSTM2D", config.clone(), weights.clone()))
        };
        let of_columns = [[1.0, 21.0, 11.0, 31.0], [2.0, 22.0, 12.0, 32.0]];
        assert_eq!(joined(None)[0], Array::new([1, 2, 1, 4], of_columns.concat()));
        assert_eq!(joined(None)[1].values, [3.0, 23.0, 13.0, 33.0, 4.0, 24.0, 14.0, 34.0]);
        assert_eq!(joined(None)[2], Array::new([4], vec![5.0, 25.0, 15.0, 35.0]));
        let [first, second] = of_columns;
        assert_eq!(joined(Some("theano"))[0].values, [second, first].concat());
    }

    #[test]
    fn gates_of_cudnn_are_turned_and_its_biases_added_up_where_keras_has_one() {
        // What `_convert_rnn_weights` of tf_keras 2.21 makes of these: a kernel of 2 inputs and 2 units.
        let count = |len: usize| (0..len).map(|at| at as f32).collect::<Vec<_>>();
        let weights = |gates: usize| {
            vec![
                Array::new([2, 2 * gates], count(4 * gates)),
                Array::new([2, 2 * gates], count(4 * gates)),
                Array::new([4 * gates], count(4 * gates)),
            ]
        };
        for class in ["LSTM", "CuDNNLSTM"] {
            let turned = rewritten(Dialect::Keras2, None, layer(class, json!({"units": 2}), weights(4)));
            let kernel = [0, 8, 2, 10, 4, 12, 6, 14, 1, 9, 3, 11, 5, 13, 7, 15].map(|value| value as f32);
            assert_eq!(turned[0], Array::new([2, 8], kernel.to_vec()));
            assert_eq!(turned[1], turned[0]);
            assert_eq!(turned[2], Array::new([8], (0..8).map(|at| (2 * at + 8) as f32).collect()));
        }
        let turned = rewritten(Dialect::Keras2, None, layer("CuDNNGRU", json!({"units": 2}), weights(3)));
        assert_eq!(turned[2], Array::new([2, 6], count(12)));
    }

    #[test]
    fn a_keras_1_kernel_with_channels_first_is_turned() {
        // [out 2, in 1, rows 1, columns 3]
        let kernel = Array::new([2, 1, 1, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let config = json!({"data_format": "channels_first", "filters": 2, "kernel_size": [1, 3]});
        let turned = rewritten(Dialect::Keras1, None, layer("Conv2D", config, vec![kernel]));
        assert_eq!(turned[0], Array::new([1, 3, 1, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    }

    #[test]
    fn a_keras_1_kernel_of_a_1_d_convolution_has_three_axes() {
        let config = || json!({"filters": 2, "kernel_size": 3});
        let expected = Array::new([3, 1, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let newer = Array::new([3, 1, 1, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(rewritten(Dialect::Keras1, None, layer("Conv1D", config(), vec![newer]))[0], expected);
        let older = Array::new([2, 1, 3, 1], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(rewritten(Dialect::Keras1, None, layer("Conv1D", config(), vec![older]))[0], expected);
    }

    #[test]
    fn kernels_of_theano_are_mirrored() {
        let kernel = Array::new([3, 1, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let config = || json!({"filters": 2, "kernel_size": [3]});
        let mirrored =
            rewritten(Dialect::Keras2, Some("theano"), layer("Conv1D", config(), vec![kernel.clone()]));
        assert_eq!(mirrored[0], Array::new([3, 1, 2], vec![5.0, 6.0, 3.0, 4.0, 1.0, 2.0]));
        let kept =
            rewritten(Dialect::Keras2, Some("tensorflow"), layer("Conv1D", config(), vec![kernel.clone()]));
        assert_eq!(kept[0], kernel);
    }
}
