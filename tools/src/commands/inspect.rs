//! `flatpack inspect`: what a file says.

mod file;
mod source;

use super::source::SourceArgs;
use super::{Failure, Report};
use comfy_table::{Table, presets};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Show what a model holds: a .fpk file, or one that `build` is to read, with all that would be refused.
///
/// Nothing in the file is executed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file, or the folder of a SavedModel.
    file: PathBuf,
    /// Every step of a .fpk file: operator, shapes, weights, multiply-accumulates.
    #[arg(long)]
    steps: bool,
    /// Every tensor of a .fpk file: type, shape, place.
    #[arg(long)]
    tensors: bool,
    /// A map of the arenas of a .fpk file over the steps.
    #[arg(long)]
    memory: bool,
    /// The section directory of a .fpk file.
    #[arg(long)]
    sections: bool,
    #[command(flatten)]
    source: SourceArgs,
}

const EXAMPLES: &str = "Examples:
  flatpack inspect model.fpk
  flatpack inspect model.fpk --steps --memory
  flatpack inspect model.fpk --json | jq .arena_bytes
  flatpack inspect model.keras
  flatpack inspect downloaded.pkl --json | jq .refused
  flatpack inspect weights.pkl --architecture model.json";

pub(super) fn run(args: &Args) -> Result<Report, Failure> {
    if is_flat(&args.file) {
        if !args.source.is_empty() {
            return Err(Failure::usage(miette::miette!(
                help = "give --batch and its like to `flatpack build`",
                "{} is a .fpk file, in which nothing is open",
                args.file.display()
            )));
        }
        return file::report(args);
    }
    if args.steps || args.tensors || args.memory || args.sections {
        return Err(Failure::usage(miette::miette!(
            help = "leave --steps, --tensors, --memory and --sections out, or build the model first",
            "{} is no .fpk file, which alone has steps and a memory plan",
            args.file.display()
        )));
    }
    source::report(args)
}

/// Whether a file is a .fpk file, or is called one.
fn is_flat(path: &Path) -> bool {
    let mut magic = [0; flatpack_format::MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    (read.is_ok() && magic == flatpack_format::MAGIC) || path.extension().is_some_and(|end| end == "fpk")
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table
}
