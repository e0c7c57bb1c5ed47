//! A model in flash that checks itself: loads the file in place, runs its goldens, and says over
//! semihosting whether this chip computes what the host computed.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware_example::{DIGITS, check, end};
use flatpack_runtime::Block;

#[entry]
fn main() -> ! {
    let arena = cortex_m::singleton!(: DIGITS::Arena = DIGITS::ARENA);
    end(arena.map_or("no arena\n", |arena| check(DIGITS::FILE, DIGITS::KERNELS, Block::bytes_mut(arena))))
}
