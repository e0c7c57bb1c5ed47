//! A model that is checked and run, and nothing else: `size.txt` has the size of this image.

#![no_std]
#![no_main]

use firmware_example::{entry, exit};
use flatpack_runtime::include_model;
use static_cell::ConstStaticCell;

include_model!(MODEL, env!("FLATPACK_MODEL_PATH"));

static ARENA: ConstStaticCell<MODEL::Arena> = ConstStaticCell::new(MODEL::ARENA);

#[entry]
fn main() -> ! {
    exit(run().is_some())
}

fn run() -> Option<()> {
    let mut session = MODEL::load(ARENA.try_take()?).ok()?;
    MODEL::check_goldens(&mut session).ok()?;
    session.run().ok()
}
