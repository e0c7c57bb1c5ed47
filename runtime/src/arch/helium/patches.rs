//! Patches of activations, put together as the products take them.

use super::Memory;
use crate::arch::{Patch, Quad};
use core::arch::naked_asm;
use core::marker::PhantomData;

/// Where there is room for the patches of two pixels, and for one that is put together before its chunks are put
/// in turns with those of the other.
pub(super) struct Room<'m> {
    to: *mut i8,
    bytes: usize,
    /// Elements of a patch, and up to whole chunks.
    depth: usize,
    len: usize,
    /// What taps have that are not seen.
    zero: i8,
    memory: PhantomData<&'m [Quad]>,
}

/// Where a patch is put.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// At the start.
    Alone,
    /// Its chunks of 16 come in turns with those of another: before them or after them.
    InTurns(usize),
}

impl<'m> Room<'m> {
    /// `quads` are cells: what is behind a shared one may be written.
    pub(super) fn of(quads: &'m [Quad], depth: usize, zero: i8) -> Option<Self> {
        let len = depth.checked_next_multiple_of(16)?;
        let to = quads.as_ptr().cast_mut().cast();
        Some(Self { to, bytes: size_of_val(quads), depth, len, zero, memory: PhantomData })
    }

    /// In the memory of a step, of which nothing else is used.
    pub(super) fn of_memory(memory: &'m mut Memory, depth: usize, zero: i8) -> Option<Self> {
        let len = depth.checked_next_multiple_of(16)?;
        let to = memory.0.as_mut_ptr().cast();
        Some(Self { to, bytes: size_of_val(&memory.0), depth, len, zero, memory: PhantomData })
    }

    /// Where patches begin.
    pub(super) fn start(&self) -> *const i8 {
        self.to
    }

    /// Where a patch is put together, and how far apart its chunks then are, in chunks.
    #[inline(always)]
    fn at(&self, place: Place, chunks: bool) -> Option<(usize, usize)> {
        let (at, spread, end) = match place {
            Place::Alone => (0, 1, self.len),
            Place::InTurns(p) if chunks => (16 * (p & 1), 2, self.len.checked_mul(2)?),
            Place::InTurns(_) => (self.len.checked_mul(2)?, 1, self.len.checked_mul(3)?),
        };
        (end <= self.bytes && self.len > 0).then_some((at, spread))
    }

    /// Whether a patch of such taps can be put there.
    pub(super) fn has_place(&self, place: Place, chunks: bool) -> bool {
        self.at(place, chunks).is_some()
    }

    /// Puts a patch of these taps. In `chunks`, all of them have whole chunks, and begin with one.
    #[inline(always)]
    pub(super) fn put<'x>(
        &self,
        place: Place,
        whole: bool,
        chunks: bool,
        taps: impl IntoIterator<Item = Option<Taps<'x>>>,
    ) -> Option<()> {
        let (at, spread) = self.at(place, chunks)?;
        let to = self.to.wrapping_add(at);
        match (whole, spread) {
            (true, _) => {}
            // SAFETY: there is room for `len` elements from `at` on.
            (false, 1) => unsafe { fill(to, self.zero, self.len) },
            // SAFETY: there is room for twice as many, of which every other chunk is filled from `at` on.
            (false, _) => unsafe { fill_chunks(to, self.zero, self.len / 16) },
        }
        for taps in taps {
            let Taps { from, at, len, from_step, to_step, count, .. } = taps?;
            if at.max(at.checked_add_signed(to_step.checked_mul(count as isize - 1)?)?) + len > self.depth {
                return None;
            }
            let to_step = to_step.wrapping_mul(spread as isize);
            let runs = Runs { from, to: to.wrapping_add(at * spread), len, from_step, to_step, count };
            // SAFETY: taps lie within x, were seen to end within `depth` elements, and are of whole chunks if
            // these are spread.
            unsafe { if spread == 1 { copy(&runs) } else { copy_chunks(&runs) } };
        }
        if let (Place::InTurns(p), 1) = (place, spread) {
            let to = self.to.wrapping_add(16 * (p & 1));
            let runs = Runs { from: self.to.wrapping_add(at), to, len: self.len, from_step: 0, to_step: 0, count: 1 };
            // SAFETY: from `at` on is a patch of `len` elements, and before them room for twice as many.
            unsafe { copy_chunks(&runs) };
        }
        Some(())
    }

    /// [`put`](Self::put) of what a pixel sees.
    pub(super) fn put_patch(&self, place: Place, whole: bool, patch: &Patch<'_, 1, i8>) -> Option<()> {
        let &Patch { x: [x], w_at, len, counts, x_steps, w_steps } = patch;
        let ([planes, rows, columns], [x0, x1, x2], [w0, w1, w2]) = (counts, x_steps, w_steps);
        let chunks = (w_at | len | w0 as usize | w1 as usize | w2 as usize).is_multiple_of(16);
        let lines = (0..planes).flat_map(|plane| (0..rows).map(move |row| (plane, row)));
        let lines = lines.map(|(plane, row)| {
            let x = x.get(plane.wrapping_mul(x0).wrapping_add(row.wrapping_mul(x1))..)?;
            let steps = w0.wrapping_mul(plane as isize).wrapping_add(w1.wrapping_mul(row as isize));
            Taps::of(x, w_at.wrapping_add_signed(steps), len, [x2, w2 as usize], columns)
        });
        self.put(place, whole, chunks, if len == 0 || columns == 0 { None } else { Some(lines) }.into_iter().flatten())
    }
}

/// Taps at even distances: they lie within x, there is one, and none is empty. `at` counts elements of the patch.
pub(super) struct Taps<'x> {
    from: *const i8,
    at: usize,
    len: usize,
    from_step: usize,
    to_step: isize,
    count: usize,
    x: PhantomData<&'x [i8]>,
}

impl<'x> Taps<'x> {
    /// `count` taps of `len` elements, `from_step` apart in x, of which the first is at its start.
    #[inline(always)]
    pub(super) fn of(
        x: &'x [i8],
        at: usize,
        len: usize,
        [from_step, to_step]: [usize; 2],
        count: usize,
    ) -> Option<Self> {
        let end = from_step.checked_mul(count.checked_sub(1)?)?.checked_add(len)?;
        let taps = Self { from: x.as_ptr(), at, len, from_step, to_step: to_step as isize, count, x: PhantomData };
        (len > 0 && end <= x.len()).then_some(taps)
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
