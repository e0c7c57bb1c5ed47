//! Timer 0 of Arm's system design kit: 32 bits, down.

use super::Register;

pub const MOST: u32 = u32::MAX;
/// 20 MHz on the board with TrustZone, where this is the address for secure programs; else 25 MHz.
pub const TICK_PS: u64 = if cfg!(board = "mps2-an505") { 50_000 } else { 40_000 };
const BASE: usize = if cfg!(board = "mps2-an505") { 0x5000_0000 } else { 0x4000_0000 };

const CONTROL: Register = Register(BASE);
const VALUE: Register = Register(BASE + 4);
const RELOAD: Register = Register(BASE + 8);

pub fn start() {
    RELOAD.write(MOST);
    VALUE.write(MOST);
    CONTROL.write(1);
}

pub fn ticks() -> u32 {
    !VALUE.read()
}
