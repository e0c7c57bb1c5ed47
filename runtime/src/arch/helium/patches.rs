//! Patches of activations, put together as the products take them.

use crate::arch::{Patch, Quad, RowsI8};
use core::arch::naked_asm;

/// Where there is room for patches: as many chunks of 16 as two of them have, twice.
pub(super) struct Room<'q> {
    to: *mut i8,
    /// Elements of a patch, up to whole chunks.
    len: usize,
    quads: &'q [Quad],
}

impl<'q> Room<'q> {
    pub(super) fn of(rows: &RowsI8<'q>) -> Option<Self> {
        let len = rows.depth.checked_next_multiple_of(16)?;
        let quads = rows.quads.get(..len.checked_mul(4)? / size_of::<Quad>())?;
        // Quads are cells: what is behind a shared one may be written.
        Some(Self { to: quads.as_ptr().cast_mut().cast(), len, quads })
    }

    /// Where patches begin.
    pub(super) fn start(&self) -> *const i8 {
        self.to
    }

    /// Puts a patch at the start, one element after the other.
    pub(super) fn put(&self, patch: &Patch<'_, 1, i8>, whole: bool, rows: &RowsI8<'_>) -> Option<()> {
        self.put_at(0, patch, whole, rows)
    }

    fn put_at(&self, at: usize, patch: &Patch<'_, 1, i8>, whole: bool, rows: &RowsI8<'_>) -> Option<()> {
        let to = self.to.wrapping_add(at);
        if at.checked_add(self.len)? > size_of_val(self.quads) {
            return None;
        }
        if !whole {
            // SAFETY: there is room for `len` elements from `at` on.
            unsafe { fill(to, rows.zero, self.len) };
        }
        // SAFETY: as above; taps of `patch` lie within `depth` elements, which are no more than `len`.
        each_run(patch, rows.depth, |run| unsafe {
            copy(&run.to(to, 1));
        })
    }

    /// Puts the patch of pixel `p` of two where its chunks of 16 are to be: after each chunk of the other one.
    pub(super) fn put_in_turns(
        &self,
        p: usize,
        patch: &Patch<'_, 1, i8>,
        whole: bool,
        rows: &RowsI8<'_>,
    ) -> Option<()> {
        let to = self.to.wrapping_add(16 * (p & 1));
        let [_, w1, w2] = patch.w_steps;
        if (patch.w_at | patch.len | w1 as usize | w2 as usize).is_multiple_of(16) {
            if !whole {
                // SAFETY: the chunks of a pixel end where those of both do, at twice `len`.
                unsafe { fill_chunks(to, rows.zero, self.len / 16) };
            }
            // SAFETY: as above: taps are of whole chunks, which lie within `depth` elements.
            return each_run(patch, rows.depth, |run| unsafe { copy_chunks(&run.to(to, 2)) });
        }
        let apart = self.len.checked_mul(2)?;
        self.put_at(apart, patch, whole, rows)?;
        let from = self.to.wrapping_add(apart).cast_const();
        let chunks = Runs { from, to: to.cast(), len: self.len, from_step: 0, to_step: 0, count: 1 };
        // SAFETY: from `apart` on, `len` elements were just put; the chunks of a pixel end at twice `len`.
        unsafe { copy_chunks(&chunks) };
        Some(())
    }
}

/// Runs of elements that are to be copied: `count` of `len` each.
#[repr(C)]
struct Runs {
    from: *const i8,
    to: *mut i8,
    len: usize,
    from_step: usize,
    to_step: isize,
    count: usize,
}

/// Runs whose `to` counts elements from the start of a patch.
struct Taps {
    from: *const i8,
    at: usize,
    len: usize,
    from_step: usize,
    to_step: isize,
    count: usize,
}

impl Taps {
    /// Copied to a patch that begins at `to` and takes `spread` times as much room.
    fn to(&self, to: *mut i8, spread: usize) -> Runs {
        let &Self { from, at, len, from_step, to_step, count } = self;
        let to_step = to_step.wrapping_mul(spread as isize);
        Runs { from, to: to.wrapping_add(at * spread), len, from_step, to_step, count }
    }
}

