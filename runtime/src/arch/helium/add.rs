//! Sums and differences of elements, four at a time.

use core::arch::naked_asm;
use core::slice;
use flatpack_format::ops::Multiplier;
use flatpack_format::ops::add_i8::AddI8Params;

/// Whether [`add_run`] takes sums of these parameters.
pub(super) fn adds(p: &AddI8Params) -> bool {
    let shifts = [p.a_multiplier.shift, p.b_multiplier.shift];
    shifts.iter().all(|shift| (-31..=0).contains(shift))
        && Multiplier::all_plain(slice::from_ref(&p.multiplier))
}

/// See [`Arch::add_runs_i8`](crate::arch::Arch::add_runs_i8).
pub(super) fn add_run<const MINUS: bool>(
    p: &AddI8Params,
    a: Option<&[i8]>,
    b: Option<&[i8]>,
    y: &mut [i8],
) -> Option<()> {
    let len = y.len();
    let place = y.as_mut_ptr();
    let of = |x: Option<&[i8]>| match x {
        Some(x) => x.get(..len).map(<[i8]>::as_ptr),
        None => Some(place.cast_const()),
    };
    if len == 0 || !adds(p) {
        return None;
    }
    let moved = |zero_point: i32| zero_point.wrapping_neg().wrapping_shl(20);
    // Halves that the shift leaves go away from zero: negative numbers are lowered by one, if there is a shift.
    let lowered = |shift: i32| -i32::from(shift < 0);
    let task = Add {
        a: of(a)?,
        b: of(b)?,
        y: place,
        a_moved: moved(p.a_zero_point),
        a_mantissa: p.a_multiplier.mantissa,
        a_shift: p.a_multiplier.shift,
        b_moved: moved(p.b_zero_point),
        b_mantissa: p.b_multiplier.mantissa,
        b_shift: p.b_multiplier.shift,
        mantissa: p.multiplier.mantissa,
        shift: p.multiplier.shift,
        a_lowered: lowered(p.a_multiplier.shift),
        b_lowered: lowered(p.b_multiplier.shift),
        len,
        zero_point: p.y.zero_point,
        min: p.y.min,
        max: p.y.max,
    };
    // SAFETY: a, b and y have `len` elements, and that is not 0; each is read before it is written.
    unsafe { (if MINUS { sub } else { add })(&task) };
    Some(())
}

/// What is added, and how.
#[repr(C)]
struct Add {
    a: *const i8,
    b: *const i8,
    y: *mut i8,
    a_moved: i32,
    a_mantissa: i32,
    a_shift: i32,
    b_moved: i32,
    b_mantissa: i32,
    b_shift: i32,
    mantissa: i32,
    shift: i32,
    a_lowered: i32,
    b_lowered: i32,
    len: usize,
    zero_point: i32,
    min: i32,
    max: i32,
}

/// Four elements of an input at the common scale.
macro_rules! scaled {
    ($q:literal, $x:literal, $moved:literal, $mantissa:literal, $shift:literal, $lowered:literal) => {
        concat!(
            "vldrb.s32 ",
            $q,
            ", [",
            $x,
            "], #4\n",
            "vmlas.s32 ",
            $q,
            ", q4, ",
            $moved,
            "\n",
            "vqrdmulh.s32 ",
            $q,
            ", ",
            $q,
            ", ",
            $mantissa,
            "\n",
            "vpt.s32 lt, ",
            $q,
            ", zr\n",
            "vaddt.i32 ",
            $q,
            ", ",
            $q,
            ", ",
            $lowered,
            "\n",
            "vrshl.s32 ",
            $q,
            ", ",
            $shift,
            "\n",
        )
    };
}

macro_rules! loop_over {
    ($name:ident, $add:literal) => {
        /// # Safety
        /// a, b and y point to `len` elements, at least one.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(task: &Add) {
            naked_asm!(
                architecture!(),
                "push {{r4-r12, lr}}",
                "vpush {{d8-d15}}",
                "mov r12, #0x100000",
                "vdup.32 q4, r12",
                "ldrd r12, lr, [r0, #52]",
                "vdup.32 q7, lr",
                "ldrd r1, r2, [r0, #60]",
                "vdup.32 q5, r1",
                "vdup.32 q6, r2",
                "mov lr, r12",
                "ldrd r11, r12, [r0, #44]",
                "ldm r0, {{r0-r10}}",
                "dlstp.32 lr, lr",
                "2:",
                scaled!("q0", "r0", "r3", "r4", "r5", "r11"),
                scaled!("q1", "r1", "r6", "r7", "r8", "r12"),
                concat!($add, " q0, q0, q1"),
                "vqrdmulh.s32 q0, q0, r9",
                "vshr.s32 q1, q0, #31",
                "vadd.i32 q0, q0, q1",
                "vrshl.s32 q0, r10",
                "vadd.i32 q0, q0, q7",
                "vmax.s32 q0, q0, q5",
                "vmin.s32 q0, q0, q6",
                "vstrb.32 q0, [r2], #4",
                "letp lr, 2b",
                "vpop {{d8-d15}}",
                "pop {{r4-r12, pc}}",
            )
        }
    };
}

loop_over!(add, "vadd.i32");
loop_over!(sub, "vsub.i32");
