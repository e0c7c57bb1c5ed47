//! Rows of weights that lie behind each other, and states of filters: what LSTMs and SVDFs take.

use super::{Arch, ROW_TILE};
use crate::gemm::rows_from;
use crate::pieces::{pieces, pieces_mut};
use core::mem::swap;

/// See [`Arch::row_sums_i8`].
pub(super) fn row_sums<A: Arch + ?Sized>(sums: &mut [i32], bias: &[i32], x: &[i8], w: &[i8]) -> Option<()> {
    let rows = sums.len();
    let tiles = sums.chunks_mut(ROW_TILE).zip(bias.get(..rows)?.chunks(ROW_TILE));
    for (tile, (sums, bias)) in tiles.enumerate() {
        let mut four = [0; ROW_TILE];
        four.iter_mut().zip(bias).for_each(|(four, bias)| *four = *bias);
        A::four_sums_i8(&mut four, x, &rows_from(w, x.len(), tile * ROW_TILE, rows)?, 0)?;
        sums.iter_mut().zip(four).for_each(|(sum, four)| *sum = four);
    }
    Some(())
}

/// See [`Arch::state_sums_i16`].
pub(super) fn state_sums(sums: &mut [i32], new: &[i16], state: &mut [i16], w: &[i16]) -> Option<()> {
    let (memory, rank) = (state.len().checked_div(new.len())?, new.len().checked_div(sums.len())?);
    let mut filters = new.iter().zip(pieces_mut(state, memory).zip(pieces(w, memory)));
    for sum in sums {
        for (new, (held, w)) in filters.by_ref().take(rank) {
            move_on(held, *new);
            let products = held.iter().zip(w).map(|(held, w)| i32::from(*held).wrapping_mul((*w).into()));
            *sum = products.fold(*sum, i32::wrapping_add);
        }
    }
    Some(())
}

/// Drops the first element, moves the others to the front, and puts `new` behind them.
pub(crate) fn move_on<T>(held: &mut [T], mut new: T) {
    held.iter_mut().rev().for_each(|held| swap(held, &mut new));
}

/// The products of x with rows of w and a bias, of `tiles` tiles.
///
/// # Safety
/// x points to `len` elements, w to as many for each of four sums of `tiles` tiles, of which there is one at least, and
/// `bias` to a number for each.
#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
pub(super) type AddProducts = unsafe extern "C" fn(
    sums: *mut [i32; ROW_TILE],
    bias: *const i32,
    x: *const i8,
    w: *const i8,
    len: usize,
    tiles: usize,
);

/// [`row_sums`], of whole tiles by a loop of the instruction set.
#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
#[inline(always)]
pub(super) fn row_sums_by<A: Arch>(
    add_products: AddProducts,
    sums: &mut [i32],
    bias: &[i32],
    x: &[i8],
    w: &[i8],
) -> Option<()> {
    let (w, bias) = (w.get(..sums.len().checked_mul(x.len())?)?, bias.get(..sums.len())?);
    let (tiles, rest) = sums.as_chunks_mut::<ROW_TILE>();
    if !tiles.is_empty() {
        let (sums, count) = (tiles.as_mut_ptr(), tiles.len());
        // SAFETY: there is a tile, x has as many elements as it is said to, w a row of them for each sum, and so has bias
        // a number.
        unsafe { add_products(sums, bias.as_ptr(), x.as_ptr(), w.as_ptr(), x.len(), count) };
    }
    if rest.is_empty() {
        return Some(());
    }
    let done = tiles.len() * ROW_TILE;
    row_sums::<A>(rest, bias.get(done..)?, x, w.get(done * x.len()..)?)
}

/// Moves states on, and adds their products with w to the sums of their units.
///
/// # Safety
/// There is a unit, and `rank` filters for each, one at least; `sums` points to an element for each unit, `new` to one
/// for each filter, `state` and w to `kept` and one more for each.
#[cfg(any(flatpack_arch = "armv7em", flatpack_arch = "helium"))]
pub(super) type MoveOn = unsafe extern "C" fn(
    sums: *mut i32,
    new: *const i16,
    state: *mut i16,
    w: *const i16,
    kept: usize,
    rank: usize,
    units: usize,
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
    let (memory, rank) = (state.len().checked_div(new.len())?, new.len().checked_div(sums.len())?);
    let kept = memory.checked_sub(1)?;
    if rank == 0 || w.len() < new.len().checked_mul(memory)? {
        return None;
    }
    let (state, w, units) = (state.as_mut_ptr(), w.as_ptr(), sums.len());
    // SAFETY: there are sums, for each `rank` elements of `new`, for each of which state and w have `kept` and one more.
    unsafe { move_on(sums.as_mut_ptr(), new.as_ptr(), state, w, kept, rank, units) };
    Some(())
}
