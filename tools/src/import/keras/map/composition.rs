//! Several layers, arrays and an expression of them, as a network.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::network::{Arg, Call, Config, Inner, Input, Layer, LayerId, Network, TensorRef};
use super::super::snake_case::snake_case;
use super::super::{layers, operations};
use super::Masks;
use super::expression::{Expression, Function, Subscript, folded};
use crate::import::{Fault, ImportError};

/// What a layer computes, in terms of Keras' layers and operations.
#[derive(Clone, Debug)]
pub(in super::super) struct Composition {
    inputs: Vec<String>,
    layers: Vec<(String, Inside)>,
    weights: Vec<String>,
    /// Without it, the layers are called one after the other.
    expression: Option<Function>,
    pub(in super::super) masks: Option<Masks>,
}

/// A layer inside.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(in super::super) enum Inside {
    /// `$name`: the one that the file has as this argument.
    Setting(String),
    /// A layer of Keras.
    Layer(InsideLayer),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct InsideLayer {
    name: Option<String>,
    layer: String,
    #[serde(default)]
    config: Map<String, Value>,
}

impl Composition {
    /// # Errors
    /// When the names do not fit together.
    pub(super) fn new(
        inputs: Option<Vec<String>>,
        layers: Vec<Inside>,
        weights: Vec<String>,
        expression: Option<Function>,
        masks: Option<Masks>,
    ) -> Result<Self, String> {
        let of_lambda = expression.as_ref().and_then(|function| function.arguments.clone());
        let inputs = match (inputs, of_lambda) {
            (Some(inputs), Some(others)) if inputs != others => {
                return Err("`inputs` and `lambda` name different inputs".into());
            }
            (Some(inputs), _) | (None, Some(inputs)) => inputs,
            (None, None) => vec!["x".to_owned()],
        };
        if inputs.is_empty() {
            return Err(
                "`inputs` is empty, expected a name for each tensor that the layer is called with".into()
            );
        }
        if expression.is_none() && (!weights.is_empty() || inputs.len() > 1) {
            let what = if weights.is_empty() { "several `inputs`" } else { "`weights`" };
            return Err(format!("{what} without an `expression` that says what is computed of them"));
        }
        let mut named: Vec<(String, Inside)> = Vec::new();
        let mut counts = HashMap::new();
        for layer in layers {
            let name = match &layer {
                Inside::Setting(text) => match text.strip_prefix('$') {
                    Some(name) => name.to_owned(),
                    None => {
                        return Err(format!(
                            "`layers`: found `{text}`, expected a table such as {{ layer = \"Dense\", config = {{ \
                             units = 8 }} }}, or `$layer` for the layer that the file has as the argument `layer`"
                        ));
                    }
                },
                Inside::Layer(InsideLayer { name: Some(name), .. }) => name.clone(),
                Inside::Layer(InsideLayer { layer: class, .. }) => {
                    let count = counts.entry(class.clone()).or_insert(0);
                    *count += 1;
                    let name = snake_case(class);
                    if *count == 1 { name } else { format!("{name}_{}", *count - 1) }
                }
            };
            named.push((name, layer));
        }
        let mut names: Vec<&String> =
            inputs.iter().chain(&weights).chain(named.iter().map(|(name, _)| name)).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("`{}` is the name of two things", pair[0]));
        }
        Ok(Self { inputs, layers: named, weights, expression, masks })
    }

    /// The network that the layer with the arguments `config` is. `read` makes a layer of its JSON, and is told
    /// whether that is spelled as in the file; `located` says which layer a fault is in.
    ///
    /// # Errors
    /// When the expression names what is not there.
    pub(in super::super) fn network(
        &self,
        name: &str,
        config: &Map<String, Value>,
        located: impl Fn(Fault) -> ImportError,
        read: impl Fn(&Value, bool) -> Result<Layer, ImportError>,
    ) -> Result<Network, ImportError> {
        let settings = Settings(config);
        let mut building =
            Building { settings: &settings, layers: Vec::new(), calls: Vec::new(), names: HashMap::new() };
        let mut inputs = Vec::new();
        for name in &self.inputs {
            let tensor = building.add(leaf(name, "InputLayer", Inner::None));
            let tensor = TensorRef { layer: tensor, node: 0, tensor: 0 };
            building.names.insert(name, Named::Tensor(tensor));
            inputs.push(Input { tensor, name: name.clone(), shape: None, dtype: "float32".into() });
        }
        for name in &self.weights {
            let weight = building.add(leaf(name, "Weight", Inner::Weight));
            let weight = building.call(weight, Vec::new(), Vec::new());
            building.names.insert(name, Named::Tensor(weight));
        }
        for (name, inside) in &self.layers {
            let mut layer = match inside {
                Inside::Setting(_) => read(settings.get(name).map_err(&located)?, true)?,
                Inside::Layer(layer) => {
                    let config = settings.replaced(&Value::Object(layer.config.clone())).map_err(&located)?;
                    read(&json!({"class_name": layer.layer, "name": name, "config": config}), false)?
                }
            };
            layer.name.clone_from(name);
            let id = building.add(layer);
            building.names.insert(name, Named::Layer(id));
        }
        let result = match &self.expression {
            Some(function) => building.evaluate(&function.result).map_err(&located)?,
            None => {
                let mut x = Arg::Tensor(inputs[0].tensor);
                for (name, _) in &self.layers {
                    let Named::Layer(layer) = building.names[name.as_str()] else { continue };
                    x = Arg::Tensor(building.call(layer, vec![x], Vec::new()));
                }
                x
            }
        };
        let outputs = match &result {
            Arg::List(items) => items.iter().map(Arg::as_tensor).collect(),
            single => single.as_tensor().map(|tensor| vec![tensor]),
        };
        let outputs = outputs.ok_or_else(|| located(wrong("the result does not depend on the input")))?;
        let Building { layers, calls, .. } = building;
        Ok(Network { name: name.to_owned(), layers, calls, inputs, outputs })
    }
}

