//! TensorFlow's operations: what each becomes.
//!
//! Names and attributes are those of `tensorflow/core/ops`.

mod hashes;
mod lists;
mod loops;
mod phases;
mod recurrent;
mod shapes;
mod spatial;

use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::known::{self, Known};
use super::lower::{Lowering, Value};
use super::proto::NodeDef;
use super::{damage, dtype};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::Argument;
pub(super) use phases::Phases;

/// Whether an operation calls a function: those inside say which layer they are of.
pub(super) fn calls(op: &str) -> bool {
    matches!(
        op,
        "PartitionedCall" | "StatefulPartitionedCall" | "While" | "StatelessWhile" | "If" | "StatelessIf"
    )
}

/// Operations that are no entry of a table, and no list.
const OTHERS: &[&str] = &[
    "AddN",
    "Assert",
    "BatchMatMul",
    "BatchMatMulV2",
    "BatchMatMulV3",
    "Bucketize",
    "Cast",
    "CheckNumerics",
    "Const",
    "Einsum",
    "EnsureShape",
    "Erfc",
    "Identity",
    "IdentityN",
    "If",
    "LeakyRelu",
    "MatMul",
    "NoOp",
    "OneHot",
    "PartitionedCall",
    "PlaceholderWithDefault",
    "PreventGradient",
    "ReadVariableOp",
    "Select",
    "SelectV2",
    "Snapshot",
    "StatefulPartitionedCall",
    "StatelessIf",
    "StatelessWhile",
    "StopGradient",
    "While",
];

/// Names of the operations that are read.
pub(super) fn names() -> Vec<&'static str> {
    let tables = MAPS.iter().chain(PAIRS).map(|(name, _)| *name);
    let mut names: Vec<&str> = tables.chain(OTHERS.iter().copied()).collect();
    names.extend(shapes::names());
    names.extend(spatial::NAMES);
    names.extend(lists::NAMES);
    names.extend(hashes::NAMES);
    names.extend(phases::NAMES);
    names.sort_unstable();
    names
}

/// What the outputs of a node are.
pub(super) fn evaluate(
    low: &mut Lowering<'_, '_>,
    node: &NodeDef,
    inputs: Vec<Value>,
) -> Result<Vec<Value>, Fault> {
    let args = Args { node, inputs };
    match node.op.as_str() {
        "Const" => {
            let tensor = node.tensor("value").ok_or_else(|| args.damage("no value"))?;
            // A text is a message of an assertion.
            if tensor.dtype == 7 {
                return Ok(vec![Value::Known(Known::ints(vec![0], []))]);
            }
            Ok(vec![Value::Known(Known::of_proto(&node.name, tensor)?)])
        }
        "NoOp" | "Assert" => Ok(Vec::new()),
        "ReadVariableOp" => match args.get(0)? {
            &Value::Variable(object) => Ok(vec![Value::Known(low.variable(object)?)]),
            _ => Err(args.damage("no variable")),
        },
        "Identity"
        | "StopGradient"
        | "PreventGradient"
        | "Snapshot"
        | "EnsureShape"
        | "CheckNumerics"
        | "PlaceholderWithDefault" => Ok(vec![args.get(0)?.clone()]),
        "IdentityN" => Ok(args.inputs),
        "PartitionedCall" | "StatefulPartitionedCall" => {
            let function = node.function("f").ok_or_else(|| args.damage("no function"))?;
            low.call(function, args.inputs)
        }
        "Cast" if matches!(args.get(0)?, Value::Known(_)) => {
            let known = args.known(0)?;
            let to = node.dtype("DstT").unwrap_or(dtype::FLOAT);
            let is_integer = matches!(to, dtype::INT32 | dtype::INT64 | dtype::BOOL);
            let values = known.values.iter().map(|&value| if is_integer { value.trunc() } else { value });
            Ok(vec![Value::Known(Known::new(&known.name, known.shape.clone(), values.collect(), is_integer))])
        }
        op if calls(op) => loops::evaluate(low, args),
        op if lists::NAMES.contains(&op) => lists::evaluate(low, &args),
        op if hashes::NAMES.contains(&op) => Ok(vec![hashes::evaluate(low, &args)?]),
        op if shapes::names().any(|name| name == op) => shapes::evaluate(low, &args),
        op if spatial::NAMES.contains(&op) => Ok(vec![spatial::evaluate(low, &args)?]),
        op if phases::NAMES.contains(&op) => Ok(vec![phases::evaluate(low, &args)?]),
        op => {
            if let Some(known) = args.all_known()
                && let Some(made) = known::elementwise(op, &known)
            {
                return Ok(vec![Value::Known(made?)]);
            }
            Ok(vec![Value::Tensor(of_tensors(low, &args)?)])
        }
    }
}

/// A node and what its inputs are.
pub(super) struct Args<'n> {
    node: &'n NodeDef,
    inputs: Vec<Value>,
}

