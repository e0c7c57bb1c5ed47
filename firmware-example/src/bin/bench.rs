//! Instructions of each step and of an inference, exact under QEMU, and the memory that they take.

#![no_std]
#![no_main]

use defmt::{error, println};
use firmware_example::counter::Counter;
use firmware_example::stack::Stack;
use firmware_example::{entry, exit, init};
use flatpack_runtime::{Block, Model, Session, include_model};
use static_cell::ConstStaticCell;

include_model!(MODEL, env!("FLATPACK_MODEL_PATH"));

static ARENA: ConstStaticCell<MODEL::Arena> = ConstStaticCell::new(MODEL::ARENA);

firmware_example::log_faults!();

#[entry]
fn main() -> ! {
    init();
    exit(ARENA.try_take().is_some_and(|arena| run(arena).is_some()))
}

fn run(arena: &mut MODEL::Arena) -> Option<()> {
    let Some(counter) = Counter::start() else {
        error!("the timer does not count instructions: QEMU is to run with -icount shift=6");
        return None;
    };
    let stack = Stack::paint();
    // As of a file that the compiler did not see.
    let (model, parse) = counter.instructions(|| Model::parse(MODEL::FILE));
    let model = model.map_err(|error| error!("{}", error)).ok()?;
    let (loaded, check) =
        counter.instructions(|| Session::load(model, MODEL::KERNELS, Block::bytes_mut(arena)).map(drop));
    loaded.map_err(|error| error!("{}", error)).ok()?;
    let (session, load) = counter.instructions(|| MODEL::load(arena));
    let mut session = session.map_err(|error| error!("{}", error)).ok()?;
    session.check_goldens().map_err(|error| error!("{}", error)).ok()?;
    for input in 0..model.inputs().count() {
        session.input_bytes(input)?.fill(1);
    }
    let mut total = 0;
    for step in model.steps() {
        let (progress, instructions) = counter.instructions(|| session.step());
        progress.map_err(|error| error!("{}", error)).ok()?;
        total += instructions;
        println!("{=u32} {=str} {=u32}", step.number(), step.op().name(), instructions);
    }
    println!("parse and check {=u32}", parse + check);
    println!("load {=u32}", load);
    println!("inference {=u32}", total);
    println!("arena bytes {=usize}", MODEL::ARENA_BYTES);
    println!("stack bytes {=u32}", stack.bytes());
    Some(())
}
