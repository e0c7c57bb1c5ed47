//! `.keras` archives: of every version of Keras that differs, hostile ones, and other zip archives.
//!
//! Expected outputs are Keras' own; `data/keras_archives/make.py` made them.

mod close;
mod corpus;
mod folders;
mod mutations;

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use close::assert_close;
use corpus::corpus;
use flatpack::array::Array;
use flatpack::build::{Options, build};
use flatpack::data::load;
use flatpack::import::keras::{self, Layer, Network};
use flatpack::import::{Fault, ImportError, Source, open};
use flatpack::predict::predict;
use flatpack_format::Model;
use folders::folders;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keras_archives")
}

/// Names, classes and arrays of all layers, by path.
fn arrays(network: &Network) -> Vec<(String, String, Vec<Array>)> {
    fn walk(path: &str, layers: &[Layer], found: &mut Vec<(String, String, Vec<Array>)>) {
        for layer in layers {
            let path = format!("{path}/{}", layer.name);
            walk(&path, layer.inner.layers(), found);
            let arrays = layer.weights.iter().map(|weight| Array::clone(&weight.array)).collect();
            found.push((path, layer.class.clone(), arrays));
        }
    }
    let mut found = Vec::new();
    walk("", &network.layers, &mut found);
    found
}

fn network(file: &Path) -> Network {
    let network = keras::open(file, None).and_then(|saved| saved.network());
    network.unwrap_or_else(|error| panic!("{error}"))
}

fn outputs(file: &Path, weights: Option<&Path>, inputs: &[Array]) -> Result<Vec<Array>, ImportError> {
    let (graph, _) = open(file, weights)?.graph(&keras::Options::default())?;
    let built = build(graph, &Options::default()).unwrap();
    Ok(predict(Model::parse(built.bytes()).unwrap(), inputs).unwrap())
}

fn npy(folder: &Path, side: &str) -> Vec<Array> {
    let files =
        (0..).map(|number| folder.join(format!("{side}_{number}.npy"))).take_while(|file| file.is_file());
    files.map(|file| load(&file).unwrap().remove(0).1).collect()
}

#[test]
fn archives_of_every_version_give_what_keras_computed() {
    let mut compared = 0;
    for case in folders(&data()).iter().flat_map(|version| folders(version)) {
        let file = case.join("model.keras");
        let h5 = case.join("model.h5");
        if h5.is_file() {
            assert_eq!(arrays(&network(&file)), arrays(&network(&h5)), "{case:?}");
        }
        match outputs(&file, None, &npy(&case, "input")) {
            Ok(computed) => assert_close(&computed, &npy(&case, "output"), &case),
            Err(error) => {
                assert!(matches!(*error.fault, Fault::Unsupported { .. }) && h5.is_file(), "{error}");
                continue;
            }
        }
        compared += 1;
    }
    assert!(compared >= 10, "{compared}");
}

#[test]
fn variables_in_groups_named_as_on_windows_are_found() {
    let expected = data().join("2.13.1/nested");
    let computed = outputs(&data().join("windows/model.keras"), None, &npy(&expected, "input")).unwrap();
    assert_close(&computed, &npy(&expected, "output"), &expected);
}

#[test]
fn a_file_of_weights_in_their_places_goes_with_its_architecture() {
    let case = data().join("2.13.1/nested");
    let (model, weights) = (case.join("apart.json"), case.join("apart.weights.h5"));
    let computed = outputs(&model, Some(&weights), &npy(&case, "input")).unwrap();
    assert_close(&computed, &npy(&case, "output"), &case);

    let other = data().join("2.13.1/nested/model.h5");
    let error = outputs(&other, Some(&weights), &[]).unwrap_err();
    assert!(error.fault.remedy().unwrap().contains("leave `--weights` out"), "{error}");
}

