//! Rows of bytes that are copied: what streams do with their states.

use core::arch::naked_asm;

/// A [`Copy`](crate::arch::copy::Copy).
///
/// # Safety
/// As there.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy(
    y: *mut u8,
    y_step: usize,
    x: *const u8,
    x_step: usize,
    len: usize,
    rows: usize,
) {
    naked_asm!(
        architecture!(),
        "push {{r4-r7, lr}}",
        "ldrd r4, r5, [sp, #20]",
        "2:",
        "mov r6, r0",
        "mov r7, r2",
        "wlstp.8 lr, r4, 4f",
        "3:",
        "vldrb.u8 q0, [r7], #16",
        "vstrb.8 q0, [r6], #16",
        "letp lr, 3b",
        "4:",
        "add r0, r0, r1",
        "add r2, r2, r3",
        "subs r5, r5, #1",
        "bne 2b",
        "pop {{r4-r7, pc}}",
    )
}
