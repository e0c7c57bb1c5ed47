//! Sums as elements of y, in assembly: what the loops over outputs end with.

use crate::arch::OutputsI8;

/// What becomes of sums.
#[repr(C)]
pub(super) struct Ends {
    /// Twice the zero point and 1: half of the last step of the shift is added one bit above it.
    moved: i32,
    min: i32,
    max: i32,
}

impl Ends {
    pub(super) fn of(outputs: &OutputsI8<'_>) -> Self {
        let y = &outputs.y;
        Self { moved: y.zero_point.wrapping_mul(2).wrapping_add(1), min: y.min, max: y.max }
    }
}

/// A sum in `$v` by mantissa `$m` and the complement of the shift `$e`, moved by `$moved`. A sum past 2³⁰
/// becomes the nearest such: what the shift, at most 20 places, leaves is past all bounds, as it should be.
macro_rules! requantize {
    ($v:literal, $m:literal, $e:literal, $moved:literal) => {
        concat!(
            "qadd ",
            $v,
            ", ",
            $v,
            ", ",
            $v,
            "\n",
            "smmulr ",
            $v,
            ", ",
            $v,
            ", ",
            $m,
            "\n",
            "add ",
            $v,
            ", ",
            $v,
            ", ",
            $v,
            ", asr #31\n",
            "asr ",
            $v,
            ", ",
            $v,
            ", ",
            $e,
            "\n",
            "add ",
            $v,
            ", ",
            $v,
            ", ",
            $moved,
            "\n",
            "ssat ",
            $v,
            ", #8, ",
            $v,
            ", asr #1\n",
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

/// Sums in r4 to r7 by the four multipliers that r12 points to, moved by r3. Takes r8 to r11.
macro_rules! requantize_four {
    () => {
        concat!(
            "ldm r12, {{r8-r11}}\n",
            "mvn r9, r9\n",
            "mvn r11, r11\n",
            requantize!("r4", "r8", "r9", "r3"),
            requantize!("r5", "r10", "r11", "r3"),
            "ldrd r8, r9, [r12, #16]\n",
            "ldrd r10, r11, [r12, #24]\n",
            "mvn r9, r9\n",
            "mvn r11, r11\n",
            requantize!("r6", "r8", "r9", "r3"),
            requantize!("r7", "r10", "r11", "r3"),
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
