//! The counter among the FPGA's system registers: 32 bits, up, at 20 MHz.

use super::Register;

pub const MOST: u32 = u32::MAX;
pub const TICK_PS: u64 = 50_000;

const COUNTER: Register = Register(0x4930_2018);

pub fn start() {}

pub fn ticks() -> u32 {
    COUNTER.read()
}
