//! Cortex-M0: eight registers that nearly all instructions take, of which a compiler's loop over four rows moves half
//! through memory. Sums are in the others, which an addition takes, too.

#[macro_use]
mod requantize;
mod conv;
mod depthwise;

use super::{Arch, Image, OutputsI8, Patch, ROW_TILE, rows_of, scratch};
use core::arch::naked_asm;

/// The loops of this instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Armv6m;

/// Words for windows of up to 288 elements.
pub type Memory = scratch::Memory<288, 1>;

impl Arch for Armv6m {
    type Scratch = Memory;

    fn four_sums_i8(sums: &mut [i32; ROW_TILE], x: &[i8], w: &[&[i8]; ROW_TILE], w_at: usize) -> Option<()> {
        let w = rows_of(w, w_at, x.len())?.map(<[i8]>::as_ptr);
        // SAFETY: x and each row have as many elements.
        unsafe { add_products(sums, x.as_ptr(), &w, x.len()) };
        Some(())
    }

    fn conv_image_i8(
        memory: &mut Memory,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        conv::conv_image_i8(memory, image, w, outputs, x, y)
    }

    fn depthwise_i8<const P: usize>(
        patch: &Patch<'_, P, i8>,
        offset: i16,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        y: &mut [&mut [i8]; P],
    ) -> Option<usize> {
        depthwise::depthwise_i8(patch, offset, w, outputs, y)
    }
}

/// Adds the products of x with four rows to their sums: 15 instructions for four.
///
/// # Safety
/// x and the rows of w point to `len` elements.
#[unsafe(naked)]
unsafe extern "C" fn add_products(
    sums: &mut [i32; ROW_TILE],
    x: *const i8,
    w: &[*const i8; ROW_TILE],
    len: usize,
) {
    naked_asm!(
        "push {{r0, r4-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r4-r7}}",
        "ldm r0!, {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        // All addresses are those of the end: the number of elements that are left, negative, leads back.
        "ldm r2!, {{r4-r7}}",
        "adds r1, r1, r3",
        "adds r4, r4, r3",
        "adds r5, r5, r3",
        "adds r6, r6, r3",
        "adds r7, r7, r3",
        "rsbs r3, r3, #0",
        "beq 3f",
        "2:",
        "ldrsb r0, [r1, r3]",
        "ldrsb r2, [r4, r3]",
        "muls r2, r0, r2",
        "add r8, r2",
        "ldrsb r2, [r5, r3]",
        "muls r2, r0, r2",
        "add r9, r2",
        "ldrsb r2, [r6, r3]",
        "muls r2, r0, r2",
        "add r10, r2",
        "ldrsb r2, [r7, r3]",
        "muls r2, r0, r2",
        "add r11, r2",
        "adds r3, r3, #1",
        "bne 2b",
        "3:",
        "ldr r0, [sp, #16]",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "stm r0!, {{r4-r7}}",
        "pop {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r0, r4-r7, pc}}",
    )
}
