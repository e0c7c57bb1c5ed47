//! The shipped models, all the way: build, map, check, evaluate, damage.

use flatpack::array::Array;
use flatpack::{data, predict};
use flatpack_format::{Block, Model, Place, SectionKind, SectionRecord};
use flatpack_runtime::golden::Divergence;
use flatpack_runtime::{MappedModel, Session, ops};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

fn flatpack(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flatpack")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Builds a shipped model with these options and gives the file.
fn build(folder: &Path, model: &str, options: &[&str]) -> PathBuf {
    let file = folder.join(format!("{model}{}.fpk", options.concat().replace('/', "_")));
    let source = example(model).join("model.h5");
    let mut arguments = vec!["build", source.to_str().unwrap(), "-o", file.to_str().unwrap()];
    arguments.extend(options);
    let output = flatpack(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    file
}

fn test_set(model: &str) -> (Array, Array, Array) {
    let arrays = data::load(&example(model).join("test.npz")).unwrap();
    let named = |name: &str| arrays.iter().find(|(n, _)| n == name).unwrap().1.clone();
    (named("x"), named("y"), named("keras"))
}

#[test]
fn shipped_models_give_keras_predictions_on_every_target() {
    let folder = tempfile::tempdir().unwrap();
    for model in ["digits_cnn", "digits_mlp"] {
        let (x, _, keras) = test_set(model);
        for options in [&["--target", "portable"], &["--target", "cortex-m"], &["--target", "linux"]] {
            let file = build(folder.path(), model, options);
            let mapped = MappedModel::open(&file).unwrap();
            let outputs = predict::predict(mapped.model().unwrap(), std::slice::from_ref(&x)).unwrap();
            let difference =
                outputs[0].values.iter().zip(&keras.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 1e-5, "{model} {options:?}: {difference}");
        }
    }
}

#[test]
fn a_batch_gives_the_same_bits_as_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (mut x, _, _) = test_set("digits_cnn");
    x.shape[0] = 8;
    x.values.truncate(8 * 64);
    let run = |options: &[&str]| {
        let mapped = MappedModel::open(build(folder.path(), "digits_cnn", options)).unwrap();
        predict::predict(mapped.model().unwrap(), std::slice::from_ref(&x)).unwrap()
    };
    assert_eq!(run(&[]), run(&["--batch", "4"]));
}

#[test]
fn patches_give_the_same_bits_in_half_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (x, _, _) = test_set("digits_cnn");
    let run = |options: &[&str]| {
        let mapped = MappedModel::open(build(folder.path(), "digits_cnn", options)).unwrap();
        let model = mapped.model().unwrap();
        (model.header().arena_bytes, predict::predict(model, std::slice::from_ref(&x)).unwrap())
    };
    let (plain_bytes, plain) = run(&["--target", "portable"]);
    let (bytes, patched) = run(&["--max-arena", "4K"]);
    assert!(bytes <= 4096 && plain_bytes > 8192, "{bytes} {plain_bytes}");
    assert_eq!(patched, plain);
}

#[test]
fn the_report_says_what_patches_cost() {
    let folder = tempfile::tempdir().unwrap();
    let (_, plain) = build_report(folder.path(), "digits_cnn", &["--max-arena", "16KiB"]);
    let unchanged = &plain["patches"];
    assert_eq!((&unchanged["count"], &unchanged["layers"]), (&1.into(), &serde_json::Value::Null));
    assert_eq!(unchanged["macs_after"], plain["macs"]);

    let (file, patched) = build_report(folder.path(), "digits_cnn", &["--max-arena", "6000"]);
    let patches = &patched["patches"];
    assert_eq!(patches["count"], 2);
    assert_eq!(patches["layers"], serde_json::json!(["conv2d", "max_pooling2d"]));
    assert_eq!(patches["arena_bytes_before"], plain["arena_bytes"]);
    assert_eq!(patches["arena_bytes_after"], patched["arena_bytes"]);
    assert_eq!(patches["macs_before"], plain["macs"]);
    assert_eq!(patches["macs_after"], patched["macs"]);
    let [before, after] = ["macs_before", "macs_after"].map(|macs| patches[macs].as_f64().unwrap());
    assert_eq!(patches["more_macs_percent"].as_f64(), Some(100.0 * (after / before - 1.0)));
    assert_eq!(flatpack(&["verify", file.to_str().unwrap()]).status.code(), Some(0));
}

