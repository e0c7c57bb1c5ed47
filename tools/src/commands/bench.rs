//! `flatpack bench`: how long a file takes on this machine, per step and whole.

use super::{Failure, Report, file};
use crate::isa;
use comfy_table::{Table, presets};
use flatpack_format::{Case, OpCode};
use flatpack_runtime::{Arena, Isa, Progress, Session, ops};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Time a .fpk file on this machine.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  flatpack bench model.fpk\n  flatpack bench model.fpk --iterations 1000 --json"
)]
pub struct Args {
    /// The file.
    file: PathBuf,
    /// Runs to time, each once as a whole and once step by step; a tenth as many go before to warm up.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,
    /// Kernels of this instruction set instead of the fastest that this machine has.
    #[arg(long, value_name = "NAME", value_parser = isa::by_name)]
    isa: Option<Isa>,
    /// Threads that compute large steps together.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

pub(super) fn run(args: &Args) -> Result<Report, Failure> {
    let fail = |error: String| Failure::model(miette::miette!("{}: {error}", args.file.display()));
    let opening = Instant::now();
    let mapped = file::open(&args.file)?;
    let model = file::model(&args.file, &mapped)?;
    let open_us = micros(opening);
    let mut memory = Arena::of(&model).map_err(|e| Failure::usage(miette::miette!("{e}")))?;
    let first = Instant::now();
    let isa = args.isa.map_or_else(isa::chosen, Ok).map_err(Failure::isa)?;
    let kernels = isa.kernels().unwrap_or(ops::ALL);
    let mut session = Session::load(model, kernels, memory.bytes_mut()).map_err(|e| fail(e.to_string()))?;
    session =
        session.with_threads(args.threads.into()).map_err(|e| Failure::usage(miette::miette!("{e}")))?;
    let case = model.cases().next();
    set_inputs(&mut session, case.as_ref());
    session.run().map_err(|e| fail(e.to_string()))?;
    let first_us = micros(first);

    let mut steps = vec![Vec::new(); model.steps().len()];
    let mut whole = Vec::new();
    for iteration in 0..args.iterations + args.iterations.div_ceil(10) {
        let warm = iteration >= args.iterations.div_ceil(10);
        set_inputs(&mut session, case.as_ref());
        let begin = Instant::now();
        session.run().map_err(|e| fail(e.to_string()))?;
        if warm {
            whole.push(micros(begin));
        }
        // Once more step by step: a clock that is read for each takes a part of small ones.
        set_inputs(&mut session, case.as_ref());
        let mut number = 0;
        loop {
            let step = Instant::now();
            let progress = session.step().map_err(|e| fail(e.to_string()))?;
            if warm && number < steps.len() {
                steps[number].push(micros(step));
            }
            number += 1;
            if progress == Progress::Done {
                break;
            }
        }
    }
    let median_us = quantile(&mut whole, 0.5);
    let spread = (quantile(&mut whole, 0.1), quantile(&mut whole, 0.9));
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["step", "operator", "layer", "median µs", "%", "MACs", "MACs/µs"]);
    let mut json_steps = Vec::new();
    let total: f64 = steps.iter_mut().map(|times| quantile(times, 0.5)).sum();
    for (step, times) in model.steps().zip(&mut steps) {
        let median = quantile(times, 0.5);
        let macs = step_macs(&step);
        let layer = model.step_name(step.number()).unwrap_or("");
        table.add_row([
            step.number().to_string(),
            step.op().name().to_owned(),
            layer.to_owned(),
            format!("{median:.2}"),
            format!("{:.0}", 100.0 * median / total),
            if macs > 0 { macs.to_string() } else { String::new() },
            if macs > 0 { format!("{:.0}", macs as f64 / median) } else { String::new() },
        ]);
        json_steps.push(json!({ "step": step.number(), "op": step.op().name(), "layer": layer, "median_us": median, "macs": macs }));
    }
    let text = format!(
        "{table}\n{} runs on {}{}: median {median_us:.2} µs (10 % below {:.2}, 10 % above {:.2})\nopen {open_us:.0} µs, \
         load and first run {first_us:.0} µs",
        args.iterations,
        isa.name(),
        if args.threads > 1 { format!(", {} threads", args.threads) } else { String::new() },
        spread.0,
        spread.1
    );
    let text = match file::hint(&model) {
        Some(hint) => format!("{text}\n{hint}"),
        None => text,
    };
    let json = json!({
        "file": args.file,
        "iterations": args.iterations,
        "isa": isa.name(),
        "threads": args.threads,
        "median_us": median_us,
        "p10_us": spread.0,
        "p90_us": spread.1,
        "open_us": open_us,
        "first_us": first_us,
        "macs": model.header().macs,
        "steps": json_steps,
    });
    Ok(Report::new(text, json))
}

/// Writes the inputs of a golden, so that the values are of a usual size; without one they are zero.
fn set_inputs(session: &mut Session<'_>, case: Option<&Case<'_>>) {
    for (number, (_, values)) in case.iter().flat_map(|case| case.inputs()).enumerate() {
        if let Some(input) = session.input_bytes(number) {
            input.copy_from_slice(values);
        }
    }
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

fn quantile(times: &mut [f64], part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(((times.len().max(1) - 1) as f64 * part) as usize).copied().unwrap_or(0.0)
}

/// Multiply-accumulates of one step.
pub(super) fn step_macs(step: &flatpack_format::Step<'_>) -> u64 {
    let op: OpCode = step.op();
    let inputs: Vec<_> = step.inputs().map(|t| t.tensor_type()).collect();
    let output = step.output().map(|t| t.tensor_type());
    output.map_or(0, |output| (op.rule().macs)(step.params(), &inputs, &output))
}
