//! A model in flash that checks itself: loads the file in place, runs its goldens, and says over
//! semihosting whether this chip computes what the host computed.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hio};
use flatpack_runtime::{Block, Kernel, Model, Session, ops};

/// The file at the alignment that it needs.
#[repr(C, align(16))]
struct Aligned<T: ?Sized>(T);

static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../digits_cnn.fpk"));

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
    let verdict = cortex_m::singleton!(: [Block; ARENA_BLOCKS] = [Block::ZERO; ARENA_BLOCKS])
        .map_or("no arena\n", |arena| check(Block::bytes_mut(arena)));
    if let Ok(mut out) = hio::hstdout() {
        let _ = out.write_all(verdict.as_bytes());
    }
    debug::exit(if verdict == OK { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {}
}

const OK: &str = "goldens met: this chip computes what the host computed\n";

fn check(arena: &mut [u8]) -> &'static str {
    let Ok(model) = Model::parse(&FILE.0) else { return "the file breaks a rule of its format\n" };
    if model.check_contents().is_err() {
        return "the file was changed: a checksum differs\n";
    }
    let Ok(mut session) = Session::load(model, KERNELS, arena) else {
        return "the model does not load here\n";
    };
    match session.check_goldens() {
        Ok(_) => OK,
        Err(_) => "this chip computes something else than the host\n",
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