#[test]
fn what_a_model_predicts_does_not_depend_on_where_its_activations_lie() {
    let folder = tempfile::tempdir().unwrap();
    let (mut x, ..) = test_set("digits_cnn");
    x.shape[0] = 8;
    x.values.truncate(8 * 64);
    let run = |options: &[&str]| {
        let mapped = MappedModel::open(build(folder.path(), "digits_cnn", options)).unwrap();
        let model = mapped.model().unwrap();
        let outputs = predict::predict(model, std::slice::from_ref(&x)).unwrap();
        (outputs, [model.header().arena_bytes, model.header().far_bytes])
    };
    let (expected, [arena_bytes, _]) = run(&["--target", "portable"]);
    for near_bytes in [0, 1024, 4096] {
        let near = format!("tcm={near_bytes}");
        let (outputs, bytes) = run(&["--region", &near, "--region", "sram=16K"]);
        assert_eq!(outputs, expected);
        assert!(bytes[0] <= near_bytes && bytes[1] > 0 && bytes[1] <= 16 << 10, "{bytes:?}");
    }
    let (outputs, bytes) = run(&["--region", &format!("tcm={arena_bytes}"), "--region", "sram=16K"]);
    assert_eq!((outputs, bytes), (expected, [arena_bytes, 0]));
}

#[test]
fn reports_and_maps_show_both_regions() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--region", "tcm=4K", "--region", "sram=8192"];
    let (file, report) = build_report(folder.path(), "digits_cnn", &options);
    let [near, far] = [0, 1].map(|at| &report["regions"][at]);
    assert_eq!((&near["name"], &far["name"]), (&"tcm".into(), &"sram".into()));
    assert_eq!((&near["bytes"], &far["bytes"]), (&4096.into(), &8192.into()));
    assert_eq!((&near["used_bytes"], &far["used_bytes"]), (&report["arena_bytes"], &report["far_bytes"]));
    // The faster memory has less than half of the bytes, and most of what is touched.
    assert!(near["used_bytes"].as_u64() < far["used_bytes"].as_u64());
    assert!(near["touched_bytes"].as_u64() > far["touched_bytes"].as_u64());

    let inspected = flatpack(&["inspect", file.to_str().unwrap(), "--memory", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(json["far_bytes"], report["far_bytes"]);
    assert!(json["metadata"]["options"].as_str().unwrap().ends_with(" --region tcm=4096 --region sram=8192"));
    let most = |key: &str| json["memory"].as_array().unwrap().iter().map(|step| step[key].as_u64()).max();
    assert_eq!(most("up_to_bytes"), Some(report["arena_bytes"].as_u64()));
    assert_eq!(most("far_up_to_bytes"), Some(report["far_bytes"].as_u64()));
    let shown = text(&flatpack(&["inspect", file.to_str().unwrap(), "--memory"]).stdout);
    assert!(
        shown.contains("\narena of 4096 bytes") && shown.contains("\nfar arena of 8192 bytes"),
        "{shown}"
    );
}

#[test]
fn eval_gives_keras_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    for (model, accuracy) in
        [("digits_cnn", 0.989_939_637_826_961_8), ("digits_mlp", 0.975_855_130_784_708_2)]
    {
        let file = build(folder.path(), model, &[]);
        let test = example(model).join("test.npz");
        let output = flatpack(&["eval", file.to_str().unwrap(), "--data", test.to_str().unwrap(), "--json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["accuracy"].as_f64(), Some(accuracy), "{model}");
    }
}

/// Builds a shipped model with these options and gives the report for scripts.
fn build_report(folder: &Path, model: &str, options: &[&str]) -> (PathBuf, serde_json::Value) {
    let file = build(folder, model, &[options, &["--json"]].concat());
    let source = example(model).join("model.h5");
    let mut arguments = vec!["build", source.to_str().unwrap(), "-o", file.to_str().unwrap(), "--json"];
    arguments.extend(options);
    (file.clone(), serde_json::from_slice(&flatpack(&arguments).stdout).unwrap())
}

#[test]
fn weights_in_fewer_bytes_keep_keras_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    for (model, keras) in [("digits_cnn", 0.989_939_637_826_961_8), ("digits_mlp", 0.975_855_130_784_708_2)] {
        let test = example(model).join("test.npz");
        // A binary16 has four bits of significand more than an 8-bit integer, of 6 dB each.
        for (format, dtype, bytes, snr_db) in
            [("int8-weights", "i8", 0.35, 30.0), ("f16-weights", "f16", 0.55, 54.0)]
        {
            for target in ["portable", "linux"] {
                let options = ["--quantize", format, "--target", target];
                let (file, report) = build_report(folder.path(), model, &options);
                let weights = &report["weights"];
                assert_eq!(weights["format"], dtype);
                let [stored, float32] =
                    ["stored_bytes", "float32_bytes"].map(|key| weights[key].as_f64().unwrap());
                assert!(stored < bytes * float32, "{model} {options:?}: {stored} of {float32}");
                let reached = weights["outputs"][0]["snr_db"].as_f64().unwrap();
                assert!(reached > snr_db, "{model} {options:?}: {reached} dB");

                let arguments = ["eval", file.to_str().unwrap(), "--data", test.to_str().unwrap(), "--json"];
                let json: serde_json::Value = serde_json::from_slice(&flatpack(&arguments).stdout).unwrap();
                let accuracy = json["accuracy"].as_f64().unwrap();
                assert!((accuracy - keras).abs() <= 0.005, "{model} {options:?}: {accuracy}, Keras {keras}");
            }
        }
    }
}

#[test]
fn layers_that_are_kept_have_float32_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (_, all) = build_report(folder.path(), "digits_mlp", &["--quantize", "int8-weights"]);
    let layer = all["passes"].as_array().unwrap().iter().find(|pass| pass["pass"] == "compress weights");
    let change = layer.unwrap()["changes"][0].as_str().unwrap().to_owned();
    let layer = change.split(':').next().unwrap();
    let options = ["--quantize", "int8-weights", "--keep-float", layer];
    let (_, kept) = build_report(folder.path(), "digits_mlp", &options);
    assert!(kept["weights"]["stored_bytes"].as_u64() > all["weights"]["stored_bytes"].as_u64());
    let source = example("digits_mlp").join("model.h5");
    let never = folder.path().join("never.fpk");
    let mut arguments = vec!["build", source.to_str().unwrap(), "-o", never.to_str().unwrap()];
    arguments.extend(["--quantize", "int8-weights", "--keep-float", "no_such_layer"]);
    let output = flatpack(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(layer), "{}", text(&output.stderr));
    assert!(!never.exists());
}

