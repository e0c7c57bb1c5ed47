//! `flatpack ops`: what can be imported, and what runs it.

use super::{Failure, Report};
use crate::import::{keras, saved_model, tflite};
use flatpack_format::OpCode;
use serde_json::json;
use std::fmt::Write as _;

/// List the layers that can be imported and the operators that run them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  flatpack ops\n  flatpack ops --markdown")]
pub struct Args {
    /// As the tables of the README.
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(args: &Args) -> Result<Report, Failure> {
    let operators: Vec<&str> = OpCode::ALL.iter().map(|op| op.name()).collect();
    let families = keras::supported();
    let of_tflite = tflite::supported();
    let of_graphs = saved_model::supported();
    let mut text = String::new();
    if args.markdown {
        let _ = writeln!(text, "| Keras | read |\n|---|---|");
    }
    for (family, classes) in &families {
        if args.markdown {
            let classes: Vec<String> = classes.iter().map(|c| format!("`{c}`")).collect();
            let _ = writeln!(text, "| {family} | {} |", classes.join(" "));
        } else {
            let _ = writeln!(text, "{family}: {}", classes.join(" "));
        }
    }
    for (source, kind, names) in [
        ("TensorFlow Lite", "operators", &of_tflite),
        ("TensorFlow, in SavedModels", "operations", &of_graphs),
    ] {
        if args.markdown {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(text, "\n| {source} | read |\n|---|---|\n| {kind} | {} |", names.join(" "));
        } else {
            let _ = writeln!(text, "{kind} of {source}: {}", names.join(" "));
        }
    }
    if args.markdown {
        let names: Vec<String> = operators.iter().map(|o| format!("`{o}`")).collect();
        let _ = writeln!(text, "\n{} operators run them: {}", operators.len(), names.join(" "));
    } else {
        let _ = writeln!(text, "{} operators: {}", operators.len(), operators.join(" "));
    }
    let keras: serde_json::Map<String, serde_json::Value> =
        families.into_iter().map(|(family, classes)| (family.to_owned(), json!(classes))).collect();
    Ok(Report::new(
        text,
        json!({ "keras": keras, "tflite": of_tflite, "tensorflow": of_graphs, "operators": operators }),
    ))
}
