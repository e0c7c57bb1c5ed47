//! What a .fpk file says.

use super::{Args, table};
use crate::commands::bench::step_macs;
use crate::commands::{Failure, Report, file, size};
use crate::predict::quant;
use comfy_table::Table;
use flatpack_format::{Model, Place, SectionKind, Tensor};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// One of the tables.
#[derive(Clone, Copy)]
enum Part {
    Steps,
    Tensors,
    Memory,
    Sections,
}

pub(super) fn report(args: &Args) -> Result<Report, Failure> {
    let mapped = file::open(&args.file)?;
    let model = file::model(&args.file, &mapped)?;
    let (mut text, mut json) = summary(&model);
    let wanted = [
        (Part::Steps, args.steps),
        (Part::Tensors, args.tensors),
        (Part::Memory, args.memory),
        (Part::Sections, args.sections),
    ];
    for (part, wanted) in wanted {
        let (key, shown, value) = match part {
            Part::Steps => drawn("steps", steps(&model)),
            Part::Tensors => drawn("tensors", tensors(&model)),
            Part::Memory => drawn("memory", memory(&model)),
            Part::Sections => drawn("sections", sections(&model)),
        };
        json[key] = value;
        if wanted {
            let _ = write!(text, "\n{shown}\n");
        }
    }
    Ok(Report::new(text, json))
}

fn drawn(key: &'static str, (shown, value): (impl ToString, Value)) -> (&'static str, String, Value) {
    (key, shown.to_string(), value)
}

fn name<'a>(model: &Model<'a>, tensor: &Tensor<'_>) -> &'a str {
    model.tensor_name(tensor.number()).unwrap_or("")
}

/// How integers of a tensor stand for reals, where they do.
fn quant_json(model: &Model<'_>, tensor: &Tensor<'_>) -> Value {
    let quant = quant(model, tensor).map(|q| json!({ "scale": q.scale(), "zero_point": q.zero_point() }));
    quant.unwrap_or(Value::Null)
}

fn summary(model: &Model<'_>) -> (String, Value) {
    let header = model.header();
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key:<12} {value}");
    };
    line("format", format!("version {}, packed for {}", header.version, model.target().name()));
    line("file", size(header.file_bytes.into()));
    line("weights", size(model.section(SectionKind::Weights).len() as u64));
    line("arena", format!("{} bytes", header.arena_bytes));
    line("state", format!("{} bytes", header.state_bytes));
    if header.far_bytes > 0 {
        line("far arena", format!("{} bytes", header.far_bytes));
    }
    line("steps", format!("{}, {} multiply-accumulates", model.steps().len(), header.macs));
    let io = |tensors: Vec<Tensor<'_>>| -> Vec<Value> {
        tensors
            .iter()
            .map(|t| {
                json!({
                    "name": name(model, t), "dtype": t.dtype().name(), "shape": t.shape().dims(),
                    "quant": quant_json(model, t),
                })
            })
            .collect()
    };
    for (key, tensors) in
        [("input", model.inputs().collect::<Vec<_>>()), ("output", model.outputs().collect())]
    {
        for tensor in &tensors {
            let quant =
                quant(model, tensor).map(|q| format!(", real = {} · (q − {})", q.scale(), q.zero_point()));
            let dtype = tensor.dtype().name();
            let quant = quant.unwrap_or_default();
            line(key, format!("{} {dtype} {:?}{quant}", name(model, tensor), tensor.shape()));
        }
    }
    let receipts: usize = model.cases().map(|case| case.receipts().len()).sum();
    line("goldens", format!("{}, {receipts} receipts", model.cases().len()));
    let meta: serde_json::Map<String, Value> =
        model.metadata().map(|(key, value)| (key.to_owned(), value.into())).collect();
    for (key, value) in model.metadata() {
        line(key, value.to_owned());
    }
    let json = json!({
        "version": header.version,
        "target": model.target().name(),
        "file_bytes": header.file_bytes,
        "weights_bytes": model.section(SectionKind::Weights).len(),
        "arena_bytes": header.arena_bytes,
        "state_bytes": header.state_bytes,
        "far_bytes": header.far_bytes,
        "scratch_bytes": header.scratch_bytes,
        "macs": header.macs,
        "inputs": io(model.inputs().collect()),
        "outputs": io(model.outputs().collect()),
        "goldens": model.cases().len(),
        "receipts": receipts,
        "metadata": meta,
    });
    (text, json)
}

