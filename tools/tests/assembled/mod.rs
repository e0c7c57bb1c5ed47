//! Pickles that no library writes, put together opcode by opcode.

/// A pickle that is refused.
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// A part of what is said.
    pub(crate) expected: String,
}

/// A pickle of protocol 4.
fn pickle(parts: &[&[u8]]) -> Vec<u8> {
    [&[0x80, 4], parts.concat().as_slice(), b"."].concat()
}

fn name(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    [b"B".as_slice(), &(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

fn int(number: i32) -> Vec<u8> {
    [b"J".as_slice(), &number.to_le_bytes()].concat()
}

fn long(number: i64) -> Vec<u8> {
    [&[0x8a, 8], number.to_le_bytes().as_slice()].concat()
}

const TUPLE1: &[u8] = &[0x85];
const TUPLE2: &[u8] = &[0x86];
const TUPLE3: &[u8] = &[0x87];
const NEW: &[u8] = &[0x81];
const NEW_WITH_KEYWORDS: &[u8] = &[0x92];

/// `callable(argument)`
fn call(callable: &[u8], argument: &[u8]) -> Vec<u8> {
    [callable, argument, TUPLE1, b"R"].concat()
}

/// `getattr(of, attribute)`
fn attribute(of: &[u8], attribute: &str) -> Vec<u8> {
    [name("builtins", "getattr").as_slice(), of, &text(attribute), TUPLE2, b"R"].concat()
}

/// `numpy.dtype(code)`, little-endian.
fn dtype(code: &str) -> Vec<u8> {
    let state = [b"(".as_slice(), &int(3), &text("<"), b"NNN", &int(-1), &int(-1), &int(0), b"tb"].concat();
    [name("numpy", "dtype").as_slice(), &text(code), b"\x89\x88", TUPLE3, b"R", &state].concat()
}

/// An array as NumPy pickles it.
fn array(shape: &[u8], dtype: &[u8], content: &[u8]) -> Vec<u8> {
    let made = [
        name("numpy.core.multiarray", "_reconstruct").as_slice(),
        &name("numpy", "ndarray"),
        &int(0),
        TUPLE1,
        &binary(b"b"),
        TUPLE3,
        b"R",
    ]
    .concat();
    [made.as_slice(), b"(", &int(1), shape, dtype, b"\x89", content, b"tb"].concat()
}

/// An array as `joblib` describes it, whose elements are to follow.
fn wrapper(shape: &[u8], dtype: &[u8]) -> Vec<u8> {
    let entry = |key: &str, value: &[u8]| [text(key).as_slice(), value].concat();
    [
        name("joblib.numpy_pickle", "NumpyArrayWrapper").as_slice(),
        b")",
        NEW,
        b"}(",
        &entry("shape", shape),
        &entry("dtype", dtype),
        &entry("order", &text("C")),
        b"ub",
    ]
    .concat()
}

const KERAS: (&str, &str) = ("keras.src.models.sequential", "Sequential");

/// Levels of ten of what the level below is; `begin` and `end` make a container of ten.
fn laughs(levels: u8, begin: &[u8], end: &[u8]) -> Vec<u8> {
    let mut bytes = [b"G?\xf0\0\0\0\0\0\0".as_slice(), b"q\0"].concat();
    for level in 0..levels {
        bytes.extend(begin);
        bytes.extend([b'h', level].repeat(10));
        bytes.extend(end);
        bytes.extend([b'q', level + 1]);
    }
    pickle(&[&bytes])
}

/// All of them; `decoy` is a pickle of Keras that is read.
pub(crate) fn hostile(decoy: &[u8]) -> Vec<Hostile> {
    let mut found = Vec::new();
    let mut add = |name: &'static str, bytes: Vec<u8>, expected: &str| {
        found.push(Hostile { name, bytes, expected: expected.into() });
    };
    let system = || name("os", "system");
    let keras = || name(KERAS.0, KERAS.1);

    // Calls.
    let calls = |what: &str| format!("refused: it calls `{what}` (at byte ");
    add(
        "REDUCE",
        pickle(&[&call(&system(), &text("id"))]),
        "refused: it calls `os.system` (at byte 21); nothing was run",
    );
    add("eval", pickle(&[&call(&name("builtins", "eval"), &text("1"))]), &calls("builtins.eval"));
    add(
        "exec of Python 2",
        pickle(&[&call(&name("__builtin__", "exec"), &text("1"))]),
        &calls("__builtin__.exec"),
    );
    let imported = call(&name("builtins", "__import__"), &text("os"));
    add(
        "__import__",
        pickle(&[&call(&attribute(&imported, "system"), &text("id"))]),
        &calls("builtins.__import__"),
    );
    add("INST", b"(S'id'\nios\nsystem\n.".to_vec(), &calls("os.system"));
    add("OBJ", b"(cos\nsystem\nS'id'\no.".to_vec(), &calls("os.system"));
    add(
        "STACK_GLOBAL",
        pickle(&[&call(&[&text("os")[..], &text("system"), b"\x93"].concat(), &text("id"))]),
        &calls("os.system"),
    );
    add(
        "NEWOBJ",
        pickle(&[&name("subprocess", "Popen"), &text("id"), TUPLE1, NEW]),
        &calls("subprocess.Popen"),
    );
    let keywords = [b"}".as_slice(), &text("args"), &text("id"), b"s"].concat();
    add(
        "NEWOBJ_EX",
        pickle(&[&name("subprocess", "Popen"), b")", &keywords, NEW_WITH_KEYWORDS]),
        &calls("subprocess.Popen"),
    );
    add("memo", pickle(&[&system(), b"q\x070h\x07", &text("id"), TUPLE1, b"R"]), &calls("os.system"));
    add(
        "memo of a huge number",
        pickle(&[&system(), b"r\xff\xff\xff\xff0j\xff\xff\xff\xff", &text("id"), TUPLE1, b"R"]),
        &calls("os.system"),
    );
    let partial = [name("functools", "partial").as_slice(), &system(), &text("id"), TUPLE2, b"R"].concat();
    add("a call of what a call gives", pickle(&[&partial, b")R"]), &calls("functools.partial"));
    add(
        "a call in the arguments of a known one",
        pickle(&[&call(&name("_io", "BytesIO"), &call(&system(), &text("id")))]),
        &calls("os.system"),
    );
    add(
        "a call whose result is dropped",
        pickle(&[&call(&system(), &text("id")), b"0N"]),
        &calls("os.system"),
    );
    add(
        "a call before damage",
        [&[0x80, 4], call(&system(), &text("id")).as_slice(), b"\xff"].concat(),
        &calls("os.system"),
    );
    let function = attribute(&attribute(&keras(), "_unpickle_model"), "__globals__");
    add("a chain of getattr", pickle(&[&function]), &calls("builtins.getattr"));
    add(
        "another attribute",
        pickle(&[&call(&attribute(&keras(), "from_config"), b"}")]),
        &calls("builtins.getattr"),
    );
    add(
        "getattr with a default",
        pickle(&[&name("builtins", "getattr"), &keras(), &text("x"), &system(), TUPLE3, b"R"]),
        &calls("builtins.getattr"),
    );
    add(
        "setattr",
        pickle(&[&name("builtins", "setattr"), &keras(), &text("call"), &system(), TUPLE3, b"R"]),
        &calls("builtins.setattr"),
    );
    add(
        "_reconstructor of another class",
        pickle(&[&name("copyreg", "_reconstructor"), &name("subprocess", "Popen"), b"NN", TUPLE3, b"R"]),
        &calls("copyreg._reconstructor"),
    );
    add(
        "unpack of something else",
        pickle(&[&call(&name("shutil", "unpack"), &text("x"))]),
        &calls("shutil.unpack"),
    );
    add(
        "get_file of Keras",
        pickle(&[&call(&name("keras.utils", "get_file"), &text("http://host"))]),
        &calls("keras.utils.get_file"),
    );
    add(
        "a known name in another module",
        pickle(&[&call(&name("evil", "dtype"), &text("f4"))]),
        &calls("evil.dtype"),
    );
    add(
        "a module that begins like Keras",
        pickle(&[&name("keras_evil.models", "Sequential"), b")", NEW]),
        &calls("keras_evil.models.Sequential"),
    );
    add(
        "a call of a text",
        pickle(&[&call(&text("os.system"), &text("id"))]),
        &calls("a value that is none of a module"),
    );
    let call_before =
        [&decoy[..2], &call(&name("posix", "mkdir"), &text("/tmp/x")), b"0", &decoy[2..]].concat();
    add("a model behind a call", call_before, &calls("posix.mkdir"));
    let beside =
        [&[0x80, 4, b'('], &decoy[2..decoy.len() - 1], &call(&system(), &text("id")), b"t."].concat();
    add("a model beside a call", beside, &calls("os.system"));

    // Imports.
    add("a name alone", pickle(&[&system()]), "refused: it imports `os.system` (at byte 2)");
    add(
        "BUILD of a class with a function",
        pickle(&[&keras(), b"}(", &text("call"), &system(), b"ub"]),
        "refused: it imports `os.system`",
    );
    add("BUILD of a class", pickle(&[&keras(), b"}b"]), "attributes for what is no new object");
    add(
        "a name that acts on a terminal",
        pickle(&[&name("\x1b[2Jos", "sys\u{7}tem")]),
        r"it imports `\u{1b}[2Jos.sys\u{7}tem`",
    );
    add("a name of a megabyte", pickle(&[&name(&"x".repeat(1 << 20), "y")]), "refused: it imports `xxxxxxx");

    // What only Python has.
    add("PERSID", b"Pobject\n.".to_vec(), "found text");
    add("PERSID of protocol 2", pickle(&[b"Pobject\n"]), "parts outside of itself");
    add("BINPERSID", pickle(&[&text("x"), b"Q"]), "parts outside of itself");
    for (name, bytes) in [("EXT1", &b"\x82\x01"[..]), ("EXT2", b"\x83\x01\0"), ("EXT4", b"\x84\x01\0\0\0")] {
        add(name, pickle(&[bytes]), "codes of the registry");
    }
    add("NEXT_BUFFER", [&[0x80, 5], b"\x97.".as_slice()].concat(), "buffers are out of band");

    // Damage.
    add("an empty stack", pickle(&[]), "the stack is empty");
    add("REDUCE of nothing", pickle(&[b"R"]), "the stack is empty");
    add("a tuple across a mark", pickle(&[b"N(", TUPLE1]), "the stack is empty");
    for opcode in [&b"t"[..], b"l", b"d", b"e", b"u", b"o", b"\x90", b"\x91", b"1"] {
        add("no mark", pickle(&[b"]", opcode]), "there is no mark");
    }
    add("an unknown memo", pickle(&[b"h\x05"]), "there is no memo 5");
    add(
        "arguments that are no tuple",
        pickle(&[&name("numpy", "dtype"), b"]R"]),
        "arguments that are no tuple",
    );
    add("a key without a value", pickle(&[b"}(Nu"]), "a key without a value");
    add("entries of a tuple", pickle(&[b")NNs"]), "entries for what is no dictionary");
    add("items of a text", pickle(&[&text("x"), b"Na"]), "items for what is no list");
    add("an opcode that is none", pickle(&[b"\xff"]), "0xff is no opcode");
    add(
        "BINBYTES8 of 2^63",
        [&[0x80, 4, 0x8e], (1u64 << 63).to_le_bytes().as_slice(), b"."].concat(),
        "cut short",
    );
    add(
        "BINUNICODE8 of 2^64 - 1",
        [&[0x80, 4, 0x8d], u64::MAX.to_le_bytes().as_slice(), b"."].concat(),
        "cut short",
    );
    add(
        "BYTEARRAY8 of 2^40",
        [&[0x80, 5, 0x96], (1u64 << 40).to_le_bytes().as_slice(), b"."].concat(),
        "cut short",
    );
    add(
        "LONG4 of 2^31 - 1",
        [&[0x80, 4, 0x8b], i32::MAX.to_le_bytes().as_slice(), b"."].concat(),
        "cut short",
    );
    add(
        "a frame beyond the end",
        [&[0x80, 4, 0x95], u64::MAX.to_le_bytes().as_slice(), b"N."].concat(),
        "a frame reaches beyond the end",
    );
    add("no end", vec![0x80, 4, b'N'], "cut short");
    let every: Vec<u8> = (0..=255).collect();
    add("every byte", pickle(&[&every]), "0x00 is no opcode");

    // Sizes.
    add(
        "a million tuples in one another",
        pickle(&[b"N", &TUPLE1.repeat(1_000_000)]),
        "a pickle with a tuple of 1",
    );
    add(
        "a million lists in one another",
        pickle(&[&b"]".repeat(1_000_000), &b"a".repeat(999_999)]),
        "a pickle with a list of 1",
    );
    add("a list in itself", pickle(&[b"]q\0h\0a"]), "a pickle with a list of 1");
    add(
        "a dictionary in itself",
        pickle(&[b"}q\0", &text("a"), b"h\0s"]),
        "a pickle with a dictionary with `a`",
    );
    add(
        "billions of laughs in lists",
        laughs(40, b"(", b"l"),
        "the number of elements of all arrays in the pickle",
    );
    add(
        "billions of laughs in tuples",
        laughs(40, b"(", b"t"),
        "the number of elements of all arrays in the pickle",
    );
    let config = [b"}".as_slice(), &text("class_name"), &text("Sequential"), b"s"].concat();
    let laughing = [&laughs(30, b"(", b"t")[2..][..9 + 2 + 30 * 24], b"0"].concat();
    let nested =
        [name("m", "unpack").as_slice(), &config, &text("config"), b"h\x1es", b"}]", TUPLE3, b"R"].concat();
    add(
        "billions of laughs in an architecture",
        pickle(&[&laughing, &nested]),
        "the architecture in the pickle",
    );
    add(
        "two million values",
        pickle(&[&b"N0".repeat((2 << 20) + 1), b"N"]),
        "the number of values in the pickle",
    );
    let one = array(&[&int(1000)[..], TUPLE1].concat(), &dtype("f4"), &binary(&[0; 4000]));
    add(
        "an array in 100,000 places",
        pickle(&[&one, b"q\0](", &b"h\0".repeat(100_000), b"e"]),
        "the number of elements of all arrays in the pickle",
    );
    let empty = array(&[&int(0)[..], TUPLE1].concat(), &dtype("f4"), b"C\0");
    add(
        "an empty array in a million places",
        pickle(&[&empty, b"q\0](", &b"h\0".repeat(1_000_000), b"e"]),
        "the number of elements of all arrays in the pickle",
    );
    let objects = array(&[&int(1)[..], TUPLE1].concat(), &dtype("O8"), b"](Nte"[..1].as_ref());
    add("an array of objects", pickle(&[b"]", &objects, b"a"]), "a pickle with a list of 1");
    let huge = [&long(1 << 31)[..], &long(1 << 31), TUPLE2].concat();
    add(
        "an array of another size",
        pickle(&[b"]", &array(&huge, &dtype("f4"), &binary(&[0; 4])), b"a"]),
        "a pickle with a list of 1",
    );
    add(
        "an array of joblib beyond the end",
        pickle(&[&wrapper(&[&long(1 << 40)[..], TUPLE1].concat(), &dtype("f4"))]),
        "cut short",
    );
    add(
        "an array of joblib of 2^64 elements",
        pickle(&[&wrapper(&[&huge[..20], &long(4), TUPLE3].concat(), &dtype("f8"))]),
        "an array of joblib of unknown type",
    );
    add(
        "objects of joblib",
        pickle(&[&wrapper(&[&int(1)[..], TUPLE1].concat(), &dtype("O8"))]),
        "an array of joblib of unknown type",
    );
    found
}
