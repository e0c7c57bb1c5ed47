//! What the programs have in common: a log, a verdict, a counter of instructions, a painted stack.

#![no_std]

#[cfg(feature = "counter")]
pub mod counter;
mod cpu;
#[cfg(not(feature = "rtt"))]
mod log;
pub mod stack;

pub use cpu::entry;
#[cfg(not(board = "esp32-c3"))]
pub use cpu::fault;

use defmt::{error, info};
#[cfg(feature = "rtt")]
use defmt_rtt as _;
use flatpack_runtime::{FileError, Session};

/// Makes the flash readable, before anything else runs.
// SAFETY: the memory map has the place where the ROM looks for it.
#[cfg(board = "pico")]
#[unsafe(link_section = ".boot2")]
#[unsafe(no_mangle)]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

/// What the board needs before it computes: a real program sets its clocks here.
pub fn init() {
    #[cfg(board = "esp32-c3")]
    cpu::init();
}

/// A session whose file is as it was written, and whose goldens this chip meets. `None` if one of this failed:
/// the log says what.
pub fn checked<'a>(session: Result<Session<'a>, FileError>) -> Option<Session<'a>> {
    let mut session = session.map_err(|error| error!("{}", error)).ok()?;
    session.model().check_contents().map_err(|error| error!("{}", error)).ok()?;
    let goldens = session.check_goldens().map_err(|error| error!("{}", error)).ok()?;
    info!("{=u32} goldens met: this chip computes what the host computed", goldens.cases);
    Some(session)
}

/// Ends the emulation. On a board: waits, since firmware has no end.
pub fn exit(good: bool) -> ! {
    if !cfg!(feature = "rtt") {
        semihosting::process::exit(i32::from(!good));
    }
    loop {
        cpu::wfi();
    }
}

/// No image has a panic in it, so that none has this either; `.ci/boards` looks.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    error!("{}", defmt::Display2Format(info));
    exit(false)
}
