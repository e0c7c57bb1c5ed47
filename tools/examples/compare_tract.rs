//! Times models as files of ours and as tract's graphs, in turns in one run, on the same inputs.
//!
//! `cargo build --profile peers -p flatpack --bin flatpack --example compare_tract`
//! `target/peers/examples/compare_tract MODEL.h5 … [--turns N]`
//!
//! Ours are timed by `flatpack bench`, which is run as a process of its own: beside tract in one
//! process, our code was measured up to twenty times slower, for reasons that are not understood.

use comfy_table::{Table, presets};
use flatpack::build::{self, Goldens, Options};
use flatpack::golden;
use flatpack::import::keras;
use flatpack::reference::Predictor;
use flatpack_format::Target;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Runs of each side in a turn.
const RUNS: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut models: Vec<String> = std::env::args().skip(1).collect();
    let mut turns = 5;
    if let Some(at) = models.iter().position(|a| a == "--turns") {
        turns = models.get(at + 1).ok_or("--turns takes a number")?.parse()?;
        models.drain(at..at + 2);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["model", "MACs", "ours, µs", "tract, µs", "ours / tract"]);
    for model in &models {
        let (macs, ours, tract) = compare(Path::new(model), turns)?;
        table.add_row([
            model.clone(),
            macs.to_string(),
            format!("{ours:.1}"),
            format!("{tract:.1}"),
            format!("{:.2}", ours / tract),
        ]);
    }
    println!("{table}\nmedians of {turns} turns of {RUNS} runs each, one thread");
    Ok(())
}

/// Multiply-accumulates, and the median time of ours and of tract's, in µs.
fn compare(path: &Path, turns: usize) -> Result<(u64, f64, f64), Box<dyn Error>> {
    let saved = keras::open(path, None)?;
    let graph = keras::lower(&saved, &saved.network()?, &keras::Options::default())?;
    let inputs =
        golden::inputs(&graph, 0, 1.0).iter().map(flatpack::exact::Values::floats).collect::<Vec<_>>();
    let predictor = Predictor::of_outputs(&graph)?;
    let goldens = Goldens::Predicted(1);
    let options = Options { target: Target::Linux, goldens, strip: true, ..Options::default() };
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), build::build(graph, &options)?.bytes())?;

    let (mut macs, mut ours, mut theirs) = (0, Vec::new(), Vec::new());
    predictor.predict(&inputs)?;
    for _ in 0..turns {
        let bench = bench(file.path())?;
        macs = bench["macs"].as_u64().unwrap_or(0);
        ours.push(bench["median_us"].as_f64().ok_or("no median")?);
        for _ in 0..RUNS {
            let begin = Instant::now();
            predictor.predict(&inputs)?;
            theirs.push(begin.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok((macs, median(&mut ours), median(&mut theirs)))
}

/// What `flatpack bench`, built beside this program, says of a file.
fn bench(file: &Path) -> Result<serde_json::Value, Box<dyn Error>> {
    let here = std::env::current_exe()?;
    let flatpack: PathBuf = here.parent().and_then(Path::parent).ok_or("no folder")?.join("flatpack");
    let output = Command::new(flatpack)
        .args(["bench", "--json", "--iterations", &RUNS.to_string()])
        .arg(file)
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
