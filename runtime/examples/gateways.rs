//! What a gateway waits for and keeps in memory, beside other runtimes, in turns in one run: the figures of
//! `docs/gateways.md`.
//!
//! `cargo build --release -p flatpack-runtime --features mmap --examples`
//! `target/release/examples/gateways [NAME=MODEL.fpk[,MODEL.tflite] …] [--python PYTHON] [--peer PROGRAM] [--turns N]`
//!
//! Of each model, a process of the example `cold_start` is started and its first output waited for, with each
//! way of opening a file; PYTHON, which has the package `ai-edge-litert`, does the same with the `.tflite`, and so
//! does PROGRAM, such as one over LiteRT's C API: it is given the `.tflite` and prints, once it has an output, a line
//! of JSON with `open_us`, `load_us`, `run_us` and `peak_kib`. Then files of 1, 10 and 100 MB are opened.

use flatpack_format::ops::Clamp;
use flatpack_format::ops::fully_connected::FullyConnectedParams;
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{Block, DType, Layout, OpCode, Shape, Target, TensorType};
use flatpack_runtime::MappedModel;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// LiteRT's interpreter, one thread, with inputs as those of `cold_start`.
const LITERT: &str = r#"
import sys, time
begin = time.perf_counter()
import numpy
from ai_edge_litert.interpreter import Interpreter
imported = time.perf_counter()
interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
loaded = time.perf_counter()
for tensor in interpreter.get_input_details():
    dtype = numpy.dtype(tensor["dtype"])
    count = int(numpy.prod(tensor["shape"]))
    filled = numpy.frombuffer(b"\x3c" * (count * dtype.itemsize), dtype)
    interpreter.set_tensor(tensor["index"], filled.reshape(tensor["shape"]))
interpreter.invoke()
interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
run = time.perf_counter()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]
times = [1e6 * span for span in (imported - begin, loaded - imported, run - loaded)]
print('{"open_us": %.1f, "load_us": %.1f, "run_us": %.1f, "peak_kib": %s}' % (*times, peak), flush=True)
"#;

/// What a process says of itself, in the order of the table.
const FIELDS: [&str; 4] = ["open_us", "load_us", "run_us", "peak_kib"];

fn main() -> Outcome<()> {
    let (mut models, mut python, mut peer, mut turns) = (Vec::new(), None, None, 21);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--python" => python = Some(arguments.next().ok_or("--python takes a program")?),
            "--peer" => peer = Some(arguments.next().ok_or("--peer takes a program")?),
            "--turns" => turns = arguments.next().ok_or("--turns takes a number")?.parse()?,
            _ => models.push(argument),
        }
    }
    let ours = std::env::current_exe()?.with_file_name("cold_start").to_string_lossy().into_owned();
    println!(
        "| process start to first output | wall, ms | least to most | open, µs | load, µs | run, ms | peak, MiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    rows(&[("an empty process".to_owned(), vec!["echo".to_owned()])], turns)?;
    for model in &models {
        let (name, files) = model.split_once('=').ok_or("expected NAME=MODEL.fpk[,MODEL.tflite]")?;
        let (fpk, tflite) = files.split_once(',').map_or((files, None), |(fpk, tflite)| (fpk, Some(tflite)));
        let command = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let mut programs = vec![(format!("{name}: mapped"), command(&[&ours, fpk]))];
        programs.push((format!("{name}: mapped, populated"), command(&[&ours, fpk, "--populate"])));
        programs.push((format!("{name}: read into memory"), command(&[&ours, fpk, "--read"])));
        if let (Some(python), Some(tflite)) = (&python, tflite) {
            programs.push((format!("{name}: LiteRT in Python"), command(&[python, "-c", LITERT, tflite])));
        }
        if let (Some(peer), Some(tflite)) = (&peer, tflite) {
            programs.push((format!("{name}: {}", name_of(peer)), command(&[peer, tflite])));
        }
        rows(&programs, turns)?;
    }
    println!(
        "\n| file | open, µs | least to most | page faults | resident after it, KiB |\n|---|---|---|---|---|"
    );
    let folder = tempfile::tempdir()?;
    for megabytes in [1, 10, 100] {
        opened(megabytes, folder.path())?;
    }
    Ok(())
}

