//! Runs a file so many times, with an instruction set, for a tool that counts instructions: `.ci/instructions`.
//!
//! `cargo build --release -p flatpack-runtime --features mmap --example instructions`
//! `valgrind --tool=callgrind target/release/examples/instructions MODEL.fpk avx2 10`

use flatpack_runtime::{Arena, Isa, MappedModel, Session};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [file, isa, runs] = arguments.as_slice() else {
        return Err("usage: instructions MODEL.fpk ISA RUNS".into());
    };
    let isa = Isa::by_name(isa).ok_or("no such instruction set")?;
    let mapped = MappedModel::open(file)?;
    let model = mapped.model()?;
    let mut arena = Arena::of(&model)?;
    let kernels = isa.kernels().ok_or("this machine does not have it")?;
    let mut session = Session::load(model, kernels, arena.bytes_mut())?;
    for _ in 0..runs.parse()? {
        for input in 0..session.model().inputs().count() {
            // Small reals or integers, whatever the type.
            session.input_bytes(input).ok_or("no input")?.fill(1);
        }
        session.run()?;
    }
    Ok(())
}
