//! `flatpack eval`: what `model.evaluate` gives, from the file.

use super::run::{input_names, inputs};
use super::{Failure, Report, file};
use crate::array::Array;
use crate::data;
use crate::predict::predict;
use clap::ValueEnum;
use flatpack_format::Model;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Evaluate a .fpk file on labelled data.
///
/// Inputs of integers take arrays of their type as they are, and quantise others; outputs of integers
/// are judged by the reals that they stand for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file.
    file: PathBuf,
    /// Data (.npz): x (or one array per input, by name), y, and optionally keras, what Keras
    /// predicted for x.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// What the model does.
    #[arg(long, value_enum, default_value_t = Task::Auto)]
    task: Task,
}

const EXAMPLES: &str = "Examples:
  flatpack eval digits.fpk --data test.npz
  flatpack eval detector.fpk --data test.npz --task autoencoder
In Python: numpy.savez(\"test.npz\", x=x_test, y=y_test, keras=model.predict(x_test))";

/// What a model does, and so how it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Task {
    /// Decided by the shapes of output and y.
    Auto,
    /// One class of several: accuracy, cross-entropy, confusion matrix.
    Classify,
    /// Yes or no from one output: accuracy and cross-entropy at the threshold 0.5.
    Binary,
    /// Numbers: mean squared and mean absolute error.
    Regress,
    /// The input again: reconstruction error; with labels 0 and 1 in y, how well it tells them apart.
    Autoencoder,
}

pub(super) fn run(args: &Args) -> Result<Report, Failure> {
    let mapped = file::open(&args.file)?;
    let model = file::model(&args.file, &mapped)?;
    let arrays = data::load(&args.data).map_err(Failure::usage)?;
    let Score { text, json } = evaluate(&model, &input_names(&model), &args.data, arrays, args.task)?;
    Ok(Report::new(text, json))
}

/// How well a model does.
#[derive(Debug)]
pub(super) struct Score {
    /// For people.
    pub(super) text: String,
    /// For scripts.
    pub(super) json: Value,
}

impl Score {
    /// What is judged, and whether more of it is better: area under the curve, accuracy, or error.
    fn main(&self) -> (&'static str, f64, bool) {
        let value = |key: &str| self.json[key].as_f64();
        match (value("auc"), value("accuracy")) {
            (Some(auc), _) => ("area under the ROC curve", auc, true),
            (_, Some(accuracy)) => ("accuracy", accuracy, true),
            _ => ("mean squared error", value("mse").unwrap_or(f64::NAN), false),
        }
    }

    /// How much worse another score is: in accuracy, or in parts of the error.
    pub(super) fn drop_to(&self, other: &Self) -> f64 {
        let ((_, before, more_is_better), (_, after, _)) = (self.main(), other.main());
        if more_is_better { before - after } else { after / before - 1.0 }
    }

    /// Both, in words.
    pub(super) fn change_to(&self, other: &Self) -> String {
        let ((what, before, more_is_better), (_, after, _)) = (self.main(), other.main());
        match more_is_better {
            true => format!("{what} {before:.5} → {after:.5}"),
            false => format!("{what} {before:.4e} → {after:.4e}"),
        }
    }
}