fn name_of(program: &str) -> String {
    Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Starts programs in turns, and prints a row of medians for each.
fn rows(programs: &[(String, Vec<String>)], turns: usize) -> Outcome<()> {
    let mut measured = vec![Vec::new(); programs.len()];
    for turn in 0..=turns {
        for ((_, command), measured) in programs.iter().zip(&mut measured) {
            let values = started(command)?;
            // The first turn brings the files into the page cache.
            if turn > 0 {
                measured.push(values);
            }
        }
    }
    for ((name, _), measured) in programs.iter().zip(&measured) {
        let of = |at: usize| Spread::of(measured.iter().map(|values| values[at]).collect());
        let [wall, open, load, run, peak] = [0, 1, 2, 3, 4].map(of);
        println!(
            "| {name} | {:.1} | {:.1} to {:.1} | {:.0} | {:.0} | {:.1} | {:.1} |",
            wall.median / 1e3,
            wall.least / 1e3,
            wall.most / 1e3,
            open.median,
            load.median,
            run.median / 1e3,
            peak.median / 1024.0
        );
    }
    Ok(())
}

/// Microseconds from the start of a process to its line, and what the line says; 0 for what it does not.
fn started(command: &[String]) -> Outcome<[f64; 5]> {
    let (program, arguments) = command.split_first().ok_or("no program")?;
    let begin = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let wall = begin.elapsed().as_secs_f64() * 1e6;
    if !child.wait()?.success() {
        return Err(format!("{command:?} failed").into());
    }
    let field = |name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
        rest.split([',', '}']).next()?.trim().parse::<f64>().ok()
    };
    let [open, load, run, peak] = FIELDS.map(|name| field(name).unwrap_or(0.0));
    Ok([wall, open, load, run, peak])
}

/// Median and extremes.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { median: values[values.len() / 2], least: values[0], most: values[values.len() - 1] }
    }
}

/// Opens a file with so much of weights, and prints a row of what that takes.
fn opened(megabytes: u32, folder: &Path) -> Outcome<()> {
    let path: PathBuf = folder.join(format!("{megabytes}.fpk"));
    let (blocks, len) = file(megabytes * 256).write()?;
    std::fs::write(&path, &Block::bytes(&blocks)[..len])?;
    drop(blocks);
    let resident = {
        let _mapped = MappedModel::open(&path)?;
        resident_kib(&path)?
    };
    let (mut times, mut faults) = (Vec::new(), Vec::new());
    for _ in 0..1001 {
        let before = page_faults()?;
        let begin = Instant::now();
        let mapped = MappedModel::open(&path)?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
        faults.push(page_faults()? - before);
        drop(mapped);
    }
    let [times, faults] = [times, faults].map(Spread::of);
    println!(
        "| {megabytes} MB | {:.1} | {:.1} to {:.1} | {} | {} |",
        times.median, times.least, times.most, faults.median, resident
    );
    Ok(())
}

/// A fully connected layer of 1024 inputs.
fn file(outputs: u32) -> Draft {
    let tensor = |dims: [u32; 2], memory| {
        let shape = Shape::new(&dims).expect("of two dimensions");
        let tensor_type = TensorType { dtype: DType::F32, shape };
        TensorDraft { name: None, tensor_type, layout: Layout::Rows, quant: 0, memory }
    };
    let weights = vec![0; 4096 * outputs as usize];
    Draft {
        target: Target::Portable,
        tensors: vec![
            tensor([1, 1024], Memory::Arena(0)),
            tensor([outputs, 1024], Memory::Constant(weights)),
            tensor([1, outputs], Memory::Arena(4096)),
        ],
        steps: vec![StepDraft {
            name: None,
            op: OpCode::FullyConnected,
            params: bytemuck::bytes_of(&FullyConnectedParams { clamp: Clamp::NONE }).to_vec(),
            inputs: vec![0, 1],
            outputs: vec![2],
            scratches: vec![],
        }],
        inputs: vec![0],
        outputs: vec![2],
        quants: vec![],
        cases: vec![],
        meta: BTreeMap::new(),
    }
}

/// Pages that this process has touched first, and that needed no storage.
fn page_faults() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(") ").ok_or("no fields")?.1;
    Ok(fields.split(' ').nth(7).ok_or("no field")?.parse()?)
}

/// What is in memory of a file that this process has mapped.
fn resident_kib(path: &Path) -> Outcome<f64> {
    let smaps = std::fs::read_to_string("/proc/self/smaps")?;
    let name = path.to_string_lossy();
    let mut lines = smaps.lines().skip_while(|line| !line.ends_with(name.as_ref()));
    let field = lines.find_map(|line| line.strip_prefix("Rss:")).ok_or("no map")?;
    Ok(field.trim().trim_end_matches(" kB").parse()?)
}
