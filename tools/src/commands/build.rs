//! `flatpack build`: from a model to a file that has met its goldens.

mod integers;

use super::bytes::byte_count;
use super::source::{self, SourceArgs};
use super::{Failure, Report, progress, size};
use crate::build::{self, Built, GivenCase, Goldens, Options};
use crate::data;
use crate::graph::{Graph, TensorId};
use crate::import::{self, Origin};
use crate::memory::Region;
use crate::passes::compress_weights::WeightFormat;
use crate::passes::patches::Patches;
use crate::passes::stream;
use clap::ValueEnum;
use flatpack_format::{Model, SectionKind, Target};
use flatpack_runtime::{MappedModel, ops};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Flatten a model of Keras or TensorFlow Lite to a .fpk file.
///
/// The model is read natively; nothing in it is executed. The file is run against reference
/// predictions before it gets its name.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The model: .keras, .h5, .tflite, a pickle, a SavedModel (a folder, .zip or .tar), or the architecture as
    /// .json or .yaml with --weights.
    model: PathBuf,
    /// The file to write [default: the model's name with .fpk].
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// The machine to lay weights out for [default: linux, where flatpack runs on Linux; portable elsewhere, and with
    /// what is said of a board: --for, --max-arena, --region].
    #[arg(long, value_enum)]
    target: Option<TargetName>,
    #[command(flatten)]
    source: SourceArgs,
    /// Store numbers in fewer bytes.
    #[arg(long, value_enum)]
    quantize: Option<Quantize>,
    /// Layers that --quantize leaves alone: their names, or those of blocks that they lie within.
    #[arg(long, value_name = "LAYER", num_args = 1.., requires = "quantize")]
    keep_float: Vec<String>,
    #[command(flatten)]
    integers: integers::IntegerArgs,
    /// Number of golden cases, made from a fixed seed and predicted by tract.
    #[arg(long, value_name = "N", default_value_t = 2)]
    goldens: usize,
    /// Golden inputs of your own (.npy, or .npz with one array per input).
    #[arg(long, value_name = "FILE", requires = "golden_outputs")]
    golden_inputs: Option<PathBuf>,
    /// What they give, for instance Keras' predictions. Weights in fewer bytes give something else: the
    /// report then says how far off, and the file is checked against predictions of its own.
    #[arg(long, value_name = "FILE", requires = "golden_inputs")]
    golden_outputs: Option<PathBuf>,
    /// The most memory that the arena may take, such as 32K: where it takes more, layers are computed in
    /// bands of rows, some rows of them more than once.
    #[arg(long, value_name = "BYTES", value_parser = byte_count)]
    max_arena: Option<u32>,
    /// A memory of the board and its size, the fastest first: the activations that are read and written most
    /// for their size lie there, and the others in that of a second --region.
    #[arg(long, value_name = "NAME=BYTES", value_parser = region, conflicts_with = "max_arena")]
    region: Vec<Region>,
    /// Build a stream: one time step of the sequences that the model takes for each run, with what recurrent
    /// layers remember kept from run to run. Refused where a layer needs the whole sequence.
    #[arg(long)]
    stream: bool,
    /// Leave out names and metadata.
    #[arg(long)]
    strip: bool,
    /// Refuse what a firmware cannot run: the features.json that it was compiled with.
    #[arg(long = "for", value_name = "FILE")]
    firmware: Option<PathBuf>,
    /// Show what each pass does to which layer.
    #[arg(long)]
    trace: bool,
}

const EXAMPLES: &str = "Examples:
  flatpack build model.keras
  flatpack build model.h5 -o model.fpk --target cortex-m
  flatpack build saved_model --signature serving_default
  flatpack build model.pkl
  flatpack build model.tflite
  flatpack build model.tflite --for features.json
  flatpack build model.tflite --max-arena 32K
  flatpack build model.tflite --region dtcm=64K --region sram=256K
  flatpack build model.h5 --quantize int8-weights --keep-float dense_2
  flatpack build model.json --weights weights.h5
  flatpack build weights.pkl --architecture model.json
  flatpack build keyword_lstm.keras --stream
  flatpack build detector.h5 --input-shape image=96,96,3 --trace
  flatpack build model.h5 --quantize int8 --calibrate samples.npz --eval-data test.npz
  flatpack build model.h5 --golden-inputs x.npy --golden-outputs keras_predictions.npy";