fn steps(model: &Model<'_>) -> (Table, Value) {
    let mut shown = table(&["step", "operator", "layer", "inputs", "output", "weights", "MACs"]);
    let mut json = Vec::new();
    for step in model.steps() {
        let activations: Vec<Tensor<'_>> = step.inputs().filter(|t| t.place() != Place::Constant).collect();
        let weights: u64 =
            step.inputs().filter(|t| t.place() == Place::Constant).map(|t| u64::from(t.bytes())).sum();
        let shapes: Vec<String> = activations.iter().map(|t| format!("{:?}", t.shape())).collect();
        let output = step.output();
        let layer = model.step_name(step.number()).unwrap_or("");
        let macs = step_macs(&step);
        let in_place = output.is_some_and(|y| activations.iter().any(|x| x.same_memory(&y)));
        let over_input = !in_place && output.is_some_and(|y| activations.iter().any(|x| x.overlaps(&y)));
        let placed = match (in_place, over_input) {
            (true, _) => " in place",
            (_, true) => " over its input",
            _ => "",
        };
        shown.add_row([
            step.number().to_string(),
            step.op().name().to_owned(),
            layer.to_owned(),
            shapes.join(" "),
            output.map(|t| format!("{:?}{placed}", t.shape())).unwrap_or_default(),
            if weights > 0 { size(weights) } else { String::new() },
            if macs > 0 { macs.to_string() } else { String::new() },
        ]);
        json.push(json!({
            "step": step.number(), "op": step.op().name(), "layer": layer,
            "inputs": step.inputs().map(|t| t.number()).collect::<Vec<_>>(),
            "outputs": step.outputs().map(|t| t.number()).collect::<Vec<_>>(),
            "weights_bytes": weights, "macs": macs, "in_place": in_place, "over_input": over_input,
        }));
    }
    (shown, json.into())
}

fn tensors(model: &Model<'_>) -> (Table, Value) {
    let mut shown = table(&["tensor", "name", "type", "shape", "layout", "place", "offset", "bytes"]);
    let mut json = Vec::new();
    for t in model.tensors() {
        shown.add_row([
            t.number().to_string(),
            name(model, &t).to_owned(),
            t.dtype().name().to_owned(),
            format!("{:?}", t.shape()),
            t.layout().name().to_owned(),
            t.place().name().to_owned(),
            t.offset().to_string(),
            t.bytes().to_string(),
        ]);
        json.push(json!({
            "tensor": t.number(), "name": name(model, &t), "dtype": t.dtype().name(), "shape": t.shape().dims(),
            "layout": t.layout().name(), "place": t.place().name(), "offset": t.offset(), "bytes": t.bytes(),
            "quant": quant_json(model, &t),
        }));
    }
    (shown, json.into())
}

/// A map of each arena.
fn memory(model: &Model<'_>) -> (String, Value) {
    let (mut text, mut json) = arena_map(model, Place::Arena);
    if model.header().far_bytes > 0 {
        let (far_text, far_json) = arena_map(model, Place::Far);
        text += &format!("\n{far_text}");
        for (step, far) in json.iter_mut().zip(far_json) {
            step["far_up_to_bytes"] = far["up_to_bytes"].clone();
        }
    }
    (text, json.into())
}

/// One row per step, one column per 1/64 of an arena: `#` read or written, `·` alive.
fn arena_map(model: &Model<'_>, place: Place) -> (String, Vec<Value>) {
    const COLUMNS: u64 = 64;
    let (name, arena) = match place {
        Place::Far => ("far arena", model.header().far_bytes),
        _ => ("arena", model.header().arena_bytes),
    };
    let arena = u64::from(arena).max(1);
    let steps = model.steps().len();
    // First and last step that names a tensor.
    let mut alive = vec![(usize::MAX, 0); model.tensor_records().len()];
    let mut touch = |tensor: u32, step: usize| {
        let (first, last) = &mut alive[tensor as usize];
        (*first, *last) = ((*first).min(step), (*last).max(step));
    };
    model.input_numbers().iter().for_each(|&t| touch(t, 0));
    model.output_numbers().iter().for_each(|&t| touch(t, steps.saturating_sub(1)));
    for step in model.steps() {
        step.inputs().chain(step.writes()).for_each(|t| touch(t.number(), step.number() as usize));
    }
    let mut text =
        format!("{name} of {arena} bytes, left to right; # used by the step, · kept for a later one\n");
    let mut json = Vec::new();
    for step in model.steps() {
        let at = step.number() as usize;
        let mut row = vec![' '; COLUMNS as usize];
        let mut bytes = 0u64;
        for t in model.tensors().filter(|t| t.place() == place) {
            let (first, last) = alive[t.number() as usize];
            if !(first..=last).contains(&at) {
                continue;
            }
            let used = step.inputs().chain(step.writes()).any(|o| o.number() == t.number());
            let start = u64::from(t.offset()) * COLUMNS / arena;
            let end = ((u64::from(t.offset()) + u64::from(t.bytes())) * COLUMNS).div_ceil(arena).min(COLUMNS);
            for cell in &mut row[start as usize..end as usize] {
                *cell = if used || *cell == '#' { '#' } else { '·' };
            }
            bytes = bytes.max(u64::from(t.offset()) + u64::from(t.bytes()));
        }
        let _ = writeln!(text, "{at:>4} |{}| {}", row.iter().collect::<String>(), step.op().name());
        json.push(json!({ "step": at, "up_to_bytes": bytes }));
    }
    (text, json)
}

fn sections(model: &Model<'_>) -> (Table, Value) {
    let mut shown = table(&["section", "critical", "offset", "bytes", "CRC-32"]);
    let mut json = Vec::new();
    for s in model.sections() {
        let name = SectionKind::from_number(s.kind).map_or("unknown", SectionKind::name);
        shown.add_row([
            name.to_owned(),
            if s.critical == 1 { "yes" } else { "no" }.to_owned(),
            s.offset.to_string(),
            s.bytes.to_string(),
            format!("{:08x}", s.crc32),
        ]);
        json.push(json!({ "section": name, "offset": s.offset, "bytes": s.bytes, "crc32": s.crc32 }));
    }
    (shown, json.into())
}
