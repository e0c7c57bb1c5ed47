//! `flatpack build --quantize int8`: samples, ranges, the file, and what it costs.

use super::super::eval::{self, Score};
use super::super::{Failure, run::inputs, size};
use crate::array::Array;
use crate::build::{self, Built, Options};
use crate::data;
use crate::graph::Graph;
use crate::measure::{self, LayerError};
use crate::passes::quantize::calibrate::{self, CalibrateError};
use crate::passes::quantize::ranges::Method;
use crate::passes::quantize::{self, Io, QuantizeError};
use crate::passes::{Change, widen_constants};
use crate::predict::Rows;
use clap::ValueEnum;
use comfy_table::{Table, presets};
use flatpack_format::SectionKind;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The method that measured best: see docs/quantisation.md.
const DEFAULT_METHOD: Method = Method::Percentile(99.99);

/// Rows of the samples on which layers are compared.
const COMPARED_ROWS: usize = 16;

/// Layers that the report for people shows.
const SHOWN_LAYERS: usize = 10;

/// Arguments of `--quantize int8`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --quantize int8")]
pub(super) struct IntegerArgs {
    /// Samples of what the model will be given, from which ranges are taken: .npz, .npy, .csv, or a
    /// folder of images.
    #[arg(long, value_name = "FILE", requires = "quantize")]
    pub(super) calibrate: Option<PathBuf>,
    /// How ranges are taken from the samples: minmax, mse, or a percentile such as percentile:99.9.
    #[arg(long, value_name = "METHOD", default_value_t = DEFAULT_METHOD)]
    calibration: Method,
    /// What inputs and outputs of the file are: reals that it converts, or the integers themselves.
    #[arg(long, value_enum, default_value_t = IoName::Float32)]
    io: IoName,
    /// Labelled data, as for `flatpack eval`: judges the model before and after.
    #[arg(long, value_name = "FILE", requires = "calibrate")]
    eval_data: Option<PathBuf>,
    /// What the model does, as for `flatpack eval`.
    #[arg(long, value_enum, default_value_t = eval::Task::Auto)]
    eval_task: eval::Task,
    /// Write no file if the accuracy falls by more than this, or the error grows by more than this part
    /// of it.
    #[arg(long, value_name = "PART", requires = "eval_data")]
    max_drop: Option<f64>,
}

/// Names of [`Io`] on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IoName {
    Float32,
    Int8,
}

impl IntegerArgs {
    /// What the file says of the options that it was built with.
    pub(super) fn described(&self) -> String {
        let io = if self.io == IoName::Int8 { " --io int8" } else { "" };
        format!(" --calibration {}{io}", self.calibration)
    }
}

/// A file of integers, and the report on it.
pub(super) struct Integers {
    pub(super) built: Built,
    pub(super) text: String,
    pub(super) json: Value,
}

