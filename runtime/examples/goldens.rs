//! Checks the goldens of files with each instruction set of this machine: those that an emulator has, too.
//!
//! `cargo run --release -p flatpack-runtime --features mmap --example goldens -- MODEL.fpk …`

use flatpack_runtime::{Arena, Isa, MappedModel, Session};
use std::error::Error;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let sets: Vec<Isa> = Isa::ALL.iter().copied().filter(|isa| isa.is_here()).collect();
    let (mut files, mut failed) = (0, 0);
    for file in std::env::args().skip(1) {
        files += 1;
        for isa in &sets {
            if let Err(error) = check(&file, *isa) {
                println!("{file}, {}: {error}", isa.name());
                failed += 1;
            }
        }
    }
    let names: Vec<_> = sets.iter().map(|isa| isa.name()).collect();
    println!("{files} files with each of {}: {failed} failed", names.join(", "));
    Ok(ExitCode::from(u8::from(failed > 0)))
}

fn check(file: &str, isa: Isa) -> Result<(), Box<dyn Error>> {
    let mapped = MappedModel::open(file)?;
    let model = mapped.model()?;
    let mut arena = Arena::of(&model)?;
    let kernels = isa.kernels().ok_or("this machine does not have it")?;
    let checked = Session::load(model, kernels, arena.bytes_mut())?.check_goldens()?;
    if checked.cases == 0 { Err("no goldens".into()) } else { Ok(()) }
}