/// Names of the targets on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TargetName {
    Portable,
    CortexM,
    Linux,
}

impl From<TargetName> for Target {
    fn from(name: TargetName) -> Self {
        match name {
            TargetName::Portable => Self::Portable,
            TargetName::CortexM => Self::CortexM,
            TargetName::Linux => Self::Linux,
        }
    }
}

/// The machine that the arguments ask for: a gateway is what runs flatpack itself.
fn target(args: &Args) -> Target {
    let of_board = args.firmware.is_some() || args.max_arena.is_some() || !args.region.is_empty();
    match args.target {
        Some(name) => name.into(),
        None if cfg!(target_os = "linux") && !of_board => Target::Linux,
        None => Target::Portable,
    }
}

/// What is stored in fewer bytes than float32 takes, and in how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Quantize {
    /// Weights and activations as 8-bit integers.
    Int8,
    /// Weights as 8-bit integers; the arithmetic stays float32.
    Int8Weights,
    /// Weights as binary16; the arithmetic stays float32.
    F16Weights,
}

/// How the arguments ask for weights to be stored.
fn weight_format(args: &Args) -> WeightFormat {
    match args.quantize {
        None | Some(Quantize::Int8) => WeightFormat::Float32,
        Some(Quantize::Int8Weights) => WeightFormat::Int8,
        Some(Quantize::F16Weights) => WeightFormat::Float16,
    }
}

fn region(text: &str) -> Result<Region, String> {
    let (name, bytes) = text.split_once('=').ok_or("expected a name and a size, such as dtcm=64K")?;
    Ok(Region { name: name.to_owned(), bytes: byte_count(bytes)? })
}

/// Demands at most two regions, each with a name of its own.
fn check_regions(regions: &[Region]) -> Result<(), Failure> {
    match regions {
        [_, _, _, ..] => Err(Failure::usage(miette::miette!(
            help = "name the two that activations are to lie in, the faster one first",
            "{} regions, expected at most two",
            regions.len()
        ))),
        [near, far] if near.name == far.name => {
            Err(Failure::usage(miette::miette!("two regions have the name `{}`", near.name)))
        }
        _ => Ok(()),
    }
}

pub(super) fn run(args: &Args) -> Result<Report, Failure> {
    check_regions(&args.region)?;
    if args.quantize != Some(Quantize::Int8) && args.integers.calibrate.is_some() {
        return Err(Failure::usage(miette::miette!("--calibrate is for --quantize int8")));
    }
    let firmware = args.firmware.as_deref().map(super::firmware).transpose()?;
    let bar = progress("reading the model");
    let opened = args.source.open(&args.model).map_err(source::failure)?;
    let (mut graph, mut origin) =
        args.source.options().and_then(|options| opened.graph(&options)).map_err(source::failure)?;
    if args.stream {
        let stream = stream::run(&mut graph).map_err(|error| {
            let what = format!("{}: not a stream: no file was written", args.model.display());
            Failure::model(miette::Report::msg(error).wrap_err(what))
        })?;
        origin.notes.push(stream.to_string());
    }
    if args.quantize.is_some() && graph.has_integers() {
        return Err(Failure::usage(miette::miette!(
            help = "leave --quantize out",
            "{} computes with integers already",
            args.model.display()
        )));
    }
    bar.set_message("computing reference predictions, planning, checking");
    let options = Options {
        target: target(args),
        weights: weight_format(args),
        keep_float: args.keep_float.clone(),
        goldens: goldens(args, &graph)?,
        strip: args.strip,
        max_arena: args.max_arena,
        regions: args.region.clone(),
        meta: metadata(args, &origin)?,
    };
    let outputs: Vec<String> =
        graph.outputs.iter().map(|&output| graph.tensor(output).name.clone()).collect();
    let (built, integers) = match args.quantize {
        Some(Quantize::Int8) => {
            let keep = &args.keep_float;
            let made = integers::build(&args.model, &args.integers, keep, graph, &options, &bar)?;
            (made.built, Some((made.text, made.json)))
        }
        _ => {
            let built = build::build(graph, &options);
            (built.map_err(|error| build_failure(&args.model, error))?, None)
        }
    };
    let model = built.model();
    if let Some(firmware) = firmware {
        let layer = |step: u32| Some(built.plan.steps.get(step as usize)?.layer.clone());
        firmware.check(&model, layer).map_err(|failure| {
            let what = format!("{}: no file was written", args.model.display());
            Failure { report: failure.report.wrap_err(what), ..failure }
        })?;
    }
    let output = args.output.clone().unwrap_or_else(|| args.model.with_extension("fpk"));
    write(&output, built.bytes())?;
    bar.finish_and_clear();
    let mut report = report(&origin, &outputs, &built, &model, args, &output);
    if let Some((text, json)) = integers {
        report.text += &text;
        report.json["quantization"] = json;
    }
    Ok(report)
}

