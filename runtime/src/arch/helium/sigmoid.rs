//! Logistic function and hyperbolic tangent of gates, four at a time: the table's values are gathered.

use crate::fixed::SIGMOID_TABLE;
use core::arch::naked_asm;

/// How one of the two is made of the table's function.
#[repr(C)]
struct Function {
    /// Places to the left for three times x; to the right, with rounding, where negative.
    shift: i32,
    /// Bits of x between two steps of the table.
    bits: i32,
    /// What stands for ½: y is odd around it.
    half: i32,
    /// What is added to that difference, and the places that the sum is shifted by, to the right.
    added: i32,
    places: i32,
}

/// See [`Arch::logistic_i16`](crate::arch::Arch::logistic_i16).
pub(super) fn logistic_i16(x: &mut [i16]) {
    run(x, &Function { shift: 0, bits: 9, half: 1 << 24, added: 1 << 24, places: -10 });
}

/// See [`Arch::tanh_i16`](crate::arch::Arch::tanh_i16).
pub(super) fn tanh_i16(x: &mut [i16], shift: i32) {
    run(x, &Function { shift, bits: 8, half: 1 << 23, added: 0, places: -8 });
}

fn run(x: &mut [i16], function: &Function) {
    // SAFETY: so many are there.
    unsafe { sigmoids(x.as_mut_ptr(), x.len(), function, &SIGMOID_TABLE) }
}

/// Steps past the last but one are that one, from which a line of no slope leads to the last.
///
/// # Safety
/// x points to `len` elements.
#[unsafe(naked)]
unsafe extern "C" fn sigmoids(x: *mut i16, len: usize, function: &Function, table: &[u16; 257]) {
    naked_asm!(
        architecture!(),
        "push {{r4-r9, lr}}",
        "vpush {{d8-d15}}",
        "ldm r2, {{r4-r8}}",
        "adds r2, r3, #2",
        "movs r12, #1",
        "lsl r12, r12, r5",
        "subs r12, r12, #1",
        "vdup.32 q4, r12",
        "vmov.i32 q5, #255",
        "rsb r12, r5, #0",
        "vdup.32 q6, r12",
        "movs r12, #3",
        "wlstp.32 lr, r1, 3f",
        "2:",
        "vldrh.s32 q0, [r0]",
        "vmul.i32 q0, q0, r12",
        "vrshl.s32 q0, r4",
        "vabs.s32 q1, q0",
        "vshr.s32 q0, q0, #31",
        "vshl.u32 q2, q1, q6",
        "vmin.u32 q2, q2, q5",
        "vldrh.u32 q3, [r3, q2, uxtw #1]",
        "vldrh.u32 q7, [r2, q2, uxtw #1]",
        "vand q1, q1, q4",
        "vsub.i32 q7, q7, q3",
        "vmul.i32 q1, q1, q7",
        "vshl.u32 q3, r5",
        "vadd.i32 q1, q1, q3",
        "vsub.i32 q1, q1, r6",
        // Of a negative x, the difference is negated, and 1 less.
        "veor q1, q1, q0",
        "vadd.i32 q1, q1, r7",
        "vrshl.s32 q1, r8",
        "vstrh.32 q1, [r0], #8",
        "letp lr, 2b",
        "3:",
        "vpop {{d8-d15}}",
        "pop {{r4-r9, pc}}",
    )
}