impl Args<'_> {
    fn get(&self, number: usize) -> Result<&Value, Fault> {
        self.inputs.get(number).ok_or_else(|| self.damage("too few inputs"))
    }

    fn damage(&self, detail: &str) -> Fault {
        damage(format!("the node `{}` ({}) has {detail}", self.node.name, self.node.op))
    }

    fn all_known(&self) -> Option<Vec<Rc<Known>>> {
        let known = |value: &Value| match value {
            Value::Known(known) => Some(known.clone()),
            _ => None,
        };
        self.inputs.iter().map(known).collect()
    }

    /// An input that must be known now.
    fn known(&self, number: usize) -> Result<Rc<Known>, Fault> {
        match self.get(number)? {
            Value::Known(known) => Ok(known.clone()),
            _ => Err(Fault::Unsupported {
                what: format!("{} by numbers that depend on the model's inputs", self.node.op),
                remedy: "build the model so that all shapes are known, and export it again".into(),
            }),
        }
    }

    fn integers(&self, number: usize) -> Result<Vec<i64>, Fault> {
        Ok(self.known(number)?.integers())
    }

    fn tensor(&self, low: &mut Lowering<'_, '_>, number: usize) -> Result<TensorId, Fault> {
        low.tensor(self.get(number)?)
    }

    fn unsupported(&self) -> Fault {
        let op = &self.node.op;
        let what = match op.as_str() {
            "PyFunc" | "EagerPyFunc" | "PyFuncStateless" | "XlaCallModule" => {
                return Fault::Code {
                    what: format!("its operation {op} runs code that is not in the file"),
                    remedy: REMEDY,
                };
            }
            "ReadFile"
            | "WriteFile"
            | "MatchingFiles"
            | "HashTableV2"
            | "InitializeTableFromTextFileV2"
            | "LookupTableFindV2"
            | "RestoreV2"
            | "SaveV2"
            | "MergeV2Checkpoints"
            | "PrintV2" => {
                format!("the operation {op}, which reads or writes outside of the model,")
            }
            _ => format!("TensorFlow's operation {op}"),
        };
        Fault::Unsupported { what, remedy: REMEDY.into() }
    }

    /// An axis as Python counts it.
    fn axis(&self, axis: i64, rank: usize) -> Result<usize, Fault> {
        let counted = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(counted)
            .ok()
            .filter(|&axis| axis < rank)
            .ok_or_else(|| self.damage("an axis beyond its tensor"))
    }
}

/// What to do about an operation that is not read.
const REMEDY: &str =
    "save the model with `model.save(\"model.keras\")`, if Keras made it, or build it without the operation";

/// Operations of one tensor that Keras calls otherwise.
const MAPS: &[(&str, &str)] = &[
    ("Abs", "Absolute"),
    ("Ceil", "Ceil"),
    ("Cos", "Cos"),
    ("Erf", "Erf"),
    ("Exp", "Exp"),
    ("Floor", "Floor"),
    ("Inv", "Reciprocal"),
    ("Log", "Log"),
    ("LogSoftmax", "LogSoftmax"),
    ("LogicalNot", "LogicalNot"),
    ("Neg", "Negative"),
    ("Reciprocal", "Reciprocal"),
    ("Relu", "Relu"),
    ("Relu6", "Relu6"),
    ("Rint", "Round"),
    ("Round", "Round"),
    ("Rsqrt", "Rsqrt"),
    ("Selu", "Selu"),
    ("Sigmoid", "Sigmoid"),
    ("Sign", "Sign"),
    ("Sin", "Sin"),
    ("Softmax", "Softmax"),
    ("Softplus", "Softplus"),
    ("Softsign", "Softsign"),
    ("Sqrt", "Sqrt"),
    ("Square", "Square"),
    ("Elu", "Elu"),
    ("Tanh", "Tanh"),
];

/// Operations of two tensors that Keras calls otherwise.
const PAIRS: &[(&str, &str)] = &[
    ("Add", "Add"),
    ("AddV2", "Add"),
    ("BiasAdd", "Add"),
    ("Div", "Divide"),
    ("Equal", "Equal"),
    ("FloorDiv", "FloorDivide"),
    ("Greater", "Greater"),
    ("GreaterEqual", "GreaterEqual"),
    ("Less", "Less"),
    ("LessEqual", "LessEqual"),
    ("LogicalAnd", "LogicalAnd"),
    ("LogicalOr", "LogicalOr"),
    ("Maximum", "Maximum"),
    ("Minimum", "Minimum"),
    ("Mul", "Multiply"),
    ("NotEqual", "NotEqual"),
    ("Pow", "Power"),
    ("RealDiv", "Divide"),
    ("SquaredDifference", "math.squared_difference"),
    ("Sub", "Subtract"),
];