/// Builds a file of integers from a graph of reals.
///
/// # Errors
/// If there are no samples, they do not fit, a layer has no form on integers, or the file is worse than
/// the arguments allow.
pub(super) fn build(
    model: &Path,
    args: &IntegerArgs,
    keep_float: &[String],
    graph: Graph,
    options: &Options,
    bar: &ProgressBar,
) -> Result<Integers, Failure> {
    let names: Vec<String> = graph.inputs.iter().map(|&id| graph.tensor(id).name.clone()).collect();
    let Some(path) = &args.calibrate else { return Err(no_samples(&names)) };
    let samples = Samples::load(path, &names)?;
    let io = if args.io == IoName::Int8 { Io::Int8 } else { Io::Float32 };
    let wanted = quantize::Options { io, keep_float: keep_float.to_vec() };

    let failed = |error| super::build_failure(model, error);
    let mut prepared = graph.clone();
    if !prepared.has_integers() {
        widen_constants::with_weights(&mut prepared);
    }
    build::prepare(&mut prepared).map_err(failed)?;
    quantize::integer_nodes(&prepared, &wanted).map_err(|error| refused(model, error))?;
    let of_reals = Options { max_arena: None, regions: Vec::new(), ..options.clone() };
    let reals = build::build(graph, &of_reals).map_err(failed)?;
    let rows = Rows::of(&reals.model(), &samples.arrays)
        .map_err(|error| Failure::usage(miette::miette!("{}: {error}", path.display())))?;

    show_progress(bar, &rows, args.calibration);
    let statistics = calibrate::statistics(&reals, &prepared, &samples.arrays, args.calibration, |done| {
        bar.set_position(done as u64);
    });
    let statistics = statistics.map_err(|error| match error {
        CalibrateError::Predict(_) => Failure::usage(miette::miette!("{}: {error}", path.display())),
        CalibrateError::NotFinite { .. } => Failure::model(miette::miette!(
            help = "take the sample out, or find out why the model cannot stand it",
            "{}: {error}",
            path.display()
        )),
    })?;
    bar.set_style(ProgressStyle::default_spinner());
    bar.set_message("computing exact predictions, planning, checking");
    let quantized =
        quantize::run(&mut prepared, &statistics, &wanted).map_err(|error| refused(model, error))?;
    let mut built = build::build(prepared, options).map_err(|error| match error {
        build::BuildError::Integers(refused) => advise(model, &refused.layer, &refused),
        error => failed(error),
    })?;

    built.changes.insert(0, Change { pass: "quantize", details: quantized.details });

    bar.set_message("comparing with float32");
    let compared = COMPARED_ROWS.div_ceil(rows.batch * rows.sequence).min(rows.sequences());
    let compared = rows.part(&samples.arrays, 0..compared);
    let mut errors = measure::compare(&reals, &built, &quantized.same_as, &compared)
        .map_err(|error| Failure::model(miette::miette!("{}: {error}", model.display())))?;
    errors.sort_by(|a, b| a.snr_db().total_cmp(&b.snr_db()));
    let scores = match &args.eval_data {
        Some(data) => Some((data, score(data, args, &reals)?, score(data, args, &built)?)),
        None => None,
    };
    if let (Some((data, before, after)), Some(max_drop)) = (&scores, args.max_drop) {
        let drop = before.drop_to(after);
        if drop > max_drop {
            return Err(Failure::model(miette::miette!(
                help = advice_for_all(&errors, args.calibration),
                "{}: {} on {}, a drop of {drop:.5}, more than {max_drop}: no file was written",
                model.display(),
                before.change_to(after),
                data.display()
            )));
        }
    }
    let changed = scores.as_ref().map(|(data, before, after)| {
        let name = data.file_name().unwrap_or_default().to_string_lossy();
        format!("{} on {name}", before.change_to(after))
    });
    let meta = recipe(args, &samples, rows.count, &errors, changed.as_deref());
    let built = built.with_metadata(meta).map_err(failed)?;
    let report = Report {
        args,
        samples: &samples,
        rows: rows.count,
        reals: &reals,
        built: &built,
        errors: &errors,
        notes: &quantized.notes,
    };
    let text = report.text(changed.as_deref());
    let mut json = report.json();
    if let Some((data, before, after)) = &scores {
        json["evaluation"] = json!({ "data": data, "before": before.json, "after": after.json });
    }
    Ok(Integers { built, text, json })
}

/// Arrays for each input, and where they are from.
struct Samples {
    name: String,
    sha256: String,
    arrays: Vec<Array>,
}

impl Samples {
    fn load(path: &Path, names: &[String]) -> Result<Self, Failure> {
        let (arrays, files) = if path.is_dir() {
            let array = data::load_images(path).map_err(Failure::usage)?;
            (vec![(String::new(), array)], data::images(path).map_err(Failure::usage)?)
        } else {
            (data::load(path).map_err(Failure::usage)?, vec![path.to_owned()])
        };
        let mut digest = Sha256::new();
        for file in &files {
            digest.update(std::fs::read(file).map_err(|error| Failure::io(file, &error))?);
        }
        let sha256 = digest.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, sha256, arrays: inputs(names, vec![arrays])? })
    }
}

