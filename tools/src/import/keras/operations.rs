//! TensorFlow functions called on Keras tensors (`x * 2`, `tf.nn.relu(x)`), as the operations that
//! Keras 3 has in their place.
//!
//! Keras 2.4 and later keep such a call as a layer `TFOpLambda` or `SlicingOpLambda` with the
//! function's name, Keras 2.2 and 2.3 of TensorFlow 2.0 to 2.3 as a `TensorFlowOpLayer` with a graph
//! node. In Keras 3 an operation takes its tensors as positional arguments of the call and its
//! settings, such as `axis`, from its config.

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::network::{Arg, Layer};
use crate::import::Fault;

/// A TensorFlow function and its operation in Keras 3.
struct Operation {
    /// TensorFlow's names for it.
    functions: &'static [&'static str],
    class: &'static str,
    /// TensorFlow's names of the positional arguments.
    tensors: &'static [&'static str],
    /// TensorFlow's and Keras' name of each setting.
    settings: &'static [(&'static str, &'static str)],
}

const fn unary(functions: &'static [&'static str], class: &'static str) -> Operation {
    Operation { functions, class, tensors: &["x"], settings: &[] }
}

const fn binary(functions: &'static [&'static str], class: &'static str) -> Operation {
    Operation { functions, class, tensors: &["x", "y"], settings: &[] }
}

const fn reduction(functions: &'static [&'static str], class: &'static str) -> Operation {
    Operation {
        functions,
        class,
        tensors: &["input_tensor"],
        settings: &[("axis", "axis"), ("keepdims", "keepdims")],
    }
}

const OPERATIONS: &[Operation] = &[
    binary(&["__operators__.add", "math.add", "add"], "Add"),
    binary(&["math.subtract", "subtract"], "Subtract"),
    binary(&["math.multiply", "multiply"], "Multiply"),
    binary(&["math.truediv", "truediv"], "TrueDivide"),
    binary(&["math.divide", "divide"], "Divide"),
    binary(&["math.floordiv", "floordiv", "floor_div"], "FloorDivide"),
    binary(&["math.floormod", "math.mod"], "Mod"),
    binary(&["math.pow", "pow"], "Power"),
    binary(&["math.maximum", "maximum"], "Maximum"),
    binary(&["math.minimum", "minimum"], "Minimum"),
    binary(&["math.equal", "equal"], "Equal"),
    binary(&["math.not_equal", "not_equal"], "NotEqual"),
    binary(&["math.greater", "greater"], "Greater"),
    binary(&["math.greater_equal", "greater_equal"], "GreaterEqual"),
    binary(&["math.less", "less"], "Less"),
    binary(&["math.less_equal", "less_equal"], "LessEqual"),
    binary(&["math.logical_and"], "LogicalAnd"),
    binary(&["math.logical_or"], "LogicalOr"),
    unary(&["math.logical_not"], "LogicalNot"),
    unary(&["math.negative", "negative"], "Negative"),
    unary(&["math.abs", "abs"], "Absolute"),
    unary(&["math.exp", "exp"], "Exp"),
    unary(&["math.log"], "Log"),
    unary(&["math.sqrt", "sqrt"], "Sqrt"),
    unary(&["math.rsqrt"], "Rsqrt"),
    unary(&["math.square", "square"], "Square"),
    unary(&["math.sin", "sin"], "Sin"),
    unary(&["math.cos", "cos"], "Cos"),
    unary(&["math.tanh", "tanh", "nn.tanh"], "Tanh"),
    unary(&["math.sigmoid", "sigmoid", "nn.sigmoid"], "Sigmoid"),
    Operation { functions: &["nn.relu"], class: "Relu", tensors: &["features"], settings: &[] },
    Operation { functions: &["nn.relu6"], class: "Relu6", tensors: &["features"], settings: &[] },
    Operation { functions: &["nn.elu"], class: "Elu", tensors: &["features"], settings: &[] },
    Operation { functions: &["nn.selu"], class: "Selu", tensors: &["features"], settings: &[] },
    Operation {
        functions: &["nn.softplus", "math.softplus"],
        class: "Softplus",
        tensors: &["features"],
        settings: &[],
    },
    Operation {
        functions: &["nn.softsign", "math.softsign"],
        class: "Softsign",
        tensors: &["features"],
        settings: &[],
    },
    Operation {
        functions: &["nn.leaky_relu"],
        class: "LeakyRelu",
        tensors: &["features"],
        settings: &[("alpha", "negative_slope")],
    },
    Operation {
        functions: &["nn.softmax"],
        class: "Softmax",
        tensors: &["logits"],
        settings: &[("axis", "axis")],
    },
    reduction(&["math.reduce_mean", "reduce_mean"], "Mean"),
    reduction(&["math.reduce_sum", "reduce_sum"], "Sum"),
    reduction(&["math.reduce_max", "reduce_max"], "Max"),
    reduction(&["math.reduce_min", "reduce_min"], "Min"),
    reduction(&["math.reduce_prod", "reduce_prod"], "Prod"),
    reduction(&["math.reduce_any", "reduce_any"], "Any"),
    reduction(&["math.reduce_all", "reduce_all"], "All"),
    Operation {
        functions: &["reshape"],
        class: "Reshape",
        tensors: &["tensor"],
        settings: &[("shape", "newshape")],
    },
    Operation {
        functions: &["transpose"],
        class: "Transpose",
        tensors: &["a"],
        settings: &[("perm", "axes")],
    },
    Operation {
        functions: &["expand_dims"],
        class: "ExpandDims",
        tensors: &["input"],
        settings: &[("axis", "axis")],
    },
    Operation {
        functions: &["squeeze"],
        class: "Squeeze",
        tensors: &["input"],
        settings: &[("axis", "axis")],
    },
    Operation {
        functions: &["concat"],
        class: "Concatenate",
        tensors: &["values"],
        settings: &[("axis", "axis")],
    },
    Operation { functions: &["stack"], class: "Stack", tensors: &["values"], settings: &[("axis", "axis")] },
    Operation {
        functions: &["clip_by_value"],
        class: "Clip",
        tensors: &["t"],
        settings: &[("clip_value_min", "x_min"), ("clip_value_max", "x_max")],
    },
    Operation { functions: &["cast"], class: "Cast", tensors: &["x"], settings: &[("dtype", "dtype")] },
    Operation {
        functions: &["linalg.matmul", "matmul"],
        class: "Matmul",
        tensors: &["a", "b"],
        settings: &[],
    },
    Operation {
        functions: &["where", "where_v2"],
        class: "Where",
        tensors: &["condition", "x", "y"],
        settings: &[],
    },
    Operation {
        functions: &["__operators__.getitem"],
        class: "GetItem",
        tensors: &["tensor", "slice_spec"],
        settings: &[],
    },
];

