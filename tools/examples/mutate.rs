//! Reads models of any kind with wrong bytes, builds those that can be read, and reports panics.
//!
//! `cargo run -p flatpack --example mutate -- [--count N] [--cuts N] [--seed N] [--only K] FILE…`
//!
//! For each file: its truncations, all of them or `--cuts` at equal distances, then `--count` mutations (1,000
//! unless told). The folder of a SavedModel is read as its tar archive. Case K with n truncations is one of them
//! for K < n, else mutation K − n; `--only K` runs that one alone and lets its panic through. What is imported is
//! built, where it is small.
//!
//! Builds for development check overflows and assertions, which the command is for; one for release
//! does not. The exit code is 1 after a panic.

#[path = "../tests/mutations/mod.rs"]
mod mutations;

use flatpack::build::{self, BuildError, Goldens, Options};
use flatpack::graph::Graph;
use flatpack::import::{keras, open_bytes};
use miette::Diagnostic;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

/// The most multiply-accumulates of a model that is built.
const MAX_MACS: u64 = 10_000_000;

/// The most elements of all tensors of a model that is built.
const MAX_ELEMENTS: u64 = 1 << 20;

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The importer says what is wrong.
    Refused,
    /// A graph that is too large to be built here.
    TooLarge,
    /// A graph of which no file can be made.
    NotBuilt,
    /// A file that does not compute what the reference predicts.
    Diverges,
    /// A file.
    Built,
}

const OUTCOMES: [(Outcome, &str); 5] = [
    (Outcome::Refused, "refused"),
    (Outcome::TooLarge, "read, too large to be built here"),
    (Outcome::NotBuilt, "read, refused by the build"),
    (Outcome::Diverges, "read, goldens not met"),
    (Outcome::Built, "read and built"),
];

struct Arguments {
    count: u64,
    cuts: Option<u64>,
    seed: u64,
    only: Option<u64>,
    files: Vec<PathBuf>,
}

fn arguments() -> Option<Arguments> {
    let mut found = Arguments { count: 1000, cuts: None, seed: 1, only: None, files: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|text| text.replace('_', "").parse().ok());
        match word.as_str() {
            "--count" => found.count = number()?,
            "--cuts" => found.cuts = Some(number()?),
            "--seed" => found.seed = number()?,
            "--only" => found.only = Some(number()?),
            _ if word.starts_with("--") => return None,
            _ => found.files.push(word.into()),
        }
    }
    (!found.files.is_empty()).then_some(found)
}

/// The message and place of the last panic.
static LAST: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("usage: mutate [--count N] [--cuts N] [--seed N] [--only K] FILE…");
        return ExitCode::from(2);
    };
    if !cfg!(debug_assertions) {
        println!("this build does not check overflows");
    }
    let (start, mut panics, mut all) = (Instant::now(), 0u64, [0u64; OUTCOMES.len()]);
    for file in &arguments.files {
        let whole = match contents(file) {
            Ok(whole) => whole,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(2);
            }
        };
        let len = whole.len() as u64;
        let cuts = arguments.cuts.unwrap_or(len).min(len);
        let case = |number: u64| match number.checked_sub(cuts) {
            None => whole[..(number * len / cuts) as usize].to_vec(),
            Some(mutation) => mutations::mutated(&whole, arguments.seed, mutation),
        };
        if let Some(number) = arguments.only {
            let (outcome, why) = outcome(file, case(number));
            println!("{}, seed {}, {number}: {outcome:?} {why}", file.display(), arguments.seed);
            continue;
        }
        panic::set_hook(Box::new(|info| {
            if let Ok(mut last) = LAST.lock() {
                *last = info.to_string();
            }
        }));
        let mut counts = [0u64; OUTCOMES.len()];
        for number in 0..cuts + arguments.count {
            match panic::catch_unwind(AssertUnwindSafe(|| outcome(file, case(number)))) {
                Ok((found, _)) => {
                    let at = OUTCOMES.iter().position(|(outcome, _)| *outcome == found).unwrap_or(0);
                    counts[at] += 1;
                    if found == Outcome::Diverges && counts[at] <= 5 {
                        println!("{}, seed {}, {number}: goldens not met", file.display(), arguments.seed);
                    }
                }
                Err(_) => {
                    panics += 1;
                    let why = LAST.lock().map(|last| last.clone()).unwrap_or_default();
                    println!("{}, seed {}, {number}: {why}", file.display(), arguments.seed);
                }
            }
        }
        println!("{}: {}", file.display(), described(&counts));
        all.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
    }
    if arguments.only.is_none() {
        let memory = peak_memory().unwrap_or_else(|| "unknown".into());
        let seconds = start.elapsed().as_secs();
        println!("all: {}; {panics} panics; {seconds} s; at most {memory} of memory", described(&all));
    }
    ExitCode::from(u8::from(panics > 0))
}

/// The bytes of a file, or of the tar archive of a folder.
fn contents(file: &Path) -> io::Result<Vec<u8>> {
    if !file.is_dir() {
        return std::fs::read(file);
    }
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", file)?;
    archive.into_inner()
}

fn described(counts: &[u64]) -> String {
    let counts: Vec<String> =
        OUTCOMES.iter().zip(counts).map(|((_, name), count)| format!("{count} {name}")).collect();
    counts.join(", ")
}

/// The most memory that this process had, as the system says.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}

/// What becomes of these bytes, and why, as the user reads it.
fn outcome(file: &Path, bytes: Vec<u8>) -> (Outcome, String) {
    let source = open_bytes(file, bytes, None);
    let graph = match source.and_then(|source| source.graph(&keras::Options::default())) {
        Ok((graph, _)) => graph,
        Err(error) => {
            let help = error.help().map(|help| help.to_string());
            return (Outcome::Refused, format!("{error}; {}", help.unwrap_or_default()));
        }
    };
    if !is_small(&graph) {
        return (Outcome::TooLarge, String::new());
    }
    let options = Options { goldens: Goldens::Predicted(1), ..Options::default() };
    match build::build(graph, &options) {
        Ok(_) => (Outcome::Built, String::new()),
        Err(error @ BuildError::Diverges { .. }) => (Outcome::Diverges, error.to_string()),
        Err(error) => (Outcome::NotBuilt, error.to_string()),
    }
}

fn is_small(graph: &Graph) -> bool {
    let macs = graph.nodes.iter().fold(0u64, |sum, node| sum.saturating_add(graph.macs(node)));
    let elements = graph.tensors.iter().map(|tensor| u64::from(tensor.shape().len().unwrap_or(u32::MAX)));
    macs <= MAX_MACS && elements.sum::<u64>() <= MAX_ELEMENTS
}
