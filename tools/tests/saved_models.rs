//! SavedModels: in folders and archives, by Keras' description and by their graphs; damaged and refused ones.
//!
//! Expected outputs are TensorFlow's own; `data/saved_models/make.py` made them.

mod close;
mod corpus;

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use close::assert_close;
use corpus::corpus;
use flatpack::array::Array;
use flatpack::build::{Goldens, Options, build};
use flatpack::data::load;
use flatpack::import::{ImportError, keras, open};
use flatpack::predict::predict;
use flatpack_format::{Model, OpCode};
use tempfile::TempDir;
use zip::{ZipArchive, ZipWriter};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/saved_models")
}

fn outputs(file: &Path, inputs: &[Array], options: &keras::Options) -> Result<Vec<Array>, ImportError> {
    let (graph, _) = open(file, None)?.graph(options)?;
    let built = build(graph, &Options::default()).unwrap();
    Ok(predict(Model::parse(built.bytes()).unwrap(), inputs).unwrap())
}

/// The arrays called `input_0`, `input_1`, … or `output_0`, … in an archive of arrays.
fn side(file: &Path, side: &str) -> Vec<Array> {
    let arrays = load(file).unwrap();
    let named = |number: usize| {
        let name = format!("{side}_{number}");
        arrays.iter().find(|(found, _)| *found == name).map(|(_, array)| array.clone())
    };
    (0..).map_while(named).collect()
}

/// The files of a zip archive, by name.
fn unpacked(file: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(fs::read(file).unwrap())).unwrap();
    (0..archive.len())
        .map(|number| {
            let mut entry = archive.by_index(number).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().to_owned(), bytes)
        })
        .collect()
}