/// Graph node types of `TensorFlowOpLayer` and the functions they are.
const NODE_TYPES: &[(&str, &str)] = &[
    ("Add", "math.add"),
    ("AddV2", "math.add"),
    ("BiasAdd", "math.add"),
    ("Sub", "math.subtract"),
    ("Mul", "math.multiply"),
    ("RealDiv", "math.truediv"),
    ("Pow", "math.pow"),
    ("Maximum", "math.maximum"),
    ("Minimum", "math.minimum"),
    ("Neg", "math.negative"),
    ("Abs", "math.abs"),
    ("Exp", "math.exp"),
    ("Log", "math.log"),
    ("Sqrt", "math.sqrt"),
    ("Rsqrt", "math.rsqrt"),
    ("Square", "math.square"),
    ("Tanh", "math.tanh"),
    ("Sigmoid", "math.sigmoid"),
    ("Relu", "nn.relu"),
    ("Relu6", "nn.relu6"),
    ("Elu", "nn.elu"),
    ("Selu", "nn.selu"),
    ("Softplus", "nn.softplus"),
    ("Softmax", "nn.softmax"),
];

/// Turns a layer that stands for a TensorFlow function, and its calls, into Keras 3's operation. A
/// function without one here keeps its class, with its name as `function` in the config.
pub(super) fn to_keras3(layer: &mut Layer, calls: &mut [Arguments]) -> Result<(), Fault> {
    match layer.class.as_str() {
        "TFOpLambda" | "SlicingOpLambda" => {}
        "TensorFlowOpLayer" => inline_constants(layer, calls)?,
        _ => return Ok(()),
    }
    layer.is_operation = true;
    for (_, kwargs) in calls.iter_mut() {
        // The name of the graph node.
        kwargs.retain(|(key, _)| key != "name");
    }
    let function = short_name(layer.config.str("function")?);
    let Some(operation) = OPERATIONS.iter().find(|operation| operation.functions.contains(&function)) else {
        return Ok(());
    };
    let mut moved: Vec<(&str, Value)> = Vec::new();
    for (args, kwargs) in calls.iter_mut() {
        for tensor in operation.tensors.iter().skip(args.len()) {
            let Some(at) = kwargs.iter().position(|(key, _)| key == tensor) else {
                break;
            };
            args.push(kwargs.remove(at).1);
        }
        for (old, new) in operation.settings {
            let Some(at) = kwargs.iter().position(|(key, _)| key == old) else {
                continue;
            };
            match kwargs.remove(at).1 {
                Arg::Constant(value) => match moved.iter().find(|(key, _)| key == new) {
                    Some((_, other)) if *other != value => {
                        return Err(Fault::Unsupported {
                            what: format!("one `{function}` called with different `{old}`"),
                            remedy: "call the function anew for each setting".into(),
                        });
                    }
                    Some(_) => {}
                    None => moved.push((new, value)),
                },
                // A setting that is computed stays with the call.
                computed => kwargs.push(((*new).to_owned(), computed)),
            }
        }
    }
    layer.config.0.remove("function");
    for (key, value) in moved {
        layer.config.0.insert(key.to_owned(), value);
    }
    layer.class = operation.class.to_owned();
    Ok(())
}

