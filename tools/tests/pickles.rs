//! Pickles: models and weights by every recipe, hostile ones, and wrong bytes.
//!
//! Expected outputs are Keras' own; `data/pickles/make.py` made them.

mod assembled;
mod close;
mod corpus;
mod folders;
mod mutations;
mod unpacked;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use assembled::hostile;
use close::assert_close;
use corpus::corpus;
use flatpack::array::Array;
use flatpack::build::{Options, build};
use flatpack::data::load;
use flatpack::import::keras::{self, Layer, Network};
use flatpack::import::{Fault, ImportError, Source, open, open_bytes, survey};
use flatpack::predict::predict;
use flatpack_format::Model;
use folders::folders;
use tempfile::TempDir;
use unpacked::unpacked;

/// The files of `pickles.zip`, unpacked in a folder.
struct Unpacked {
    folder: TempDir,
    names: Vec<String>,
}

impl Unpacked {
    fn new() -> Self {
        let (folder, names) = unpacked("pickles/pickles.zip");
        Self { folder, names }
    }

    /// The pickles in a folder of the archive.
    fn pickles(&self, within: &str) -> Vec<PathBuf> {
        let names = self.names.iter().filter(|name| {
            let (folder, file) = name.rsplit_once('/').unwrap();
            folder == within && file.ends_with(".pkl")
        });
        names.map(|name| self.path(name)).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }
}

fn outputs(file: &Path, weights: Option<&Path>, inputs: &[Array]) -> Result<Vec<Array>, ImportError> {
    let rows = inputs[0].shape[0];
    let options = keras::Options { batch: Some(rows), ..keras::Options::default() };
    let (graph, _) = open(file, weights)?.graph(&options)?;
    let built = build(graph, &Options::default()).unwrap();
    Ok(predict(Model::parse(built.bytes()).unwrap(), inputs).unwrap())
}

fn npy(file: &Path) -> Array {
    load(file).unwrap().remove(0).1
}

#[test]
fn models_by_every_recipe_compute_what_keras_does() {
    let files = Unpacked::new();
    for (folder, count) in [("models", 21), ("classifier", 1)] {
        let side = |name: &str| npy(&files.path(&format!("{folder}/{name}.npy")));
        let pickles = files.pickles(folder);
        assert_eq!(pickles.len(), count, "{pickles:?}");
        for file in pickles {
            let computed = outputs(&file, None, &[side("x")]).unwrap_or_else(|error| panic!("{error}"));
            assert_close(&computed, &[side("y")], &file);
        }
    }
}

#[test]
fn weights_by_every_recipe_go_with_their_architecture() {
    let files = Unpacked::new();
    for (folder, count) in [("norms", 21), ("nested", 6), ("nested_keras2", 6), ("half", 1)] {
        let of = |name: &str| files.path(&format!("weights/{folder}/{name}"));
        let pickles = files.pickles(&format!("weights/{folder}"));
        assert_eq!(pickles.len(), count, "{pickles:?}");
        for file in pickles {
            let computed = outputs(&of("model.json"), Some(&file), &[npy(&of("x.npy"))]);
            assert_close(&computed.unwrap_or_else(|error| panic!("{error}")), &[npy(&of("y.npy"))], &file);
        }
    }
}

#[test]
fn a_survey_lists_what_pickled_weights_name() {
    let files = Unpacked::new();
    let of = |name: &str| files.path(&format!("weights/norms/{name}"));
    for file in files.pickles("weights/norms") {
        let found = survey(&of("model.json"), Some(&file), &keras::Options::default()).unwrap();
        assert_eq!(found.format, "architecture and weights", "{file:?}");
        assert!(found.refusals.is_empty(), "{file:?}: {:?}", found.refusals);
        // Lists of numbers need no names.
        let is_of_lists = file.file_name().unwrap().to_string_lossy().starts_with("lists");
        let names = found.named.iter().any(|named| named.name.contains("numpy") && named.is_known);
        assert_eq!(names, !is_of_lists, "{file:?}: {:?}", found.named);
    }
}

#[test]
fn an_architecture_in_yaml_is_read_like_that_in_json() {
    let files = Unpacked::new();
    let of = |name: &str| files.path(&format!("weights/nested_keras2/{name}"));
    let computed = outputs(&of("model.yaml"), Some(&of("list_protocol_5.pkl")), &[npy(&of("x.npy"))]);
    assert_close(&computed.unwrap(), &[npy(&of("y.npy"))], &of("model.yaml"));
}