fn of_tensors(low: &mut Lowering<'_, '_>, args: &Args<'_>) -> Result<TensorId, Fault> {
    let op = args.node.op.as_str();
    if op == "BiasAdd" && args.node.text("data_format") == Some("NCHW") {
        return Err(args.unsupported());
    }
    if let Some((_, class)) = MAPS.iter().find(|(name, _)| *name == op) {
        let x = args.tensor(low, 0)?;
        return low.builder.foreign_map(class, x);
    }
    if let Some((_, class)) = PAIRS.iter().find(|(name, _)| *name == op) {
        let operands = vec![Argument::Tensor(args.tensor(low, 0)?), Argument::Tensor(args.tensor(low, 1)?)];
        return one(low.builder.foreign_operation(class, operands, json!({}))?, args);
    }
    match op {
        "Einsum" => {
            let equation = args.node.text("equation").unwrap_or_default();
            let operands =
                (0..args.inputs.len()).map(|number| Ok(Argument::Tensor(args.tensor(low, number)?)));
            let operands = operands.collect::<Result<Vec<_>, Fault>>()?;
            one(low.builder.foreign_operation("Einsum", operands, json!({"subscripts": equation}))?, args)
        }
        // 1 − erf(x)
        "Erfc" => {
            let y = operation(low, args, "Erf", json!({}))?;
            let operands = vec![Argument::Value(1.0.into()), Argument::Tensor(y)];
            one(low.builder.foreign_operation("Subtract", operands, json!({}))?, args)
        }
        "AddN" => {
            let mut sum = args.tensor(low, 0)?;
            for number in 1..args.inputs.len() {
                let operands = vec![Argument::Tensor(sum), Argument::Tensor(args.tensor(low, number)?)];
                sum = one(low.builder.foreign_operation("Add", operands, json!({}))?, args)?;
            }
            Ok(sum)
        }
        "Bucketize" => {
            let x = args.tensor(low, 0)?;
            let config = json!({"bin_boundaries": args.node.floats("boundaries").unwrap_or_default()});
            low.builder.foreign_layer("Discretization", config, Vec::new(), x)
        }
        "OneHot" => {
            let value = |number: usize| args.known(number).map(|known| known.values.first().copied());
            let axis = args.node.int("axis").unwrap_or(-1);
            let settings =
                json!({"depth": value(1)?, "on_value": value(2)?, "off_value": value(3)?, "axis": axis});
            operation(low, args, "one_hot", settings)
        }
        "LeakyRelu" => {
            let slope = args.node.float("alpha").unwrap_or(0.2);
            operation(low, args, "LeakyRelu", json!({"negative_slope": slope}))
        }
        "SelectV2" | "Select" => {
            let operands = (0..3).map(|number| Ok(Argument::Tensor(args.tensor(low, number)?)));
            let operands = operands.collect::<Result<Vec<_>, Fault>>()?;
            one(low.builder.foreign_operation("Where", operands, json!({}))?, args)
        }
        "MatMul" => mat_mul(low, args),
        "BatchMatMul" | "BatchMatMulV2" | "BatchMatMulV3" => {
            let flag = |name: &str| args.node.bool(name).unwrap_or(false);
            let settings = json!({"transpose_a": flag("adj_x"), "transpose_b": flag("adj_y")});
            let operands =
                vec![Argument::Tensor(args.tensor(low, 0)?), Argument::Tensor(args.tensor(low, 1)?)];
            one(low.builder.foreign_operation("Matmul", operands, settings)?, args)
        }
        "Cast" => {
            // Numbers stay what they are; only reals as integers are rounded.
            let to_integer = |of: Option<i32>| matches!(of, Some(dtype::INT32 | dtype::INT64));
            if to_integer(args.node.dtype("DstT")) && args.node.dtype("SrcT") == Some(dtype::FLOAT) {
                return operation(low, args, "Cast", json!({"dtype": "int64"}));
            }
            args.tensor(low, 0)
        }
        _ => Err(args.unsupported()),
    }
}

/// An operation of the first input.
fn operation(
    low: &mut Lowering<'_, '_>,
    args: &Args<'_>,
    class: &str,
    settings: Json,
) -> Result<TensorId, Fault> {
    let x = args.tensor(low, 0)?;
    one(low.builder.foreign_operation(class, vec![Argument::Tensor(x)], settings)?, args)
}

fn one(made: Vec<TensorId>, args: &Args<'_>) -> Result<TensorId, Fault> {
    made.first().copied().ok_or_else(|| args.damage("no result"))
}

/// A product by a known matrix is a dense layer.
fn mat_mul(low: &mut Lowering<'_, '_>, args: &Args<'_>) -> Result<TensorId, Fault> {
    let flag = |name: &str| args.node.bool(name).unwrap_or(false);
    let (transpose_a, transpose_b) = (flag("transpose_a"), flag("transpose_b"));
    let matrix = match args.get(1)? {
        Value::Known(known) if !transpose_a && known.shape.len() == 2 => known.clone(),
        _ => {
            let operands =
                vec![Argument::Tensor(args.tensor(low, 0)?), Argument::Tensor(args.tensor(low, 1)?)];
            let settings = json!({"transpose_a": transpose_a, "transpose_b": transpose_b});
            return one(low.builder.foreign_operation("Matmul", operands, settings)?, args);
        }
    };
    let matrix = if transpose_b { known::transposed(&matrix, &[1, 0]) } else { matrix };
    let x = args.tensor(low, 0)?;
    let config = json!({"units": matrix.shape[1], "use_bias": false});
    let weights = vec![low.weight(&matrix)];
    low.builder.foreign_layer("Dense", config, weights, x)
}
