//! Pickles: those that hold a model in one of its other forms, and those that would run code.
//!
//! They are put together here, opcode by opcode as Python's `pickletools` lists them, around what Keras wrote.

mod corpus;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use corpus::corpus;
use flatpack::array::Array;
use flatpack::import::keras::{self, Network};
use tempfile::TempDir;

/// An archive of Keras 3.15.
fn archive() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keras_archives/digits_mlp.keras")
}

/// A pickle under construction, in protocol 4.
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Self(vec![0x80, 4])
    }

    fn op(mut self, opcodes: &[u8]) -> Self {
        self.0.extend(opcodes);
        self
    }

    fn text(mut self, text: &str) -> Self {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.push(b'B');
        self.0.extend((bytes.len() as u32).to_le_bytes());
        self.0.extend(bytes);
        self
    }

    fn global(self, module: &str, name: &str) -> Self {
        self.text(module).text(name).op(&[0x93])
    }

    /// A float32 array as NumPy pickles it.
    fn array(self, array: &Array) -> Self {
        let made = self.global("numpy.core.multiarray", "_reconstruct").global("numpy", "ndarray");
        let mut made = made.op(b"K\x00\x85C\x01b\x87R(K\x01(");
        for &extent in &array.shape {
            made.0.push(b'J');
            made.0.extend((extent as i32).to_le_bytes());
        }
        let dtype = made.op(b"t").global("numpy", "dtype").text("f4").op(&[0x89, 0x88, 0x87, b'R']);
        let dtype = dtype.op(b"(K\x03").text("<").op(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb");
        let values: Vec<u8> = array.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        dtype.op(&[0x89]).bytes(&values).op(b"tb")
    }

    fn end(self) -> Vec<u8> {
        self.op(b".").0
    }
}

fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.pkl");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn weights(network: &Network) -> Vec<Array> {
    let layers = network.layers.iter().flat_map(|layer| &layer.weights);
    layers.map(|weight| Array::clone(&weight.array)).collect()
}

fn network(bytes: &[u8]) -> Network {
    let (_folder, path) = written(bytes);
    keras::open(&path, None).and_then(|saved| saved.network()).unwrap_or_else(|error| panic!("{error}"))
}

/// What a pickle is refused with, which takes less than a second.
fn refusal(bytes: &[u8]) -> String {
    let (_folder, path) = written(bytes);
    let start = Instant::now();
    let error = keras::open(&path, None).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1), "{error}");
    error.to_string()
}

#[test]
fn every_form_of_a_pickled_model_holds_what_the_archive_holds() {
    let zip = fs::read(archive()).unwrap();
    let expected = weights(&keras::open(&archive(), None).unwrap().network().unwrap());
    let of_file =
        Pickle::new().global("builtins", "getattr").global("keras.src.models.sequential", "Sequential");
    let of_file =
        of_file.text("_unpickle_model").op(b"\x86R").global("_io", "BytesIO").op(b")\x81").bytes(&zip);
    let reader = ("keras.src.saving.pickle_utils", "deserialize_model_from_bytecode");
    // Protocol 2 has no bytes: they are text of the same characters, which `_codecs.encode` is to undo.
    let latin1: String = zip.iter().map(|&byte| char::from(byte)).collect();
    let old = Pickle::new().global(reader.0, reader.1).global("_codecs", "encode").text(&latin1);
    let forms = [
        Pickle::new().global(reader.0, reader.1).bytes(&zip).op(b"\x85R").end(),
        old.text("latin1").op(b"\x86R\x85R").end(),
        of_file.op(b"K\x00N\x87b\x85R").end(),
        // One model in a dictionary, and memos on the way.
        Pickle::new()
            .op(b"}")
            .text("model")
            .global(reader.0, reader.1)
            .bytes(&zip)
            .op(b"\x94\x85\x94Rs")
            .end(),
    ];
    for form in forms {
        assert_eq!(weights(&network(&form)), expected);
    }
}

#[test]
fn arrays_go_with_an_architecture() {
    let saved = keras::open(&archive(), None).unwrap();
    let expected = weights(&saved.network().unwrap());
    let folder = TempDir::new().unwrap();
    let architecture = folder.path().join("model.json");
    fs::write(&architecture, saved.config.to_string()).unwrap();
    let list = expected.iter().fold(Pickle::new().op(b"]("), Pickle::array).op(b"e").end();
    let (_folder, path) = written(&list);
    let read = keras::open(&architecture, Some(&path)).unwrap().network().unwrap();
    assert_eq!(weights(&read), expected);

    assert!(refusal(&list).contains("4 arrays of weights and no architecture"));
    let fewer = expected[1..].iter().fold(Pickle::new().op(b"]("), Pickle::array).op(b"e").end();
    let (_folder, path) = written(&fewer);
    let error = keras::open(&architecture, Some(&path)).unwrap().network().unwrap_err();
    assert!(error.to_string().contains("weights: found"), "{error}");
}

