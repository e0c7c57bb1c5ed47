//! Opens a file, runs it once, and says what that took: a line of JSON, once the output is there.
//!
//! `cargo build --release -p flatpack-runtime --features mmap --example cold_start`
//! `target/release/examples/cold_start MODEL.fpk [--read] [--populate] [--lock]`

use flatpack_runtime::{Arena, Isa, MappedModel, Session, ops};
use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut options = MappedModel::options();
    let mut file = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--read" => options = options.read(true),
            "--populate" => options = options.populate(true),
            "--lock" => options = options.lock(true),
            _ => file = Some(argument),
        }
    }
    let file = file.ok_or("usage: cold_start MODEL.fpk [--read] [--populate] [--lock]")?;

    let begin = Instant::now();
    let mapped = options.open(file)?;
    let model = mapped.model()?;
    let open = begin.elapsed();
    let mut arena = Arena::of(&model)?;
    let mut session = Session::load(model, Isa::detect().kernels().unwrap_or(ops::ALL), arena.bytes_mut())?;
    let load = begin.elapsed() - open;
    for input in 0..model.inputs().count() {
        // Small reals or integers, whatever the type.
        session.input_bytes(input).ok_or("no input")?.fill(0x3c);
    }
    session.run()?;
    let run = begin.elapsed() - open - load;
    let first = session.output_bytes(0).and_then(|output| output.first()).ok_or("no output")?;
    println!(
        "{{\"open_us\": {:.1}, \"load_us\": {:.1}, \"run_us\": {:.1}, \"peak_kib\": {}, \"first_byte\": {first}}}",
        open.as_secs_f64() * 1e6,
        load.as_secs_f64() * 1e6,
        run.as_secs_f64() * 1e6,
        peak_kib().unwrap_or(0),
    );
    Ok(())
}

/// The most memory that this process has had at once, as Linux says it.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