/// Judges a model, whose inputs have these names, by the arrays of a file.
///
/// # Errors
/// If the arrays do not fit the model or the task.
pub(super) fn evaluate(
    model: &Model<'_>,
    names: &[String],
    file: &Path,
    mut arrays: Vec<(String, Array)>,
    task: Task,
) -> Result<Score, Failure> {
    let mut take =
        |name: &str| arrays.iter().position(|(n, _)| n == name).map(|position| arrays.remove(position).1);
    let (y, keras) = (take("y"), take("keras"));
    let x = inputs(names, vec![arrays])?;
    let fail = |error: String| Failure::usage(miette::miette!("{}: {error}", file.display()));
    let outputs = predict(*model, &x).map_err(|error| fail(error.to_string()))?;
    let output = outputs.first().ok_or_else(|| fail("the model has no output".into()))?;

    let task = if task == Task::Auto { guess(model, &x, output, y.as_ref()) } else { task };
    let y = y.as_ref();
    let labels = || y.ok_or_else(|| fail("there is no array `y`".into()));
    let (mut text, mut json) = match task {
        Task::Classify => classify(output, labels()?).map_err(fail)?,
        Task::Binary => binary(output, labels()?).map_err(fail)?,
        Task::Regress | Task::Auto => regress(output, labels()?).map_err(fail)?,
        Task::Autoencoder => autoencoder(output, &x[0], y).map_err(fail)?,
    };
    if let Some(keras) = keras {
        if keras.len() != output.len() {
            return Err(fail(format!("`keras` is {:?}, the output {:?}", keras.shape, output.shape)));
        }
        let difference = difference(output, &keras);
        let _ = writeln!(text, "largest difference from Keras' predictions: {difference:.1e}");
        json["max_difference_from_keras"] = json!(difference);
    }
    Ok(Score { text, json })
}

/// Rows of an array, by its leading dimension.
fn rows(array: &Array) -> (usize, usize) {
    let rows = array.shape.first().copied().unwrap_or(1).max(1);
    (rows, array.len() / rows)
}

fn guess(model: &Model<'_>, x: &[Array], output: &Array, y: Option<&Array>) -> Task {
    let (_, classes) = rows(output);
    let whole = |y: &Array| y.values.iter().all(|v| v.fract() == 0.0 && *v >= 0.0);
    let reconstructs =
        x.len() == 1 && model.inputs().next().map(|t| t.shape()) == model.outputs().next().map(|t| t.shape());
    match y {
        Some(y) if y.len() == output.len() && classes > 1 => {
            let one_hot = y
                .values
                .chunks(classes)
                .all(|row| row.iter().all(|v| *v == 0.0 || *v == 1.0) && row.iter().sum::<f32>() == 1.0);
            if one_hot { Task::Classify } else { Task::Regress }
        }
        _ if reconstructs && classes > 1 => Task::Autoencoder,
        Some(y) if classes > 1 && rows(y).1 == 1 && whole(y) => Task::Classify,
        Some(y) if classes == 1 && y.values.iter().all(|v| *v == 0.0 || *v == 1.0) => Task::Binary,
        _ => Task::Regress,
    }
}

fn largest(values: &[f32]) -> usize {
    (0..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best })
}

type Outcome = Result<(String, Value), String>;

/// Keras keeps probabilities away from 0 and 1 by this much before it takes the logarithm.
const EPSILON: f64 = 1e-7;

fn classify(output: &Array, y: &Array) -> Outcome {
    let (count, classes) = rows(output);
    let truth: Vec<usize> = if y.len() == output.len() && classes > 1 {
        y.values.chunks(classes).map(largest).collect()
    } else {
        y.values.iter().map(|&v| v as usize).collect()
    };
    if truth.len() != count || truth.iter().any(|&t| t >= classes) {
        return Err(format!("`y` is {:?}, expected {count} classes below {classes}", y.shape));
    }
    let (mut right, mut loss) = (0usize, 0.0f64);
    let mut confusion = vec![vec![0usize; classes]; classes];
    for (row, &truth) in output.values.chunks(classes).zip(&truth) {
        let guess = largest(row);
        confusion[truth][guess] += 1;
        right += usize::from(guess == truth);
        let sum: f64 = row.iter().map(|&v| f64::from(v)).sum();
        loss -= (f64::from(row[truth]) / sum).clamp(EPSILON, 1.0 - EPSILON).ln();
    }
    let accuracy = right as f64 / count as f64;
    let loss = loss / count as f64;
    let mut text = format!("{count} rows, {classes} classes\naccuracy {accuracy:.5} ({right} of {count})\n");
    let _ = writeln!(text, "cross-entropy {loss:.5}");
    if classes <= 20 {
        let _ = writeln!(text, "confusion (rows: truth, columns: prediction)");
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        let head = std::iter::once(String::new()).chain((0..classes).map(|c| c.to_string()));
        table.set_header(head);
        for (class, row) in confusion.iter().enumerate() {
            table.add_row(std::iter::once(class.to_string()).chain(row.iter().map(ToString::to_string)));
        }
        let _ = writeln!(text, "{table}");
    }
    let json = json!({
        "task": "classify", "rows": count, "accuracy": accuracy, "loss": loss, "confusion": confusion,
    });
    Ok((text, json))
}