/// TensorFlow's function of this name, its tensors, and its settings in their order, for those that are an
/// operation of Keras.
pub(super) fn function(name: &str) -> Option<(&'static str, &'static [&'static str], Vec<&'static str>)> {
    let of = |operation: &'static Operation| {
        let function = operation.functions.iter().find(|known| **known == name)?;
        Some((*function, operation.tensors, operation.settings.iter().map(|(key, _)| *key).collect()))
    };
    OPERATIONS.iter().find_map(of)
}

/// A TensorFlow function's name without its module. Some functions of today are stored under the name of
/// their predecessor in TensorFlow 1, which takes the same arguments.
pub(super) fn short_name(function: &str) -> &str {
    let name = function.trim_start_matches("tf.");
    name.strip_prefix("compat.v1.").unwrap_or(name)
}

/// A graph node's constant inputs are in the layer's config, by position.
fn inline_constants(layer: &mut Layer, calls: &mut [Arguments]) -> Result<(), Fault> {
    let node_def = match layer.config.get("node_def") {
        Some(Value::String(text)) => super::json::parse("`node_def`", text.as_bytes())?,
        Some(other) => other.clone(),
        None => Value::Null,
    };
    let node_type = node_def.get("op").and_then(Value::as_str).unwrap_or("a TensorFlow graph node");
    let Some((_, function)) = NODE_TYPES.iter().find(|(name, _)| *name == node_type) else {
        layer.config.0.insert("function".into(), json!(format!("raw_ops.{node_type}")));
        return Ok(());
    };
    let constants: Vec<(usize, Value)> = match layer.config.get("constants") {
        Some(Value::Object(map)) => {
            map.iter().filter_map(|(at, value)| Some((at.parse().ok()?, value.clone()))).collect()
        }
        _ => Vec::new(),
    };
    for (args, _) in calls {
        if let [Arg::List(list)] = args.as_mut_slice() {
            *args = std::mem::take(list);
        }
        for (at, value) in &constants {
            args.insert((*at).min(args.len()), Arg::Constant(value.clone()));
        }
    }
    for key in ["node_def", "constants"] {
        layer.config.0.remove(key);
    }
    layer.config.0.insert("function".into(), json!(function));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::network::{Config, Inner, LayerId, TensorRef};
    use super::*;

    const X: Arg = Arg::Tensor(TensorRef { layer: LayerId(0), node: 0, tensor: 0 });

    fn layer(class: &str, config: Value) -> Layer {
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
            weights: Vec::new(),
        }
    }

    #[test]
    fn an_operator_with_a_constant_takes_it_as_second_argument() {
        let mut layer = layer("TFOpLambda", json!({"function": "math.multiply"}));
        let mut calls = [(
            vec![X],
            vec![("y".to_owned(), Arg::Constant(json!(2.0))), ("name".to_owned(), Arg::Constant(json!("m")))],
        )];
        to_keras3(&mut layer, &mut calls).unwrap();
        assert_eq!((layer.class.as_str(), layer.is_operation), ("Multiply", true));
        assert_eq!(calls[0], (vec![X, Arg::Constant(json!(2.0))], vec![]));
    }

    #[test]
    fn a_constant_may_come_first() {
        let mut layer = layer("TFOpLambda", json!({"function": "math.subtract"}));
        let mut calls = [(vec![Arg::Constant(json!(1.0))], vec![("y".to_owned(), X)])];
        to_keras3(&mut layer, &mut calls).unwrap();
        assert_eq!(calls[0].0, vec![Arg::Constant(json!(1.0)), X]);
    }

    #[test]
    fn settings_move_from_the_call_to_the_config() {
        let mut layer = layer("TFOpLambda", json!({"function": "math.reduce_mean"}));
        let mut calls = [(
            vec![X],
            vec![
                ("axis".to_owned(), Arg::Constant(json!([1, 2]))),
                ("keepdims".to_owned(), Arg::Constant(json!(true))),
            ],
        )];
        to_keras3(&mut layer, &mut calls).unwrap();
        assert_eq!(layer.class, "Mean");
        assert_eq!(Value::Object(layer.config.0), json!({"axis": [1, 2], "keepdims": true}));
        assert_eq!(calls[0], (vec![X], vec![]));
    }

    #[test]
    fn a_function_without_an_operation_keeps_its_name() {
        let mut layer = layer("TFOpLambda", json!({"function": "signal.stft"}));
        to_keras3(&mut layer, &mut [(vec![X], vec![])]).unwrap();
        assert_eq!(
            (layer.class.as_str(), layer.config.str("function").unwrap()),
            ("TFOpLambda", "signal.stft")
        );
    }

    #[test]
    fn a_graph_node_of_tensorflow_2_0_becomes_its_operation() {
        let mut layer = layer(
            "TensorFlowOpLayer",
            json!({"node_def": {"name": "mul", "op": "Mul", "input": ["mul/x", "x"]}, "constants": {"0": 3.0}}),
        );
        let mut calls = [(vec![X], vec![])];
        to_keras3(&mut layer, &mut calls).unwrap();
        assert_eq!(layer.class, "Multiply");
        assert_eq!(calls[0].0, vec![Arg::Constant(json!(3.0)), X]);
    }
}