#[test]
fn both_containers_of_a_trained_model_predict_the_same() {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pairs = vec![(tools.join("examples/digits_mlp/model.h5"), data().join("digits_mlp.keras"))];
    if let Some(corpus) = corpus() {
        pairs.extend(
            folders(&corpus.join("trained")).iter().map(|f| (f.join("model.h5"), f.join("model.keras"))),
        );
    }
    let mut predicted = 0;
    for (h5, archive) in pairs {
        assert_eq!(arrays(&network(&h5)), arrays(&network(&archive)), "{archive:?}");
        let test = load(&h5.with_file_name("test.npz")).unwrap();
        let x = &test.iter().find(|(name, _)| name == "x").unwrap().1;
        match outputs(&archive, None, std::slice::from_ref(x)) {
            Ok(computed) => {
                assert_eq!(computed, outputs(&h5, None, std::slice::from_ref(x)).unwrap(), "{archive:?}");
                predicted += 1;
            }
            Err(error) => assert!(matches!(*error.fault, Fault::Unsupported { .. }), "{error}"),
        }
    }
    assert!(predicted > 0);
}

#[test]
fn both_containers_of_each_layer_of_the_corpus_hold_the_same() {
    let Some(corpus) = corpus() else { return };
    let mut compared = 0;
    for case in ["keras2", "keras3"].iter().flat_map(|version| folders(&corpus.join("layers").join(version)))
    {
        assert_eq!(
            arrays(&network(&case.join("model.keras"))),
            arrays(&network(&case.join("model.h5"))),
            "{case:?}"
        );
        compared += 1;
    }
    assert_eq!(compared, 246);
}

/// The files of an archive, by name.
type Files = Vec<(String, Vec<u8>)>;

fn unpacked(file: &Path) -> Files {
    let mut zip = ZipArchive::new(fs::File::open(file).unwrap()).unwrap();
    let count = zip.len();
    let read = |at| {
        let mut file = zip.by_index(at).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        (file.name().to_owned(), bytes)
    };
    (0..count).map(read).collect()
}

fn packed(files: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What reading these bytes gives, under any name.
fn read(name: &str, bytes: &[u8]) -> Result<(), ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, bytes).unwrap();
    open(&file, None)?.graph(&keras::Options::default()).map(|_| ())
}

#[test]
fn a_file_is_what_its_bytes_are() {
    let case = data().join("2.13.1/nested");
    let h5 = fs::read(case.join("model.h5")).unwrap();
    read("model.keras", &h5).unwrap();
    let files = unpacked(&case.join("model.keras"));
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        read("model.h5", &packed(&files, method)).unwrap();
    }
}

#[test]
fn no_file_is_too_large_that_is_not_read_as_text() {
    let mut files = unpacked(&data().join("digits_mlp.keras"));
    files.push(("assets/embeddings.bin".into(), vec![1; 20 << 20]));
    read("model.keras", &packed(&files, CompressionMethod::Stored)).unwrap();
}

#[test]
fn another_zip_archive_is_called_what_it_is() {
    let cases: [(&[&str], &str); 9] = [
        (&["x.npy", "y.npy"], "NumPy archive"),
        (&["m/saved_model.pb", "m/variables/variables.index"], "damaged SavedModel"),
        (&["archive/data.pkl", "archive/data/0"], "a PyTorch model"),
        (&["best/model.h5"], "with `best/model.h5`"),
        (&["m/config.json", "m/model.weights.h5"], "an unpacked .keras archive"),
        (&["config.json", "model.weights.npz"], "`model.weights.npz`, which holds Python pickles"),
        (&["config.json", "metadata.json"], "without `model.weights.h5`"),
        (&["word/document.xml"], "with `word/document.xml`"),
        (&[], "an empty zip archive"),
    ];
    for (names, expected) in cases {
        let files: Files = names.iter().map(|name| ((*name).to_owned(), b"{}".to_vec())).collect();
        let error = read("model.keras", &packed(&files, CompressionMethod::Stored)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.fault.remedy().is_some_and(|remedy| !remedy.is_empty()), "{error}");
    }
}

