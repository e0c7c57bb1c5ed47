//! Rows of bytes that are copied: what streams do with their states.

/// Copies rows, of which there is one at least.
///
/// # Safety
/// Row r has `len` bytes from `r · y_step` on in y, and from `r · x_step` on in x.
pub(super) type Copy =
    unsafe extern "C" fn(y: *mut u8, y_step: usize, x: *const u8, x_step: usize, len: usize, rows: usize);

/// See [`Arch::copy_rows`](super::Arch::copy_rows), by a loop of the instruction set.
#[inline(always)]
pub(super) fn copy_rows_by(
    copy: Copy,
    y: &mut [u8],
    y_step: usize,
    x: &[u8],
    x_step: usize,
    len: usize,
) -> Option<()> {
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
