//! `flatpack verify`: structure, checksums, goldens.

use super::{Failure, Report, file};
use crate::{build, isa};
use flatpack_runtime::ops;
use serde_json::json;
use std::path::PathBuf;

/// Check a .fpk file: structure, checksums, and goldens on this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file.
    file: PathBuf,
    /// Ask also whether a firmware can run it: the features.json that it was compiled with.
    #[arg(long = "for", value_name = "FILE")]
    firmware: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  flatpack verify model.fpk
  flatpack verify model.fpk --for features.json
  flatpack verify model.fpk --json";

pub(super) fn run(args: &Args) -> Result<Report, Failure> {
    let firmware = args.firmware.as_deref().map(super::firmware).transpose()?;
    let mapped = file::open(&args.file)?;
    let model = file::model(&args.file, &mapped)?;
    let name = args.file.display();
    let isa = isa::chosen().map_err(Failure::isa)?;
    let kernels = isa.kernels().unwrap_or(ops::ALL);
    model.check_contents().map_err(|error| {
        let help = "a byte was changed since the file was built: copy or build it again";
        Failure::model(miette::miette!(help = help, "{name}: {error}"))
    })?;
    let checked = build::check(&model, kernels)
        .map_err(|error| Failure::model(miette::Report::msg(format!("{name}: {error}"))))?;
    if let Some(firmware) = firmware {
        firmware.check(&model, |step| model.step_name(step).map(str::to_owned))?;
    }
    let text = format!(
        "{name}: structure and checksums hold\n{} goldens met on {}: {} receipts, {} output elements, largest \
         difference {:.1e}",
        checked.cases,
        isa.name(),
        checked.receipts,
        checked.elements,
        checked.max_difference
    );
    let json = json!({
        "file": args.file,
        "isa": isa.name(),
        "goldens": checked.cases,
        "receipts": checked.receipts,
        "elements": checked.elements,
        "max_difference": checked.max_difference,
    });
    Ok(Report::new(text, json))
}
