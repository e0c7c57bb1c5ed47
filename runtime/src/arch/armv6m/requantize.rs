//! Sums as elements of y, in assembly: what the loops over outputs end with.

use crate::arch::OutputsI8;
use flatpack_format::ops::Multiplier;

/// What becomes of sums: the end of each task, whose offsets [`requantize!`] is given.
#[repr(C)]
pub(super) struct Ends {
    zero_point: i32,
    min: i32,
    max: i32,
}

impl Ends {
    pub(super) fn of(outputs: &OutputsI8<'_>) -> Self {
        let y = &outputs.y;
        Self { zero_point: y.zero_point, min: y.min, max: y.max }
    }
}

/// Plain multipliers of up to four outputs that have one, or of each output.
pub(super) enum Requant<'a> {
    OfAll([Multiplier; 4]),
    OfEach(&'a [Multiplier]),
}

impl<'a> Requant<'a> {
    /// `None` if they are not plain, or not those of `len` outputs.
    pub(super) fn of(outputs: &OutputsI8<'a>, len: usize) -> Option<Self> {
        match outputs.requant {
            _ if !outputs.plain => None,
            [one] => Some(Self::OfAll([*one; 4])),
            all => Some(Self::OfEach(all.get(..len)?)),
        }
    }

    /// Those from output `first` on, and the bytes from a tile's to the next one's.
    pub(super) fn from(&self, first: usize, tile: usize) -> Option<(*const Multiplier, usize)> {
        match self {
            Self::OfAll(same) => Some((same.as_ptr(), 0)),
            Self::OfEach(all) => Some((all.get(first..)?.as_ptr(), tile * size_of::<Multiplier>())),
        }
    }
}

/// A plain multiplier in r5 and r7, as the file has it, in the parts that [`requantize!`] takes.
macro_rules! take_apart {
    () => {
        "lsrs r6, r5, #15
        lsls r5, r5, #17
        lsrs r5, r5, #17
        rsbs r7, r7, #0
        "
    };
}

/// The sum in r0 by the multiplier that [`take_apart!`] has left in r5 to r7, with the zero point at `$zero_point` of
/// r4, within the registers `$min` and `$max`. Takes r1 and r2.
///
/// There is no product of 64 bits: the sum is `high · 2¹⁶ + low`, where low has a sign, the mantissa `r6 · 2¹⁵ + r5`. No
/// part leaves 32 bits. What a shift leaves of a half is in the carry.
macro_rules! requantize {
    ($zero_point:literal, $min:literal, $max:literal) => {
        concat!(
            "sxth r1, r0
            asrs r0, r0, #16
            movs r2, #0
            adcs r0, r2
            movs r2, r1
            muls r2, r5, r2
            asrs r2, r2, #15
            muls r1, r6, r1
            adds r2, r2, r1
            asrs r2, r2, #1
            movs r1, r0
            muls r1, r5, r1
            adds r2, r2, r1
            muls r0, r6, r0
            asrs r2, r2, #15
            adcs r0, r2
            asrs r1, r0, #31
            adds r0, r0, r1
            asrs r0, r7
            ldr r1, [r4, #",
            $zero_point,
            "]
            adcs r0, r1
            cmp r0, ",
            $min,
            "
            bge 97f
            mov r0, ",
            $min,
            "
            97:
            cmp r0, ",
            $max,
            "
            ble 98f
            mov r0, ",
            $max,
            "
            98:
            "
        )
    };
}

/// Keeps the registers that belong to the caller, and the task in r0, on the stack.
macro_rules! enter {
    () => {
        "push {{r4-r7, lr}}
        mov r4, r8
        mov r5, r9
        mov r6, r10
        mov r7, r11
        push {{r0, r4-r7}}
        "
    };
}

/// Gives back what [`enter!`] has kept.
macro_rules! leave {
    () => {
        "pop {{r0, r4-r7}}
        mov r8, r4
        mov r9, r5
        mov r10, r6
        mov r11, r7
        pop {{r4-r7, pc}}
        "
    };
}