#[test]
fn with_weights_in_fewer_bytes_outputs_of_the_users_are_compared_with() {
    let folder = tempfile::tempdir().unwrap();
    let (mut x, _, mut keras) = test_set("digits_mlp");
    (x.shape[0], keras.shape[0]) = (3, 3);
    x.values.truncate(3 * 64);
    keras.values.truncate(3 * 10);
    let [inputs, outputs] = ["x.npy", "keras.npy"].map(|name| folder.path().join(name));
    data::save_npy(&inputs, &x).unwrap();
    data::save_npy(&outputs, &keras).unwrap();
    let options = ["--quantize", "int8-weights"];
    let goldens =
        ["--golden-inputs", inputs.to_str().unwrap(), "--golden-outputs", outputs.to_str().unwrap()];
    let (file, report) = build_report(folder.path(), "digits_mlp", &[&options[..], &goldens].concat());
    assert_eq!(report["goldens"], 3);
    let snr_db = report["weights"]["outputs"][0]["snr_db"].as_f64().unwrap();
    let mapped = MappedModel::open(&file).unwrap();
    let y = predict::predict(mapped.model().unwrap(), std::slice::from_ref(&x)).unwrap();
    let square = |v: f32| f64::from(v).powi(2);
    let signal: f64 = keras.values.iter().map(|&v| square(v)).sum();
    let noise: f64 = keras.values.iter().zip(&y[0].values).map(|(a, b)| square(a - b)).sum();
    let got_db = 10.0 * (signal / noise).log10();
    assert!((snr_db - got_db).abs() < 0.1, "{snr_db} dB reported, {got_db} dB computed");
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let [first, second] =
        [&folder, &other].map(|f| std::fs::read(build(f.path(), "digits_cnn", &[])).unwrap());
    assert_eq!(first, second);
}

#[test]
fn the_firmware_holds_what_build_makes() {
    let folder = tempfile::tempdir().unwrap();
    let built =
        std::fs::read(build(folder.path(), "digits_cnn", &["--target", "cortex-m", "--strip"])).unwrap();
    let flash = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/digits_cnn.fpk");
    // Goldens come from another engine, whose last bits depend on the processor: compare the rest.
    let (built, flash) = (aligned(&built), aligned(&std::fs::read(flash).unwrap()));
    for kind in [SectionKind::Tensors, SectionKind::Steps, SectionKind::Params, SectionKind::Weights] {
        let section = |(blocks, len): &(Vec<Block>, usize)| {
            Model::parse(&Block::bytes(blocks)[..*len]).unwrap().section(kind).to_vec()
        };
        assert!(
            section(&built) == section(&flash),
            "{} differs: build the firmware's model again",
            kind.name()
        );
    }
}