fn build_failure(model: &Path, error: build::BuildError) -> Failure {
    if let build::BuildError::NoSuchLayer { .. } = error {
        return Failure::usage(miette::Report::msg(error).wrap_err(format!("{}", model.display())));
    }
    let report = match error {
        build::BuildError::Diverges { .. } => miette::miette!(
            help = "check it with inputs of your own and what Keras gives for them (--golden-inputs, \
                    --golden-outputs): of random ones, rounding alone may decide what a deep model gives",
            "{error}"
        ),
        error => miette::Report::msg(error),
    };
    Failure::model(report.wrap_err(format!("{}: no file was written", model.display())))
}

/// The goldens that the arguments ask for: predicted, or the user's own, as many rows to a case as the
/// model's batch has.
fn goldens(args: &Args, graph: &Graph) -> Result<Goldens, Failure> {
    let (Some(inputs), Some(outputs)) = (&args.golden_inputs, &args.golden_outputs) else {
        return Ok(Goldens::Predicted(args.goldens));
    };
    if args.quantize == Some(Quantize::Int8) {
        return Err(Failure::usage(miette::miette!(
            help = "leave --golden-inputs out; --eval-data judges the integers by your labels",
            "golden outputs of float32 are not met by integers"
        )));
    }
    let inputs = golden_rows(graph, &graph.inputs, inputs)?;
    let outputs = golden_rows(graph, &graph.outputs, outputs)?;
    if inputs.len() != outputs.len() {
        return Err(Failure::usage(miette::miette!(
            "{} golden inputs for {} golden outputs",
            inputs.len(),
            outputs.len()
        )));
    }
    let cases = inputs.into_iter().zip(outputs).map(|(inputs, outputs)| GivenCase { inputs, outputs });
    Ok(Goldens::Given(cases.collect()))
}

