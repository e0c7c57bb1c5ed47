//! Patches of activations, put together as the products take them: chunks of 16 elements of two pixels in turns.

use super::Memory;
use crate::arch::{Patch, Quad};
use core::arch::naked_asm;
use core::marker::PhantomData;
use core::ptr;

/// Room for the patches of pixels, an even number, and for one that is put together before its chunks are taken apart.
pub(super) struct Room<'m> {
    to: *mut i8,
    /// Elements of a patch, and up to whole chunks.
    depth: usize,
    len: usize,
    pixels: usize,
    /// What taps have that are not seen.
    zero: i8,
    memory: PhantomData<&'m [Quad]>,
}

impl<'m> Room<'m> {
    /// In the memory of a step; `None` if there is too little.
    pub(super) fn of_memory(memory: &'m mut Memory, depth: usize, zero: i8) -> Option<Self> {
        let quads = memory.all();
        Self::of(quads.as_mut_ptr().cast(), size_of_val(quads), depth, zero)
    }

    /// In cells: what is behind shared ones may be written, by one at a time.
    pub(super) fn of_quads(quads: &'m [Quad], depth: usize, zero: i8) -> Option<Self> {
        Self::of(quads.as_ptr().cast_mut().cast(), size_of_val(quads), depth, zero)
    }

    fn of(to: *mut i8, bytes: usize, depth: usize, zero: i8) -> Option<Self> {
        let len = depth.checked_next_multiple_of(16)?;
        let pixels = bytes.checked_div(len)?.checked_sub(1)? & !1;
        (pixels > 0).then_some(Self { to, depth, len, pixels, zero, memory: PhantomData })
    }

    /// How many pixels there is room for.
    pub(super) fn pixels(&self) -> usize {
        self.pixels
    }

    /// Where patches begin.
    pub(super) fn start(&self) -> *const i8 {
        self.to
    }

    /// Where the chunks of a pixel begin.
    fn of_pixel(&self, pixel: usize) -> *mut i8 {
        self.to.wrapping_add((pixel & !1) * self.len + 16 * (pixel & 1))
    }