impl fmt::Display for Composition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.expression {
            Some(function) => write!(f, "`{}`", function.text),
            None => {
                let classes = self.layers.iter().map(|(name, inside)| match inside {
                    Inside::Setting(text) => text.clone(),
                    Inside::Layer(InsideLayer { layer, .. }) if snake_case(layer) == *name => layer.clone(),
                    Inside::Layer(InsideLayer { layer, .. }) => format!("{name} ({layer})"),
                });
                write!(f, "as {}", classes.collect::<Vec<_>>().join(", then "))
            }
        }
    }
}

/// The arguments that the file has for the layer: those of its class, or those of the function of a Lambda.
struct Settings<'a>(&'a Map<String, Value>);

impl<'a> Settings<'a> {
    fn get(&self, name: &str) -> Result<&'a Value, Fault> {
        let of_lambda = || self.0.get("arguments")?.get(name);
        self.0.get(name).or_else(of_lambda).ok_or_else(|| {
            let names: Vec<_> = self.0.keys().map(|key| format!("`{key}`")).collect();
            wrong(format!("the file has no argument `{name}` for the layer; it has {}", names.join(", ")))
        })
    }

    /// `value` with what the file has for each `$name`.
    fn replaced(&self, value: &Value) -> Result<Value, Fault> {
        Ok(match value {
            Value::String(text) => match text.strip_prefix('$') {
                Some(name) => self.get(name)?.clone(),
                None => value.clone(),
            },
            Value::Array(items) => items.iter().map(|item| self.replaced(item)).collect::<Result<_, _>>()?,
            Value::Object(map) => {
                let items = map.iter().map(|(key, item)| Ok((key.clone(), self.replaced(item)?)));
                Value::Object(items.collect::<Result<_, Fault>>()?)
            }
            other => other.clone(),
        })
    }
}

/// What a name of an expression means.
#[derive(Clone, Copy)]
enum Named {
    Tensor(TensorRef),
    Layer(LayerId),
}