/// For each run of the model, the values of these tensors: from one array per tensor, in order or named
/// after it.
fn golden_rows(graph: &Graph, ids: &[TensorId], path: &Path) -> Result<Vec<Vec<Vec<f32>>>, Failure> {
    let fail = |what: String| Failure::usage(miette::miette!("{}: {what}", path.display()));
    let mut arrays = data::load(path).map_err(Failure::usage)?;
    if arrays.len() != ids.len() {
        return Err(fail(format!("{} arrays, expected {}", arrays.len(), ids.len())));
    }
    let name = |id: &TensorId| graph.tensor(*id).name.as_str();
    if ids.iter().all(|id| arrays.iter().any(|(n, _)| n == name(id))) {
        arrays.sort_by_key(|(n, _)| ids.iter().position(|id| name(id) == n));
    }
    let mut cases: Vec<Vec<Vec<f32>>> = Vec::new();
    for (position, ((_, array), id)) in arrays.iter().zip(ids).enumerate() {
        let len = graph.tensor(*id).shape().len().unwrap_or(1) as usize;
        if array.is_empty() || array.len() % len != 0 {
            let dims = graph.dims(*id);
            return Err(fail(format!("array {position} is {:?}, expected rows for {dims:?}", array.shape)));
        }
        let runs = array.values.chunks_exact(len);
        if position == 0 {
            cases = vec![Vec::new(); runs.len()];
        } else if runs.len() != cases.len() {
            return Err(fail(format!("{} rows in array {position}, {} in array 0", runs.len(), cases.len())));
        }
        cases.iter_mut().zip(runs).for_each(|(case, values)| case.push(values.to_vec()));
    }
    Ok(cases)
}

fn metadata(args: &Args, origin: &Origin) -> Result<BTreeMap<String, String>, Failure> {
    let digest = import::sha256(&args.model).map_err(source::failure)?;
    let mut meta = BTreeMap::from([
        ("source.format".into(), origin.format.to_owned()),
        ("source.sha256".into(), digest),
    ]);
    if let Some(name) = args.model.file_name() {
        meta.insert("source.file".into(), name.to_string_lossy().into_owned());
    }
    if let Some(writer) = &origin.writer {
        meta.insert("source.version".into(), writer.clone());
    }
    if let Some(labels) = &origin.labels {
        meta.insert("labels".into(), labels.clone());
    }
    let mut options = format!("--target {}", target(args).name());
    if let Some(batch) = args.source.batch {
        let _ = write!(options, " --batch {batch}");
    }
    if let Some(name) = args.quantize.as_ref().and_then(ValueEnum::to_possible_value) {
        let _ = write!(options, " --quantize {}", name.get_name());
    }
    if args.quantize == Some(Quantize::Int8) {
        options += &args.integers.described();
    }
    if args.stream {
        options += " --stream";
    }
    if let Some(bytes) = args.max_arena {
        let _ = write!(options, " --max-arena {bytes}");
    }
    if !args.keep_float.is_empty() {
        let _ = write!(options, " --keep-float {}", args.keep_float.join(" "));
    }
    for region in &args.region {
        let _ = write!(options, " --region {}={}", region.name, region.bytes);
    }
    for (name, extents) in &args.source.input_shape {
        let extents: Vec<String> = extents.iter().map(ToString::to_string).collect();
        let _ = write!(options, " --input-shape {name}={}", extents.join(","));
    }
    meta.insert("options".into(), options);
    Ok(meta)
}

/// Writes a file under a temporary name beside its own, then renames it: whoever maps the old file
/// keeps it whole, and a failure leaves it where it is. At the end both the file and its name are on
/// storage: whatever is cut off, and when, the old file is there or the new one.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failure = |error: std::io::Error| Failure::io(path, &error);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().suffix(".fpk.tmp").tempfile_in(folder).map_err(failure)?;
    readable(file.as_file())
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.as_file().sync_all())
        .map_err(failure)?;
    check_mapped(file.path()).map_err(|error| build_failure(path, error))?;
    file.persist(path).map_err(|error| failure(error.error))?;
    sync_folder(folder).map_err(|error| Failure::io(folder, &error))
}

/// Maps what was written and runs it against its goldens.
fn check_mapped(path: &Path) -> Result<(), build::BuildError> {
    let damaged = |error: flatpack_format::Error| build::BuildError::Open(error.into());
    let mapped = MappedModel::open(path).map_err(|error| build::BuildError::Open(error.fault))?;
    let model = mapped.model().map_err(damaged)?;
    model.check_contents().map_err(damaged)?;
    build::check(&model, ops::ALL).map(|_| ())
}

/// Temporary files are private; the model is a file like any other.
#[cfg(unix)]
fn readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

/// What a folder says of its files goes to storage, too, where the file system can do that and the folder
/// may be read.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied};
    match std::fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied) => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// What patches do, in a line.
