//! Depthwise convolution with one window, as streams have: each weight is used once, so that nothing is prepared.

use super::requantize::Ends;
use crate::arch::OutputsI8;
use core::arch::naked_asm;
use flatpack_format::ops::Multiplier;

/// Channels of a tile.
const TILE: usize = 4;

/// See [`Arch::depthwise_window_i8`](super::Arch::depthwise_window_i8).
pub(super) fn depthwise_window_i8(w: &[i8], outputs: &OutputsI8<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let channels = y.len();
    let last = channels.checked_sub(TILE)?;
    let last_tap = w.len().checked_sub(channels)?;
    if x.len() != w.len() || !w.len().is_multiple_of(channels) || !outputs.plain {
        return None;
    }
    let same;
    let (requant, requant_step) = match outputs.requant {
        [one] => {
            same = [*one; TILE];
            (same.as_slice(), 0)
        }
        all => (all.get(..channels)?, TILE * size_of::<Multiplier>()),
    };
    let bias = outputs.bias.get(..channels)?;
    // If channels are left over, the last tile begins early enough to be a whole one.
    let parts = [(0, channels / TILE), (last, usize::from(!channels.is_multiple_of(TILE)))];
    for (first, tiles) in parts.into_iter().filter(|(_, tiles)| *tiles > 0) {
        let mut task = Window {
            x: x.get(first..)?.as_ptr(),
            w: w.get(first..)?.as_ptr(),
            bias: bias.get(first..)?.as_ptr(),
            requant: if requant_step == 0 { requant } else { requant.get(first..)? }.as_ptr(),
            requant_step,
            y: y.get_mut(first..)?.as_mut_ptr(),
            channels,
            last_tap,
            tiles,
            ends: Ends::of(outputs),
        };
        // SAFETY: x and w have all channels of all taps, `bias` and `requant` what they take, and y has room for them;
        // these tiles end where they do, at most.
        unsafe { run(&mut task) };
    }
    Some(())
}

/// The state of a loop over tiles of channels.
#[repr(C)]
struct Window {
    x: *const i8,
    w: *const i8,
    bias: *const i32,
    requant: *const Multiplier,
    /// Bytes from the multipliers of a tile to those of the next one.
    requant_step: usize,
    y: *mut i8,
    channels: usize,
    /// Where the last tap begins.
    last_tap: usize,
    tiles: usize,
    ends: Ends,
}

/// The taps of a tile are walked from the last one to the first.
///
/// # Safety
/// At each tap, x and w have the channels of all tiles; `bias` and `requant` point to those of all tiles, y to room for
/// them. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn run(task: &mut Window) {
    naked_asm!(
        dsp!(),
        "push {{r4-r11, lr}}",
        "mov lr, r0",
        "2:",
        "ldrd r0, r1, [lr]",
        "ldr r12, [lr, #8]",
        "ldm r12!, {{r4-r7}}",
        "str r12, [lr, #8]",
        "ldrd r2, r3, [lr, #24]",
        "3:",
        "ldr r8, [r0, r3]",
        "ldr r10, [r1, r3]",
        "sxtb16 r9, r8, ror #8",
        "sxtb16 r8, r8",
        "sxtb16 r11, r10, ror #8",
        "sxtb16 r10, r10",
        "smlabb r4, r8, r10, r4",
        "smlabb r5, r9, r11, r5",
        "smlatt r6, r8, r10, r6",
        "smlatt r7, r9, r11, r7",
        "subs r3, r3, r2",
        "bhs 3b",
        "adds r0, r0, #4",
        "adds r1, r1, #4",
        "strd r0, r1, [lr]",
        "ldrd r12, r0, [lr, #12]",
        "add r0, r0, r12",
        "str r0, [lr, #12]",
        "ldr r3, [lr, #36]",
        requantize_four!(),
        "ldrd r8, r9, [lr, #40]",
        bound_four!(),
        join_four!(),
        "ldr r10, [lr, #20]",
        "str r4, [r10], #4",
        "str r10, [lr, #20]",
        "ldr r1, [lr, #32]",
        "subs r1, r1, #1",
        "str r1, [lr, #32]",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}
