//! The memory of a step: what it writes exclusively, what it reads shared. No unsafe: the memories
//! are cut at the written ranges.

use bytemuck::Pod;
use core::ops::Range;
use flatpack_format::{Place, Tensor};

/// Memories that can be written: those of the places `arena`, `state`, `far`.
pub(crate) type Memories<'r> = [&'r mut [u8]; 3];

/// All memory of a session, for one step.
#[derive(Debug)]
pub struct Operands<'r> {
    file: &'r [u8],
    memories: Memories<'r>,
}

/// What is left to read once `W` written ranges are taken out.
#[derive(Debug)]
pub struct Reads<'r, const W: usize = 1> {
    file: &'r [u8],
    /// What arena, state and far arena begin with.
    first: [&'r [u8]; 3],
    after: [Piece<'r>; W],
}

/// What follows a written range, up to the next one.
#[derive(Clone, Copy, Debug)]
struct Piece<'r> {
    place: Place,
    at: usize,
    bytes: &'r [u8],
}

impl<'r> Operands<'r> {
    pub(crate) fn new(file: &'r [u8], memories: Memories<'r>) -> Self {
        Self { file, memories }
    }

    /// Takes out the written tensors. `None` if they overlap each other.
    pub fn split<const W: usize>(self, writes: [Tensor<'_>; W]) -> Option<(Reads<'r, W>, [&'r mut [u8]; W])> {
        self.split_ranges(writes.map(|write| (write.place(), range(write))))
    }

    /// Takes out one range of a place.
    pub(crate) fn write_range(self, place: Place, bytes: Range<u32>) -> Option<(Reads<'r>, &'r mut [u8])> {
        let (reads, [written]) = self.split_ranges([(place, bytes)])?;
        Some((reads, written))
    }

    // What it gives goes through memory if it is called, which a small step of a gateway waits for.
    #[cfg_attr(feature = "std", inline(always))]
    fn split_ranges<const W: usize>(
        self,
        writes: [(Place, Range<u32>); W],
    ) -> Option<(Reads<'r, W>, [&'r mut [u8]; W])> {
        let mut taken = [const { None }; W];
        let mut after = [Piece { place: Place::Constant, at: 0, bytes: &[] }; W];
        let [mut arena, mut state, mut far] = self.memories;
        for piece in &mut after {
            // The last first: what lies before it is whole yet.
            let left = writes.iter().zip(&mut taken).filter(|(_, slot)| slot.is_none());
            let ((place, bytes), slot) = left.max_by_key(|((_, bytes), _)| bytes.start)?;
            let memory = match place {
                Place::Constant => return None,
                Place::Arena => &mut arena,
                Place::State => &mut state,
                Place::Far => &mut far,
            };
            let (start, at) = (bytes.start as usize, bytes.end as usize);
            let (before, from) = core::mem::take(memory).split_at_mut_checked(start)?;
            let (own, behind) = from.split_at_mut_checked(at.checked_sub(start)?)?;
            *memory = before;
            *slot = Some(own);
            *piece = Piece { place: *place, at, bytes: behind };
        }
        let written = taken.map(Option::unwrap_or_default);
        Some((Reads { file: self.file, first: [arena, state, far], after }, written))
    }

    /// Takes out `y` with the elements of `x` in it: a copy, unless the two are the same memory.
    pub(crate) fn write_over<T: Pod>(self, x: Tensor<'_>, y: Tensor<'_>) -> Option<(Reads<'r>, &'r mut [T])> {
        let in_place = x.same_memory(&y);
        let (reads, y) = self.write::<T>(y)?;
        if !in_place {
            y.iter_mut().zip(reads.get::<T>(x)?).for_each(|(y, x)| *y = *x);
        }
        Some((reads, y))
    }

    /// Takes out one written tensor as elements of type `T`.
    pub fn write<T: Pod>(self, y: Tensor<'_>) -> Option<(Reads<'r>, &'r mut [T])> {
        let (reads, [y]) = self.split([y])?;
        Some((reads, bytemuck::try_cast_slice_mut(y).ok()?))
    }
}

impl<'r, const W: usize> Reads<'r, W> {
    /// The bytes of a tensor that the step does not write.
    pub fn bytes(&self, tensor: Tensor<'_>) -> Option<&'r [u8]> {
        let Range { start, end } = range(tensor);
        let (start, end) = (start as usize, end as usize);
        let [arena, state, far] = self.first;
        let first = match tensor.place() {
            Place::Constant => self.file,
            Place::Arena => arena,
            Place::State => state,
            Place::Far => far,
        };
        first.get(start..end).or_else(|| {
            let mut pieces = self.after.iter().filter(|piece| piece.place == tensor.place());
            pieces.find_map(|piece| piece.bytes.get(start.checked_sub(piece.at)?..end.checked_sub(piece.at)?))
        })
    }

    /// The elements of a tensor that the step does not write.
    pub fn get<T: Pod>(&self, tensor: Tensor<'_>) -> Option<&'r [T]> {
        bytemuck::try_cast_slice(self.bytes(tensor)?).ok()
    }
}

/// The bytes of a tensor in its place; those of a parsed model end within 32 bits.
fn range(tensor: Tensor<'_>) -> Range<u32> {
    tensor.offset()..tensor.offset().saturating_add(tensor.bytes())
}