/// A network in the making.
struct Building<'a> {
    settings: &'a Settings<'a>,
    layers: Vec<Layer>,
    calls: Vec<Call>,
    names: HashMap<&'a str, Named>,
}

/// Operations that give several tensors.
const SEVERAL: [&str; 2] = ["Split", "Unstack"];

impl Building<'_> {
    fn add(&mut self, layer: Layer) -> LayerId {
        self.layers.push(layer);
        LayerId(self.layers.len() - 1)
    }

    /// The first result of one more call of a layer.
    fn call(&mut self, layer: LayerId, args: Vec<Arg>, kwargs: Vec<(String, Arg)>) -> TensorRef {
        let node = self.calls.iter().filter(|call| call.layer == layer).count();
        self.calls.push(Call { layer, node, args, kwargs });
        TensorRef { layer, node, tensor: 0 }
    }

    /// Calls an operation of Keras or, with `function`, of TensorFlow.
    fn operation(
        &mut self,
        class: &str,
        function: Option<&str>,
        args: Vec<Arg>,
        kwargs: Vec<(String, Arg)>,
    ) -> Result<TensorRef, Fault> {
        let mut calls = [(args, kwargs)];
        let mut layer = leaf("", class, Inner::None);
        layer.is_operation = true;
        if let Some(function) = function {
            layer.config.0.insert("function".into(), function.into());
            operations::to_keras3(&mut layer, &mut calls)?;
        }
        let base = snake_case(function.and_then(|name| name.rsplit('.').next()).unwrap_or(&layer.class));
        let is_used = |name: &str| self.layers.iter().any(|other| other.name == name);
        let mut numbered = (1..).map(|number| format!("{base}_{number}"));
        layer.name =
            if is_used(&base) { numbered.find(|name| !is_used(name)).unwrap_or_default() } else { base };
        let id = self.add(layer);
        let [(args, kwargs)] = calls;
        Ok(self.call(id, args, kwargs))
    }

    fn evaluate(&mut self, expression: &Expression) -> Result<Arg, Fault> {
        Ok(match expression {
            Expression::Constant(value) => Arg::Constant(value.clone()),
            Expression::Setting(name) => Arg::Constant(self.settings.get(name)?.clone()),
            Expression::Name(name) => match self.names.get(name.as_str()) {
                Some(Named::Tensor(tensor)) => Arg::Tensor(*tensor),
                Some(Named::Layer(_)) => return Err(wrong(format!("the layer `{name}` is not called"))),
                None => constant(name).map(Arg::Constant).ok_or_else(|| self.unknown(name))?,
            },
            Expression::List(items) => {
                let items = items.iter().map(|item| self.evaluate(item)).collect::<Result<Vec<_>, _>>()?;
                list(items)
            }
            Expression::Negative(x) => match self.evaluate(x)? {
                Arg::Constant(Value::Number(number)) => Arg::Constant(
                    folded("Multiply", &number, &(-1).into())
                        .ok_or_else(|| wrong(format!("`-{number}` is no number")))?,
                ),
                x => Arg::Tensor(self.operation("Negative", None, vec![x], Vec::new())?),
            },
            Expression::Binary(class, operands) => {
                let [a, b] = [self.evaluate(&operands[0])?, self.evaluate(&operands[1])?];
                match (a, b) {
                    (Arg::Constant(Value::Number(a)), Arg::Constant(Value::Number(b))) => Arg::Constant(
                        folded(class, &a, &b)
                            .ok_or_else(|| wrong(format!("{class} of {a} and {b} is no number")))?,
                    ),
                    (a, b) => Arg::Tensor(self.operation(class, None, vec![a, b], Vec::new())?),
                }
            }
            Expression::Index(x, entries) => self.index(x, entries)?,
            Expression::Call(name, args, kwargs) => {
                let (class, tensor) = self.called(name, args, kwargs)?;
                if SEVERAL.contains(&class.as_str()) {
                    return Err(wrong(format!(
                        "`{name}` gives several tensors: take one, as in `{name}(…)[0]`"
                    )));
                }
                Arg::Tensor(tensor)
            }
        })
    }

    fn index(&mut self, x: &Expression, entries: &[Subscript]) -> Result<Arg, Fault> {
        if let Expression::Call(name, args, kwargs) = x {
            let (class, tensor) = self.called(name, args, kwargs)?;
            if SEVERAL.contains(&class.as_str()) {
                let [Subscript::At(Expression::Constant(position))] = entries else {
                    return Err(wrong(format!(
                        "`{name}` gives several tensors: take one by its number, from 0"
                    )));
                };
                let position = position.as_u64().and_then(|position| usize::try_from(position).ok());
                let position =
                    position.ok_or_else(|| wrong(format!("`{name}` is indexed by no number from 0")))?;
                return Ok(Arg::Tensor(TensorRef { tensor: position, ..tensor }));
            }
            return self.item(Arg::Tensor(tensor), entries);
        }
        let x = self.evaluate(x)?;
        self.item(x, entries)
    }

    fn item(&mut self, x: Arg, entries: &[Subscript]) -> Result<Arg, Fault> {
        let mut key = Vec::new();
        for entry in entries {
            key.push(match entry {
                Subscript::At(position) => self.evaluate(position)?,
                Subscript::Ellipsis => Arg::Ellipsis,
                Subscript::Slice(parts) => {
                    let mut part = |part: &Option<Expression>| match part {
                        Some(part) => self.evaluate(part).map(Box::new),
                        None => Ok(Box::new(Arg::Constant(Value::Null))),
                    };
                    Arg::Slice { start: part(&parts[0])?, stop: part(&parts[1])?, step: part(&parts[2])? }
                }
            });
        }
        if let Arg::Constant(_) = x {
            return Err(wrong("an index of what is no tensor"));
        }
        Ok(Arg::Tensor(self.operation("GetItem", None, vec![x, Arg::List(key)], Vec::new())?))
    }

    /// The class of what is called, and its first result.
    fn called(
        &mut self,
        name: &str,
        args: &[Expression],
        kwargs: &[(String, Expression)],
    ) -> Result<(String, TensorRef), Fault> {
        let mut args = args.iter().map(|arg| self.evaluate(arg)).collect::<Result<Vec<_>, _>>()?;
        let kwargs = kwargs.iter().map(|(key, arg)| Ok((key.clone(), self.evaluate(arg)?)));
        let mut kwargs: Vec<(String, Arg)> = kwargs.collect::<Result<_, Fault>>()?;
        match self.names.get(name) {
            Some(Named::Layer(layer)) => {
                let layer = *layer;
                return Ok((self.layers[layer.0].class.clone(), self.call(layer, args, kwargs)));
            }
            Some(Named::Tensor(_)) => return Err(wrong(format!("`{name}` is no function"))),
            None => {}
        }
        let function = Called::of(name).ok_or_else(|| self.unknown(name))?;
        let (tensors, settings) = function.arguments;
        if args.len() > tensors + settings.len() {
            return Err(wrong(format!("`{name}` takes at most {} arguments", tensors + settings.len())));
        }
        let behind = args.split_off(args.len().min(tensors));
        for (key, arg) in settings.iter().zip(behind) {
            if kwargs.iter().any(|(other, _)| other == key) {
                return Err(wrong(format!("`{name}` is given `{key}` twice")));
            }
            kwargs.push(((*key).to_owned(), arg));
        }
        let tensor = self.operation(function.class, function.of_tensorflow, args, kwargs)?;
        Ok((self.layers[tensor.layer.0].class.clone(), tensor))
    }

    fn unknown(&self, name: &str) -> Fault {
        let mut known: Vec<_> = self.names.keys().map(|name| format!("`{name}`")).collect();
        known.sort_unstable();
        wrong(format!(
            "`{name}` is not known: names are {}, functions those of `keras.ops` (`mean`, `clip`, …), of TensorFlow \
             with `tf.` in front, and some of Keras' backend with `K.`",
            known.join(", ")
        ))
    }
}

