//! The memory of a step: what it writes exclusively, what it reads shared. No unsafe: the arena is
//! cut at the written ranges.

use bytemuck::Pod;
use core::ops::Range;
use flatpack_format::{MAX_WRITES, Model, Place, Tensor};

/// All memory of a session, for one step.
#[derive(Debug)]
pub struct Operands<'r> {
    model: Model<'r>,
    arena: &'r mut [u8],
    state: &'r mut [u8],
}

/// What is left to read once the written ranges are taken out.
#[derive(Debug)]
pub struct Reads<'r> {
    model: Model<'r>,
    arena: Gaps<'r>,
    state: Gaps<'r>,
}

impl<'r> Operands<'r> {
    pub(crate) fn new(model: Model<'r>, arena: &'r mut [u8], state: &'r mut [u8]) -> Self {
        Self { model, arena, state }
    }

    /// Takes out the written tensors. `None` if they overlap each other.
    pub fn split<const W: usize>(self, writes: [Tensor<'_>; W]) -> Option<(Reads<'r>, [&'r mut [u8]; W])> {
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
    ) -> Option<(Reads<'r>, [&'r mut [u8]; W])> {
        let mut taken = [const { None }; W];
        let arena = carve(self.arena, Place::Arena, &writes, &mut taken)?;
        let state = carve(self.state, Place::State, &writes, &mut taken)?;
        if taken.iter().any(Option::is_none) {
            return None;
        }
        let written = taken.map(Option::unwrap_or_default);
        Some((Reads { model: self.model, arena, state }, written))
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

impl<'r> Reads<'r> {
    /// The bytes of a tensor that the step does not write.
    pub fn bytes(&self, tensor: Tensor<'_>) -> Option<&'r [u8]> {
        let Range { start, end } = range(tensor);
        let (start, end) = (start as usize, end as usize);
        match tensor.place() {
            Place::Constant => self.model.bytes().get(start..end),
            Place::Arena => self.arena.get(start, end),
            Place::State => self.state.get(start, end),
        }
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

/// Pieces of memory with the position of each.
#[derive(Debug)]
struct Gaps<'r>([(usize, &'r [u8]); MAX_WRITES + 1]);

impl<'r> Gaps<'r> {
    fn get(&self, start: usize, end: usize) -> Option<&'r [u8]> {
        self.0.iter().find_map(|(at, piece)| piece.get(start.checked_sub(*at)?..end.checked_sub(*at)?))
    }
}

/// Cuts `memory` at those of `writes` that lie in `place`, from the lowest to the highest.
fn carve<'r, const W: usize>(
    memory: &'r mut [u8],
    place: Place,
    writes: &[(Place, Range<u32>); W],
    taken: &mut [Option<&'r mut [u8]>; W],
) -> Option<Gaps<'r>> {
    let mut gaps: [(usize, &'r [u8]); MAX_WRITES + 1] = [(0, &[]); MAX_WRITES + 1];
    let mut rest = memory;
    let mut at = 0;
    let mut gap = gaps.iter_mut();
    loop {
        let next = writes
            .iter()
            .zip(taken.iter_mut())
            .filter(|((of, _), slot)| *of == place && slot.is_none())
            .min_by_key(|((_, bytes), _)| bytes.start);
        let Some(((_, bytes), slot)) = next else { break };
        let (before, from) = rest.split_at_mut_checked((bytes.start as usize).checked_sub(at)?)?;
        let (own, after) = from.split_at_mut_checked(bytes.end.checked_sub(bytes.start)? as usize)?;
        *gap.next()? = (at, before);
        *slot = Some(own);
        at = bytes.end as usize;
        rest = after;
    }
    *gap.next()? = (at, rest);
    Some(Gaps(gaps))
}
