//! The example with every kernel there is: none of them brings a panic into an image.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware_example::{DIGITS, check, end};
use flatpack_runtime::{Block, ops};

#[entry]
fn main() -> ! {
    let arena = cortex_m::singleton!(: DIGITS::Arena = DIGITS::ARENA);
    end(arena.map_or("no arena\n", |arena| check(DIGITS::FILE, ops::ALL, Block::bytes_mut(arena))))
}
