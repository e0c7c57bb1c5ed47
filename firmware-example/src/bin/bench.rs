//! Instructions of each step and of an inference, exact under QEMU.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use firmware_example::{counter, exit};
use flatpack_runtime::{Block, Model, Session};

flatpack_runtime::include_model!(MODEL, env!("FLATPACK_MODEL_PATH"));

#[entry]
fn main() -> ! {
    let arena = cortex_m::singleton!(: MODEL::Arena = MODEL::ARENA);
    exit(arena.is_some_and(|arena| run(Block::bytes_mut(arena)).is_some()))
}

fn run(arena: &mut [u8]) -> Option<()> {
    let counter =
        counter::start().or_else(|| (hprintln!("no exact count: run it with -icount shift=6"), None).1)?;
    let (model, parse) = counter.instructions(|| Model::parse(MODEL::FILE));
    let model = model.map_err(|error| hprintln!("{}", error)).ok()?;
    let (session, load) = counter.instructions(|| Session::load(model, MODEL::KERNELS, arena));
    let mut session = session.map_err(|error| hprintln!("{}", error)).ok()?;
    if let Err(divergence) = session.check_goldens() {
        hprintln!("{}", divergence);
        return None;
    }
    for input in 0..model.inputs().count() {
        session.input_bytes(input)?.fill(1);
    }
    let mut total = 0;
    for step in model.steps() {
        let (progress, instructions) = counter.instructions(|| session.step());
        progress.ok()?;
        total += instructions;
        hprintln!("{:>4} {:<24} {:>10}", step.number(), step.op().name(), instructions);
    }
    hprintln!("parse                         {:>10}", parse);
    hprintln!("load                          {:>10}", load);
    hprintln!("inference                     {:>10}", total);
    hprintln!("arena bytes                   {:>10}", model.header().arena_bytes);
    Some(())
}
