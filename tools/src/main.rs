//! The `flatpack` command: parse arguments, dispatch, exit code.

#![forbid(unsafe_code)]

use clap::{CommandFactory, Parser};
use flatpack::commands::{Command, Failure};
use std::process::ExitCode;

/// Flattens Keras models to .fpk files that run in place on boards and gateways.
#[derive(Debug, Parser)]
#[command(name = "flatpack", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    /// Print the result as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done · 1 the model is at fault · 2 wrong use, or a file that \
                          cannot be read or written";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command.run(&mut Arguments::command()) {
        Ok(report) => {
            let text = if arguments.json { report.json_text() } else { report.text };
            match write_out(&text) {
                Ok(()) => ExitCode::from(report.exit_code),
                Err(_) => ExitCode::from(Failure::USAGE),
            }
        }
        Err(failure) => {
            if arguments.json {
                let _ = write_out(&failure.json_text());
            } else {
                eprintln!("{:?}", failure.report);
            }
            ExitCode::from(failure.exit_code)
        }
    }
}

/// Writes to standard output; a reader that has seen enough is no error.
fn write_out(text: &str) -> std::io::Result<()> {
    use std::io::{ErrorKind, Write};
    if text.is_empty() {
        return Ok(());
    }
    let mut out = anstream::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