/// A folder with these files.
fn folder(files: &[(String, Vec<u8>)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn message(file: &Path) -> String {
    let refused = open(file, None).and_then(|source| source.graph(&keras::Options::default()));
    match refused {
        Ok((graph, _)) => panic!("{file:?} was read: {} operators", graph.nodes.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn graphs_compute_what_tensorflow_computes() {
    let archives = fs::read_dir(data()).unwrap().map(|entry| entry.unwrap().path());
    let archives: Vec<PathBuf> =
        archives.filter(|path| path.extension().is_some_and(|ending| ending == "zip")).collect();
    assert_eq!(archives.len(), 10);
    for file in archives {
        let arrays = file.with_extension("npz");
        let computed = outputs(&file, &side(&arrays, "input"), &keras::Options::default());
        let computed = computed.unwrap_or_else(|error| panic!("{error}"));
        assert_close(&computed, &side(&arrays, "output"), &file);
    }
}

/// The operators of the file that an archive makes.
fn operators(archive: &str) -> Vec<OpCode> {
    let (graph, _) = open(&data().join(archive), None)
        .and_then(|source| source.graph(&keras::Options::default()))
        .unwrap_or_else(|error| panic!("{error}"));
    // Some that nothing reads are made for states, and are left out by the first pass.
    let options = Options { goldens: Goldens::Predicted(0), ..Options::default() };
    let built = build(graph, &options).unwrap();
    Model::parse(built.bytes()).unwrap().steps().map(|step| step.op()).collect()
}

#[test]
fn each_loop_of_a_recurrent_layer_is_one_operator() {
    let [lstm, gru, rnn] = [
        OpCode::UnidirectionalSequenceLstm,
        OpCode::UnidirectionalSequenceGru,
        OpCode::UnidirectionalSequenceRnn,
    ];
    for archive in ["sequences.zip", "one_row.zip"] {
        let recurrent: Vec<OpCode> =
            operators(archive).into_iter().filter(|op| [lstm, gru, rnn].contains(op)).collect();
        assert_eq!(recurrent, [lstm, gru, gru, gru, rnn, lstm], "{archive}");
    }
}

#[test]
fn taps_that_are_apart_are_one_convolution() {
    let operators = operators("dilated.zip");
    let moves = [OpCode::Transpose, OpCode::Reshape, OpCode::Concatenate];
    assert!(!operators.iter().any(|op| moves.contains(op)), "{operators:?}");
}

#[test]
fn activations_in_parts_are_one_operator() {
    let operators = operators("images.zip");
    for (whole, part) in [(OpCode::Swish, OpCode::Logistic), (OpCode::Gelu, OpCode::Erf)] {
        assert!(operators.contains(&whole) && !operators.contains(&part), "{operators:?}");
    }
}

#[test]
fn a_folder_is_no_architecture_for_weights() {
    let files = unpacked(&data().join("tokens.zip"));
    let folder = folder(&files);
    let error = open(&folder.path().join("model"), Some(&data().join("tokens.npz"))).unwrap_err();
    assert!(error.fault.remedy().is_some_and(|remedy| remedy.contains("leave `--weights` out")), "{error}");
}

#[test]
fn a_folder_a_zip_and_a_tar_archive_are_one_model() {
    let file = data().join("images.zip");
    let arrays = file.with_extension("npz");
    let (inputs, expected) = (side(&arrays, "input"), side(&arrays, "output"));
    let files = unpacked(&file);
    let folder = folder(&files);
    let whole = folder.path().join("model");
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("./elsewhere/model", &whole).unwrap();
    let tar_file = folder.path().join("model.tar");
    fs::write(&tar_file, tar.into_inner().unwrap()).unwrap();
    for path in [whole, tar_file] {
        assert_close(&outputs(&path, &inputs, &keras::Options::default()).unwrap(), &expected, &path);
    }
}

#[test]
fn a_signature_is_chosen_by_its_name() {
    let file = data().join("functions.zip");
    let arrays = data().join("product.npz");
    let options = keras::Options { signature: Some("product".into()), ..keras::Options::default() };
    assert_close(
        &outputs(&file, &side(&arrays, "input"), &options).unwrap(),
        &side(&arrays, "output"),
        &file,
    );
    let options = keras::Options { signature: Some("other".into()), ..keras::Options::default() };
    let error = open(&file, None).unwrap().graph(&options).unwrap_err();
    assert!(error.to_string().contains("the signatures `product`, `serving_default`"), "{error}");
}

#[test]
fn what_runs_code_or_reads_files_is_refused_by_name() {
    for (name, said) in [
        (
            "py_function",
            "layer `EagerPyFunc` (EagerPyFunc): refused: its operation EagerPyFunc runs code that is not in the file",
        ),
        ("read_file", "the operation ReadFile, which reads or writes outside of the model"),
        ("looks_up", "reads something else than variables, such as a vocabulary in a file"),
        ("waits", "whose condition depends on the model's inputs"),
    ] {
        let found = message(&data().join(format!("refused/{name}.zip")));
        assert!(found.contains(said), "{name}: {found}");
    }
}

#[test]
fn files_that_are_missing_or_damaged_are_said_to_be() {
    type Files = Vec<(String, Vec<u8>)>;
    type Case<'c> = (&'c dyn Fn(&mut Files), &'static str);
    let files = unpacked(&data().join("tokens.zip"));
    let changed = |change: &dyn Fn(&mut Files)| {
        let mut files = files.clone();
        change(&mut files);
        let folder = folder(&files);
        fs::create_dir_all(folder.path().join("model")).unwrap();
        message(&folder.path().join("model"))
    };
    let at = |files: &Files, name: &str| files.iter().position(|(found, _)| found.contains(name)).unwrap();
    fn bytes<'f>(files: &'f mut Files, name: &str) -> &'f mut Vec<u8> {
        let (_, bytes) = files.iter_mut().find(|(found, _)| found.contains(name)).unwrap();
        bytes
    }
    let cases: [Case<'_>; 6] = [
        (&|files| drop(files.remove(at(files, "saved_model.pb"))), "a folder without `saved_model.pb`"),
        (
            &|files| drop(files.remove(at(files, ".data-"))),
            "there is no `variables/variables.data-00000-of-00001`",
        ),
        (&|files| drop(files.remove(at(files, ".index"))), "is not in the checkpoint"),
        (&|files| bytes(files, ".index")[3] ^= 1, "a block's checksum is wrong"),
        (&|files| bytes(files, ".data-")[3] ^= 1, "the checksum of `"),
        (&|files| bytes(files, "saved_model.pb").truncate(1000), "damaged SavedModel"),
    ];
    for (number, (change, said)) in cases.into_iter().enumerate() {
        let found = changed(change);
        assert!(found.contains(said), "case {number}: {found}");
    }
}

#[test]
fn changed_bytes_are_no_panic() {
    let files = unpacked(&data().join("functions.zip"));
    let mut state = 1u64;
    let mut random = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.zip");
    for _ in 0..400 {
        let mut files = files.clone();
        let number = random(files.len());
        let bytes = &mut files[number].1;
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in &files {
            archive.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        fs::write(&path, archive.finish().unwrap().into_inner()).unwrap();
        let _ = open(&path, None).and_then(|source| source.graph(&keras::Options::default()));
        // To write over a file waits for the disk.
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn the_corpus_is_read_by_description_and_by_graph_alike() {
    let Some(corpus) = corpus() else { return };
    for name in ["open/sm_k215_save_tiny_resnet8_cifar10", "open/tiny_kws_dscnn_savedmodel"] {
        let entry = corpus.join(name);
        let read = |file: &str| load(&entry.join(file)).unwrap().remove(0).1;
        let signature = Some("serving_default".to_owned());
        for signature in [None, signature] {
            let options = keras::Options { signature, ..keras::Options::default() };
            let computed = outputs(&entry.join("model"), &[read("input_0.npy")], &options);
            let computed = computed.unwrap_or_else(|error| panic!("{error}"));
            assert_close(&computed, &[read("output_0.npy")], &entry);
        }
    }
}