/// The taps of a patch, as runs that lie within x and within `depth` elements of the patch, none of them empty.
fn each_run(patch: &Patch<'_, 1, i8>, depth: usize, mut f: impl FnMut(&Taps)) -> Option<()> {
    let &Patch { x: [x], w_at, len, counts, x_steps, w_steps } = patch;
    let ([planes, rows, columns], [x0, x1, x2], [w0, w1, w2]) = (counts, x_steps, w_steps);
    if len == 0 || counts.contains(&0) {
        return Some(());
    }
    // Of one column, rows are taken in one go.
    let (lines, [x_line, x_step], [w_line, w_step], count) = match columns {
        1 => (1, [0, x1], [0, w1], rows),
        _ => (rows, [x1, x2], [w1, w2], columns),
    };
    let mut plane = (0usize, w_at);
    for _ in 0..planes {
        let mut line = plane;
        for _ in 0..lines {
            let (x_at, at) = line;
            let steps = count - 1;
            let x = x.get(x_at..)?;
            x.get(..x_step.checked_mul(steps)?.checked_add(len)?)?;
            let last = at.checked_add_signed(w_step.checked_mul(steps as isize)?)?;
            if at.max(last).checked_add(len)? > depth {
                return None;
            }
            f(&Taps { from: x.as_ptr(), at, len, from_step: x_step, to_step: w_step, count });
            line = (x_at.wrapping_add(x_line), at.wrapping_add_signed(w_line));
        }
        plane = (plane.0.wrapping_add(x0), plane.1.wrapping_add_signed(w0));
    }
    Some(())
}

/// Copies runs.
///
/// # Safety
/// Each run begins and ends within what `from` and `to` point into; none is empty, and there is one.
#[unsafe(naked)]
unsafe extern "C" fn copy(runs: &Runs) {
    naked_asm!(
        architecture!(),
        "push {{r4-r7, lr}}",
        "ldm r0, {{r1-r6}}",
        "2:",
        "mov r0, r1",
        "mov r12, r2",
        "dlstp.8 lr, r3",
        "3:",
        "vldrb.u8 q0, [r0], #16",
        "vstrb.8 q0, [r12], #16",
        "letp lr, 3b",
        "add r1, r1, r4",
        "add r2, r2, r5",
        "subs r6, r6, #1",
        "bne 2b",
        "pop {{r4-r7, pc}}",
    )
}

/// Copies runs of whole chunks of 16, each to 32 after the one before.
///
/// # Safety
/// As [`copy`]; lengths are multiples of 16, and `to` and its steps of 4.
#[unsafe(naked)]
unsafe extern "C" fn copy_chunks(runs: &Runs) {
    naked_asm!(
        architecture!(),
        "push {{r4-r7, lr}}",
        "ldm r0, {{r1-r6}}",
        "lsr r3, r3, #4",
        "2:",
        "mov r0, r1",
        "mov r12, r2",
        "dls lr, r3",
        "3:",
        "vldrb.u8 q0, [r0], #16",
        "vstrw.32 q0, [r12], #32",
        "le lr, 3b",
        "add r1, r1, r4",
        "add r2, r2, r5",
        "subs r6, r6, #1",
        "bne 2b",
        "pop {{r4-r7, pc}}",
    )
}

/// Fills elements.
///
/// # Safety
/// `to` points to `len` elements, at least one.
#[unsafe(naked)]
unsafe extern "C" fn fill(to: *mut i8, element: i8, len: usize) {
    naked_asm!(
        architecture!(),
        "push {{r7, lr}}",
        "vdup.8 q0, r1",
        "dlstp.8 lr, r2",
        "2:",
        "vstrb.8 q0, [r0], #16",
        "letp lr, 2b",
        "pop {{r7, pc}}",
    )
}

/// Fills chunks of 16, each 32 after the one before.
///
/// # Safety
/// `to` points to `32 · (chunks − 1) + 16` elements, aligned to 4; there is a chunk.
#[unsafe(naked)]
unsafe extern "C" fn fill_chunks(to: *mut i8, element: i8, chunks: usize) {
    naked_asm!(
        architecture!(),
        "push {{r7, lr}}",
        "vdup.8 q0, r1",
        "dls lr, r2",
        "2:",
        "vstrw.32 q0, [r0], #32",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}
