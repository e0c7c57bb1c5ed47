//! A model in flash that checks itself: loads the file in place, runs its goldens, and says over
//! semihosting whether this chip computes what the host computed.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware_example::{DIGITS, check, end};
use flatpack_runtime::{Block, Kernel, ops};

/// The kernels of this model; the linker drops all others.
const KERNELS: &[Kernel] = &[
    ops::conv_2d::KERNEL,
    ops::depthwise_conv_2d::KERNEL,
    ops::fully_connected::KERNEL,
    ops::max_pool_2d::KERNEL,
    ops::softmax::KERNEL,
];

/// Arena of the model, in 16-byte blocks; `flatpack build` says how large.
const ARENA_BLOCKS: usize = 12_288 / 16;

#[entry]
fn main() -> ! {
    let arena = cortex_m::singleton!(: [Block; ARENA_BLOCKS] = [Block::ZERO; ARENA_BLOCKS]);
    end(arena.map_or("no arena\n", |arena| check(&DIGITS.0, KERNELS, Block::bytes_mut(arena))))
}
