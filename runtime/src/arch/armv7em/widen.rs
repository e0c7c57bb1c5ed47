//! Activations of 16 bits from those of 8, in the order in which weights are widened.

use crate::arch::{Patch, Quad, RowsI8};
use core::arch::naked_asm;

/// The patch of `P` pixels with 16 bits an element, in the order of the weights: quads of the pixels in
/// turns, a group `step` of them after the one before. Taps that are not seen have the zero point; past the
/// depth are zeros.
pub(super) fn widen<const P: usize>(
    patch: &Patch<'_, P, i8>,
    &RowsI8 { depth, zero, .. }: &RowsI8<'_>,
    whole: bool,
    to: &[Quad],
    step: usize,
) -> Option<()> {
    if depth <= SHORT && !(patch.w_at.is_multiple_of(4) && patch.len.is_multiple_of(4)) {
        return widen_short(patch, depth, zero, to, step);
    }
    if !whole {
        to.chunks(step).flat_map(|group| group.iter().take(P)).for_each(|quad| quad.set([zero.into(); 4]));
    }
    if !depth.is_multiple_of(4) {
        for quad in to.get(depth / 4 * step..)?.iter().take(P) {
            (depth % 4..4).for_each(|element| quad.set_one(element, 0));
        }
    }
    patch.try_each_tap(|x_at, w_at| {
        let mut x = patch.x;
        for x in &mut x {
            *x = x.get(x_at..)?.get(..patch.len)?;
        }
        if w_at.is_multiple_of(4) && patch.len.is_multiple_of(4) {
            return widen_groups(x, to.get(w_at / 4 * step..)?, step);
        }
        for (p, x) in x.iter().enumerate() {
            for (x, at) in x.iter().zip(w_at..) {
                to.get(at / 4 * step + p)?.set_one(at % 4, (*x).into());
            }
        }
        Some(())
    })
}

/// Rows up to this length are put together before they are widened, where taps are not of whole groups.
pub(super) const SHORT: usize = 64;

fn widen_short<const P: usize>(
    patch: &Patch<'_, P, i8>,
    depth: usize,
    zero: i8,
    to: &[Quad],
    step: usize,
) -> Option<()> {
    let mut rows = [[0; SHORT]; P];
    rows.iter_mut().for_each(|row| row.iter_mut().take(depth).for_each(|x| *x = zero));
    patch.try_each_tap(|x_at, w_at| {
        for (row, x) in rows.iter_mut().zip(&patch.x) {
            let to = row.get_mut(w_at..)?.get_mut(..patch.len)?;
            to.iter_mut().zip(x.get(x_at..)?.get(..patch.len)?).for_each(|(to, x)| *to = *x);
        }
        Some(())
    })?;
    let len = depth.div_ceil(4).checked_mul(4)?;
    let mut x: [&[i8]; P] = [&[]; P];
    for (x, row) in x.iter_mut().zip(&rows) {
        *x = row.get(..len)?;
    }
    widen_groups(x, to, step)
}

/// Widens a row, a group each `step` quads; past its end are zeros.
pub(super) fn widen_row(x: &[i8], to: &[Quad], step: usize) -> Option<()> {
    let (groups, rest) = x.as_chunks::<4>();
    widen_groups([x], to, step)?;
    if !rest.is_empty() {
        let last = to.get(groups.len() * step)?;
        last.set([0; 4]);
        rest.iter().enumerate().for_each(|(at, x)| last.set_one(at, (*x).into()));
    }
    Some(())
}

/// Widens the elements of `P` pixels, which are as many, and groups, `step` quads apart.
fn widen_groups<const P: usize>(x: [&[i8]; P], to: &[Quad], step: usize) -> Option<()> {
    let groups = x.first()?.len() / 4;
    if groups == 0 {
        return Some(());
    }
    let to = to.get(..(groups - 1).checked_mul(step)?.checked_add(P)?)?.as_ptr();
    match *x.as_slice() {
        [x0, x1] if x1.len() >= 4 * groups && step == 2 => {
            // SAFETY: both pixels have `groups` times four bytes, and there is room for twice as many quads.
            unsafe { widen_two(x0.as_ptr(), x1.as_ptr(), to, groups) }
        }
        // SAFETY: the pixel has `groups` times four bytes, and there is room for as many quads at such steps.
        [x0] => unsafe { widen_one(x0.as_ptr(), to, groups, step * size_of::<Quad>()) },
        _ => return None,
    }
    Some(())
}

/// Widens the elements of two pixels.
///
/// # Safety
/// x0 and x1 point to `4 · groups` bytes, `to` to `2 · groups` quads; groups is not 0.
#[unsafe(naked)]
unsafe extern "C" fn widen_two(x0: *const i8, x1: *const i8, to: *const Quad, groups: usize) {
    naked_asm!(
        dsp!(),
        "push {{r4-r7, lr}}",
        "2:",
        "ldr r5, [r0], #4",
        "ldr r7, [r1], #4",
        "sxtb16 r4, r5",
        "sxtb16 r5, r5, ror #8",
        "sxtb16 r6, r7",
        "sxtb16 r7, r7, ror #8",
        "stm r2!, {{r4-r7}}",
        "subs r3, r3, #1",
        "bne 2b",
        "pop {{r4-r7, pc}}",
    )
}

/// Widens the elements of a pixel.
///
/// # Safety
/// x points to `4 · groups` bytes, `to` to room for `groups` quads, `step` bytes apart; groups is not 0.
#[unsafe(naked)]
unsafe extern "C" fn widen_one(x: *const i8, to: *const Quad, groups: usize, step: usize) {
    naked_asm!(
        dsp!(),
        "push {{r4, lr}}",
        "2:",
        "ldr r12, [r0], #4",
        "sxtb16 r4, r12",
        "sxtb16 r12, r12, ror #8",
        "strd r4, r12, [r1]",
        "add r1, r1, r3",
        "subs r2, r2, #1",
        "bne 2b",
        "pop {{r4, pc}}",
    )
}
