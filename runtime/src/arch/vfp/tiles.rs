//! Tiles of one or two pixels and eight outputs.

use super::Products;
use core::arch::naked_asm;

/// Elements of a tap, four at a time; r10 counts them.
macro_rules! elements {
    ($four:expr, $one:expr) => {
        concat!(
            "subs r10, r10, #4\n",
            "blt 3f\n",
            "2:\n",
            $four,
            "subs r10, r10, #4\n",
            "bge 2b\n",
            "3:\n",
            "adds r10, r10, #4\n",
            "beq 5f\n",
            "4:\n",
            $one,
            "subs r10, r10, #1\n",
            "bne 4b\n",
            "5:\n",
        )
    };
}

/// Four elements of two pixels, in s16 to s23, and of two rows; sums of the first pixel, then of the second.
macro_rules! two_by_two {
    ($w0:literal, $w1:literal, $a0:literal, $a1:literal, $b0:literal, $b1:literal) => {
        concat!(
            "vldmia r",
            $w0,
            "!, {{s24-s27}}\n",
            "vldmia r",
            $w1,
            "!, {{s28-s31}}\n",
            vmla!($a0 += 16 * 24, $b0 += 20 * 24, $a1 += 16 * 28, $b1 += 20 * 28),
            vmla!($a0 += 17 * 25, $b0 += 21 * 25, $a1 += 17 * 29, $b1 += 21 * 29),
            vmla!($a0 += 18 * 26, $b0 += 22 * 26, $a1 += 18 * 30, $b1 += 22 * 30),
            vmla!($a0 += 19 * 27, $b0 += 23 * 27, $a1 += 19 * 31, $b1 += 23 * 31),
        )
    };
}

/// One element of two pixels, in s16 and s20, and of a row.
macro_rules! two_by_one {
    ($w:literal, $a:literal, $b:literal) => {
        concat!("vldmia r", $w, "!, {{s24}}\n", vmla!($a += 16 * 24, $b += 20 * 24))
    };
}

/// Rows for two pixels, eight at a time, then one.
///
/// # Safety
/// x0 and x1 point to `len` elements; w to `rows` rows of as many, which lie `row` bytes apart; y0 and y1 to `rows`
/// elements. Neither `len` nor `rows` is more than an `i32`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn two_pixels(products: &mut Products) {
    naked_asm!(
        ".fpu fpv4-sp-d16",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov lr, r0",
        "ldr r12, [lr, #28]",
        "subs r12, r12, #8",
        "blt 7f",
        "6:",
        "str r12, [lr, #28]",
        "ldrd r0, r1, [lr]",
        "ldrd r10, r2, [lr, #8]",
        "ldr r11, [lr, #16]",
        "add r3, r2, r11",
        "add r4, r3, r11",
        "add r5, r4, r11",
        "add r6, r5, r11",
        "add r7, r6, r11",
        "add r8, r7, r11",
        "add r9, r8, r11",
        "add r11, r9, r11",
        "str r11, [lr, #12]",
        "ldrd r11, r12, [lr, #20]",
        "vldmia r11, {{s0-s7}}",
        "vldmia r12, {{s8-s15}}",
        elements!(
            concat!(
                "vldmia r0!, {{s16-s19}}\n",
                "vldmia r1!, {{s20-s23}}\n",
                two_by_two!(2, 3, 0, 1, 8, 9),
                two_by_two!(4, 5, 2, 3, 10, 11),
                two_by_two!(6, 7, 4, 5, 12, 13),
                two_by_two!(8, 9, 6, 7, 14, 15),
            ),
            concat!(
                "vldmia r0!, {{s16}}\n",
                "vldmia r1!, {{s20}}\n",
                two_by_one!(2, 0, 8),
                two_by_one!(3, 1, 9),
                two_by_one!(4, 2, 10),
                two_by_one!(5, 3, 11),
                two_by_one!(6, 4, 12),
                two_by_one!(7, 5, 13),
                two_by_one!(8, 6, 14),
                two_by_one!(9, 7, 15),
            )
        ),
        "vstmia r11!, {{s0-s7}}",
        "vstmia r12!, {{s8-s15}}",
        "strd r11, r12, [lr, #20]",
        "ldr r12, [lr, #28]",
        "subs r12, r12, #8",
        "bge 6b",
        "7:",
        "adds r9, r12, #8",
        "beq 9f",
        "ldrd r2, r3, [lr, #12]",
        "ldrd r11, r12, [lr, #20]",
        "8:",
        "ldm lr, {{r0, r1, r10}}",
        "mov r4, r2",
        "add r2, r2, r3",
        "vldr s0, [r11]",
        "vldr s1, [r12]",
        elements!(
            concat!(
                "vldmia r0!, {{s16-s19}}\n",
                "vldmia r1!, {{s20-s23}}\n",
                "vldmia r4!, {{s24-s27}}\n",
                vmla!(0 += 16 * 24, 1 += 20 * 24, 0 += 17 * 25, 1 += 21 * 25),
                vmla!(0 += 18 * 26, 1 += 22 * 26, 0 += 19 * 27, 1 += 23 * 27),
            ),
            concat!("vldmia r0!, {{s16}}\n", "vldmia r1!, {{s20}}\n", two_by_one!(4, 0, 1))
        ),
        "vstmia r11!, {{s0}}",
        "vstmia r12!, {{s1}}",
        "subs r9, r9, #1",
        "bne 8b",
        "9:",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}