fn binary(output: &Array, y: &Array) -> Outcome {
    if y.len() != output.len() {
        return Err(format!("`y` is {:?}, the output {:?}", y.shape, output.shape));
    }
    let count = y.len();
    let pairs = || output.values.iter().zip(&y.values);
    let right = pairs().filter(|(p, y)| (**p > 0.5) == (**y > 0.5)).count();
    let loss: f64 = pairs()
        .map(|(&p, &y)| {
            let (p, y) = (f64::from(p).clamp(EPSILON, 1.0 - EPSILON), f64::from(y));
            -(y * p.ln() + (1.0 - y) * (1.0 - p).ln())
        })
        .sum::<f64>()
        / count as f64;
    let accuracy = right as f64 / count as f64;
    let text = format!(
        "{count} rows\naccuracy {accuracy:.5} ({right} of {count})\nbinary cross-entropy {loss:.5}\n"
    );
    Ok((text, json!({ "task": "binary", "rows": count, "accuracy": accuracy, "loss": loss })))
}

fn errors(a: &Array, b: &Array) -> (f64, f64) {
    let differences = || a.values.iter().zip(&b.values).map(|(a, b)| f64::from(*a) - f64::from(*b));
    let count = a.len().max(1) as f64;
    (differences().map(|d| d * d).sum::<f64>() / count, differences().map(f64::abs).sum::<f64>() / count)
}

fn regress(output: &Array, y: &Array) -> Outcome {
    if y.len() != output.len() {
        return Err(format!("`y` is {:?}, the output {:?}", y.shape, output.shape));
    }
    let (mse, mae) = errors(output, y);
    let (count, _) = rows(output);
    let text = format!("{count} rows\nmean squared error {mse:.6}\nmean absolute error {mae:.6}\n");
    Ok((text, json!({ "task": "regress", "rows": count, "mse": mse, "mae": mae, "loss": mse })))
}

fn autoencoder(output: &Array, x: &Array, y: Option<&Array>) -> Outcome {
    if x.len() != output.len() {
        return Err(format!("the output is {:?}, the input {:?}", output.shape, x.shape));
    }
    let (mse, mae) = errors(output, x);
    let (count, len) = rows(output);
    let mut text = format!("{count} rows\nreconstruction: mean squared error {mse:.6}, absolute {mae:.6}\n");
    let mut json = json!({ "task": "autoencoder", "rows": count, "mse": mse, "mae": mae, "loss": mse });
    if let Some(y) = y.filter(|y| y.len() == count && y.values.iter().all(|v| *v == 0.0 || *v == 1.0)) {
        let score = |(a, b): (&[f32], &[f32])| {
            a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / len as f64
        };
        let scores: Vec<f64> = output.values.chunks(len).zip(x.values.chunks(len)).map(score).collect();
        let of =
            |class: f32| scores.iter().zip(&y.values).filter(move |(_, y)| **y == class).map(|(s, _)| *s);
        let pairs = of(0.0).count() * of(1.0).count();
        let above = of(1.0).map(|faulty| of(0.0).filter(|healthy| faulty > *healthy).count()).sum::<usize>();
        let auc = above as f64 / pairs.max(1) as f64;
        let _ = writeln!(text, "area under the ROC curve of the error for y = 1 against y = 0: {auc:.5}");
        json["auc"] = json!(auc);
    }
    Ok((text, json))
}

fn difference(a: &Array, b: &Array) -> f32 {
    a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
