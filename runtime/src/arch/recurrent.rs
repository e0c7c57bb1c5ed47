//! Rows of weights that lie behind each other, and states of filters: what LSTMs and SVDFs take.

use super::{Arch, ROW_TILE};
use crate::gemm::rows_from;
use crate::pieces::{pieces, pieces_mut};
use core::mem::swap;

/// See [`Arch::row_sums_i8`].
pub(super) fn row_sums<A: Arch + ?Sized>(sums: &mut [i32], x: &[i8], w: &[i8]) -> Option<()> {
    let rows = sums.len();
    for (tile, sums) in sums.chunks_mut(ROW_TILE).enumerate() {
        let mut four = [0; ROW_TILE];
        four.iter_mut().zip(sums.iter()).for_each(|(four, sum)| *four = *sum);
        A::four_sums_i8(&mut four, x, &rows_from(w, x.len(), tile * ROW_TILE, rows)?, 0)?;
        sums.iter_mut().zip(four).for_each(|(sum, four)| *sum = four);
    }
    Some(())
}

/// See [`Arch::state_sums_i16`].
pub(super) fn state_sums(sums: &mut [i32], new: &[i16], state: &mut [i16], w: &[i16]) -> Option<()> {
    let memory = state.len().checked_div(new.len())?;
    let filters = pieces_mut(state, memory).zip(pieces(w, memory));
    for ((sum, new), (held, w)) in sums.iter_mut().zip(new).zip(filters) {
        move_on(held, *new);
        let products = held.iter().zip(w).map(|(held, w)| i32::from(*held).wrapping_mul((*w).into()));
        *sum = products.fold(0, i32::wrapping_add);
    }
    Some(())
}

/// Drops the first element, moves the others to the front, and puts `new` behind them.
pub(crate) fn move_on<T>(held: &mut [T], mut new: T) {
    held.iter_mut().rev().for_each(|held| swap(held, &mut new));
}

/// Adds the products of x with rows of w to their sums, of `tiles` tiles.
///
/// # Safety
/// x points to `len` elements, w to as many for each of four sums of `tiles` tiles, of which there is one at least.
#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
pub(super) type AddProducts =
    unsafe extern "C" fn(sums: *mut [i32; ROW_TILE], x: *const i8, w: *const i8, len: usize, tiles: usize);

/// [`row_sums`], of whole tiles by a loop of the instruction set.
#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
#[inline(always)]
pub(super) fn row_sums_by<A: Arch>(
    add_products: AddProducts,
    sums: &mut [i32],
    x: &[i8],
    w: &[i8],
) -> Option<()> {
    let w = w.get(..sums.len().checked_mul(x.len())?)?;
    let (tiles, rest) = sums.as_chunks_mut::<ROW_TILE>();
    if !tiles.is_empty() {
        // SAFETY: there is a tile, x has as many elements as it is said to, and w a row of them for each sum.
        unsafe { add_products(tiles.as_mut_ptr(), x.as_ptr(), w.as_ptr(), x.len(), tiles.len()) };
    }
    row_sums::<A>(rest, x, w.get(tiles.len() * ROW_TILE * x.len()..)?)
}

/// Moves states on, and sums up their products with w.
///
/// # Safety
/// There is a filter; `sums` and `new` point to an element for each, `state` and w to `kept` and one more for each.
#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
pub(super) type MoveOn = unsafe extern "C" fn(
    sums: *mut i32,
    new: *const i16,
    state: *mut i16,
    w: *const i16,
    kept: usize,
    filters: usize,
);

/// [`state_sums`] by a loop of the instruction set.
#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
#[inline(always)]
pub(super) fn state_sums_by(
    move_on: MoveOn,
    sums: &mut [i32],
    new: &[i16],
    state: &mut [i16],
    w: &[i16],
) -> Option<()> {
    let memory = state.len().checked_div(new.len())?;
    let kept = memory.checked_sub(1)?;
    let needed = new.len().checked_mul(memory)?;
    if sums.len() != new.len() || w.len() < needed {
        return None;
    }
    // SAFETY: there is a filter, `new` and `sums` have an element for each, state and w `kept` and one more.
    unsafe { move_on(sums.as_mut_ptr(), new.as_ptr(), state.as_mut_ptr(), w.as_ptr(), kept, new.len()) };
    Some(())
}