#[test]
fn doubles_are_said_to_be_some() {
    let files = Unpacked::new();
    let of = |name: &str| files.path(&format!("weights/norms/{name}"));
    let notes = |weights: &str| match open(&of("model.json"), Some(&of(weights))).unwrap() {
        Source::Keras(saved) => saved.notes,
        other => panic!("{other:?}"),
    };
    let said = "12 arrays of weights are float64; their values are kept exactly as float32";
    assert_eq!(notes("float64.pkl"), [said]);
    assert_eq!(notes("list_protocol_5.pkl"), Vec::<String>::new());
}

#[test]
fn what_is_no_model_is_called_what_it_is() {
    let files = Unpacked::new();
    let cases = [
        ("weights_alone", "12 arrays of weights and no architecture", "--architecture model.json"),
        ("objects", "a list of 1", "model.save"),
        ("two_models", "a list of 2", "model.save"),
        ("data", "a dictionary with `a`, `c`", "model.save"),
        ("out_of_band", "buffers are out of band", "buffer_callback"),
        ("joblib_bz2", "a bzip2 stream", "bunzip2"),
        ("joblib_lzma", "an xz or LZMA stream", "unxz"),
        ("joblib_xz", "an xz or LZMA stream", "unxz"),
    ];
    assert_eq!(files.pickles("refused").len(), cases.len());
    for (name, found, remedy) in cases {
        let error = open(&files.path(&format!("refused/{name}.pkl")), None).unwrap_err();
        assert!(error.to_string().contains(found), "{name}: {error}");
        assert!(error.fault.remedy().is_some_and(|said| said.contains(remedy)), "{name}: {error}");
    }
}

#[test]
fn too_few_or_other_arrays_are_told_from_the_right_ones() {
    let files = Unpacked::new();
    for (architecture, weights) in [("norms", "nested"), ("nested", "norms"), ("half", "nested")] {
        let [architecture, weights] = [
            format!("weights/{architecture}/model.json"),
            format!("weights/{weights}/{}", "list_protocol_4.pkl"),
        ]
        .map(|name| files.path(&name));
        let saved = keras::open(&architecture, Some(&weights)).unwrap();
        let error = saved.network().unwrap_err();
        assert!(matches!(*error.fault, Fault::Weights { .. }), "{error}");
    }
}

/// The arrays of all layers, in order.
fn arrays(network: &Network) -> Vec<Array> {
    fn walk(layers: &[Layer], found: &mut Vec<Array>) {
        for layer in layers {
            found.extend(layer.weights.iter().map(|weight| Array::clone(&weight.array)));
            walk(layer.inner.layers(), found);
        }
    }
    let mut found = Vec::new();
    walk(&network.layers, &mut found);
    found
}

#[test]
fn pickles_of_the_corpus_have_the_weights_of_the_files_beside_them() {
    let Some(corpus) = corpus() else { return };
    let network = |file: &Path| {
        let network = keras::open(file, None).and_then(|saved| saved.network());
        network.unwrap_or_else(|error| panic!("{error}"))
    };
    let trained = folders(&corpus.join("trained"));
    let mut pairs: Vec<(PathBuf, PathBuf)> =
        trained.iter().map(|case| (case.join("model.pkl"), case.join("model.keras"))).collect();
    for case in folders(&corpus.join("open")) {
        let name = case.file_name().unwrap().to_str().unwrap();
        // `pickle_k3_NAME` and `pickle_k3_NAME_proto2` are `NAME` once more.
        let of = name.strip_prefix("pickle_k").and_then(|rest| rest.split_once('_'));
        let Some((_, of)) = of else { continue };
        let original = case.with_file_name(of.trim_end_matches("_proto2"));
        let file =
            ["model.h5", "model.keras"].map(|name| original.join(name)).into_iter().find(|f| f.is_file());
        pairs.extend(file.map(|file| (case.join("model.pkl"), file)));
    }
    for (pickle, original) in &pairs {
        assert_eq!(arrays(&network(pickle)), arrays(&network(original)), "{pickle:?}");
    }
    assert!(pairs.len() >= 10, "{}", pairs.len());
}

