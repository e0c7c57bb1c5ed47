//! Times a model as a file of ours and as tract's graph, in one process, in turns.
//!
//! `cargo run --profile peers -p flatpack --example compare_tract -- MODEL.h5 … [--runs N]`

use comfy_table::{Table, presets};
use flatpack::build::{self, Goldens, Options};
use flatpack::golden;
use flatpack::import::keras;
use flatpack::reference::Predictor;
use flatpack_format::{Block, Model, Target};
use flatpack_runtime::{Session, ops};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut models: Vec<String> = std::env::args().skip(1).collect();
    let mut runs = 50;
    if let Some(at) = models.iter().position(|a| a == "--runs") {
        runs = models.get(at + 1).ok_or("--runs takes a number")?.parse()?;
        models.drain(at..at + 2);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["model", "MACs", "ours, µs", "tract, µs", "ours / tract"]);
    for model in &models {
        let (macs, ours, tract) = compare(Path::new(model), runs)?;
        table.add_row([
            model.clone(),
            macs.to_string(),
            format!("{ours:.1}"),
            format!("{tract:.1}"),
            format!("{:.2}", ours / tract),
        ]);
    }
    println!("{table}\nmedians of {runs} runs each, in turns of ten, one thread");
    Ok(())
}

/// Multiply-accumulates, and the median time of ours and of tract's, in µs.
fn compare(path: &Path, runs: usize) -> Result<(u64, f64, f64), Box<dyn Error>> {
    let saved = keras::open(path, None)?;
    let graph = keras::lower(&saved, &saved.network()?, &keras::Options::default())?;
    let inputs = golden::inputs(&graph, 0);
    let predictor = Predictor::of_outputs(&graph)?;
    let options =
        Options { target: Target::Linux, goldens: Goldens::Predicted(1), strip: true, meta: BTreeMap::new() };
    let built = build::build(graph, &options)?;
    let model = Model::parse(built.bytes())?;
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory))?;

    // Each burst has a thread of its own: tract's kernels can leave the upper halves of the vector
    // registers in use, which slows SSE code of the same thread by a factor of up to ten.
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    while ours.len() < runs {
        let burst = std::thread::scope(|scope| {
            scope.spawn(|| timed(|| run(&mut session, &inputs))).join().expect("no panic")
        });
        ours.extend(burst.ok_or("a run failed")?);
        let burst = std::thread::scope(|scope| {
            scope.spawn(|| timed(|| predictor.predict(&inputs).ok().map(drop))).join().expect("no panic")
        });
        theirs.extend(burst.ok_or("a prediction failed")?);
    }
    Ok((model.header().macs, median(&mut ours), median(&mut theirs)))
}

fn run(session: &mut Session<'_>, inputs: &[Vec<f32>]) -> Option<()> {
    for (number, values) in inputs.iter().enumerate() {
        session.input::<f32>(number)?.copy_from_slice(values);
    }
    session.run().ok()
}

/// Times of ten runs in µs, after one to warm up.
fn timed(mut run: impl FnMut() -> Option<()>) -> Option<Vec<f64>> {
    run()?;
    let time = |_| {
        let begin = Instant::now();
        run()?;
        Some(begin.elapsed().as_secs_f64() * 1e6)
    };
    (0..10).map(time).collect()
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