/// `digits_mlp.keras` with another architecture.
fn with_config(edit: impl FnOnce(&mut Value)) -> Result<(), ImportError> {
    let mut files = unpacked(&data().join("digits_mlp.keras"));
    let (_, text) = files.iter_mut().find(|(name, _)| name == "config.json").unwrap();
    let mut config: Value = serde_json::from_slice(text).unwrap();
    edit(&mut config);
    *text = serde_json::to_vec(&config).unwrap();
    read("model.keras", &packed(&files, CompressionMethod::Stored))
}

/// Puts `layer` in front of the layers of `digits_mlp`, behind its input.
fn with_layer(layer: Value) -> String {
    let error = with_config(|config| {
        config["config"]["layers"].as_array_mut().unwrap().insert(1, layer);
    });
    error.unwrap_err().to_string()
}

/// Each layer is what a public advisory describes, with a file in the system's place that is not made
/// where nothing is run.
#[test]
fn architectures_that_name_code_are_refused_by_layer() {
    let told = std::env::temp_dir().join(format!("flatpack_keras_archives_{}", std::process::id()));
    let command = format!("touch {}", told.display());
    let lambda = json!({"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": null, "closure": null}});
    let layer = |module: &str, class: &str, config: Value| json!({"module": module, "class_name": class, "config": config, "registered_name": null, "name": "evil"});
    let dense = |key: &str, value: Value| {
        let mut config = json!({"name": "evil", "units": 64, "trainable": true, "dtype": "float32"});
        config[key] = value;
        layer("keras.layers", "Dense", config)
    };
    let function = |module: &str, name: &str| json!({"module": module, "class_name": "function", "config": name, "registered_name": name});
    let cases = [
        // CVE-2024-3660, CVE-2025-9905: bytecode in a Lambda.
        (layer("keras.layers", "Lambda", json!({"name": "evil", "function": lambda})), "Python code"),
        // CVE-2025-1550: any function of any module, in place of a layer and in a layer.
        (
            json!({"module": "os", "class_name": "function", "config": "system", "registered_name": "system",
                   "name": "evil", "inbound_nodes": [{"args": [command], "kwargs": {}}]}),
            "the Python function `os.system` in place of a layer",
        ),
        (
            layer("subprocess", "Popen", json!({"name": "evil", "args": ["touch", told]})),
            "`Popen` of the Python module `subprocess`",
        ),
        (dense("activation", function("os", "system")), "the Python function `os.system` as `activation`"),
        (dense("activation", lambda.clone()), "Python bytecode as `activation`"),
        (dense("build_hook", json!([{"deep": function("builtins2", "exec")}])), "`builtins2.exec` as `deep`"),
        // CVE-2025-8747, CVE-2025-9906: functions of Keras itself that fetch files and switch checks off.
        (
            layer("keras.utils", "function", json!("get_file")),
            "the Python function `keras.utils.get_file` in place of a layer",
        ),
        (
            layer("keras.config", "function", json!("enable_unsafe_deserialization")),
            "`keras.config.enable_unsafe_deserialization` in place of a layer",
        ),
        (dense("activation", function("keras.utils", "get_file")), "`keras.utils.get_file` as `activation`"),
        // CVE-2026-1462: a SavedModel elsewhere.
        (
            layer("keras.layers", "TFSMLayer", json!({"name": "evil", "filepath": "//host/saved_model"})),
            "a SavedModel outside this file",
        ),
        // A pickle of another framework.
        (
            layer("keras.layers", "TorchModuleWrapper", json!({"name": "evil", "module": "gASV"})),
            "another framework",
        ),
        // CVE-2025-12058: a vocabulary that is read from a path or fetched from a URL.
        (
            layer(
                "keras.layers",
                "StringLookup",
                json!({"name": "evil", "vocabulary": "http://host/etc/passwd"}),
            ),
            "the layer StringLookup",
        ),
        // A class of one's own under the name of a known one.
        (
            layer("mine.layers", "Dense", json!({"name": "evil", "units": 64})),
            "`Dense` of the Python module `mine.layers`",
        ),
        (
            json!({"module": "mine", "class_name": "Dense", "registered_name": "mine>Dense", "name": "evil",
                   "config": {"name": "evil", "units": 64}}),
            "the custom layer `mine>Dense`",
        ),
        (
            layer("mine", "Sequential", json!({"name": "evil", "layers": []})),
            "`Sequential` of the Python module `mine`",
        ),
    ];
    for (layer, expected) in cases {
        let error = with_layer(layer);
        assert!(error.contains("layer `evil`") && error.contains(expected), "{error}");
    }
    assert!(!told.exists());
}

