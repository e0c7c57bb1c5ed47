//! Products of reals with rows of weights, four elements of a row in a vector: sums of every fourth element are added
//! up in the end. So a sum is another one than that of the portable loops by rounding, and nearer to the exact one,
//! mostly: of n products of a tap, it is rounded n/4 + 3 times, and no product is.

use crate::arch::vfp::Products;
use core::arch::naked_asm;

/// The sum of the lanes of a vector, in the first.
macro_rules! add_up {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "vadd.f32 s",
            $a,
            ", s",
            $a,
            ", s",
            $b,
            "\n",
            "vadd.f32 s",
            $c,
            ", s",
            $c,
            ", s",
            $d,
            "\n",
            "vadd.f32 s",
            $a,
            ", s",
            $a,
            ", s",
            $c,
            "\n",
        )
    };
}

/// A sum added to an element of y, whose address goes on.
macro_rules! add_to {
    ($y:literal, $sum:literal) => {
        concat!("vldr s16, [", $y, "]\n", "vadd.f32 s16, s16, s", $sum, "\n", "vstmia ", $y, "!, {{s16}}\n",)
    };
}

/// Rows for two pixels, two at a time. Of an odd number, the last is computed twice and stored once.
///
/// # Safety
/// As [`vfp`'s](crate::arch::vfp).
#[unsafe(naked)]
pub(in crate::arch) unsafe extern "C" fn two_pixels(products: &mut Products) {
    naked_asm!(
        architecture!(),
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "ldm r0, {{r2-r9}}",
        "2:",
        "mov r0, r5",
        "mov r1, r5",
        "cmp r9, #1",
        "it ne",
        "addne r1, r5, r6",
        "mov r10, r2",
        "mov r11, r3",
        "vmov.i32 q0, #0",
        "vmov.i32 q1, #0",
        "vmov.i32 q2, #0",
        "vmov.i32 q3, #0",
        "wlstp.32 lr, r4, 4f",
        "3:",
        "vldrw.u32 q4, [r10], #16",
        "vldrw.u32 q6, [r0], #16",
        "vfma.f32 q0, q4, q6",
        "vldrw.u32 q5, [r11], #16",
        "vfma.f32 q2, q5, q6",
        "vldrw.u32 q7, [r1], #16",
        "vfma.f32 q1, q4, q7",
        "vfma.f32 q3, q5, q7",
        "letp lr, 3b",
        "4:",
        add_up!(0, 1, 2, 3),
        add_up!(8, 9, 10, 11),
        add_to!("r7", 0),
        add_to!("r8", 8),
        "subs r9, r9, #1",
        "beq 5f",
        add_up!(4, 5, 6, 7),
        add_up!(12, 13, 14, 15),
        add_to!("r7", 4),
        add_to!("r8", 12),
        "add r5, r5, r6, lsl #1",
        "subs r9, r9, #1",
        "bne 2b",
        "5:",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}

/// Rows for one pixel, four at a time, then one.
///
/// # Safety
/// As [`two_pixels`].
#[unsafe(naked)]
pub(in crate::arch) unsafe extern "C" fn one_pixel(products: &mut Products) {
    naked_asm!(
        architecture!(),
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "ldm r0, {{r2-r9}}",
        "subs r9, r9, #4",
        "blt 5f",
        "2:",
        "mov r0, r5",
        "add r1, r5, r6",
        "add r10, r1, r6",
        "add r11, r10, r6",
        "add r5, r11, r6",
        "mov r12, r2",
        "vmov.i32 q0, #0",
        "vmov.i32 q1, #0",
        "vmov.i32 q2, #0",
        "vmov.i32 q3, #0",
        "wlstp.32 lr, r4, 4f",
        "3:",
        "vldrw.u32 q4, [r12], #16",
        "vldrw.u32 q5, [r0], #16",
        "vfma.f32 q0, q4, q5",
        "vldrw.u32 q6, [r1], #16",
        "vfma.f32 q1, q4, q6",
        "vldrw.u32 q7, [r10], #16",
        "vfma.f32 q2, q4, q7",
        "vldrw.u32 q5, [r11], #16",
        "vfma.f32 q3, q4, q5",
        "letp lr, 3b",
        "4:",
        add_up!(0, 1, 2, 3),
        add_up!(4, 5, 6, 7),
        add_up!(8, 9, 10, 11),
        add_up!(12, 13, 14, 15),
        add_to!("r7", 0),
        add_to!("r7", 4),
        add_to!("r7", 8),
        add_to!("r7", 12),
        "subs r9, r9, #4",
        "bge 2b",
        "5:",
        "adds r9, r9, #4",
        "beq 9f",
        "6:",
        "mov r0, r5",
        "add r5, r5, r6",
        "mov r12, r2",
        "vmov.i32 q0, #0",
        "wlstp.32 lr, r4, 8f",
        "7:",
        "vldrw.u32 q4, [r12], #16",
        "vldrw.u32 q5, [r0], #16",
        "vfma.f32 q0, q4, q5",
        "letp lr, 7b",
        "8:",
        add_up!(0, 1, 2, 3),
        add_to!("r7", 0),
        "subs r9, r9, #1",
        "bne 6b",
        "9:",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}
