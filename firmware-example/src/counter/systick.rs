//! SysTick: 24 bits, down, at the 12.5 MHz that this chip has after a reset.

use super::Register;

pub const MOST: u32 = 0x00ff_ffff;
pub const TICK_PS: u64 = 80_000;

const CONTROL: Register = Register(0xe000_e010);
const RELOAD: Register = Register(0xe000_e014);
const CURRENT: Register = Register(0xe000_e018);

pub fn start() {
    RELOAD.write(MOST);
    CURRENT.write(0);
    CONTROL.write(0b101);
}

pub fn ticks() -> u32 {
    !CURRENT.read()
}