#[test]
fn a_model_of_a_foreign_class_is_refused() {
    let error = with_config(|config| config["module"] = "mine".into()).unwrap_err();
    assert!(error.to_string().contains("a model of the class"), "{error}");
}

/// What only training takes is not read, and nobody is to wonder.
#[test]
fn foreign_initializers_are_named_and_do_no_harm() {
    let mut files = unpacked(&data().join("digits_mlp.keras"));
    let (_, text) = files.iter_mut().find(|(name, _)| name == "config.json").unwrap();
    let mut config: Value = serde_json::from_slice(text).unwrap();
    let layers = config["config"]["layers"].as_array_mut().unwrap();
    let dense = layers.iter_mut().find(|layer| layer["class_name"] == "Dense").unwrap();
    dense["config"]["kernel_initializer"] =
        json!({"module": "os", "class_name": "function", "config": "system"});
    *text = serde_json::to_vec(&config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.keras");
    fs::write(&file, packed(&files, CompressionMethod::Stored)).unwrap();
    let Source::Keras(saved) = open(&file, None).unwrap() else { panic!("not of Keras") };
    let note = "`kernel_initializer` is the Python function `os.system`, which only training needs: not read";
    assert!(saved.notes.iter().any(|found| found.ends_with(note)), "{:?}", saved.notes);
    saved.network().unwrap();
}

#[test]
fn a_vocabulary_that_leads_out_of_the_archive_is_not_looked_at() {
    let mut files = unpacked(&data().join("digits_mlp.keras"));
    files.push(("assets/../../../../tmp/flatpack_escape".into(), b"x".to_vec()));
    files.push(("/flatpack_escape".into(), b"x".to_vec()));
    read("model.keras", &packed(&files, CompressionMethod::Stored)).unwrap();
    assert!(!Path::new("/tmp/flatpack_escape").exists() && !Path::new("/flatpack_escape").exists());
}

#[test]
fn weights_that_no_layer_or_another_one_has_are_refused() {
    let mut files = unpacked(&data().join("digits_mlp.keras"));
    let other = unpacked(&data().join("2.13.1/wrapped/model.keras"));
    let weights =
        |files: &Files| files.iter().find(|(name, _)| name == "model.weights.h5").unwrap().1.clone();
    for file in &mut files {
        if file.0 == "model.weights.h5" {
            file.1 = weights(&other);
        }
    }
    let error = read("model.keras", &packed(&files, CompressionMethod::Stored)).unwrap_err();
    assert!(matches!(*error.fault, Fault::Weights { .. }), "{error}");
}

#[test]
fn wrong_bytes_are_refused_or_read_and_never_panic() {
    let files = unpacked(&data().join("2.13.1/nested/model.keras"));
    let whole = [CompressionMethod::Stored, CompressionMethod::Deflated].map(|method| packed(&files, method));
    let count = std::env::var("FLATPACK_MUTATIONS").map_or(150, |text| text.parse().unwrap());
    let mut refused = 0;
    for (seed, whole) in whole.iter().enumerate() {
        for number in 0..count {
            let bytes = mutations::mutated(whole, seed as u64, number);
            refused += usize::from(read("model.keras", &bytes).is_err());
        }
    }
    assert!(refused > 0);
}
