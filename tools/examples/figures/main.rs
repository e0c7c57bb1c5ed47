//! What quantisation saves and costs, on the models of a corpus, as tables in Markdown.
//!
//! `cargo run --release -p flatpack --example figures -- CORPUS [--data DIR]`
//!
//! A corpus has a folder per model: `trained/NAME` with `model.h5` and `test.npz` (`x`, `y`, `keras`),
//! `open/NAME` with `model.h5` or `model.tflite`, `input_0.npy` and `output_0.npy` (`tflm_output_0.npy`
//! where all is integers). `DIR` may hold more rows for a model, `NAME_x.npy` with Keras' `NAME_keras.npy`,
//! and `NAME.tflite`, which TensorFlow made of it with integers, calibrated on the first half of them.
//!
//! A model is calibrated on a part of its rows and judged on the others: every fourth row of `test.npz`
//! calibrates, or the first half of `NAME_x.npy`. The score is that of all of `test.npz`. Where there are
//! only recorded inputs, they serve both ends, which flatters the integers.

mod entry;

use clap::{CommandFactory, Parser};
use entry::{Distance, Entry, OPEN, name_of, rows};
use flatpack::commands::Command;
use flatpack::data;
use flatpack_format::{Block, Case, SectionKind};
use flatpack_runtime::{MappedModel, Session, ops};
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What `--quantize` makes of reals, and first, what is made without it.
const KINDS: [&str; 4] = ["float32", "int8-weights", "f16-weights", "int8"];

const METHODS: [&str; 4] = ["minmax", "percentile:99.9", "percentile:99.99", "mse"];

/// Shuffles of the rows on which methods are compared, and how many rows calibrate at most.
const SHUFFLES: usize = 16;
const CALIBRATE: usize = 128;

/// Timed runs of each of two files.
const TURNS: usize = 300;

/// Prints tables of what quantisation saves and costs.
#[derive(Parser)]
struct Arguments {
    /// The folder of models.
    corpus: PathBuf,
    /// A folder with more data.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Only times two files: CORPUS and this.
    #[arg(long, hide = true)]
    time: Option<PathBuf>,
}

/// The command line of flatpack, in this process.
#[derive(Parser)]
struct Flatpack {
    #[command(subcommand)]
    command: Command,
}

/// Runs a command and gives its report for scripts.
fn flatpack(arguments: &[&str]) -> Outcome<Value> {
    let parsed = Flatpack::try_parse_from([&["flatpack"], arguments].concat())?;
    let report = parsed.command.run(&mut Flatpack::command());
    Ok(report.map_err(|failure| format!("{:#}", failure.report))?.json)
}

fn main() -> Outcome<()> {
    let Arguments { corpus, data, time } = Arguments::parse();
    if let Some(other) = time {
        println!("{}", json!(times([&corpus, &other])?));
        return Ok(());
    }
    let entries = fs::read_dir(corpus.join("trained"))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders.extend(OPEN.map(|(name, ..)| corpus.join("open").join(name)));

    let work = tempfile::tempdir()?;
    let [mut files, mut speed, mut methods, mut peers, mut missing] = [const { Vec::new() }; 5];
    for folder in folders {
        let entry = match Entry::read(&folder, data.as_deref()) {
            Ok(entry) => entry,
            Err(error) => {
                let reason = error.to_string().replace(&format!("{}/", folder.display()), "");
                missing.push(vec![name_of(&folder), reason]);
                continue;
            }
        };
        eprintln!("{}", entry.name);
        files.extend(entry.files(work.path())?);
        if !entry.of_integers {
            speed.push(entry.speed(work.path())?);
        }
        if entry.judge != entry.calibrate {
            methods.extend(entry.methods(work.path())?);
            peers.extend(entry.peers(work.path())?);
        }
    }
    table("model | kind | file | bare | weights | arena | `.tflite` | score | signal to noise", files);
    table("model | to quantise, s | float32, µs | int8, µs | int8 / float32", speed);
    table("model | ranges | signal to noise, dB: mean | least | largest error", methods);
    table("model | made by | signal to noise | RMS error | largest error", peers);
    table("not there | why", missing);
    Ok(())
}

fn table(columns: &str, rows: Vec<Vec<String>>) {
    println!("| {columns} |\n|{}", "---|".repeat(columns.split('|').count()));
    rows.iter().for_each(|row| println!("| {} |", row.join(" | ")));
    println!();
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}

impl Entry {
    /// Builds a file of a kind, and gives the report.
    fn build(&self, kind: &str, calibrate: &[usize], file: &Path, options: &[&str]) -> Outcome<Value> {
        let samples = file.with_extension("npy");
        let [model, output, samples_name] = [&self.model, file, &samples].map(|path| path.to_string_lossy());
        let mut arguments = vec!["build", &model, "-o", &output];
        if kind != KINDS[0] {
            arguments.extend(["--quantize", kind]);
        }
        if kind == "int8" {
            data::save_npy(&samples, &rows(&self.x, calibrate))?;
            arguments.extend(["--calibrate", &samples_name]);
        }
        arguments.extend(options);
        flatpack(&arguments)
    }

