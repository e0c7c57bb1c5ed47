//! Sums as elements of y, in assembly: what the loops over outputs end with.

use crate::arch::OutputsI8;
use flatpack_format::ops::{Multiplier, OutputI8};

/// Twice the zero point and 1: shifted by one place less than the product is, it adds the zero point, and the
/// half by which the shift rounds.
pub(super) fn moved(zero_point: i32) -> i32 {
    zero_point.wrapping_mul(2).wrapping_add(1)
}

/// Words of [`ready`].
pub(super) const READY_WORDS: usize = 3;

/// What [`requantize!`] takes of a plain multiplier: twice the mantissa, less 2³²; the places of the shift but
/// one; what is added before it.
pub(super) fn ready(by: Multiplier, zero_point: i32) -> [u32; READY_WORDS] {
    let places = !by.shift as u32;
    [(by.mantissa as u32) << 1, places, moved(zero_point).wrapping_shl(places) as u32]
}

/// Bounds of elements.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Bounds {
    /// Whether they are others than those of a byte.
    narrow: u32,
    /// Four times a byte.
    min: u32,
    max: u32,
}

impl Bounds {
    pub(super) fn of(y: &OutputI8) -> Self {
        let four = |v: i32| u32::from(v as u8).wrapping_mul(0x0101_0101);
        let open = (y.min, y.max) == (i8::MIN.into(), i8::MAX.into());
        Self { narrow: (!open).into(), min: four(y.min), max: four(y.max) }
    }
}

/// What becomes of sums.
#[repr(C)]
pub(super) struct Ends {
    moved: i32,
    min: i32,
    max: i32,
}

impl Ends {
    pub(super) fn of(outputs: &OutputsI8<'_>) -> Self {
        let y = &outputs.y;
        Self { moved: moved(y.zero_point), min: y.min, max: y.max }
    }
}

/// A sum in `$v` by what [`ready`] makes of a multiplier. Takes `$t`.
///
/// The product with `2m − 2³²`, to which the sum itself is added, is that with `2m`: its upper half is the
/// product rounded to 32 bits. A negative one is to lose 1, so that halves go away from zero. Of the sum's sign
/// that of the product is seen, but for products of 0, which the 1 does not change.
macro_rules! requantize {
    ($v:literal, $m:literal, $places:literal, $moved:literal, $t:literal) => {
        concat!(
            "add ",
            $t,
            ", ",
            $v,
            ", ",
            $v,
            ", asr #31\n",
            "smmlar ",
            $v,
            ", ",
            $v,
            ", ",
            $m,
            ", ",
            $t,
            "\n",
            "qadd ",
            $v,
            ", ",
            $v,
            ", ",
            $moved,
            "\n",
            "asr ",
            $v,
            ", ",
            $v,
            ", ",
            $places,
            "\n",
            "ssat ",
            $v,
            ", #8, ",
            $v,
            ", asr #1\n",
        )
    };
}

/// A multiplier in `$m` and `$places`, as the file has it, made ready with the moved zero point in `$zero`.
macro_rules! make_ready {
    ($m:literal, $places:literal, $moved:literal, $zero:literal) => {
        concat!(
            "lsl ", $m, ", ", $m, ", #1\n", "mvn ", $places, ", ", $places, "\n", "lsl ", $moved, ", ",
            $zero, ", ", $places, "\n",
        )
    };
}

/// `$v` within `$min` and `$max`.
macro_rules! bound {
    ($v:literal, $min:literal, $max:literal) => {
        concat!(
            "cmp ", $v, ", ", $min, "\n", "it lt\n", "movlt ", $v, ", ", $min, "\n", "cmp ", $v, ", ", $max,
            "\n", "it gt\n", "movgt ", $v, ", ", $max, "\n",
        )
    };
}

/// The four bytes in `$v` within those in `$min` and `$max`. Takes `$t`.
macro_rules! bound_bytes {
    ($v:literal, $min:literal, $max:literal, $t:literal) => {
        concat!(
            "ssub8 ", $t, ", ", $v, ", ", $min, "\n", "sel ", $v, ", ", $v, ", ", $min, "\n", "ssub8 ", $t,
            ", ", $max, ", ", $v, "\n", "sel ", $v, ", ", $v, ", ", $max, "\n",
        )
    };
}

/// Sums in r4 to r7 by the four multipliers that r12 points to, with the moved zero point in r3. Takes r1, r2
/// and r8 to r11.
macro_rules! requantize_four {
    () => {
        concat!(
            "ldm r12, {{r8-r11}}\n",
            make_ready!("r8", "r9", "r1", "r3"),
            requantize!("r4", "r8", "r9", "r1", "r2"),
            make_ready!("r10", "r11", "r1", "r3"),
            requantize!("r5", "r10", "r11", "r1", "r2"),
            "ldrd r8, r9, [r12, #16]\n",
            "ldrd r10, r11, [r12, #24]\n",
            make_ready!("r8", "r9", "r1", "r3"),
            requantize!("r6", "r8", "r9", "r1", "r2"),
            make_ready!("r10", "r11", "r1", "r3"),
            requantize!("r7", "r10", "r11", "r1", "r2"),
        )
    };
}

/// r4 to r7 within r8 and r9, unless those are the bounds of a byte. Takes r10, and the label 6.
macro_rules! bound_four {
    () => {
        concat!(
            "sub r10, r9, r8\n",
            "cmp r10, #255\n",
            "beq 6f\n",
            bound!("r4", "r8", "r9"),
            bound!("r5", "r8", "r9"),
            bound!("r6", "r8", "r9"),
            bound!("r7", "r8", "r9"),
            "6:\n",
        )
    };
}

/// The low bytes of r4 to r7 in r4.
macro_rules! join_four {
    () => {
        "bfi r4, r5, #8, #8
        bfi r4, r6, #16, #8
        bfi r4, r7, #24, #8
        "
    };
}
