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
        dsp!(),
        "push {{r0-r11, lr}}",
        "ldr r11, [sp, #56]",
        "2:",
        "mov r12, r0",
        "mov lr, r2",
        "ldr r4, [sp, #52]",
        "orr r1, r0, r2",
        "lsls r1, r1, #30",
        "bne 5f",
        "subs r4, r4, #32",
        "blo 4f",
        // Several words are only loaded and stored at once where they are aligned.
        "3:",
        "ldm lr!, {{r1, r3, r5-r10}}",
        "stm r12!, {{r1, r3, r5-r10}}",
        "subs r4, r4, #32",
        "bhs 3b",
        "4:",
        "adds r4, r4, #32",
        "5:",
        "subs r4, r4, #4",
        "blo 7f",
        "6:",
        "ldr r1, [lr], #4",
        "str r1, [r12], #4",
        "subs r4, r4, #4",
        "bhs 6b",
        "7:",
        "adds r4, r4, #4",
        "beq 9f",
        "8:",
        "ldrb r1, [lr], #1",
        "strb r1, [r12], #1",
        "subs r4, r4, #1",
        "bne 8b",
        "9:",
        "ldr r1, [sp, #4]",
        "ldr r3, [sp, #12]",
        "add r0, r0, r1",
        "add r2, r2, r3",
        "subs r11, r11, #1",
        "bne 2b",
        "add sp, sp, #16",
        "pop {{r4-r11, pc}}",
    )
}
