//! Layer classes and arguments of every Keras, in the spelling of Keras 3.

use serde_json::{Map, Value, json};

use super::json::short;
use super::version::Dialect;
use crate::import::Fault;

/// The activation `0.2 x + 0.5` clipped to 0..1, which Keras 1 and 2 call `hard_sigmoid`. In Keras 3
/// `hard_sigmoid` is `relu6(x + 3) / 6`.
pub const HARD_SIGMOID_KERAS2: &str = "hard_sigmoid_keras2";

/// Classes that are models and hold layers.
pub(super) const MODEL_CLASSES: [&str; 3] = ["Functional", "Model", "Sequential"];

/// Turns a layer's class and arguments into Keras 3's.
pub(super) fn to_keras3(
    dialect: Dialect,
    class: &str,
    mut config: Map<String, Value>,
) -> Result<(String, Map<String, Value>), Fault> {
    config.values_mut().for_each(unwrap_containers);
    let class = match dialect {
        Dialect::Keras1 => from_keras1(class, &mut config)?,
        Dialect::Keras2 | Dialect::Keras3 => class.to_owned(),
    };
    let class = match class.as_str() {
        "Model" => "Functional".to_owned(),
        "BatchNormalizationV1" | "BatchNormalizationV2" => "BatchNormalization".to_owned(),
        "UnifiedLSTM" => "LSTM".to_owned(),
        "UnifiedGRU" => "GRU".to_owned(),
        _ => class,
    };
    if let Some(dtype) = config.get_mut("dtype") {
        name_dtype(dtype);
    }
    for (key, value) in &mut config {
        if key.ends_with("activation") {
            name_activation(dialect, value)?;
        }
    }
    match class.as_str() {
        "InputLayer" => {
            rename(&mut config, &[("batch_input_shape", "batch_shape"), ("input_dtype", "dtype")]);
        }
        "LeakyReLU" => rename(&mut config, &[("alpha", "negative_slope")]),
        "BatchNormalization" => {
            if let Some(Value::Array(axes)) = config.get("axis")
                && let [axis] = axes.as_slice()
            {
                let axis = axis.clone();
                config.insert("axis".into(), axis);
            }
        }
        "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" => {
            let of_gates = if dialect < Dialect::Keras3 { HARD_SIGMOID_KERAS2 } else { "sigmoid" };
            config.entry("activation").or_insert(json!("tanh"));
            config.entry("recurrent_activation").or_insert(json!(of_gates));
        }
        "CuDNNGRU" => {
            config.insert("reset_after".into(), json!(true));
        }
        "GRU" | "GRUCell" => {
            config.entry("reset_after").or_insert(json!(false));
        }
        _ => {}
    }
    Ok((class, config))
}

/// Replaces the objects that stand for tuples, shapes and arrays by plain lists.
pub(super) fn unwrap_containers(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let inside = match map.get("class_name").and_then(Value::as_str) {
                Some("__tuple__" | "TensorShape") => map.remove("items").or_else(|| map.remove("config")),
                Some("__tensor__" | "__numpy__") => {
                    map.get_mut("config").and_then(|config| config.get_mut("value")).map(Value::take)
                }
                _ => None,
            };
            match inside {
                Some(inside) => {
                    *value = inside;
                    unwrap_containers(value);
                }
                None => map.values_mut().for_each(unwrap_containers),
            }
        }
        Value::Array(values) => values.iter_mut().for_each(unwrap_containers),
        _ => {}
    }
}

/// A dtype policy becomes its name.
fn name_dtype(dtype: &mut Value) {
    if let Some(name @ Value::String(_)) = dtype.pointer("/config/name") {
        *dtype = name.clone();
    }
}

/// An activation function becomes its name; a layer used as an activation stays an object
/// `{class_name, config}` in Keras 3 spelling.
fn name_activation(dialect: Dialect, activation: &mut Value) -> Result<(), Fault> {
    if let Value::Object(object) = activation {
        match (object.get("class_name").and_then(Value::as_str), object.get("config")) {
            (Some("function"), Some(name @ Value::String(_))) => *activation = name.clone(),
            (Some(class), Some(Value::Object(config))) => {
                let (class, config) = to_keras3(dialect, class, config.clone())?;
                *activation = json!({"class_name": class, "config": config});
            }
            _ => {}
        }
    }
    if dialect < Dialect::Keras3 && activation == "hard_sigmoid" {
        *activation = HARD_SIGMOID_KERAS2.into();
    }
    Ok(())
}

fn rename(config: &mut Map<String, Value>, names: &[(&str, &str)]) {
    for (old, new) in names {
        if let Some(value) = config.remove(*old) {
            config.entry(*new).or_insert(value);
        }
    }
}

