//! The verbs of the command line, one file each: arguments, and what running them reports.

mod bench;
mod build;
mod bytes;
mod eval;
mod file;
mod inspect;
mod ops;
mod run;
#[cfg(unix)]
mod serve;
mod source;
mod verify;

pub(crate) use file::{failure as open_failure, hint};

use crate::firmware::{Firmware, Unfit};
use crate::isa::{self, IsaError};
use clap::Subcommand;
use flatpack_format::Model;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// What to do.
#[derive(Debug, Subcommand)]
#[allow(missing_docs)]
pub enum Command {
    Build(Box<build::Args>),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Run(run::Args),
    Eval(eval::Args),
    Bench(bench::Args),
    #[cfg(unix)]
    Serve(serve::Args),
    Ops(ops::Args),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  flatpack completions bash > /etc/bash_completion.d/flatpack")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// If the model is at fault (exit code 1), or the use or a file (exit code 2).
    pub fn run(&self, cli: &mut clap::Command) -> Result<Report, Failure> {
        isa::chosen().map_err(Failure::isa)?;
        match self {
            Self::Build(args) => build::run(args),
            Self::Inspect(args) => inspect::run(args),
            Self::Verify(args) => verify::run(args),
            Self::Run(args) => run::run(args),
            Self::Eval(args) => eval::run(args),
            Self::Bench(args) => bench::run(args),
            #[cfg(unix)]
            Self::Serve(args) => serve::run(args),
            Self::Ops(args) => ops::run(args),
            Self::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(*shell, cli, "flatpack", &mut script);
                let script = String::from_utf8_lossy(&script).into_owned();
                Ok(Report::new(script.clone(), Value::String(script)))
            }
        }
    }
}

/// What a command found out: for people and for scripts.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub text: String,
    /// For scripts.
    pub json: Value,
    /// 0, or 1 where the command did its work and found the model at fault.
    pub exit_code: u8,
}

impl Report {
    /// A report of success.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, exit_code: 0 }
    }

    /// The part for scripts, as text; none for a command that has said all it has to say.
    pub fn json_text(&self) -> String {
        if self.json.is_null() { String::new() } else { format!("{:#}", self.json) }
    }
}

/// Why a command did not do its work.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong, and what to do.
    pub report: miette::Report,
    /// [`Failure::MODEL`] or [`Failure::USAGE`].
    pub exit_code: u8,
}

impl Failure {
    /// Exit code of a failure that is the model's fault.
    pub const MODEL: u8 = 1;
    /// Exit code of a failure that is that of the use, or of a file.
    pub const USAGE: u8 = 2;

    /// The model is at fault.
    pub fn model(report: impl Into<miette::Report>) -> Self {
        Self { report: report.into(), exit_code: Self::MODEL }
    }

    /// The use is at fault, or a file cannot be read or written.
    pub fn usage(report: impl Into<miette::Report>) -> Self {
        Self { report: report.into(), exit_code: Self::USAGE }
    }

    /// A file that cannot be read or written.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::usage(miette::miette!("{}: {error}", path.display()))
    }

    /// An instruction set was asked for that is not here.
    pub(crate) fn isa(error: IsaError) -> Self {
        Self::usage(miette::miette!(
            help = format!("{} names one for all commands", isa::VARIABLE),
            "{error}"
        ))
    }

    /// For scripts.
    pub fn json_text(&self) -> String {
        let help = self.report.help().map(|help| help.to_string());
        let causes: Vec<String> = self.report.chain().skip(1).map(ToString::to_string).collect();
        format!(
            "{:#}",
            serde_json::json!({ "error": self.report.to_string(), "causes": causes, "help": help, "exit_code": self.exit_code })
        )
    }
}

/// What a firmware can run, and the name of the file that says so.
struct NamedFirmware<'a>(&'a Path, Firmware);

/// Reads the argument of `--for`.
fn firmware(path: &Path) -> Result<NamedFirmware<'_>, Failure> {
    let firmware = Firmware::read(path);
    let firmware =
        firmware.map_err(|error| Failure::usage(miette::miette!("{}: {error}", path.display())))?;
    Ok(NamedFirmware(path, firmware))
}

impl NamedFirmware<'_> {
    /// Demands that the firmware lacks nothing for a model. `layer` names the layer of a step.
    fn check(&self, model: &Model<'_>, layer: impl Fn(u32) -> Option<String>) -> Result<(), Failure> {
        let lacks = self.1.lacks(model, layer);
        if lacks.is_empty() {
            return Ok(());
        }
        Err(Failure::model(Unfit { firmware: self.0.display().to_string(), lacks }))
    }
}

/// Shows what goes on, on a terminal, where it takes longer than a second.
pub(crate) fn progress(message: &str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new_spinner();
    bar.set_message(message.to_owned());
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// `bytes` with a unit that people read: `812 B`, `12.4 KiB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