    /// Puts the patches of pixels where they are to be, the first of them as number `first`. All of them have these
    /// lines of taps, which each are of `pixels` pixels; what they have is the whole window, or the rest is not seen.
    /// If `chunks`, each tap begins with a chunk of the patch.
    #[inline(always)]
    pub(super) fn put<'x>(
        &self,
        first: usize,
        pixels: usize,
        whole: bool,
        chunks: bool,
        mut lines: impl Iterator<Item = Option<Taps<'x>>> + Clone,
    ) -> Option<()> {
        if first.checked_add(pixels)? > self.pixels {
            return None;
        }
        if chunks {
            for pixel in first..if whole { first } else { first + pixels } {
                // SAFETY: there is room for the pixel.
                unsafe { fill(self.of_pixel(pixel), self.zero, self.len / 16, 32) };
            }
            return lines.try_for_each(|taps| {
                let taps = self.seen(taps?, pixels)?;
                let to = self.of_pixel(first).wrapping_add(2 * taps.at);
                let runs = Runs { to_step: taps.to_step.wrapping_mul(2), ..self.runs(&taps, first, to) };
                // SAFETY: taps lie within x, and were seen to end within the patches of pixels that there is room for.
                unsafe { copy_chunks(&runs) };
                Some(())
            });
        }
        let between = self.to.wrapping_add(self.pixels * self.len);
        if let (true, (_, Some(1))) = (whole, lines.size_hint()) {
            let taps = self.seen(lines.next()??, pixels)?;
            let mut runs = self.runs(&taps, first, self.of_pixel(first));
            // SAFETY: as above; after all patches, there is room for one more.
            unsafe { copy(&mut runs, between, taps.at) };
            return Some(());
        }
        for pixel in 0..pixels {
            if !whole {
                // SAFETY: after all patches, there is room for one more.
                unsafe { fill(between, self.zero, self.len / 16, 16) };
            }
            for taps in lines.clone() {
                let taps = self.seen(taps?, pixels)?.of_pixels(pixel, 1, taps?.x_pixel)?;
                let runs = self.runs(&taps, first + pixel, between.wrapping_add(taps.at));
                // SAFETY: as above; taps were seen to end within a patch.
                unsafe { copy_runs(&runs) };
            }
            let whole = Taps {
                from: between,
                at: 0,
                len: self.len,
                from_step: 0,
                to_step: 0,
                count: 1,
                ..Taps::NONE
            };
            // SAFETY: the patch was put there, and is of whole chunks, for which there is room.
            unsafe { copy_chunks(&self.runs(&whole, first + pixel, self.of_pixel(first + pixel))) };
        }
        Some(())
    }

    /// Taps of so many pixels that end within a patch.
    #[inline(always)]
    fn seen<'x>(&self, taps: Taps<'x>, pixels: usize) -> Option<Taps<'x>> {
        let last = taps.at.checked_add_signed(taps.to_step.checked_mul(taps.count as isize - 1)?)?;
        (taps.at.max(last).checked_add(taps.len)? <= self.depth && taps.pixels == pixels).then_some(taps)
    }

    #[inline(always)]
    fn runs(&self, taps: &Taps<'_>, first: usize, to: *mut i8) -> Runs {
        let &Taps { from, len, from_step, to_step, count, pixels, x_pixel, .. } = taps;
        // From pixel to pixel: to the other half of each pair of chunks, then to the next pair of patches.
        let [even, odd] = [16, 2 * self.len - 16];
        let to_next = if first & 1 == 0 { [even, odd] } else { [odd, even] };
        Runs { from, to, len, from_step, to_step, count, pixels, x_pixel, to_next, chunks: self.len / 16 }
    }

    /// Puts what a pixel sees.
    pub(super) fn put_patch(&self, pixel: usize, whole: bool, patch: &Patch<'_, 1, i8>) -> Option<()> {
        let &Patch { x: [x], w_at, len, counts, x_steps, w_steps } = patch;
        let ([planes, rows, columns], [x0, x1, x2], [w0, w1, w2]) = (counts, x_steps, w_steps);
        let lines = if len == 0 || columns == 0 { 0 } else { planes.checked_mul(rows)? };
        let lines = (0..lines).map(|line| {
            let (plane, row) = (line.checked_div(rows)?, line.checked_rem(rows)?);
            let x = x.get(plane.wrapping_mul(x0).wrapping_add(row.wrapping_mul(x1))..)?;
            let steps = w0.wrapping_mul(plane as isize).wrapping_add(w1.wrapping_mul(row as isize));
            Taps::of(x, w_at.wrapping_add_signed(steps), len, [x2, w2 as usize], columns)
        });
        self.put(pixel, 1, whole, false, lines)
    }
}

/// Taps at even distances, of pixels at even distances: they lie within x, there is one, and none is empty. `at`
/// counts elements of the patch.
#[derive(Clone, Copy)]
pub(super) struct Taps<'x> {
    from: *const i8,
    at: usize,
    len: usize,
    from_step: usize,
    to_step: isize,
    count: usize,
    pixels: usize,
    x_pixel: usize,
    /// Elements from `from` on.
    rest: usize,
    x: PhantomData<&'x [i8]>,
}

impl<'x> Taps<'x> {
    const NONE: Self = Self {
        from: ptr::null(),
        at: 0,
        len: 0,
        from_step: 0,
        to_step: 0,
        count: 0,
        pixels: 1,
        x_pixel: 0,
        rest: 0,
        x: PhantomData,
    };

    /// `count` taps of `len` elements of one pixel, `from_step` apart in x, of which the first is at its start.
    #[inline(always)]
    pub(super) fn of(
        x: &'x [i8],
        at: usize,
        len: usize,
        [from_step, to_step]: [usize; 2],
        count: usize,
    ) -> Option<Self> {
        let end = from_step.checked_mul(count.checked_sub(1)?)?.checked_add(len)?;
        let (from, to_step, rest) = (x.as_ptr(), to_step as isize, x.len());
        let taps = Self { from, at, len, from_step, to_step, count, rest, ..Self::NONE };
        (len > 0 && end <= rest).then_some(taps)
    }

    /// Those of `pixels` pixels that are `x_pixel` apart, from the one on that comes `first` after this.
    #[inline(always)]
    pub(super) fn of_pixels(mut self, first: usize, pixels: usize, x_pixel: usize) -> Option<Self> {
        let before = first.checked_mul(x_pixel)?;
        let end = self.from_step.checked_mul(self.count - 1)?.checked_add(self.len)?;
        let last = pixels.checked_sub(1)?.checked_mul(x_pixel)?.checked_add(before)?;
        (self.from, self.pixels, self.x_pixel) = (self.from.wrapping_add(before), pixels, x_pixel);
        (last.checked_add(end)? <= self.rest).then_some(self)
    }
}

