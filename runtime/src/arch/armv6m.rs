//! Cortex-M0: eight registers that nearly all instructions take, of which loops of a compiler move half through memory.
//! Sums are in the others, which an addition takes, too; so loops are in assembly, with what becomes of the sums.

#[macro_use]
mod requantize;
mod conv;
mod depthwise;
mod rows;

use super::portable::rows_of;
use super::{Arch, Image, OutputsI8, Patch, ROW_TILE, RowsI8, scratch};

/// The loops of this instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Armv6m;

/// Two words for each of 288 elements, as many as windows of four pixels may have; those of two, twice as many.
pub type Memory = scratch::Memory<288, 1>;

impl Arch for Armv6m {
    type Scratch = Memory;

    fn four_sums_i8(sums: &mut [i32; ROW_TILE], x: &[i8], w: &[&[i8]; ROW_TILE], w_at: usize) -> Option<()> {
        let w = rows_of(w, w_at, x.len())?.map(<[i8]>::as_ptr);
        // SAFETY: x and each row have as many elements.
        unsafe { rows::add_products(sums, x.as_ptr(), &w, x.len()) };
        Some(())
    }

    fn gemm_i8<const P: usize>(
        patch: &Patch<'_, P, i8>,
        _: bool,
        rows: &RowsI8<'_>,
        y: &mut [&mut [i8]; P],
    ) -> Option<usize> {
        each(y, |p, y| rows::gemm_i8(&patch.pixel(p)?, rows, y))
    }

    fn conv_image_i8(
        memory: &mut Memory,
        image: &Image,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        conv::conv_image_i8(memory, image, w, outputs, x, y)
    }

    fn depthwise_i8<const P: usize>(
        patch: &Patch<'_, P, i8>,
        offset: i16,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        y: &mut [&mut [i8]; P],
    ) -> Option<usize> {
        each(y, |p, y| depthwise::depthwise_i8(&patch.pixel(p)?, offset, w, outputs, y))
    }
}

/// Calls f for each pixel. Gives how many outputs it has computed: all, or `None` if f gives that.
fn each<const P: usize>(
    y: &mut [&mut [i8]; P],
    mut f: impl FnMut(usize, &mut [i8]) -> Option<()>,
) -> Option<usize> {
    for (p, y) in y.iter_mut().enumerate() {
        f(p, y)?;
    }
    Some(y.first()?.len())
}