fn aligned(bytes: &[u8]) -> (Vec<Block>, usize) {
    let mut blocks = vec![Block::ZERO; Block::count(bytes.len())];
    Block::bytes_mut(&mut blocks)[..bytes.len()].copy_from_slice(bytes);
    (blocks, bytes.len())
}

/// Recomputes all checksums of a file.
fn repair(file: &mut [u8]) {
    const HEADER: usize = 96;
    let word = |file: &[u8], at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let directory = HEADER + word(file, 16) * size_of::<SectionRecord>();
    for at in (HEADER..directory).step_by(size_of::<SectionRecord>()) {
        let (offset, bytes) = (word(file, at + 8), word(file, at + 12));
        let crc = crc32fast::hash(&file[offset..offset + bytes]);
        file[at + 16..at + 20].copy_from_slice(&crc.to_le_bytes());
    }
    file[20..24].fill(0);
    let crc = crc32fast::hash(&file[..directory]);
    file[20..24].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_changed_weight_with_repaired_checksums_is_traced_to_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = build(folder.path(), "digits_cnn", &[]);
    let bytes = std::fs::read(&file).unwrap();
    let (blocks, len) = aligned(&bytes);
    let model = Model::parse(&Block::bytes(&blocks)[..len]).unwrap();
    let mut traced = 0;
    for step in model.steps() {
        let Some(weights) = step.inputs().nth(1).filter(|t| t.place() == Place::Constant) else { continue };
        let mut damaged = bytes.clone();
        // The highest byte of a weight in the middle: its exponent.
        let at = weights.offset() as usize + weights.bytes() as usize / 8 * 4 + 3;
        damaged[at] ^= 1;
        repair(&mut damaged);

        let (blocks, len) = aligned(&damaged);
        let model = Model::parse(&Block::bytes(&blocks)[..len]).unwrap();
        model.check_contents().unwrap();
        let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
        let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)).unwrap();
        let found = match session.check_goldens() {
            Err(Divergence::Element { step, .. } | Divergence::Sum { step, .. }) => step,
            other => panic!("step {}: {other:?}", step.number()),
        };
        assert_eq!(found, step.number(), "{}", step.op().name());

        let path = folder.path().join("damaged.fpk");
        std::fs::write(&path, &damaged).unwrap();
        let output = flatpack(&["verify", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        let layer = model.step_name(found).unwrap();
        let stderr = text(&output.stderr).replace("\n  │ ", " ");
        assert!(stderr.contains(&format!("step {found}")) && stderr.contains(layer), "{stderr}");
        traced += 1;
    }
    assert!(traced >= 4, "only {traced} steps have weights");
}

#[test]
fn goldens_of_the_users_own_are_met_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut x, _, mut keras) = test_set("digits_mlp");
    (x.shape[0], keras.shape[0]) = (3, 3);
    x.values.truncate(3 * 64);
    keras.values.truncate(3 * 10);
    let [inputs, outputs] = ["x.npy", "keras.npy"].map(|name| folder.path().join(name));
    data::save_npy(&inputs, &x).unwrap();
    data::save_npy(&outputs, &keras).unwrap();
    let goldens =
        ["--golden-inputs", inputs.to_str().unwrap(), "--golden-outputs", outputs.to_str().unwrap()];
    let source = example("digits_mlp").join("model.h5");
    let file = folder.path().join("model.fpk");
    let mut arguments = vec!["build", source.to_str().unwrap(), "-o", file.to_str().unwrap(), "--json"];
    arguments.extend(goldens);
    let json: serde_json::Value = serde_json::from_slice(&flatpack(&arguments).stdout).unwrap();
    assert_eq!(json["goldens"], 3);

    keras.values[17] += 0.01;
    data::save_npy(&outputs, &keras).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(flatpack(&arguments).status.code(), Some(1));
    assert!(!file.exists(), "a file that does not meet its goldens was left behind");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file was left behind");
}

#[test]
fn two_sessions_share_one_mapped_file_across_threads() {
    let folder = tempfile::tempdir().unwrap();
    let mapped = MappedModel::open(build(folder.path(), "digits_cnn", &["--target", "linux"])).unwrap();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let model = mapped.model().unwrap();
                    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
                    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)).unwrap();
                    session.check_goldens().unwrap().receipts
                })
            })
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() > 0));
    });
}