/// Keras 1 arguments whose meaning does not depend on the layer.
const KERAS1_ARGUMENTS: [(&str, &str); 29] = [
    ("nb_filter", "filters"),
    ("filter_length", "kernel_size"),
    ("border_mode", "padding"),
    ("subsample", "strides"),
    ("subsample_length", "strides"),
    ("stride", "strides"),
    ("pool_length", "pool_size"),
    ("length", "size"),
    ("atrous_rate", "dilation_rate"),
    ("bias", "use_bias"),
    ("inner_activation", "recurrent_activation"),
    ("p", "rate"),
    ("sigma", "stddev"),
    ("dropout_W", "dropout"),
    ("dropout_U", "recurrent_dropout"),
    ("init", "kernel_initializer"),
    ("inner_init", "recurrent_initializer"),
    ("beta_init", "beta_initializer"),
    ("gamma_init", "gamma_initializer"),
    ("W_regularizer", "kernel_regularizer"),
    ("U_regularizer", "recurrent_regularizer"),
    ("b_regularizer", "bias_regularizer"),
    ("W_constraint", "kernel_constraint"),
    ("U_constraint", "recurrent_constraint"),
    ("b_constraint", "bias_constraint"),
    ("depthwise_init", "depthwise_initializer"),
    ("pointwise_init", "pointwise_initializer"),
    ("concat_axis", "axis"),
    ("dot_axes", "axes"),
];

fn from_keras1(class: &str, config: &mut Map<String, Value>) -> Result<String, Fault> {
    let new_class = match class {
        "Convolution1D" | "AtrousConvolution1D" => "Conv1D",
        "Convolution2D" | "AtrousConvolution2D" => "Conv2D",
        "Convolution3D" => "Conv3D",
        "Deconvolution2D" => "Conv2DTranspose",
        "SeparableConvolution2D" => "SeparableConv2D",
        "TimeDistributedDense" => "Dense",
        "Merge" => return merge(config),
        other => other,
    };
    rename(config, &KERAS1_ARGUMENTS);
    if matches!(new_class, "Dense" | "LSTM" | "GRU" | "SimpleRNN" | "Highway" | "MaxoutDense") {
        rename(config, &[("output_dim", "units")]);
    }
    for sides in [&["nb_row", "nb_col"][..], &["kernel_dim1", "kernel_dim2", "kernel_dim3"]] {
        if sides.iter().all(|side| config.contains_key(*side)) {
            let kernel_size = sides.iter().filter_map(|side| config.remove(*side)).collect();
            config.insert("kernel_size".into(), Value::Array(kernel_size));
        }
    }
    if let Some(ordering) = config.remove("dim_ordering") {
        let data_format = match ordering.as_str() {
            Some("tf") => "channels_last",
            Some("th") => "channels_first",
            _ => {
                return Err(Fault::Unexpected {
                    place: "`dim_ordering`".into(),
                    found: short(&ordering),
                    expected: "\"tf\" or \"th\"".into(),
                });
            }
        };
        config.insert("data_format".into(), data_format.into());
    }
    if new_class == "BatchNormalization"
        && let Some(mode) = config.remove("mode").filter(|mode| *mode != 0)
    {
        return Err(Fault::Unsupported {
            what: format!(
                "Keras 1 batch normalization with mode {mode}, which normalizes by the batch it is given"
            ),
            remedy: "train the model with mode 0, or with a current Keras".into(),
        });
    }
    Ok(new_class.into())
}