#[test]
fn what_would_run_code_is_refused_by_name_and_place() {
    let zip = fs::read(archive()).unwrap();
    let command = |pickle: Pickle| pickle.text("id").op(b"\x85R");
    let decoy = Pickle::new()
        .op(b"}(")
        .text("model")
        .global("keras.src.saving.pickle_utils", "deserialize_model_from_bytecode");
    let decoy = decoy.bytes(&zip).op(b"\x85R").text("x");
    let reader = || Pickle::new().global("builtins", "getattr").global("keras.models", "Sequential");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (command(Pickle::new().global("os", "system")).end(), "calls `os.system` (at byte 29)"),
        (command(Pickle::new().global("builtins", "eval")).end(), "calls `builtins.eval`"),
        (command(decoy.global("posix", "system")).op(b"u").end(), "calls `posix.system`"),
        // As protocols 0 and 1 call.
        (b"cos\nsystem\n(S'id'\ntR.".to_vec(), "calls `os.system` (at byte 19)"),
        (b"(S'id'\nios\nsystem\n.".to_vec(), "calls `os.system`"),
        (b"(cos\nsystem\nS'id'\no.".to_vec(), "calls `os.system`"),
        // By way of names that are known.
        (reader().text("__init__").op(b"\x86R)R").end(), "calls `builtins.getattr`"),
        (
            Pickle::new()
                .global("builtins", "getattr")
                .global("os", "system")
                .text("_unpickle_model")
                .op(b"\x86R")
                .end(),
            "calls `builtins.getattr`",
        ),
        (
            command(Pickle::new().global("elsewhere", "deserialize_model_from_bytecode")).end(),
            "calls `elsewhere.deserialize_model_from_bytecode`",
        ),
        (Pickle::new().global("os", "system").text("id").op(b"\x85}\x92").end(), "calls `os.system`"),
        (
            command(reader().text("_unpickle_model").op(b"\x86R").op(b"(t").op(b"R")).end(),
            "calls `the result of another call`",
        ),
        // Imported and never called; called before the file breaks off.
        (Pickle::new().global("this", "s").end(), "imports `this.s`"),
        (command(Pickle::new().global("os", "system")).op(b"\xff").0, "calls `os.system`"),
    ];
    for (number, (bytes, said)) in cases.iter().enumerate() {
        let found = refusal(bytes);
        assert!(found.contains(said), "case {number}: {found}");
    }
}

#[test]
fn what_is_broken_or_too_much_is_refused() {
    let long = |opcode: u8, count: &[u8]| Pickle::new().op(&[opcode]).op(count).op(b"abc").end();
    let deep = Pickle::new().op(b")").op(&vec![0x85; 1_000_000]).end();
    let cycle = Pickle::new().op(b"]\x94h\x00a").end();
    let many = Pickle::new().op(&vec![b'N'; 3 << 20]).end();
    // A list of ten lists of ten lists …, of which there are ten in all.
    let laughs = (0..10u8).fold(Pickle::new().op(b"K\x01"), |pickle, at| {
        pickle.op(&[b'q', at, b']', b'(']).op(&[b'h', at].repeat(10)).op(b"e")
    });
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Pickle::new().op(b"R").end(), "the stack is empty"),
        (Pickle::new().op(b"\x87").end(), "the stack is empty"),
        (Pickle::new().op(b"t").end(), "there is no mark"),
        (Pickle::new().op(b"h\x07").end(), "there is no memo 7"),
        (Pickle::new().op(b"NNR").end(), "arguments that are no tuple"),
        (Pickle::new().op(b"](K\x01u").end(), "a key without a value"),
        (Pickle::new().global("_io", "BytesIO").op(b"}b").end(), "attributes for what is no new object"),
        (Pickle::new().op(b"\xfe").end(), "0xfe is no opcode"),
        (Pickle::new().op(b"N").0, "cut short"),
        (long(0x8e, &(1u64 << 63).to_le_bytes()), "cut short"),
        (long(0x8b, &u32::MAX.to_le_bytes()), "cut short"),
        (long(0x95, &u64::MAX.to_le_bytes()), "a frame reaches beyond the end"),
        (Pickle::new().op(b"\x97").end(), "buffers are out of band"),
        (Pickle::new().op(b"\x82\x01").end(), "the registry of Python's `copyreg`"),
        (Pickle::new().text("storage").op(b"Q").end(), "parts outside of itself"),
        (deep, "a tuple of 1"),
        (cycle, "a list of 1"),
        (many, "the number of values in the pickle"),
        (laughs.end(), "the number of elements of all arrays"),
    ];
    for (number, (bytes, said)) in cases.iter().enumerate() {
        let found = refusal(bytes);
        assert!(found.contains(said), "case {number}: {found}");
    }
}

#[test]
fn one_array_in_many_places_takes_no_more_than_the_file_allows() {
    let array = Array::new([1000], vec![0.5; 1000]);
    let many =
        Pickle::new().op(b"](").array(&array).op(b"q\x00").op(&b"h\x00".repeat(100_000)).op(b"e").end();
    assert!(refusal(&many).contains("the number of elements of all arrays"));
}

#[test]
fn changed_bytes_are_no_panic() {
    let zip = fs::read(archive()).unwrap();
    let call = Pickle::new().global("keras.src.saving.pickle_utils", "deserialize_model_from_bytecode");
    let list = Pickle::new().op(b"](").array(&Array::new([2, 2], vec![1.0; 4])).op(b"e").end();
    let mut state = 1u64;
    let mut random = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.pkl");
    for whole in [call.bytes(&zip[..400]).op(b"\x85R").end(), list] {
        for _ in 0..2000 {
            let mut bytes = whole.clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            fs::write(&path, bytes).unwrap();
            let _ = keras::open(&path, None).and_then(|saved| saved.network());
            // To write over a file waits for the disk.
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn the_pickle_that_would_make_a_folder_is_refused_and_makes_none() {
    let Some(corpus) = corpus() else { return };
    let error = keras::open(&corpus.join("open/pickle_hostile_marker/model.pkl"), None).unwrap_err();
    assert!(error.to_string().contains("calls `posix.mkdir` (at byte 54713)"), "{error}");
    assert!(!std::env::temp_dir().join("flatpack_pickle_executed").exists());
}
