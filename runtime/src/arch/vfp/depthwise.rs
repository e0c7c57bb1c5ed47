//! Depthwise convolution: a tap of a pixel after the other, in tiles of eight channels.

use crate::arch::{Arch, Patch, Portable};
use crate::weight::Weight;
use core::arch::asm;

/// See [`Arch::depthwise_f32`].
pub(in crate::arch) fn depthwise_f32<const P: usize, W: Weight>(
    patch: &Patch<'_, P>,
    w: &[W],
    y: &mut [&mut [f32]; P],
) -> Option<()> {
    let Some(w) = W::reals(w) else { return Portable::depthwise_f32(patch, w, y) };
    patch.try_each_tap(|x_at, w_at| {
        let w = w.get(w_at..)?.get(..patch.len)?;
        for (x, y) in patch.x.iter().zip(y.iter_mut()) {
            add_products(x.get(x_at..)?.get(..patch.len)?, w, y.get_mut(..patch.len)?);
        }
        Some(())
    })
}

/// `y[i] += x[i] · w[i]`; all are of one length.
#[inline(always)]
fn add_products(x: &[f32], w: &[f32], y: &mut [f32]) {
    // SAFETY: reads and writes as many elements as y has, which is what all have.
    unsafe {
        asm!(
            "subs {len}, {len}, #8",
            "blt 3f",
            "2:",
            "vldmia {y}, {{s0-s7}}",
            "vldmia {x}!, {{s8-s15}}",
            "vldmia {w}!, {{s16-s23}}",
            vmla!(0 += 8 * 16, 1 += 9 * 17, 2 += 10 * 18, 3 += 11 * 19),
            vmla!(4 += 12 * 20, 5 += 13 * 21, 6 += 14 * 22, 7 += 15 * 23),
            "vstmia {y}!, {{s0-s7}}",
            "subs {len}, {len}, #8",
            "bge 2b",
            "3:",
            "adds {len}, {len}, #8",
            "beq 5f",
            "4:",
            "vldr s0, [{y}]",
            "vldmia {x}!, {{s8}}",
            "vldmia {w}!, {{s16}}",
            vmla!(0 += 8 * 16),
            "vstmia {y}!, {{s0}}",
            "subs {len}, {len}, #1",
            "bne 4b",
            "5:",
            len = inout(reg) y.len() => _,
            x = inout(reg) x.as_ptr() => _,
            w = inout(reg) w.as_ptr() => _,
            y = inout(reg) y.as_mut_ptr() => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            options(nostack),
        );
    }
}