/// Runs of elements that are to be copied: for each pixel `count` of `len` each.
#[repr(C)]
struct Runs {
    from: *const i8,
    to: *mut i8,
    len: usize,
    from_step: usize,
    to_step: isize,
    count: usize,
    pixels: usize,
    x_pixel: usize,
    /// From a pixel to the next one, and from that one on: in turns.
    to_next: [usize; 2],
    /// Chunks of a patch.
    chunks: usize,
}

/// Copies runs that begin with a chunk of the patch: every 16 elements to 32 after those before.
///
/// # Safety
/// Each run lies within what `from` points into, and its chunks within what `to` does; none is empty, and there is
/// one.
#[unsafe(naked)]
unsafe extern "C" fn copy_chunks(runs: &Runs) {
    naked_asm!(
        architecture!(),
        "push {{r4-r11, lr}}",
        "ldm r0!, {{r1-r6}}",
        "ldm r0, {{r7-r10}}",
        // r7 pixels, r8 x_pixel, r9 and r10 to_next.
        "mov r11, r6",
        "2:",
        "push {{r1, r2}}",
        "3:",
        "mov r0, r1",
        "mov r12, r2",
        "dlstp.8 lr, r3",
        "4:",
        "vldrb.u8 q0, [r0], #16",
        "vstrb.8 q0, [r12], #32",
        "letp lr, 4b",
        "add r1, r1, r4",
        "add r2, r2, r5",
        "subs r11, r11, #1",
        "bne 3b",
        "pop {{r1, r2}}",
        "add r1, r1, r8",
        "add r2, r2, r9",
        "mov r11, r9",
        "mov r9, r10",
        "mov r10, r11",
        "mov r11, r6",
        "subs r7, r7, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// Copies runs to a patch that begins at `between`, from element `at` on, then its chunks to where they are to be.
///
/// # Safety
/// Each run lies within what `from` points into; so do, past `at`, their places in what `between` points to, which
/// has room for all chunks of a patch; `to` has room for those of all pixels. No run is empty, and there is one.
#[unsafe(naked)]
unsafe extern "C" fn copy(runs: &mut Runs, between: *mut i8, at: usize) {
    naked_asm!(
        architecture!(),
        "push {{r0, r4-r11, lr}}",
        "mov r11, r0",
        "mov r8, r1",
        "add r9, r1, r2",
        "ldm r0, {{r1-r6}}",
        "ldr r7, [r11, #24]",
        "mov r10, r1",
        "2:",
        "mov r2, r9",
        "ldr r6, [r11, #20]",
        "3:",
        "mov r0, r1",
        "mov r12, r2",
        "dlstp.8 lr, r3",
        "4:",
        "vldrb.u8 q0, [r0], #16",
        "vstrb.8 q0, [r12], #16",
        "letp lr, 4b",
        "add r1, r1, r4",
        "add r2, r2, r5",
        "subs r6, r6, #1",
        "bne 3b",
        "ldr r2, [r11, #4]",
        "mov r0, r8",
        "mov r12, r2",
        "ldr r1, [r11, #40]",
        "dls lr, r1",
        "5:",
        "vldrb.u8 q0, [r0], #16",
        "vstrb.8 q0, [r12], #32",
        "le lr, 5b",
        "ldrd r0, r1, [r11, #32]",
        "strd r1, r0, [r11, #32]",
        "add r2, r2, r0",
        "ldr r0, [r11, #28]",
        "str r2, [r11, #4]",
        "add r10, r10, r0",
        "mov r1, r10",
        "subs r7, r7, #1",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Copies runs of one pixel as they are.
///
/// # Safety
/// Each run lies within what `from` and `to` point into; none is empty, and there is one.
#[unsafe(naked)]
unsafe extern "C" fn copy_runs(runs: &Runs) {
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

/// Fills chunks of 16, each `step` after the one before.
///
/// # Safety
/// `to` points to `step · (chunks − 1) + 16` elements; there is a chunk.
#[unsafe(naked)]
unsafe extern "C" fn fill(to: *mut i8, element: i8, chunks: usize, step: usize) {
    naked_asm!(
        architecture!(),
        "push {{r7, lr}}",
        "vdup.8 q0, r1",
        "dls lr, r2",
        "2:",
        "vstrb.8 q0, [r0]",
        "add r0, r0, r3",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}
