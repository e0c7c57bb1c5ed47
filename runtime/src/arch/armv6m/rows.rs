//! Products of one row of activations with four rows of weights: a compiler's loop moves half of the registers through
//! memory. Sums are in those which few instructions take, but an addition.

use super::requantize::{Ends, Requant};
use crate::arch::{Patch, ROW_TILE, RowsI8};
use core::arch::naked_asm;
use flatpack_format::ops::Multiplier;

/// See [`Arch::gemm_i8`](super::Arch::gemm_i8), of one pixel whose elements lie side by side: all outputs, or `None`.
#[inline(never)]
pub(super) fn gemm_i8(
    patch: &Patch<'_, 1, i8>,
    &RowsI8 { w, depth, ref outputs, .. }: &RowsI8<'_>,
    y: &mut [i8],
) -> Option<()> {
    if patch.counts != [1; 3] || patch.w_at != 0 || patch.len != depth {
        return None;
    }
    let len = y.len();
    let ([x], w) = (patch.x, w.get(..len.checked_mul(depth)?)?);
    let (x, requant, bias) = (x.get(..depth)?, Requant::of(outputs, len)?, outputs.bias.get(..len)?);
    let last = len.checked_sub(ROW_TILE)?;
    // The last tile begins early enough to be a whole one.
    for (first, tiles) in [(0, len / ROW_TILE), (last, usize::from(!len.is_multiple_of(ROW_TILE)))] {
        if tiles == 0 {
            continue;
        }
        let (requant, requant_step) = requant.from(first, ROW_TILE)?;
        let mut task = OneRow {
            x: x.as_ptr(),
            w: w.get(first * depth..)?.as_ptr(),
            depth,
            bias: bias.get(first..)?.as_ptr(),
            requant,
            requant_step,
            y: y.get_mut(first..)?.as_mut_ptr(),
            tiles,
            ends: Ends::of(outputs),
        };
        // SAFETY: x and each row have `depth` elements; there are rows, bias, multipliers and room for the outputs of
        // these tiles.
        unsafe { one_row(&mut task) };
    }
    Some(())
}

/// The state of the loop over tiles of outputs.
#[repr(C)]
struct OneRow {
    x: *const i8,
    w: *const i8,
    depth: usize,
    bias: *const i32,
    requant: *const Multiplier,
    /// Bytes from the multipliers of a tile to those of the next one.
    requant_step: usize,
    y: *mut i8,
    tiles: usize,
    ends: Ends,
}

/// The product with a row that ends at `$row`.
macro_rules! product {
    ($row:literal, $sum:literal) => {
        concat!("ldrsb r2, [", $row, ", r3]\n", "muls r2, r0, r2\n", "add ", $sum, ", r2\n")
    };
}

/// An element of four rows.
macro_rules! element {
    () => {
        concat!(
            "ldrsb r0, [r1, r3]\n",
            product!("r4", "r8"),
            product!("r5", "r9"),
            product!("r6", "r10"),
            product!("r7", "r11"),
            "adds r3, r3, #1\n"
        )
    };
}

/// Adds the products of x, which ends at r1, with the rows that end at r4 to r7 to r8 to r11: r3 elements, of which the
/// number that is left, negative, leads back from the ends. Takes r0, r2, and labels from 90 to 93.
macro_rules! four_rows {
    () => {
        concat!(
            "rsbs r3, r3, #0
            90:
            movs r2, #7
            tst r3, r2
            beq 91f
            ",
            element!(),
            "b 90b
            91:
            cmp r3, #0
            beq 92f
            93:
            ",
            element!(),
            element!(),
            element!(),
            element!(),
            element!(),
            element!(),
            element!(),
            element!(),
            "bne 93b
            92:
            "
        )
    };
}

/// The element of the output whose sum is in `$sum`, at `$at`.
macro_rules! end {
    ($sum:literal, $at:literal) => {
        concat!(
            "mov r0, ",
            $sum,
            "\n",
            "ldm r3!, {{r5, r7}}\n",
            take_apart!(),
            requantize!("32", "r12", "lr"),
            "ldr r1, [r4, #24]\n",
            "strb r0, [r1, #",
            $at,
            "]\n",
        )
    };
}

/// # Safety
/// x points to as many elements as each row of w; w, `bias`, `requant` and y to those of the outputs of all tiles. No
/// count is 0.
#[unsafe(naked)]
unsafe extern "C" fn one_row(task: &mut OneRow) {
    naked_asm!(
        enter!(),
        "2:",
        "ldr r2, [r0, #12]",
        "ldm r2!, {{r4-r7}}",
        "str r2, [r0, #12]",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "ldr r1, [r0]",
        "ldr r4, [r0, #4]",
        "ldr r3, [r0, #8]",
        "adds r1, r1, r3",
        "adds r4, r4, r3",
        "adds r5, r4, r3",
        "adds r6, r5, r3",
        "adds r7, r6, r3",
        "str r7, [r0, #4]",
        four_rows!(),
        "ldr r4, [sp]",
        "ldr r0, [r4, #36]",
        "mov r12, r0",
        "ldr r0, [r4, #40]",
        "mov lr, r0",
        "ldr r3, [r4, #16]",
        end!("r8", "0"),
        end!("r9", "1"),
        end!("r10", "2"),
        end!("r11", "3"),
        "ldr r1, [r4, #16]",
        "ldr r2, [r4, #20]",
        "adds r1, r1, r2",
        "str r1, [r4, #16]",
        "ldr r1, [r4, #24]",
        "adds r1, r1, #4",
        "str r1, [r4, #24]",
        "ldr r1, [r4, #28]",
        "subs r1, r1, #1",
        "str r1, [r4, #28]",
        "beq 3f",
        "mov r0, r4",
        "b 2b",
        "3:",
        leave!(),
    )
}

/// Adds the products of x with four rows to their sums.
///
/// # Safety
/// x and the rows of w point to `len` elements.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn add_products(
    sums: &mut [i32; ROW_TILE],
    x: *const i8,
    w: &[*const i8; ROW_TILE],
    len: usize,
) {
    naked_asm!(
        enter!(),
        "ldm r0!, {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "ldm r2!, {{r4-r7}}",
        "adds r1, r1, r3",
        "adds r4, r4, r3",
        "adds r5, r5, r3",
        "adds r6, r6, r3",
        "adds r7, r7, r3",
        four_rows!(),
        "ldr r0, [sp]",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "stm r0!, {{r4-r7}}",
        leave!(),
    )
}
