//! The memory of a step: what it writes exclusively, what it reads shared. No unsafe: the arena is
//! cut at the written ranges.

use bytemuck::Pod;
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

impl Reads<'_> {
    /// The bytes of a tensor that the step does not write.
    pub fn bytes(&self, tensor: Tensor<'_>) -> Option<&[u8]> {
        let start = tensor.offset() as usize;
        let end = start.checked_add(tensor.bytes() as usize)?;
        match tensor.place() {
            Place::Constant => self.model.bytes().get(start..end),
            Place::Arena => self.arena.get(start, end),
            Place::State => self.state.get(start, end),
        }
    }

    /// The elements of a tensor that the step does not write.
    pub fn get<T: Pod>(&self, tensor: Tensor<'_>) -> Option<&[T]> {
        bytemuck::try_cast_slice(self.bytes(tensor)?).ok()
    }
}

/// Pieces of memory with the position of each.
#[derive(Debug)]
struct Gaps<'r>([(usize, &'r [u8]); MAX_WRITES + 1]);

impl Gaps<'_> {
    fn get(&self, start: usize, end: usize) -> Option<&[u8]> {
        self.0.iter().find_map(|(at, piece)| piece.get(start.checked_sub(*at)?..end.checked_sub(*at)?))
    }
}

/// Cuts `memory` at those of `writes` that lie in `place`, from the lowest to the highest.
fn carve<'r, const W: usize>(
    memory: &'r mut [u8],
    place: Place,
    writes: &[Tensor<'_>; W],
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
            .filter(|(write, slot)| write.place() == place && slot.is_none())
            .min_by_key(|(write, _)| write.offset());
        let Some((write, slot)) = next else { break };
        let (before, from) = rest.split_at_mut_checked((write.offset() as usize).checked_sub(at)?)?;
        let (own, after) = from.split_at_mut_checked(write.bytes() as usize)?;
        *gap.next()? = (at, before);
        *slot = Some(own);
        at = (write.offset() as usize).checked_add(write.bytes() as usize)?;
        rest = after;
    }
    *gap.next()? = (at, rest);
    Some(Gaps(gaps))
}