    /// Bytes and errors of each kind of file.
    fn files(&self, work: &Path) -> Outcome<Vec<Vec<String>>> {
        let kinds = if self.of_integers { &KINDS[..1] } else { &KINDS[..] };
        let row = |(position, kind): (usize, &&str)| {
            let file = work.join("model.fpk");
            let io: &[&str] = if *kind == "int8" { &["--io", "int8"] } else { &[] };
            let bare =
                self.build(kind, &self.calibrate, &file, &[io, &["--strip", "--goldens", "0"]].concat())?;
            self.build(kind, &self.calibrate, &file, &[])?;
            let mapped = MappedModel::open(&file)?;
            let model = mapped.model()?;
            let position = if self.of_integers { 3 } else { position };
            let tflite = self.tflite[position].as_ref().map(fs::metadata).transpose()?;
            let score = self.test.as_ref().map_or(Ok(String::new()), |test| score(&file, test))?;
            Ok(vec![
                self.name.clone(),
                if self.of_integers { "as it is" } else { kind }.to_owned(),
                grouped(fs::metadata(&file)?.len()),
                grouped(bare["file_bytes"].as_u64().ok_or("no size")?),
                grouped(model.section(SectionKind::Weights).len() as u64),
                grouped(model.header().arena_bytes.into()),
                tflite.map_or_else(String::new, |file| grouped(file.len())),
                score,
                self.distance(&file, &self.judge)?.decibels(),
            ])
        };
        kinds.iter().enumerate().map(row).collect()
    }

    /// How long it takes to quantise, and to run.
    fn speed(&self, work: &Path) -> Outcome<Vec<String>> {
        let [reals, integers] = ["reals.fpk", "integers.fpk"].map(|name| work.join(name));
        self.build("float32", &self.calibrate, &reals, &["--target", "linux"])?;
        let begin = Instant::now();
        self.build("int8", &self.calibrate, &integers, &["--target", "linux"])?;
        let seconds = begin.elapsed().as_secs_f64();
        // tract has run in this process, after which our code was measured far slower: in another.
        let timed = std::process::Command::new(std::env::current_exe()?)
            .args([&reals, Path::new("--time"), &integers])
            .output()?;
        let [reals, integers]: [f64; 2] = serde_json::from_slice(&timed.stdout)?;
        let numbers = format!("{seconds:.2} | {reals:.1} | {integers:.1} | {:.2}", integers / reals);
        Ok(vec![self.name.clone(), numbers])
    }

    /// Each method on parts of all rows, the same for all: how far the outputs of the rest are off.
    fn methods(&self, work: &Path) -> Outcome<Vec<Vec<String>>> {
        let (file, count) = (work.join("model.fpk"), self.x.shape[0]);
        let row = |method: &&str| {
            let (mut random, mut ratios, mut largest) = (1, [0.0; SHUFFLES], 0.0f64);
            for ratio in &mut ratios {
                let order = shuffled(count, &mut random);
                let (calibrate, judge) = order.split_at(CALIBRATE.min(count / 2));
                self.build("int8", calibrate, &file, &["--calibration", method])?;
                let distance = self.distance(&file, judge)?;
                (*ratio, largest) = (distance.snr_db, largest.max(distance.largest));
            }
            let mean = ratios.iter().sum::<f64>() / SHUFFLES as f64;
            let squares = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>();
            let error = (squares / (SHUFFLES * (SHUFFLES - 1)) as f64).sqrt();
            let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let numbers = format!("{mean:.1} ± {error:.1} | {least:.1} | {largest:.3}");
            Ok(vec![self.name.clone(), (*method).to_owned(), numbers])
        };
        METHODS.iter().map(row).collect()
    }

    /// Integers made by us and by TensorFlow, on the same rows.
    fn peers(&self, work: &Path) -> Outcome<Vec<Vec<String>>> {
        let file = work.join("model.fpk");
        let makers = [
            ("flatpack", "int8", Some(self.model.as_path())),
            ("TensorFlow, calibrated on the same rows", "float32", self.peer.as_deref()),
            ("TensorFlow, its `.tflite`", "float32", self.tflite[3].as_deref()),
        ];
        let mut table = Vec::new();
        for (maker, kind, model) in makers {
            let Some(model) = model else { continue };
            Self { model: model.to_owned(), ..self.clone() }.build(kind, &self.calibrate, &file, &[])?;
            let Distance { snr_db, rms, largest } = self.distance(&file, &self.judge)?;
            let numbers = format!("{snr_db:.1} dB | {rms:.4} | {largest:.3}");
            table.push(vec![self.name.clone(), maker.to_owned(), numbers]);
        }
        Ok(table)
    }
}

/// Area under the ROC curve, or accuracy.
fn score(file: &Path, test: &Path) -> Outcome<String> {
    let json = flatpack(&["eval", &file.to_string_lossy(), "--data", &test.to_string_lossy()])?;
    let score = json["auc"].as_f64().or(json["accuracy"].as_f64()).ok_or("no score")?;
    Ok(format!("{score:.5}"))
}

/// Numbers in an order that Marsaglia's xorshift decides, so that it is the same in every run.
fn shuffled(count: usize, random: &mut u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        order.swap(last, (*random % (last as u64 + 1)) as usize);
    }
    order
}

/// Median times of two files in µs, whose runs take turns.
fn times(files: [&Path; 2]) -> Outcome<[f64; 2]> {
    let [first, second] = [MappedModel::open(files[0])?, MappedModel::open(files[1])?];
    let models = [first.model()?, second.model()?];
    let mut memory = models.map(|model| vec![Block::ZERO; Block::count(Session::memory_bytes(&model))]);
    let mut sessions = Vec::new();
    for (model, memory) in models.iter().zip(&mut memory) {
        sessions.push(Session::load(*model, ops::ALL, Block::bytes_mut(memory))?);
    }
    let mut times = [const { Vec::new() }; 2];
    for turn in 0..TURNS + TURNS / 10 {
        for ((session, model), times) in sessions.iter_mut().zip(&models).zip(&mut times) {
            for (number, (_, values)) in model.cases().next().iter().flat_map(Case::inputs).enumerate() {
                session.input_bytes(number).ok_or("no input")?.copy_from_slice(values);
            }
            let begin = Instant::now();
            session.run()?;
            if turn >= TURNS / 10 {
                times.push(begin.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    Ok(times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }))
}
