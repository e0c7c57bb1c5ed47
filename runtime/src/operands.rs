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
    /// Of arena, state, far arena.
    gaps: [Gaps<'r, W>; 3],
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

    fn split_ranges<const W: usize>(
        self,
        writes: [(Place, Range<u32>); W],
    ) -> Option<(Reads<'r, W>, [&'r mut [u8]; W])> {
        let mut taken = [const { None }; W];
        let [arena, state, far] = self.memories;
        let gaps = [
            carve(arena, Place::Arena, &writes, &mut taken)?,
            carve(state, Place::State, &writes, &mut taken)?,
            carve(far, Place::Far, &writes, &mut taken)?,
        ];
        if taken.iter().any(Option::is_none) {
            return None;
        }
        let written = taken.map(Option::unwrap_or_default);
        Some((Reads { file: self.file, gaps }, written))
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
        let [arena, state, far] = &self.gaps;
        let gaps = match tensor.place() {
            Place::Constant => return self.file.get(start..end),
            Place::Arena => arena,
            Place::State => state,
            Place::Far => far,
        };
        gaps.get(start, end)
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

/// What is left of a memory of which up to `W` ranges were taken: the piece that it begins with, then those after
/// each range, with their positions.
#[derive(Debug)]
struct Gaps<'r, const W: usize> {
    first: &'r [u8],
    after: [(usize, &'r [u8]); W],
}

impl<'r, const W: usize> Gaps<'r, W> {
    fn get(&self, start: usize, end: usize) -> Option<&'r [u8]> {
        let in_piece = |at: usize, piece: &'r [u8]| piece.get(start.checked_sub(at)?..end.checked_sub(at)?);
        in_piece(0, self.first).or_else(|| self.after.iter().find_map(|(at, piece)| in_piece(*at, piece)))
    }
}

/// Cuts `memory` at those of `writes` that lie in `place`, from the lowest to the highest.
fn carve<'r, const W: usize>(
    memory: &'r mut [u8],
    place: Place,
    writes: &[(Place, Range<u32>); W],
    taken: &mut [Option<&'r mut [u8]>; W],
) -> Option<Gaps<'r, W>> {
    let mut pieces = Gaps { first: &[], after: [(0, &[][..]); W] };
    let Gaps { first, after } = &mut pieces;
    let (mut rest, mut at) = (memory, 0);
    let mut piece = first;
    for (position, next_piece) in after {
        let next = writes
            .iter()
            .zip(taken.iter_mut())
            .filter(|((of, _), slot)| *of == place && slot.is_none())
            .min_by_key(|((_, bytes), _)| bytes.start);
        let Some(((_, bytes), slot)) = next else { break };
        let (before, from) = rest.split_at_mut_checked((bytes.start as usize).checked_sub(at)?)?;
        let (own, behind) = from.split_at_mut_checked(bytes.end.checked_sub(bytes.start)? as usize)?;
        *piece = before;
        *slot = Some(own);
        (rest, at) = (behind, bytes.end as usize);
        (*position, piece) = (at, next_piece);
    }
    *piece = rest;
    Some(pieces)
}
