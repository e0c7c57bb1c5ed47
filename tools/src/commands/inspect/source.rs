//! What a file that `build` is to read holds, and all that would be refused of it.

use super::{Args, table};
use crate::commands::{Failure, Report, size, source};
use crate::import::{Fault, ImportError, Surveyed, SurveyedLayer};
use miette::Diagnostic;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) fn report(args: &Args) -> Result<Report, Failure> {
    let found = args.source.survey(&args.file).map_err(source::failure)?;
    let exit_code = if found.refusals.is_empty() { 0 } else { Failure::MODEL };
    Ok(Report { text: text(&found), json: json(&found), exit_code })
}

fn text(found: &Surveyed) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key:<12} {value}");
    };
    line("format", &found.format);
    if let Some(writer) = &found.writer {
        line("writer", writer);
    }
    if !found.layers.is_empty() {
        line("parameters", &found.parameters.to_string());
    }
    for (name, extents) in &found.inputs {
        line("input", &format!("{name} {}", open_shape(extents.as_deref())));
    }
    found.outputs.iter().for_each(|output| line("output", output));
    found.dropped.iter().for_each(|dropped| {
        line("drops", &format!("{} ({})", dropped.name, size(dropped.bytes)));
    });
    found.notes.iter().for_each(|note| line("note", note));
    found.open.iter().for_each(|open| line("open", open));
    if !found.layers.is_empty() {
        let _ = write!(text, "\n{}\n", layers(found));
    }
    if !found.named.is_empty() {
        let mut names = table(&["named", "byte", ""]);
        for named in &found.named {
            let how = if named.is_called { "called" } else { "imported" };
            let known = if named.is_known { "" } else { ", refused" };
            names.add_row([named.name.clone(), named.at.to_string(), format!("{how}{known}")]);
        }
        let _ = write!(text, "\n{names}\n");
    }
    text.push('\n');
    for error in &found.refusals {
        let _ = writeln!(text, "refused      {error}");
        if let Some(help) = error.help() {
            let _ = writeln!(text, "             {help}");
        }
    }
    if found.names_code() {
        let _ = writeln!(text, "code         it names Python code; nothing was run");
    }
    let verdict = match found.refusals.len() {
        0 if found.open.is_empty() => "it can be built".to_owned(),
        0 => "it can be built once what is open is said".to_owned(),
        1 => "it cannot be built, for the reason above".to_owned(),
        count => format!("it cannot be built, for the {count} reasons above"),
    };
    let _ = writeln!(text, "verdict      {verdict}");
    text
}

fn layers(found: &Surveyed) -> comfy_table::Table {
    let mut shown = table(&["layer", "class", "output", "parameters", ""]);
    for layer in &found.layers {
        let shapes: Vec<String> = layer.shapes.iter().map(|shape| format!("{shape:?}")).collect();
        let parameters = layer.parameters.filter(|&count| count > 0);
        shown.add_row([
            layer.path.clone(),
            layer.class.clone(),
            shapes.join(" "),
            parameters.map(|count| count.to_string()).unwrap_or_default(),
            if is_refused(found, layer) { "refused".to_owned() } else { String::new() },
        ]);
    }
    shown
}

fn is_refused(found: &Surveyed, layer: &SurveyedLayer) -> bool {
    let mut refused = found.refusals.iter().filter_map(|error| error.layer.as_ref());
    refused.any(|refused| refused.path == layer.path)
}

/// A shape as Keras prints it.
fn open_shape(extents: Option<&[Option<usize>]>) -> String {
    let Some(extents) = extents else { return "of unknown shape".into() };
    let extent = |extent: &Option<usize>| extent.map_or("?".into(), |extent| extent.to_string());
    format!("[{}]", extents.iter().map(extent).collect::<Vec<_>>().join(", "))
}

fn json(found: &Surveyed) -> Value {
    let layer = |layer: &SurveyedLayer| {
        json!({
            "name": layer.path, "class": layer.class, "shapes": layer.shapes, "parameters": layer.parameters,
            "refused": is_refused(found, layer),
        })
    };
    let refusal = |error: &ImportError| {
        json!({
            "layer": error.layer.as_ref().map(|layer| &layer.path),
            "class": error.layer.as_ref().map(|layer| &layer.class),
            "error": error.fault.to_string(),
            "help": error.fault.remedy(),
            "is_code": matches!(*error.fault, Fault::Code { .. }),
        })
    };
    json!({
        "format": found.format,
        "writer": found.writer,
        "parameters": found.parameters,
        "inputs": found.inputs.iter().map(|(name, shape)| json!({ "name": name, "shape": shape })).collect::<Vec<_>>(),
        "outputs": found.outputs,
        "layers": found.layers.iter().map(layer).collect::<Vec<_>>(),
        "dropped": found.dropped.iter().map(|dropped| json!({ "name": dropped.name, "bytes": dropped.bytes })).collect::<Vec<_>>(),
        "notes": found.notes,
        "open": found.open,
        "names_code": found.names_code(),
        "named": found.named.iter().map(|named| json!({
            "name": named.name, "at": named.at, "is_called": named.is_called, "is_known": named.is_known,
        })).collect::<Vec<_>>(),
        "refused": found.refusals.iter().map(refusal).collect::<Vec<_>>(),
    })
}