/// A function that an expression calls.
struct Called {
    class: &'static str,
    of_tensorflow: Option<&'static str>,
    /// How many of its arguments are tensors, which come first, and the names of those behind.
    arguments: (usize, Vec<&'static str>),
}

/// Functions of Keras 2's backend that Keras 3's operations of this name compute, with the same defaults.
const BACKEND: &[&str] = &[
    "abs",
    "all",
    "any",
    "cast",
    "clip",
    "cos",
    "dot",
    "elu",
    "equal",
    "exp",
    "expand_dims",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "log",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "not_equal",
    "ones_like",
    "prod",
    "reshape",
    "round",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "sum",
    "tanh",
    "tile",
    "var",
    "zeros_like",
];

/// Those that have another name there, or are TensorFlow's.
const BACKEND_RENAMED: &[(&str, &str)] = &[
    ("permute_dimensions", "transpose"),
    ("pow", "power"),
    ("l2_normalize", "tf.math.l2_normalize"),
    ("relu", "tf.nn.relu"),
];

impl Called {
    fn of(name: &str) -> Option<Self> {
        let of_module = |modules: &[&str]| modules.iter().find_map(|module| name.strip_prefix(module));
        if let Some(name) = of_module(&["K.", "backend.", "keras.backend.", "tf.keras.backend."]) {
            return match BACKEND_RENAMED.iter().find(|(known, _)| *known == name) {
                Some((_, other)) => Self::of(other),
                None if BACKEND.contains(&name) => Self::of(name),
                None => None,
            };
        }
        let of_keras = match of_module(&["keras.ops.", "ops."]) {
            Some(name) => Some(name.rsplit('.').next().unwrap_or(name)),
            None => (!name.contains('.')).then_some(name),
        };
        if let Some(name) = of_keras {
            let (class, tensors, settings) = layers::operation_called(name)?;
            return Some(Self { class, of_tensorflow: None, arguments: (tensors.len(), settings.to_vec()) });
        }
        let name = of_module(&["tf.", "tensorflow."])?;
        let (function, tensors, settings) = operations::function(name).or_else(|| {
            let (function, tensors, settings) = layers::function_called(name)?;
            Some((function, tensors, settings.to_vec()))
        })?;
        Some(Self {
            class: "TFOpLambda",
            of_tensorflow: Some(function),
            arguments: (tensors.len(), settings),
        })
    }
}

/// A constant by its name.
fn constant(name: &str) -> Option<Value> {
    const TYPES: [&str; 6] = ["bool", "float16", "float32", "float64", "int32", "int64"];
    let (module, last) = name.rsplit_once('.')?;
    match (module, last) {
        ("np" | "math" | "numpy", "pi") => Some(std::f64::consts::PI.into()),
        ("np" | "math" | "numpy", "e") => Some(std::f64::consts::E.into()),
        ("np" | "tf" | "numpy" | "tensorflow", "newaxis") => Some(Value::Null),
        ("np" | "tf" | "numpy" | "tensorflow", name) if TYPES.contains(&name) => Some(name.into()),
        _ => None,
    }
}

/// A list, which is a constant where all its items are.
fn list(items: Vec<Arg>) -> Arg {
    let constant = |arg: &Arg| match arg {
        Arg::Constant(value) => Some(value.clone()),
        _ => None,
    };
    match items.iter().map(constant).collect() {
        Some(values) => Arg::Constant(Value::Array(values)),
        None => Arg::List(items),
    }
}

fn leaf(name: &str, class: &str, inner: Inner) -> Layer {
    Layer {
        name: name.to_owned(),
        class: class.to_owned(),
        is_operation: false,
        mapped_class: None,
        module: None,
        registered_name: None,
        config: Config::default(),
        inner,
        weights: Vec::new(),
    }
}

fn wrong(detail: impl Into<String>) -> Fault {
    Fault::Map { place: "the expression that stands for it".into(), detail: detail.into() }
}