fn described(patches: &Patches) -> String {
    let [before, after] = patches.arena_bytes;
    match &patches.layers {
        None => "no patches: the arena is small enough without".into(),
        Some([first, last]) => format!(
            "{} patches from {first} to {last}: arena {before} to {after} bytes, {:.1} % more multiply-accumulates",
            patches.bands,
            patches.more_macs_percent()
        ),
    }
}

/// What a file takes of a region.
struct RegionUse<'a> {
    region: &'a Region,
    bytes: u32,
    /// Bytes that a run reads and writes there, and of those in all regions the part.
    touched_bytes: u64,
    touched_part: f64,
}

impl RegionUse<'_> {
    fn described(&self, what: &str) -> String {
        let Region { name, bytes } = self.region;
        match self.bytes {
            0 => format!("{name}: not used"),
            used => format!(
                "{name}: {used} of {bytes} bytes, {what}; {:.1} % of what is read and written",
                100.0 * self.touched_part
            ),
        }
    }
}

/// What a file takes of each region: of the first arena and states, of the second the far arena.
fn region_uses<'a>(regions: &'a [Region], built: &Built) -> Vec<RegionUse<'a>> {
    let plan = &built.plan;
    let bytes = [plan.arena_bytes.saturating_add(plan.state_bytes), plan.far_bytes];
    let all = plan.touched_bytes.iter().sum::<u64>().max(1) as f64;
    let uses = regions.iter().zip(bytes).zip(plan.touched_bytes);
    uses.map(|((region, bytes), touched_bytes)| RegionUse {
        region,
        bytes,
        touched_bytes,
        touched_part: touched_bytes as f64 / all,
    })
    .collect()
}