/// Says how to make samples.
fn no_samples(names: &[String]) -> Failure {
    let arrays = match names {
        [_] => "x=x_train[:500]".to_owned(),
        names => {
            let arrays = (0..names.len()).map(|input| format!("input_{input}=x_train[{input}][:500]"));
            arrays.collect::<Vec<_>>().join(", ")
        }
    };
    Failure::usage(miette::miette!(
        help = format!(
            "some hundred rows of the training data do; in Python:\n  import numpy as np\n  np.savez(\"samples.npz\", {arrays})\nthen --calibrate samples.npz"
        ),
        "--quantize int8 takes the ranges of activations from samples: --calibrate is missing"
    ))
}

/// A bar over all rows that are run.
fn show_progress(bar: &ProgressBar, rows: &Rows, method: Method) {
    let times = if method == Method::MinMax { 1 } else { 2 };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos} of {len}") {
        bar.set_style(style);
    }
    bar.set_length((times * rows.count) as u64);
    bar.set_message("taking ranges from samples");
}

/// A layer that has no form on integers, and what to do about it.
fn advise(model: &Path, layer: &str, error: &dyn std::error::Error) -> Failure {
    Failure::model(miette::miette!(
        help = format!("--keep-float {layer} computes it in float32, with conversions around it"),
        "{}: {error}",
        model.display()
    ))
}

fn refused(model: &Path, error: QuantizeError) -> Failure {
    match &error {
        QuantizeError::Unsupported { layers } => {
            let mut names: Vec<&str> = layers.iter().map(|(layer, _)| layer.as_str()).collect();
            names.dedup();
            advise(model, &names.join(" "), &error)
        }
        QuantizeError::Layer { layer, .. } => advise(model, layer, &error),
        QuantizeError::UnknownLayer { layers, .. } => Failure::usage(miette::miette!(
            help = format!("layers that compute, after others were folded into them: {}", layers.join(", ")),
            "{}: {error}",
            model.display()
        )),
    }
}

fn score(data: &Path, args: &IntegerArgs, built: &Built) -> Result<Score, Failure> {
    let arrays = data::load(data).map_err(Failure::usage)?;
    eval::evaluate(&built.model(), &built.input_names, data, arrays, args.eval_task)
}

/// How the file was made and what it costs, for its metadata.
fn recipe(
    args: &IntegerArgs,
    samples: &Samples,
    rows: usize,
    errors: &[LayerError],
    changed: Option<&str>,
) -> BTreeMap<String, String> {
    let mut meta = BTreeMap::from([
        ("quantize.method".to_owned(), format!("int8, {}", args.calibration)),
        ("quantize.samples".to_owned(), format!("{rows} rows of {}", samples.name)),
        ("quantize.sha256".to_owned(), samples.sha256.clone()),
    ]);
    if let Some(worst) = errors.first() {
        meta.insert("quantize.snr".to_owned(), format!("{}, layer {}", decibels(worst), worst.layer));
    }
    if let Some(changed) = changed {
        meta.insert("quantize.score".to_owned(), changed.to_owned());
    }
    meta
}

fn decibels(error: &LayerError) -> String {
    match error.snr_db() {
        db if db.is_finite() => format!("{db:.1} dB"),
        _ if error.noise == 0.0 => "exact".to_owned(),
        _ => "no signal".to_owned(),
    }
}

/// What may help a layer.
fn advice(error: &LayerError, method: Method) -> Option<String> {
    const GOOD_DB: f64 = 20.0;
    const CUT_OFF: f64 = 1e-3;
    const OUTLIERS: f32 = 30.0;
    let clips = method != Method::MinMax;
    if error.snr_db() >= GOOD_DB {
        None
    } else if error.beyond > CUT_OFF {
        let remedy = if clips { "--calibration minmax" } else { "more samples" };
        Some(format!("{:.1} % of its values are cut off: {remedy}", error.beyond * 100.0))
    } else if error.largest > OUTLIERS * error.rms && !clips {
        Some("few large values make its steps coarse: --calibration percentile:99.9".to_owned())
    } else {
        Some(format!("--keep-float {}", error.layer))
    }
}

