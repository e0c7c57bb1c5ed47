//! What the pixels of a tile see, and where their outputs go: looked up with one check for all.

use crate::arch::PANEL_LEN;
/// Pixels by where their windows begin in what they see.
pub(super) struct Pixels<'a, T, const P: usize> {
    seen: &'a [T],
    at: [u32; P],
    /// The furthest of them.
    furthest: u32,
}

impl<'a, T, const P: usize> Pixels<'a, T, P> {
    #[inline(always)]
    pub(super) fn of(seen: &'a [T], at: [u32; P]) -> Self {
        let mut furthest = 0;
        for at in at {
            furthest = at.max(furthest);
        }
        Self { seen, at, furthest }
    }

    /// So many elements of each, from `tap` on. `None` where that is beyond what is seen.
    #[inline(always)]
    pub(super) fn tap(&self, tap: usize, len: usize) -> Option<[&'a [T]; P]> {
        let furthest = (self.furthest as usize).checked_add(tap)?;
        self.seen.get(furthest..)?.get(..len)?;
        let mut of_pixels = [&[][..]; P];
        for (of_pixel, at) in of_pixels.iter_mut().zip(&self.at) {
            let at = *at as usize + tap;
            // SAFETY: no pixel is further than the furthest, from which on there are so many elements.
            *of_pixel = unsafe { self.seen.get_unchecked(at..at + len) };
        }
        Some(of_pixels)
    }
}

/// Places of sixteen elements for each of `P` pixels, as far from each other; of fewer than sixteen, they overlap.
pub(in crate::arch) struct Sixteens<'y, const P: usize> {
    y: &'y mut [i8],
    stride: usize,
}

impl<'y, const P: usize> Sixteens<'y, P> {
    /// `None` if y is too short.
    #[inline(always)]
    pub(super) fn of(y: &'y mut [i8], stride: usize) -> Option<Self> {
        let last = stride.checked_mul(P.checked_sub(1)?)?;
        y.get(last..)?.get(..PANEL_LEN)?;
        Some(Self { y, stride })
    }

    /// Puts those of a pixel, if there is such a one.
    #[inline(always)]
    pub(in crate::arch) fn put(&mut self, p: usize, elements: [i8; PANEL_LEN]) {
        if p < P {
            let at = p * self.stride;
            // SAFETY: where the last pixel's go, there are sixteen places, and p is none after it.
            let to = unsafe { self.y.get_unchecked_mut(at..at + PANEL_LEN) };
            to.copy_from_slice(&elements);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn pixels_see_what_lies_there_or_nothing() {
        let seen: Vec<u32> = (0..10).collect();
        let pixels = Pixels::of(&seen, [4, 0, 6, 2]);
        assert_eq!(pixels.tap(1, 3), Some([&[5, 6, 7][..], &[1, 2, 3], &[7, 8, 9], &[3, 4, 5]]));
        assert_eq!(pixels.tap(4, 0), Some([&[][..]; 4]));
        for (tap, len) in [(2, 3), (1, 4), (5, 0), (usize::MAX, 1), (0, usize::MAX)] {
            assert_eq!(pixels.tap(tap, len), None, "{tap}, {len}");
        }
    }

    #[test]
    fn sixteens_are_put_where_there_is_room() {
        let mut y = [0; 26];
        let mut sixteens = Sixteens::<3>::of(&mut y, 5).unwrap();
        (0..4).for_each(|p| sixteens.put(p, [p as i8 + 1; PANEL_LEN]));
        let want = [[1; 5].as_slice(), &[2; 5], &[3; 16]].concat();
        assert_eq!(y.as_slice(), want);
        assert!(Sixteens::<3>::of(&mut y[1..], 5).is_none());
        assert!(Sixteens::<3>::of(&mut y, usize::MAX / 2 + 1).is_none());
    }
}
