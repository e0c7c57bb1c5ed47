//! Memory of a step for what the loops of an instruction set want beside the operands.

use core::cell::Cell;
#[cfg(any(flatpack_arch = "armv6m", flatpack_arch = "armv7em", flatpack_arch = "helium"))]
use core::{mem::MaybeUninit, slice};

/// Four activations of a pixel, widened to 16 bits: elements 0, 2, 1 and 3.
#[derive(Debug)]
#[repr(C, align(8))]
pub struct Quad(Cell<[i16; 4]>);

#[cfg_attr(not(flatpack_arch = "armv7em"), allow(dead_code))]
impl Quad {
    pub(super) const fn zero() -> Self {
        Self(Cell::new([0; 4]))
    }

    /// The places of the elements.
    const PLACES: [usize; 4] = [0, 2, 1, 3];

    pub(super) fn set(&self, elements: [i16; 4]) {
        self.0.set(elements);
    }

    pub(super) fn set_one(&self, element: usize, x: i16) {
        let mut elements = self.0.get();
        let place = Self::PLACES.get(element).copied().unwrap_or_default();
        if let Some(to) = elements.get_mut(place) {
            *to = x;
        }
        self.0.set(elements);
    }
}

/// Memory of a step for what the loops of an instruction set want beside the operands: some or none. It is
/// lent for one use at a time.
pub trait Scratch {
    /// Not yet used.
    fn new() -> Self;

    /// Room for widened activations, or nothing.
    fn quads(&mut self, len: usize) -> &[Quad];

    /// Room for words, or nothing.
    fn words(&mut self, len: usize) -> &mut [i32];
}

impl Scratch for () {
    fn new() -> Self {}

    fn quads(&mut self, _: usize) -> &[Quad] {
        &[]
    }

    fn words(&mut self, _: usize) -> &mut [i32] {
        &mut []
    }
}

/// [`Scratch`] of `QUADS` quads, which is lent in whole chunks of `CHUNK`.
#[cfg(any(flatpack_arch = "armv6m", flatpack_arch = "armv7em", flatpack_arch = "helium"))]
#[derive(Debug)]
pub struct Memory<const QUADS: usize, const CHUNK: usize> {
    quads: [MaybeUninit<Quad>; QUADS],
    /// What [`Memory::keep`] was told.
    prepared: usize,
}

#[cfg(any(flatpack_arch = "armv6m", flatpack_arch = "armv7em", flatpack_arch = "helium"))]
impl<const QUADS: usize, const CHUNK: usize> Memory<QUADS, CHUNK> {
    /// All of it, for another use.
    #[inline(always)]
    pub(super) fn all(&mut self) -> &mut [MaybeUninit<Quad>; QUADS] {
        self.prepared = 0;
        &mut self.quads
    }

    /// All of it as words, for another use.
    #[cfg(any(flatpack_arch = "armv6m", flatpack_arch = "armv7em"))]
    pub(super) fn all_words(&mut self) -> &mut [MaybeUninit<u32>] {
        let quads = self.all();
        // SAFETY: a quad is two words at more than their alignment, and these need not be initialised.
        unsafe { slice::from_raw_parts_mut(quads.as_mut_ptr().cast(), 2 * QUADS) }
    }

    /// Says that what weights became lies at the begin, written whole, and how long it is: for the next call with
    /// the same weights.
    pub(super) fn keep(&mut self, len: usize) {
        self.prepared = len;
    }

    /// How long that is which the call before has kept; 0 if it kept nothing, or the memory was used since.
    pub(super) fn kept(&self) -> usize {
        self.prepared
    }
}

#[cfg(any(flatpack_arch = "armv6m", flatpack_arch = "armv7em", flatpack_arch = "helium"))]
impl<const QUADS: usize, const CHUNK: usize> Scratch for Memory<QUADS, CHUNK> {
    #[inline(always)]
    fn new() -> Self {
        Self { quads: [const { MaybeUninit::uninit() }; QUADS], prepared: 0 }
    }

    #[inline(always)]
    fn quads(&mut self, len: usize) -> &[Quad] {
        let len = len.checked_next_multiple_of(CHUNK).unwrap_or(len);
        let quads = self.all().get_mut(..len).unwrap_or_default();
        quads.iter_mut().for_each(|quad| *quad = MaybeUninit::new(Quad::zero()));
        // SAFETY: all of them were just written.
        unsafe { slice::from_raw_parts(quads.as_ptr().cast(), quads.len()) }
    }

    #[inline(always)]
    fn words(&mut self, len: usize) -> &mut [i32] {
        let quads = self.all().get_mut(..len.div_ceil(2)).unwrap_or_default();
        quads.iter_mut().for_each(|quad| *quad = MaybeUninit::new(Quad::zero()));
        let words = quads.len().saturating_mul(2).min(len);
        // SAFETY: the quads were just written, nobody else has them, and each is two words, of any bits, at
        // the alignment of words.
        unsafe { slice::from_raw_parts_mut(quads.as_mut_ptr().cast(), words) }
    }
}