fn advice_for_all(errors: &[LayerError], method: Method) -> String {
    let worst = errors.iter().take(3).map(|error| {
        let advice = advice(error, method).map(|advice| format!(": {advice}")).unwrap_or_default();
        format!("{} ({}) {}{advice}", error.layer, error.op, decibels(error))
    });
    format!(
        "worst layers\n  {}\nother ranges (--calibration minmax, percentile:99.9, mse) or more samples may do",
        worst.collect::<Vec<_>>().join("\n  ")
    )
}

/// What there is to say about a file of integers.
struct Report<'a> {
    args: &'a IntegerArgs,
    samples: &'a Samples,
    rows: usize,
    reals: &'a Built,
    built: &'a Built,
    errors: &'a [LayerError],
    notes: &'a [String],
}

/// Bytes of weights, arena and file.
fn bytes(built: &Built) -> [u64; 3] {
    let model = built.model();
    let weights = model.section(SectionKind::Weights).len() as u64;
    [weights, model.header().arena_bytes.into(), built.file_bytes as u64]
}

impl Report<'_> {
    fn text(&self, changed: Option<&str>) -> String {
        let mut text = String::new();
        let (method, name) = (self.args.calibration, &self.samples.name);
        let _ = writeln!(text, "ranges   {method} of {} rows of {name}", self.rows);
        for note in self.notes {
            let _ = writeln!(text, "         {note}");
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["layer", "operator", "signal/noise", "worst error", "advice"]);
        for error in self.errors.iter().take(SHOWN_LAYERS) {
            table.add_row([
                error.layer.clone(),
                error.op.to_owned(),
                decibels(error),
                format!("{:.3e}", error.worst),
                advice(error, method).unwrap_or_default(),
            ]);
        }
        for line in table.to_string().lines() {
            let _ = writeln!(text, "        {}", line.trim_end());
        }
        if self.errors.len() > SHOWN_LAYERS {
            let _ =
                writeln!(text, "         … {} better ones; --json has all", self.errors.len() - SHOWN_LAYERS);
        }
        let [before, after] = [bytes(self.reals), bytes(self.built)].map(|bytes| bytes.map(size));
        let sizes = ["weights", "arena", "file"].iter().zip(before.iter().zip(&after));
        let sizes: Vec<String> =
            sizes.map(|(what, (before, after))| format!("{what} {before} → {after}")).collect();
        let _ = writeln!(text, "costs    {}", sizes.join(", "));
        if let Some(changed) = changed {
            let _ = writeln!(text, "         {changed}");
        }
        text
    }

    fn json(&self) -> Value {
        let method = self.args.calibration;
        let layers = self.errors.iter().map(|error| {
            json!({
                "layer": error.layer,
                "op": error.op,
                "snr_db": error.snr_db().is_finite().then(|| error.snr_db()),
                "worst_error": error.worst,
                "scale": error.scale,
                "largest": error.largest,
                "rms": error.rms,
                "cut_off": error.beyond,
                "advice": advice(error, method),
            })
        });
        let sizes = |built: &Built| {
            let [weights, arena, file] = bytes(built);
            json!({ "weights_bytes": weights, "arena_bytes": arena, "file_bytes": file })
        };
        json!({
            "calibration": method.to_string(),
            "samples": self.samples.name,
            "samples_sha256": self.samples.sha256,
            "rows": self.rows,
            "notes": self.notes,
            "layers": layers.collect::<Vec<_>>(),
            "before": sizes(self.reals),
            "after": sizes(self.built),
        })
    }
}
