//! Builds every model of a corpus, runs it on recorded inputs, and compares with what Keras or
//! TensorFlow Lite gave.
//!
//! `cargo run -p flatpack --example scoreboard -- CORPUS [--verbose]`
//!
//! A corpus has folders `open`, `layers/*` and `trained`, with a folder per model: `model.h5` (or
//! `model.json` and `model_weights.h5`), `model.keras`, `model.pkl`, `model.tflite`, or a SavedModel in `model` or
//! `saved_model`, or several of these, `input_N.npy` and `output_N.npy` or `test.npz`, and `info.json`, whose `expect` says where reading must be refused. Where all inputs and
//! outputs of a `.tflite` are integers, `tflm_output_N.npy` must be met exactly.

use comfy_table::{Table, presets};
use flatpack::array::Array;
use flatpack::build::{self, Goldens, Options};
use flatpack::data;
use flatpack::graph::{Data, Tensor};
use flatpack::import::{self, Source, keras};
use flatpack::predict::{self, Outputs};
use flatpack_format::{DType, Model};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What became of one model.
enum Verdict {
    Passed { difference: f32, limit: f32, arena_bytes: u32, lower_bound_bytes: u32, optimal: bool, macs: u64 },
    RefusedAsExpected(String),
    Skipped(String),
    Failed(String),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let verbose = arguments.iter().any(|a| a == "--verbose");
    let Some(corpus) = arguments.iter().find(|a| !a.starts_with("--")) else {
        eprintln!("usage: scoreboard CORPUS [--verbose]");
        return ExitCode::from(2);
    };
    let corpus = PathBuf::from(corpus);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["model", "largest difference", "allowed", "arena", "lower bound", "MACs"]);
    let (mut passed, mut close, mut refused, mut skipped, mut failed) = (0, 0, 0, Vec::new(), Vec::new());
    for folder in ["trained", "open", "layers/keras3", "layers/keras2"] {
        for entry in folders(&corpus.join(folder)) {
            let entry_name = format!("{folder}/{}", entry.file_name().unwrap_or_default().to_string_lossy());
            let models = models(&entry);
            if models.is_empty() {
                skipped.push((entry_name.clone(), "a container that is not read".to_owned()));
            }
            for model in models {
                let kind = model.0.extension().unwrap_or("SavedModel".as_ref());
                let name = format!("{entry_name} {}", kind.to_string_lossy());
                match judge(&entry, &model) {
                    Verdict::Passed { difference, limit, arena_bytes, lower_bound_bytes, optimal, macs } => {
                        passed += 1;
                        close += usize::from(difference <= 1e-5);
                        table.add_row([
                            name,
                            format!("{difference:.1e}"),
                            format!("{limit:.1e}"),
                            arena_bytes.to_string(),
                            format!("{lower_bound_bytes}{}", if optimal { "" } else { " (not proved)" }),
                            macs.to_string(),
                        ]);
                    }
                    Verdict::RefusedAsExpected(why) => {
                        refused += 1;
                        println!("refused as expected: {name}: {why}");
                    }
                    Verdict::Skipped(why) => skipped.push((name, why)),
                    Verdict::Failed(why) => failed.push((name, why)),
                }
            }
        }
    }
    if verbose {
        println!("{table}");
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    skipped.iter().for_each(|(_, why)| *reasons.entry(why).or_default() += 1);
    for (why, count) in reasons {
        println!("skipped, {count}: {why}");
    }
    for (name, why) in &failed {
        println!("FAILED: {name}: {why}");
    }
    println!(
        "scoreboard: {passed} equal Keras or TensorFlow Lite ({close} of them within 1e-5), {refused} refused as expected"
    );
    println!("{passed} passed, {} failed, {} skipped", failed.len(), skipped.len());
    ExitCode::from(u8::from(!failed.is_empty()))
}

