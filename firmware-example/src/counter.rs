//! Counts instructions, exactly under QEMU: with `-icount shift=6` an instruction takes 64 ns of the emulated
//! time, which a timer of the board measures.

use crate::cpu::million;

#[cfg_attr(board = "lm3s6965evb", path = "counter/systick.rs")]
#[cfg_attr(board = "microbit", path = "counter/nrf51.rs")]
#[cfg_attr(board = "mps2-an386", path = "counter/cmsdk.rs")]
#[cfg_attr(board = "mps2-an500", path = "counter/cmsdk.rs")]
#[cfg_attr(board = "mps2-an505", path = "counter/cmsdk.rs")]
#[cfg_attr(board = "mps3-an547", path = "counter/fpgaio.rs")]
#[cfg_attr(board = "riscv32-virt", path = "counter/mcycle.rs")]
mod timer;

/// Picoseconds of an emulated instruction.
const INSTRUCTION_PS: u64 = 64_000;

/// A timer that runs.
#[derive(Clone, Copy)]
pub struct Counter(());

impl Counter {
    /// Starts the timer. `None` if it does not count instructions: QEMU runs without `-icount shift=6`.
    pub fn start() -> Option<Self> {
        timer::start();
        let counter = Self(());
        let ((), counted) = counter.instructions(million);
        (counted.abs_diff(1_000_000) <= 20).then_some(counter)
    }

    /// Ticks since some moment; they go round at the timer's width.
    pub fn now(self) -> u32 {
        timer::ticks()
    }

    /// Instructions since the timer was read, one more or less. It must not have gone round.
    pub fn since(self, start: u32) -> u32 {
        let ticks = timer::ticks().wrapping_sub(start) & timer::MOST;
        (u64::from(ticks) * timer::TICK_PS / INSTRUCTION_PS) as u32
    }

    /// What `f` gives, and the instructions that it takes.
    pub fn instructions<T>(self, f: impl FnOnce() -> T) -> (T, u32) {
        let start = self.now();
        let result = f();
        (result, self.since(start))
    }
}

/// A register of the board.
#[cfg(target_arch = "arm")]
#[derive(Clone, Copy)]
struct Register(usize);

#[cfg(target_arch = "arm")]
impl Register {
    fn read(self) -> u32 {
        // SAFETY: a timer's register may be read at any time.
        unsafe { core::ptr::with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    #[cfg(not(board = "mps3-an547"))]
    fn write(self, value: u32) {
        // SAFETY: nothing else uses the board's timer, and it moves no memory.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }
}