fn report(
    origin: &Origin,
    outputs: &[String],
    built: &Built,
    model: &Model<'_>,
    args: &Args,
    output: &Path,
) -> Report {
    let mut text = String::new();
    let writer = origin.writer.as_ref().map_or(String::new(), |writer| format!(", {writer}"));
    let _ = writeln!(text, "read     {}: {}{writer}", args.model.display(), origin.format);
    let _ = writeln!(text, "         {} {}, {} parameters", origin.units, origin.unit, origin.parameters);
    for dropped in &origin.dropped {
        let _ = writeln!(text, "         dropped {} ({})", dropped.name, size(dropped.bytes));
    }
    for note in &origin.notes {
        let _ = writeln!(text, "         {note}");
    }
    for change in &built.changes {
        let _ = writeln!(text, "{:<8} {}: {}", "did", change.pass, change.details.len());
        for detail in change.details.iter().filter(|_| args.trace) {
            let _ = writeln!(text, "         · {detail}");
        }
    }
    if let Some(weights) = &built.weights {
        let [float32, stored] = [weights.float32_bytes, weights.stored_bytes].map(size);
        let _ = writeln!(text, "         constants: {float32} as float32, {stored} as stored");
        for (output, snr_db) in outputs.iter().zip(&weights.snr_db) {
            let ratio = if snr_db.is_finite() { format!("{snr_db:.1} dB") } else { "exact".to_owned() };
            let _ = writeln!(text, "         output {output}: signal to noise {ratio}");
        }
    }
    let plan = &built.plan;
    let _ = writeln!(
        text,
        "         {} steps; {} in place, {} over their input, {} reshapes free",
        plan.steps.len(),
        plan.in_place,
        plan.over_input,
        plan.free_reshapes
    );
    let target = model.target();
    let bytes = size(built.file_bytes as u64);
    let _ = writeln!(text, "wrote    {}: {bytes}, for {}", output.display(), target.name());
    if args.target.is_none() && target == Target::Linux {
        let _ = writeln!(text, "         (for a board: --target cortex-m, or portable)");
    }
    let sections: Vec<(String, u32)> = model
        .sections()
        .iter()
        .filter_map(|s| Some((SectionKind::from_number(s.kind)?.name().to_owned(), s.bytes)))
        .collect();
    let largest: Vec<String> =
        sections.iter().map(|(name, bytes)| format!("{name} {}", size((*bytes).into()))).collect();
    let _ = writeln!(text, "         {}", largest.join(", "));
    let _ = writeln!(
        text,
        "         arena {} bytes (lower bound {}{}){}, {} multiply-accumulates",
        plan.arena_bytes,
        plan.lower_bound_bytes,
        match (plan.optimal, plan.order_optimal) {
            (true, true) => ", proved optimal",
            (true, false) => ", proved optimal for this order of steps",
            (false, _) => "",
        },
        if plan.state_bytes > 0 { format!(", state {} bytes", plan.state_bytes) } else { String::new() },
        model.header().macs
    );
    if let Some(patches) = &built.patches {
        let _ = writeln!(text, "         {}", described(patches));
    }
    let regions = region_uses(&args.region, built);
    for (used, what) in regions.iter().zip(["arena and states", "far arena"]) {
        let _ = writeln!(text, "         {}", used.described(what));
    }
    let checked = &built.checked;
    let _ = writeln!(
        text,
        "checked  {} goldens, {} receipts: largest difference {:.1e}",
        checked.cases, checked.receipts, checked.max_difference
    );
    if built.golden_share < 1.0 {
        let _ = writeln!(
            text,
            "         (of inputs from 1/{} of their likely range: beyond it, rounding decides what the model gives)",
            1.0 / built.golden_share
        );
    }
    let json = json!({
        "model": args.model,
        "output": output,
        "format": origin.format,
        "writer": origin.writer,
        (origin.unit): origin.units,
        "parameters": origin.parameters,
        "dropped": origin.dropped.iter().map(|d| json!({"name": d.name, "bytes": d.bytes})).collect::<Vec<_>>(),
        "notes": origin.notes,
        "passes": built.changes.iter().map(|c| json!({"pass": c.pass, "changes": c.details})).collect::<Vec<_>>(),
        "weights": built.weights.as_ref().map(|weights| json!({
            "format": weights.format.dtype().name(),
            "float32_bytes": weights.float32_bytes,
            "stored_bytes": weights.stored_bytes,
            "outputs": outputs.iter().zip(&weights.snr_db)
                .map(|(output, snr_db)| json!({"output": output, "snr_db": snr_db.is_finite().then_some(snr_db)}))
                .collect::<Vec<_>>(),
        })),
        "target": target.name(),
        "steps": plan.steps.len(),
        "in_place": plan.in_place,
        "over_input": plan.over_input,
        "free_reshapes": plan.free_reshapes,
        "file_bytes": built.file_bytes,
        "sections": sections.iter().map(|(n, b)| json!({"section": n, "bytes": b})).collect::<Vec<_>>(),
        "arena_bytes": plan.arena_bytes,
        "state_bytes": plan.state_bytes,
        "far_bytes": plan.far_bytes,
        "regions": regions.iter().map(|used| json!({
            "name": used.region.name,
            "bytes": used.region.bytes,
            "used_bytes": used.bytes,
            "touched_bytes": used.touched_bytes,
        })).collect::<Vec<_>>(),
        "arena_lower_bound_bytes": plan.lower_bound_bytes,
        "arena_optimal": plan.optimal,
        "order_optimal": plan.order_optimal,
        "patches": built.patches.as_ref().map(|patches| json!({
            "count": patches.bands,
            "layers": patches.layers,
            "arena_bytes_before": patches.arena_bytes[0],
            "arena_bytes_after": patches.arena_bytes[1],
            "macs_before": patches.macs[0],
            "macs_after": patches.macs[1],
            "more_macs_percent": patches.more_macs_percent(),
        })),
        "macs": model.header().macs,
        "goldens": checked.cases,
        "golden_share": built.golden_share,
        "receipts": checked.receipts,
        "max_difference": checked.max_difference,
    });
    Report::new(text, json)
}