fn folders(within: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(within).map(|e| e.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let mut found: Vec<PathBuf> =
        entries.iter().map(|e| e.path()).filter(|p| p.join("info.json").is_file()).collect();
    found.sort();
    found
}

/// The models of an entry, which are one model in several containers, and weights that are apart.
fn models(entry: &Path) -> Vec<(PathBuf, Option<PathBuf>)> {
    let whole = ["model.h5", "model.keras", "model.pkl", "model.tflite", "model", "saved_model"];
    let apart = (entry.join("model.json"), Some(entry.join("model_weights.h5")));
    let whole = whole.map(|name| (entry.join(name), None)).into_iter();
    let found: Vec<_> = whole.filter(|(model, _)| model.exists()).collect();
    if found.is_empty() && apart.0.is_file() { vec![apart] } else { found }
}

fn judge(entry: &Path, (model, weights): &(PathBuf, Option<PathBuf>)) -> Verdict {
    let info: serde_json::Value = std::fs::read_to_string(entry.join("info.json"))
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let expect = info["expect"].as_str().unwrap_or("");
    let graph = import::open(model, weights.as_deref()).and_then(|source| {
        let mut options = keras::Options::default();
        if let Source::Keras(saved) = &source {
            let network = saved.network()?;
            options.input_shapes = open_shapes(entry, &network);
        }
        Ok(source.graph(&options)?.0)
    });
    let graph = match graph {
        Ok(graph) if expect.contains("refuse") => {
            return Verdict::Failed(format!("{} nodes were read; expected: {expect}", graph.nodes.len()));
        }
        Ok(graph) => graph,
        Err(error) => {
            let text = error.to_string();
            let reason = text.strip_prefix(&format!("{}: ", model.display())).unwrap_or(&text).to_owned();
            // The word of the expectation that says why.
            let stated = [
                "Lambda",
                "LFS",
                "ConvDNA",
                "weights",
                "edgetpu-custom-op",
                "Convolution2DTransposeBias",
                "posix.mkdir",
            ]
            .into_iter()
            .find(|word| expect.contains(word));
            return match stated {
                Some(word) if reason.contains(word) => Verdict::RefusedAsExpected(reason),
                Some(word) => Verdict::Failed(format!("refused for another reason than {word}: {reason}")),
                None => Verdict::Failed(reason),
            };
        }
    };
    let has_bytes = |tensor: &Tensor| matches!(tensor.data, Some(Data::I8(_) | Data::U8(_)));
    let is_hybrid = !graph.has_integers() && graph.tensors.iter().any(has_bytes);
    let options = Options { goldens: Goldens::Predicted(1), strip: true, ..Options::default() };
    let built = match build::build(graph, &options) {
        Ok(built) => built,
        Err(error) => return Verdict::Failed(error.to_string()),
    };
    match compare(entry, &built) {
        Ok((difference, limit)) if difference > limit && is_hybrid => Verdict::Skipped(format!(
            "TensorFlow Lite quantises activations as it runs, which is not copied: {difference:.1e} apart"
        )),
        Ok((difference, limit)) if difference <= limit => Verdict::Passed {
            difference,
            limit,
            arena_bytes: built.plan.arena_bytes,
            lower_bound_bytes: built.plan.lower_bound_bytes,
            optimal: built.plan.optimal,
            macs: Model::parse(built.bytes()).map_or(0, |m| m.header().macs),
        },
        Ok((difference, limit)) => {
            Verdict::Failed(format!("differs by {difference:.2e}, allowed {limit:.2e}"))
        }
        Err(error) => Verdict::Failed(error),
    }
}

/// Extents of the inputs that the model leaves open: those of the recorded inputs.
fn open_shapes(entry: &Path, network: &keras::Network) -> Vec<(String, Vec<usize>)> {
    let recorded = recorded(entry).map(|(inputs, _)| inputs).unwrap_or_default();
    let open = |input: &keras::Input| {
        input.shape.as_ref().is_none_or(|shape| shape.iter().skip(1).any(Option::is_none))
    };
    let inputs = network.inputs.iter().zip(recorded).filter(|(input, _)| open(input));
    inputs.map(|(input, array)| (input.name.clone(), array.shape[1..].to_vec())).collect()
}

/// The largest difference from the recorded outputs, and what is allowed: 10⁻⁴ · max(1, max |output|),
/// or nothing where all is integers.
fn compare(entry: &Path, built: &build::Built) -> Result<(f32, f32), String> {
    let (inputs, mut wanted) = recorded(entry)?;
    let model = Model::parse(built.bytes()).map_err(|error| error.to_string())?;
    let of_integers = model.inputs().chain(model.outputs()).all(|tensor| tensor.dtype() != DType::F32);
    let exact = if of_integers { numbered(entry, "tflm_output")? } else { Vec::new() };
    let is_exact = !exact.is_empty();
    if is_exact {
        wanted = exact;
    }
    let outputs = predict::predict_as(model, &inputs, Outputs::Raw).map_err(|error| error.to_string())?;
    if outputs.len() != wanted.len() {
        return Err(format!("{} outputs, {} recorded", outputs.len(), wanted.len()));
    }
    let (mut difference, mut largest) = (0.0f32, 1.0f32);
    for (output, want) in outputs.iter().zip(&wanted) {
        if output.len() != want.len() {
            return Err(format!("output of shape {:?}, recorded {:?}", output.shape, want.shape));
        }
        for (got, want) in output.values.iter().zip(&want.values) {
            let apart = (got - want).abs();
            difference = if apart.is_nan() { f32::INFINITY } else { difference.max(apart) };
            largest = largest.max(want.abs());
        }
    }
    Ok((difference, if is_exact { 0.0 } else { 1e-4 * largest }))
}

fn recorded(entry: &Path) -> Result<(Vec<Array>, Vec<Array>), String> {
    if entry.join("test.npz").is_file() {
        let arrays = data::load(&entry.join("test.npz")).map_err(|error| error.to_string())?;
        let named = |name: &str| arrays.iter().find(|(n, _)| n == name).map(|(_, array)| array.clone());
        let x = named("x").ok_or("no array x")?;
        return Ok((vec![x], vec![named("keras").ok_or("no array keras")?]));
    }
    Ok((numbered(entry, "input")?, numbered(entry, "output")?))
}

/// The arrays `SIDE_0.npy`, `SIDE_1.npy`, … of an entry.
fn numbered(entry: &Path, side: &str) -> Result<Vec<Array>, String> {
    (0..)
        .map(|number| entry.join(format!("{side}_{number}.npy")))
        .take_while(|path| path.is_file())
        .map(|path| Ok(data::load(&path).map_err(|error| error.to_string())?.remove(0).1))
        .collect()
}