#[test]
fn the_hostile_pickle_of_the_corpus_makes_no_folder() {
    let Some(corpus) = corpus() else { return };
    let marker = std::env::temp_dir().join("flatpack_pickle_executed");
    assert!(!marker.exists(), "{marker:?} is there already");
    let error = open(&corpus.join("open/pickle_hostile_marker/model.pkl"), None).unwrap_err();
    assert!(
        error.to_string().ends_with("refused: it calls `posix.mkdir` (at byte 54713); nothing was run"),
        "{error}"
    );
    assert!(!marker.exists());
}

/// What a hostile pickle may take, where nothing else is in the process.
const MAX_PEAK_KIB: u64 = 256 << 10;
/// Builds that check every addition take many times longer than those that users have.
const MAX_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 3 } else { 1 });

#[test]
fn hostile_pickles_are_refused_soon_and_in_little_memory() {
    let files = Unpacked::new();
    let cases = hostile(&files.bytes("models/keras3_protocol_4.pkl"));
    assert!(cases.len() >= 40, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let path = files.path("hostile.pkl");
        fs::write(&path, &case.bytes).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "reads_one_file", "--ignored", "--nocapture"])
            .env(FILE, &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{}: {said}{}", case.name, String::from_utf8_lossy(&child.stderr));
        let said: BTreeMap<&str, &str> = said.lines().filter_map(|line| line.split_once("=")).collect();
        let message = said["message"];
        if !message.contains(&case.expected) || message.len() >= 1000 || message.contains('\u{1b}') {
            wrong.push(format!("{}: {message}, expected {}", case.name, case.expected));
        }
        let nanoseconds = said["nanoseconds"].parse().unwrap();
        assert!(Duration::from_nanos(nanoseconds) < MAX_TIME, "{}: {nanoseconds} ns", case.name);
        if let Some(peak) = said.get("peak_kib") {
            assert!(peak.parse::<u64>().unwrap() < MAX_PEAK_KIB, "{}: {peak} KiB", case.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names the file that [`reads_one_file`] reads.
const FILE: &str = "FLATPACK_READ";

/// Not a test but the process that reads a hostile file: says what came of it, how much time it had on a processor, and
/// the most memory.
#[test]
#[ignore = "runs in a process of its own"]
fn reads_one_file() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let before = time_on_processor();
    let read =
        open(Path::new(&file), None).and_then(|source| source.graph(&keras::Options::default()).map(drop));
    println!("\nnanoseconds={}", time_on_processor() - before);
    match read {
        Ok(()) => println!("message=read"),
        Err(error) => println!("message={}", error.to_string().replace('\n', " ")),
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    peak.inspect(|peak| println!("peak_kib={peak}"));
}

/// Nanoseconds that this thread was on a processor; since it began, where the system does not say.
fn time_on_processor() -> u64 {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    let said = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let said = said.and_then(|text| text.split_whitespace().next()?.parse().ok());
    said.unwrap_or_else(|| START.elapsed().as_nanos() as u64)
}

/// What reading these bytes gives.
fn read(bytes: Vec<u8>) -> Result<(), ImportError> {
    open_bytes(Path::new("model.pkl"), bytes, None)?.graph(&keras::Options::default()).map(drop)
}

#[test]
fn soups_of_opcodes_are_refused() {
    for seed in 0..3000 {
        let length = 16 + seed as usize % 300;
        let zeros = [vec![0x80, 4], vec![0; length], vec![b'.']].concat();
        let soup = (0..20).fold(zeros, |bytes, round| mutations::mutated(&bytes, seed, round));
        assert!(read(soup).is_err(), "seed {seed}");
    }
}

#[test]
fn wrong_bytes_are_refused_or_read_and_never_panic() {
    let files = Unpacked::new();
    let count = std::env::var("FLATPACK_MUTATIONS").map_or(60, |text| text.parse().unwrap());
    let mut refused = 0;
    for name in
        ["keras3_protocol_4", "unpack_protocol_0", "unpack_protocol_5", "joblib_zlib", "getstate_protocol_2"]
    {
        let whole = files.bytes(&format!("models/{name}.pkl"));
        for number in 0..count {
            refused += u64::from(read(mutations::mutated(&whole, 1, number)).is_err());
        }
    }
    assert!(refused > 0 && refused < 5 * count, "{refused}");
}
