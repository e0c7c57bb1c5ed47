//! Slices in pieces of equal length.
//!
//! `chunks_exact` asserts that the length is not zero, and divides by it: where the compiler is told
//! to make small code it does not see that a caller has excluded zero, and keeps the panic. Here
//! there is none to keep.

use core::iter::from_fn;

/// What follows of an operand; `None` is one in the place of y.
#[inline(always)]
pub(crate) fn tail<T>(x: Option<&[T]>, at: usize) -> Option<Option<&[T]>> {
    match x {
        Some(x) => x.get(at..).map(Some),
        None => Some(None),
    }
}

/// The pieces of `len` elements, or of one if `len` is 0; a shorter rest is left out.
#[inline]
pub(crate) fn pieces<T>(mut rest: &[T], len: usize) -> impl Iterator<Item = &[T]> {
    from_fn(move || {
        let (piece, after) = rest.split_at_checked(len.max(1))?;
        rest = after;
        Some(piece)
    })
}

/// The pieces of `len` elements, or of one if `len` is 0; a shorter rest is left out.
#[inline]
pub(crate) fn pieces_mut<T>(mut rest: &mut [T], len: usize) -> impl Iterator<Item = &mut [T]> {
    from_fn(move || {
        let (piece, after) = core::mem::take(&mut rest).split_at_mut_checked(len.max(1))?;
        rest = after;
        Some(piece)
    })
}

/// Calls `f` for each vector along the middle axis of `x`, `[outer, len, inner]`: with the elements from
/// its first one on, and how far its elements are apart.
#[inline]
pub(crate) fn each_strided<T>(x: &mut [T], len: usize, inner: usize, mut f: impl FnMut(&mut [T], usize)) {
    for block in pieces_mut(x, len.saturating_mul(inner)) {
        for first in 0..inner {
            f(block.get_mut(first..).unwrap_or_default(), inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn pieces_are_those_of_chunks_exact() {
        let mut x: Vec<u8> = (0..20).collect();
        for len in 1..25 {
            assert!(pieces(&x, len).eq(x.chunks_exact(len)));
            assert!(pieces_mut(&mut x.clone(), len).eq(x.chunks_exact_mut(len)));
        }
    }

    #[test]
    fn pieces_of_length_zero_have_one_element() {
        assert_eq!(pieces(&[1, 2, 3], 0).count(), 3);
        assert_eq!(pieces::<u8>(&[], 0).count(), 0);
    }
}
