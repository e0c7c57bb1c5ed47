//! Runs a command, the last argument of which is a firmware image, and prints the defmt frames of its output.
//! Its exit code is that of the command.

use std::io::Read;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::{env, fs};

use anyhow::{Context, Result};
use defmt_decoder::{DecodeError, Frame, StreamDecoder, Table};

fn main() -> Result<ExitCode> {
    let mut command = env::args().skip(1).collect::<Vec<_>>().into_iter();
    let usage = "use: runner EMULATOR [ARGUMENT…] IMAGE";
    let program = command.next().context(usage)?;
    let image = command.as_slice().last().context(usage)?;
    let table = Table::parse(&fs::read(image).with_context(|| image.clone())?)?;

    let mut run = Command::new(&program);
    run.args(command).stdin(Stdio::null());
    let started = || format!("{program}; .ci/setup boards installs the emulators");
    let Some(table) = table else {
        // Nothing in the image logs.
        return Ok(verdict(run.status().with_context(started)?));
    };
    let mut decoder = table.new_stream_decoder();
    let mut child = run.stdout(Stdio::piped()).spawn().with_context(started)?;
    let mut frames = child.stdout.take().context("the output is piped")?;
    let mut bytes = [0; 4096];
    loop {
        let count = frames.read(&mut bytes)?;
        if count == 0 {
            break;
        }
        decoder.received(&bytes[..count]);
        print(&mut *decoder)?;
    }
    Ok(verdict(child.wait()?))
}

fn verdict(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Prints the frames that are whole.
fn print(decoder: &mut dyn StreamDecoder) -> Result<()> {
    loop {
        match decoder.decode() {
            Ok(frame) => println!("{}", line(&frame)),
            Err(DecodeError::UnexpectedEof) => return Ok(()),
            Err(DecodeError::Malformed) => anyhow::bail!("the firmware printed what is no defmt frame"),
        }
    }
}

/// What a frame says, after its level if it has one.
fn line(frame: &Frame) -> String {
    let level = frame.level().map(|level| format!("{:<5} ", level.as_str().to_uppercase()));
    format!("{}{}", level.unwrap_or_default(), frame.display_message())
}
