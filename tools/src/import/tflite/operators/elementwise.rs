//! Operators that work element by element.

use flatpack_format::OpCode;
use flatpack_format::ops::Clamp;
use flatpack_format::ops::clip::ClipParams;
use flatpack_format::ops::elu::EluParams;
use flatpack_format::ops::gelu::GeluParams;
use flatpack_format::ops::leaky_relu::LeakyReluParams;

use super::{Lower, one};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::tflite::lower::{Lowering, Value, clamp};
use crate::import::tflite::model::Operator;
use crate::import::tflite::options::{Fused, Gelu, LeakyRelu};

pub(super) const OPERATORS: &[(&str, Lower)] = &[
    ("ABS", |low, operator| unary(low, operator, OpCode::Abs)),
    ("ADD", |low, operator| binary(low, operator, OpCode::Add)),
    ("ADD_N", add_n),
    ("CEIL", |low, operator| unary(low, operator, OpCode::Ceil)),
    ("COS", |low, operator| unary(low, operator, OpCode::Cos)),
    ("DIV", |low, operator| binary(low, operator, OpCode::Div)),
    ("ELU", |low, operator| {
        let x = low.x(operator, 0)?;
        one(low.node(OpCode::Elu, EluParams { alpha: 1.0 }, &[x])?)
    }),
    ("EXP", |low, operator| unary(low, operator, OpCode::Exp)),
    ("FLOOR", |low, operator| unary(low, operator, OpCode::Floor)),
    ("FLOOR_DIV", floor_div),
    ("GELU", |low, operator| {
        let x = low.x(operator, 0)?;
        let approximate = operator.options::<Gelu>()?.approximate.into();
        one(low.node(OpCode::Gelu, GeluParams { approximate }, &[x])?)
    }),
    ("HARD_SWISH", |low, operator| unary(low, operator, OpCode::HardSwish)),
    ("LEAKY_RELU", |low, operator| {
        let x = low.x(operator, 0)?;
        let alpha = operator.options::<LeakyRelu>()?.alpha;
        one(low.node(OpCode::LeakyRelu, LeakyReluParams { alpha }, &[x])?)
    }),
    ("LOG", |low, operator| unary(low, operator, OpCode::Log)),
    ("LOGISTIC", |low, operator| unary(low, operator, OpCode::Logistic)),
    ("MAXIMUM", |low, operator| binary(low, operator, OpCode::Maximum)),
    ("MINIMUM", |low, operator| binary(low, operator, OpCode::Minimum)),
    ("MUL", |low, operator| binary(low, operator, OpCode::Mul)),
    ("NEG", |low, operator| unary(low, operator, OpCode::Neg)),
    ("POW", |low, operator| binary(low, operator, OpCode::Pow)),
    ("PRELU", |low, operator| {
        let (x, alpha) = (low.x(operator, 0)?, low.x(operator, 1)?);
        one(low.node(OpCode::Prelu, (), &[x, alpha])?)
    }),
    ("RELU", |low, operator| clip(low, operator, 0.0, f32::INFINITY)),
    ("RELU6", |low, operator| clip(low, operator, 0.0, 6.0)),
    ("RELU_0_TO_1", |low, operator| clip(low, operator, 0.0, 1.0)),
    ("RELU_N1_TO_1", |low, operator| clip(low, operator, -1.0, 1.0)),
    ("ROUND", |low, operator| unary(low, operator, OpCode::Round)),
    ("RSQRT", |low, operator| unary(low, operator, OpCode::Rsqrt)),
    ("SIGN", |low, operator| unary(low, operator, OpCode::Sign)),
    ("SIN", |low, operator| unary(low, operator, OpCode::Sin)),
    ("SQRT", |low, operator| unary(low, operator, OpCode::Sqrt)),
    ("SQUARE", |low, operator| unary(low, operator, OpCode::Square)),
    ("SQUARED_DIFFERENCE", |low, operator| binary(low, operator, OpCode::SquaredDifference)),
    ("SUB", |low, operator| binary(low, operator, OpCode::Sub)),
    ("TANH", |low, operator| unary(low, operator, OpCode::Tanh)),
];

fn unary(low: &mut Lowering<'_, '_>, operator: &Operator<'_>, op: OpCode) -> Result<Vec<Value>, Fault> {
    let x = low.x(operator, 0)?;
    one(low.unary(op, x)?)
}

fn clip(
    low: &mut Lowering<'_, '_>,
    operator: &Operator<'_>,
    min: f32,
    max: f32,
) -> Result<Vec<Value>, Fault> {
    let x = low.x(operator, 0)?;
    one(low.node(OpCode::Clip, ClipParams { clamp: Clamp { min, max } }, &[x])?)
}

fn binary(low: &mut Lowering<'_, '_>, operator: &Operator<'_>, op: OpCode) -> Result<Vec<Value>, Fault> {
    let (a, b) = (low.x(operator, 0)?, low.x(operator, 1)?);
    let clamp = match op {
        OpCode::Add | OpCode::Sub | OpCode::Mul | OpCode::Div => {
            clamp(operator.options::<Fused>()?.activation)?
        }
        _ => Clamp::NONE,
    };
    one(low.binary(op, a, b, clamp)?)
}

/// Refuses integers where an operator becomes several: they would round in between.
fn of_reals(low: &Lowering<'_, '_>, operator: &Operator<'_>, x: TensorId) -> Result<(), Fault> {
    if low.graph.is_constant(x) || low.graph.quant(x).is_none() {
        return Ok(());
    }
    Err(Fault::Unsupported {
        what: format!("{} of integers", operator.code.name()),
        remedy: "build the model of ADD, SUB, MUL and DIV instead, or convert it in float32".into(),
    })
}

fn add_n(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let mut sum = low.x(operator, 0)?;
    of_reals(low, operator, sum)?;
    for number in 1..operator.inputs.len() {
        let x = low.x(operator, number)?;
        sum = low.binary(OpCode::Add, sum, x, Clamp::NONE)?;
    }
    one(sum)
}

fn floor_div(low: &mut Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Vec<Value>, Fault> {
    let (a, b) = (low.x(operator, 0)?, low.x(operator, 1)?);
    of_reals(low, operator, a).and(of_reals(low, operator, b))?;
    let quotient = low.binary(OpCode::Div, a, b, Clamp::NONE)?;
    one(low.unary(OpCode::Floor, quotient)?)
}
