//! Counts instructions, exactly under QEMU: with `-icount shift=6` an instruction takes 64 ns of the emulated
//! time, which a timer of the board measures.

use core::ptr::with_exposed_provenance_mut as register;

/// Picoseconds of an emulated instruction.
const INSTRUCTION_PS: u64 = 64_000;

/// Instructions of a loop of two, by which the counter is judged.
const KNOWN: u32 = 1_000_000;

/// Starts the timer. `None` if it does not count instructions: QEMU runs without `-icount shift=6`.
pub fn start() -> Option<Counter> {
    let counter = Counter(());
    timer::start();
    let ((), known) = counter.instructions(|| cortex_m::asm::delay(KNOWN / 2 - 1));
    (known.abs_diff(KNOWN.into()) <= 20).then_some(counter)
}

/// A timer that runs.
#[derive(Clone, Copy)]
pub struct Counter(());

impl Counter {
    /// Instructions that `f` takes, one more or less. The timer must not go round twice in it.
    pub fn instructions<T>(self, f: impl FnOnce() -> T) -> (T, u64) {
        let start = timer::elapsed();
        let result = f();
        let ticks = timer::elapsed().wrapping_sub(start) & timer::MOST;
        (result, u64::from(ticks) * timer::TICK_PS / INSTRUCTION_PS)
    }
}

/// A register of the board.
fn read(address: usize) -> u32 {
    // SAFETY: the callers name registers that the board has, which may be read at any time.
    unsafe { register::<u32>(address).read_volatile() }
}

/// Timer 0 of the system design kit, at 25 MHz: down from the greatest number.
#[cfg(feature = "mps2-an386")]
mod timer {
    pub const MOST: u32 = u32::MAX;
    pub const TICK_PS: u64 = 40_000;
    const CTRL: usize = 0x4000_0000;
    const VALUE: usize = 0x4000_0004;
    const RELOAD: usize = 0x4000_0008;

    pub fn start() {
        // SAFETY: registers of the board's timer, which nothing else uses.
        unsafe {
            super::register::<u32>(RELOAD).write_volatile(MOST);
            super::register::<u32>(VALUE).write_volatile(MOST);
            super::register::<u32>(CTRL).write_volatile(1);
        }
    }

    pub fn elapsed() -> u32 {
        !super::read(VALUE)
    }
}

/// The counter of the FPGA's system registers, at 20 MHz.
#[cfg(feature = "mps3-an547")]
mod timer {
    pub const MOST: u32 = u32::MAX;
    pub const TICK_PS: u64 = 50_000;
    const COUNTER: usize = 0x4930_2018;

    pub fn start() {}

    pub fn elapsed() -> u32 {
        super::read(COUNTER)
    }
}
