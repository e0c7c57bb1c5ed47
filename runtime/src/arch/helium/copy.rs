//! Rows of bytes that are copied: what streams do with their states.

use core::arch::naked_asm;

/// See [`Arch::copy_rows`](crate::arch::Arch::copy_rows).
pub(super) fn copy_rows(y: &mut [u8], y_step: usize, x: &[u8], x_step: usize, len: usize) -> Option<()> {
    let Some(last) = y.len().div_ceil(y_step.max(1)).checked_sub(1) else { return Some(()) };
    y.get(last.checked_mul(y_step)?..)?.get(..len)?;
    x.get(last.checked_mul(x_step)?..)?.get(..len)?;
    if len > y_step.max(1) {
        return None;
    }
    // SAFETY: the last row, and so all before it, lies within x and y.
    unsafe { copy(y.as_mut_ptr(), y_step, x.as_ptr(), x_step, len, last + 1) };
    Some(())
}

/// Copies rows, of which there is one at least.
///
/// # Safety
/// Row r has `len` bytes from `r · y_step` on in y, and from `r · x_step` on in x.
#[unsafe(naked)]
unsafe extern "C" fn copy(y: *mut u8, y_step: usize, x: *const u8, x_step: usize, len: usize, rows: usize) {
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
