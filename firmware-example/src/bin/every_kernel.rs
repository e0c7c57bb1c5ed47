//! The example with every kernel there is: none of them brings a panic into an image.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware_example::{DIGITS, check, end};
use flatpack_runtime::{Block, ops};

const ARENA_BLOCKS: usize = 12_288 / 16;

#[entry]
fn main() -> ! {
    let arena = cortex_m::singleton!(: [Block; ARENA_BLOCKS] = [Block::ZERO; ARENA_BLOCKS]);
    end(arena.map_or("no arena\n", |arena| check(&DIGITS.0, ops::ALL, Block::bytes_mut(arena))))
}
