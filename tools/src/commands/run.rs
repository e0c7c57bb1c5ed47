//! `flatpack run`: a file over rows of data.

use super::{Failure, Report, file};
use crate::array::Array;
use crate::data;
use crate::predict::{Options, Outputs, predict_with};
use flatpack_format::Model;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Run a .fpk file on data.
///
/// Inputs may have any number of rows in the leading dimension; they are run batch by batch and
/// stacked again. An input of integers takes an array of its type as it is, and the integers that stand
/// for the values of any other. Outputs of integers are given as the reals that they stand for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file.
    file: PathBuf,
    /// Data of each input, in the model's order: .npy, .npz, .csv, .png, .jpg, .bmp. An .npz has one
    /// array per input: by the inputs' names, as input_0, input_1 …, as x, or in order.
    #[arg(long = "input", value_name = "FILE", required = true)]
    inputs: Vec<PathBuf>,
    /// Write each output to output_0.npy, output_1.npy … in this folder.
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Give outputs of integers as they are.
    #[arg(long)]
    raw: bool,
    /// Keep the model's state from batch to batch, as a stream needs it; else each begins anew.
    #[arg(long)]
    keep_state: bool,
    /// Threads that compute large steps together.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Classes or values to print per row.
    #[arg(long, default_value_t = 3)]
    top: usize,
}

const EXAMPLES: &str = "Examples:
  flatpack run model.fpk --input digit.png
  flatpack run model.fpk --input x.npy --out-dir predictions
  flatpack run wake_word.fpk --input frames.npy --keep-state
  flatpack run two_inputs.fpk --input left.npy --input right.npy --json";

pub(super) fn run(args: &Args) -> Result<Report, Failure> {
    let mapped = file::open(&args.file)?;
    let model = file::model(&args.file, &mapped)?;
    if let Some(hint) = file::hint(&model) {
        // Who does not listen runs it all the same.
        let _ = writeln!(io::stderr(), "{}: {hint}", args.file.display());
    }
    let mut arrays = Vec::new();
    for path in &args.inputs {
        arrays.push(data::load(path).map_err(Failure::usage)?);
    }
    let inputs = inputs(&input_names(&model), arrays)?;
    let as_what = if args.raw { Outputs::Raw } else { Outputs::Reals };
    let options = Options { outputs: as_what, threads: args.threads.into(), keep_state: args.keep_state };
    let outputs = predict_with(model, &inputs, options)
        .map_err(|error| Failure::usage(miette::miette!("{}: {error}", args.file.display())))?;
    match &args.out_dir {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))?;
            let mut text = String::new();
            let mut files = Vec::new();
            for (number, output) in outputs.iter().enumerate() {
                let path = folder.join(format!("output_{number}.npy"));
                data::save_npy(&path, output).map_err(Failure::usage)?;
                let _ = writeln!(text, "{}: {:?}", path.display(), output.shape);
                files.push(json!({ "file": path, "shape": output.shape }));
            }
            Ok(Report::new(text, json!({ "outputs": files })))
        }
        None => Ok(shown(&outputs, args.top)),
    }
}

/// The names of a model's inputs.
pub(super) fn input_names(model: &Model<'_>) -> Vec<String> {
    model.inputs().map(|t| model.tensor_name(t.number()).unwrap_or_default().to_owned()).collect()
}

/// The arrays in the order of the inputs, which have these names.
pub(super) fn inputs(names: &[String], files: Vec<Vec<(String, Array)>>) -> Result<Vec<Array>, Failure> {
    let mut arrays: Vec<(String, Array)> = files.into_iter().flatten().collect();
    if arrays.len() == names.len() && arrays.len() == 1 {
        return Ok(arrays.into_iter().map(|(_, array)| array).collect());
    }
    let mut named = Vec::new();
    for (position, name) in names.iter().enumerate() {
        let short = name.rsplit('/').next().unwrap_or(name);
        let known = [name.as_str(), short, &format!("input_{position}"), &format!("x{position}")];
        let single = (names.len() == 1).then_some("x");
        let found =
            arrays.iter().position(|(n, _)| known.contains(&n.as_str()) || Some(n.as_str()) == single);
        match found {
            Some(found) => named.push(arrays[found].1.clone()),
            None => break,
        }
    }
    if named.len() == names.len() {
        return Ok(named);
    }
    if arrays.len() == names.len() {
        return Ok(arrays.drain(..).map(|(_, array)| array).collect());
    }
    let given: Vec<&str> = arrays.iter().map(|(name, _)| name.as_str()).collect();
    Err(Failure::usage(miette::miette!(
        help = "name the arrays as the inputs, or input_0, input_1 …",
        "{} arrays ({}) for {} inputs ({})",
        given.len(),
        given.join(", "),
        names.len(),
        names.join(", ")
    )))
}

/// The largest values of each row, for people; all of them for scripts.
fn shown(outputs: &[Array], top: usize) -> Report {
    const ROWS: usize = 20;
    let mut text = String::new();
    for (number, output) in outputs.iter().enumerate() {
        let rows = output.shape.first().copied().unwrap_or(1).max(1);
        let row_len = output.len() / rows;
        let _ = writeln!(text, "output {number}: {:?}", output.shape);
        for (row, values) in output.values.chunks(row_len.max(1)).enumerate().take(ROWS) {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
            let best: Vec<String> =
                order.iter().take(top).map(|&class| format!("[{class}] {:.6}", values[class])).collect();
            let _ = writeln!(text, "  row {row}: {}", best.join("  "));
        }
        if rows > ROWS {
            let _ = writeln!(text, "  … {} rows more; --out-dir writes them all", rows - ROWS);
        }
    }
    let json: Vec<_> = outputs.iter().map(|o| json!({ "shape": o.shape, "values": o.values })).collect();
    Report::new(text, json!({ "outputs": json }))
}
