//! TIMER0 of the nRF51: 32 bits, up, at 16 MHz; a read is a capture.

use super::Register;

pub const MOST: u32 = u32::MAX;
pub const TICK_PS: u64 = 62_500;

const START: Register = Register(0x4000_8000);
const CAPTURE: Register = Register(0x4000_8040);
const BIT_MODE: Register = Register(0x4000_8508);
const PRESCALER: Register = Register(0x4000_8510);
const CAPTURED: Register = Register(0x4000_8540);

pub fn start() {
    BIT_MODE.write(3);
    PRESCALER.write(0);
    START.write(1);
}

pub fn ticks() -> u32 {
    CAPTURE.write(1);
    CAPTURED.read()
}