/// Four elements of a pixel, in s8 to s11, and of four rows.
macro_rules! one_by_four {
    ($w0:literal, $w1:literal, $w2:literal, $w3:literal, $a0:literal, $a1:literal, $a2:literal, $a3:literal) => {
        concat!(
            "vldmia r",
            $w0,
            "!, {{s16-s19}}\n",
            "vldmia r",
            $w1,
            "!, {{s20-s23}}\n",
            "vldmia r",
            $w2,
            "!, {{s24-s27}}\n",
            "vldmia r",
            $w3,
            "!, {{s28-s31}}\n",
            vmla!($a0 += 8 * 16, $a1 += 8 * 20, $a2 += 8 * 24, $a3 += 8 * 28),
            vmla!($a0 += 9 * 17, $a1 += 9 * 21, $a2 += 9 * 25, $a3 += 9 * 29),
            vmla!($a0 += 10 * 18, $a1 += 10 * 22, $a2 += 10 * 26, $a3 += 10 * 30),
            vmla!($a0 += 11 * 19, $a1 += 11 * 23, $a2 += 11 * 27, $a3 += 11 * 31),
        )
    };
}

/// One element of a pixel, in s8, and of a row.
macro_rules! one_by_one {
    ($w:literal, $a:literal) => {
        concat!("vldmia r", $w, "!, {{s16}}\n", vmla!($a += 8 * 16))
    };
}

/// Rows for one pixel, eight at a time, then one.
///
/// # Safety
/// As [`two_pixels`], with x0 and y0 alone.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn one_pixel(products: &mut Products) {
    naked_asm!(
        ".fpu fpv4-sp-d16",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov lr, r0",
        "ldrd r1, r11, [lr, #12]",
        "ldr r12, [lr, #20]",
        "ldr r0, [lr, #28]",
        "subs r0, r0, #8",
        "blt 7f",
        "6:",
        "str r0, [lr, #28]",
        "ldr r0, [lr]",
        "ldr r10, [lr, #8]",
        "add r2, r1, r11",
        "add r3, r2, r11",
        "add r4, r3, r11",
        "add r5, r4, r11",
        "add r6, r5, r11",
        "add r7, r6, r11",
        "add r8, r7, r11",
        "add r9, r8, r11",
        "str r9, [lr, #12]",
        "vldmia r12, {{s0-s7}}",
        elements!(
            concat!(
                "vldmia r0!, {{s8-s11}}\n",
                one_by_four!(1, 2, 3, 4, 0, 1, 2, 3),
                one_by_four!(5, 6, 7, 8, 4, 5, 6, 7),
            ),
            concat!(
                "vldmia r0!, {{s8}}\n",
                one_by_one!(1, 0),
                one_by_one!(2, 1),
                one_by_one!(3, 2),
                one_by_one!(4, 3),
                one_by_one!(5, 4),
                one_by_one!(6, 5),
                one_by_one!(7, 6),
                one_by_one!(8, 7),
            )
        ),
        "vstmia r12!, {{s0-s7}}",
        "ldr r1, [lr, #12]",
        "ldr r0, [lr, #28]",
        "subs r0, r0, #8",
        "bge 6b",
        "7:",
        "adds r9, r0, #8",
        "beq 9f",
        "8:",
        "ldr r0, [lr]",
        "ldr r10, [lr, #8]",
        "mov r2, r1",
        "add r1, r1, r11",
        "vldr s0, [r12]",
        elements!(
            concat!(
                "vldmia r0!, {{s8-s11}}\n",
                "vldmia r2!, {{s16-s19}}\n",
                vmla!(0 += 8 * 16, 0 += 9 * 17, 0 += 10 * 18, 0 += 11 * 19),
            ),
            concat!("vldmia r0!, {{s8}}\n", one_by_one!(2, 0))
        ),
        "vstmia r12!, {{s0}}",
        "subs r9, r9, #1",
        "bne 8b",
        "9:",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}