/// Keras 1's one merging layer with a mode becomes the layer of that mode.
fn merge(config: &mut Map<String, Value>) -> Result<String, Fault> {
    if config.get("layers").and_then(Value::as_array).is_some_and(|layers| !layers.is_empty()) {
        return Err(Fault::Unsupported {
            what: "a Keras 1 Sequential model that merges branches".into(),
            remedy: "rebuild it with the functional API and copy the weights with `set_weights`".into(),
        });
    }
    let mode = config.remove("mode").unwrap_or(Value::Null);
    let (class, used) = match mode.as_str() {
        Some("sum") => ("Add", None),
        Some("mul") => ("Multiply", None),
        Some("ave") => ("Average", None),
        Some("max") => ("Maximum", None),
        Some("concat") => ("Concatenate", Some("concat_axis")),
        Some("dot" | "cos") => ("Dot", Some("dot_axes")),
        _ => {
            return Err(Fault::Unsupported {
                what: format!("merging by {}", short(&mode)),
                remedy: "use a mode among sum, mul, ave, max, concat, dot and cos".into(),
            });
        }
    };
    // Every Merge stores the arguments of all modes.
    for argument in ["concat_axis", "dot_axes"] {
        if Some(argument) != used {
            config.remove(argument);
        }
    }
    rename(config, &KERAS1_ARGUMENTS);
    if mode == "cos" {
        config.insert("normalize".into(), true.into());
    }
    Ok(class.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keras3(dialect: Dialect, class: &str, config: Value) -> (String, Value) {
        let Value::Object(config) = config else { panic!("not an object") };
        let (class, config) = to_keras3(dialect, class, config).unwrap();
        (class, Value::Object(config))
    }

    #[test]
    fn a_keras_1_convolution_is_a_conv_2d() {
        let (class, config) = keras3(
            Dialect::Keras1,
            "Convolution2D",
            json!({"nb_filter": 8, "nb_row": 3, "nb_col": 5, "border_mode": "same", "subsample": [2, 1],
                   "dim_ordering": "th", "bias": true, "activation": "hard_sigmoid"}),
        );
        assert_eq!(class, "Conv2D");
        assert_eq!(
            config,
            json!({"filters": 8, "padding": "same", "strides": [2, 1], "use_bias": true, "kernel_size": [3, 5],
                   "data_format": "channels_first", "activation": "hard_sigmoid_keras2"})
        );
    }

    #[test]
    fn keras_1_output_dim_is_units_except_in_an_embedding() {
        let dense = keras3(Dialect::Keras1, "Dense", json!({"output_dim": 4, "input_dim": 3}));
        assert_eq!(dense, ("Dense".into(), json!({"units": 4, "input_dim": 3})));
        let embedding = keras3(Dialect::Keras1, "Embedding", json!({"output_dim": 4, "input_dim": 3}));
        assert_eq!(embedding, ("Embedding".into(), json!({"output_dim": 4, "input_dim": 3})));
    }

    #[test]
    fn a_keras_1_merge_becomes_the_layer_of_its_mode() {
        let merge = |mode: &str| {
            keras3(Dialect::Keras1, "Merge", json!({"mode": mode, "concat_axis": 1, "dot_axes": -1}))
        };
        assert_eq!(merge("sum"), ("Add".into(), json!({})));
        assert_eq!(merge("concat"), ("Concatenate".into(), json!({"axis": 1})));
        assert_eq!(merge("cos"), ("Dot".into(), json!({"axes": -1, "normalize": true})));
        assert!(to_keras3(Dialect::Keras1, "Merge", Map::new()).is_err());
    }

    #[test]
    fn hard_sigmoid_keeps_its_meaning() {
        let activation = |dialect| keras3(dialect, "LSTM", json!({"recurrent_activation": "hard_sigmoid"})).1;
        assert_eq!(activation(Dialect::Keras2), json!({"recurrent_activation": "hard_sigmoid_keras2"}));
        assert_eq!(activation(Dialect::Keras3), json!({"recurrent_activation": "hard_sigmoid"}));
    }

    #[test]
    fn activations_are_names_or_layers() {
        let of = |activation| {
            keras3(Dialect::Keras2, "Dense", json!({"activation": activation})).1["activation"].clone()
        };
        assert_eq!(
            of(json!({"class_name": "function", "config": "relu6", "registered_name": "relu6"})),
            json!("relu6")
        );
        assert_eq!(
            of(json!({"class_name": "LeakyReLU", "config": {"alpha": 0.1}})),
            json!({"class_name": "LeakyReLU", "config": {"negative_slope": 0.1}})
        );
        assert_eq!(of(json!("<lambda>")), json!("<lambda>"));
    }

    #[test]
    fn policies_axes_and_wrapped_lists_are_plain() {
        let (_, config) = keras3(
            Dialect::Keras2,
            "BatchNormalization",
            json!({"axis": [3], "dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}}),
        );
        assert_eq!(config, json!({"axis": 3, "dtype": "mixed_float16"}));
        let (_, config) = keras3(
            Dialect::Keras3,
            "Normalization",
            json!({"axis": {"class_name": "__tuple__", "items": [-1]},
                   "mean": {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}}}),
        );
        assert_eq!(config, json!({"axis": [-1], "mean": [1.0]}));
    }

    #[test]
    fn a_conv_lstm_without_activations_has_those_of_its_keras() {
        let of = |dialect, config| keras3(dialect, "ConvLSTM2D", config).1;
        let both = |gates: &str| json!({"activation": "tanh", "recurrent_activation": gates});
        assert_eq!(of(Dialect::Keras2, json!({})), both("hard_sigmoid_keras2"));
        assert_eq!(of(Dialect::Keras3, json!({})), both("sigmoid"));
        let none = json!({"activation": null, "recurrent_activation": null});
        assert_eq!(of(Dialect::Keras3, none.clone()), none);
    }

    #[test]
    fn a_gru_without_reset_after_resets_before() {
        assert_eq!(keras3(Dialect::Keras2, "GRU", json!({})).1, json!({"reset_after": false}));
    }
}
