//! Plans in which a thread writes where it, and not another one, was before.
//!
//! Two threads that share a step take a half of each tensor. What one of them writes where the other has read or
//! written since must be taken from the cache of that other's core first, which takes several times as long as to
//! write it. So a block lies best where its middle is the middle of those that lay there before.

use super::fit::orders;
use super::{Block, peak};

/// Elementary operations, of some nanoseconds each, that one call of [`keep`] may spend.
const BUDGET: u64 = 30_000_000;

/// A plan that is no larger than `offsets`, which all are multiples of `align`, and in which fewer bytes change
/// halves; or `offsets`, if none was found.
///
/// In several orders, each block is put where it makes the fewest bytes change halves, given those before it.
pub(super) fn keep(blocks: &[Block], offsets: Vec<u64>, align: u64) -> Vec<u64> {
    let capacity = peak(blocks, &offsets);
    let mut all: Vec<usize> = (0..blocks.len()).collect();
    all.sort_by_key(|&block| blocks[block].first);
    let mut work = BUDGET;
    let mut least = changing(blocks, &offsets, &all, &mut work);
    let mut best = offsets;
    for order in orders(blocks) {
        if least == 0 {
            break;
        }
        let Some(found) = in_order(blocks, &order, capacity, align, &mut work) else { continue };
        let bytes = changing(blocks, &found, &all, &mut work);
        if bytes < least {
            (best, least) = (found, bytes);
        }
    }
    best
}

/// Places the blocks one by one below `capacity`; `None` if one finds no place, or the work is spent.
fn in_order(
    blocks: &[Block],
    order: &[usize],
    capacity: u64,
    align: u64,
    work: &mut u64,
) -> Option<Vec<u64>> {
    let mut offsets = vec![0; blocks.len()];
    // Those that have a place, in the order in which a run writes them.
    let mut placed: Vec<usize> = Vec::new();
    for &block in order {
        let size = blocks[block].size;
        let mut places = vec![0, capacity - size];
        for &other in &placed {
            let (from, to) = (offsets[other], offsets[other] + blocks[other].size);
            let middle = from.midpoint(to).checked_sub(size / 2);
            places.extend(middle.map(|middle| middle / align * align));
            places.extend(from.checked_sub(size));
            places.push(to);
        }
        places.sort_unstable();
        places.dedup();
        places.retain(|&place| {
            let is_apart = |&other: &usize| {
                !blocks[other].is_alive_with(&blocks[block])
                    || offsets[other] + blocks[other].size <= place
                    || place + size <= offsets[other]
            };
            place + size <= capacity && placed.iter().all(is_apart)
        });
        let first = |block: usize| (blocks[block].first, block);
        placed.insert(placed.partition_point(|&other| first(other) < first(block)), block);
        let bytes_at = places.into_iter().map(|place| {
            offsets[block] = place;
            (changing(blocks, &offsets, &placed, work), place)
        });
        (_, offsets[block]) = bytes_at.min()?;
        if *work == 0 {
            return None;
        }
    }
    Some(offsets)
}

/// Bytes of `written`, blocks in this order, that a run writes with another half than was there last, in runs that
/// follow each other. Takes from `work` what it spends.
fn changing(blocks: &[Block], offsets: &[u64], written: &[usize], work: &mut u64) -> u64 {
    let mut memory = Memory::new();
    let mut bytes = 0;
    for _run in 0..2 {
        bytes = 0;
        for &block in written {
            let (from, to) = (offsets[block], offsets[block] + blocks[block].size);
            let middle = from + blocks[block].size / 2;
            bytes += memory.write(from, middle, Half::Lower) + memory.write(middle, to, Half::Upper);
            *work = work.saturating_sub(memory.pieces.len() as u64);
        }
    }
    bytes
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Lower,
    Upper,
}

/// Which half of a block was last where.
struct Memory {
    /// Each from its place to that of the next one.
    pieces: Vec<(u64, Option<Half>)>,
}

impl Memory {
    fn new() -> Self {
        Self { pieces: vec![(0, None)] }
    }

    /// Puts `half` at `from..to`; gives how many bytes there were of the other one.
    fn write(&mut self, from: u64, to: u64, half: Half) -> u64 {
        if from == to {
            return 0;
        }
        // Both are the index of a piece that begins there or later.
        let [first, last] = [from, to].map(|at| self.pieces.partition_point(|&(begin, _)| begin < at));
        let half_before = |at: usize| at.checked_sub(1).and_then(|at| self.pieces[at].1);
        let inside = &self.pieces[first..last];
        let begins = [from].into_iter().chain(inside.iter().map(|&(begin, _)| begin));
        let ends = inside.iter().map(|&(begin, _)| begin).chain([to]);
        let halves = [half_before(first)].into_iter().chain(inside.iter().map(|&(_, half)| half));
        let others = begins.zip(ends).zip(halves).filter(|(_, was)| was.is_some_and(|was| was != half));
        let bytes = others.map(|((begin, end), _)| end - begin).sum();

        let after = half_before(last);
        let goes_on = self.pieces.get(last).is_none_or(|&(begin, _)| begin != to);
        let rest = goes_on.then_some((to, after));
        self.pieces.splice(first..last, [(from, Some(half))].into_iter().chain(rest));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{buffers, few_buffers, network};
    use super::super::{blocks, check, keep_halves, plan};
    use super::*;

    /// The blocks in the order in which a run writes them.
    fn written(blocks: &[Block]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&block| blocks[block].first);
        order
    }

    fn changing_of_all(blocks: &[Block], offsets: &[u64]) -> u64 {
        changing(blocks, offsets, &written(blocks), &mut u64::MAX.clone())
    }

    /// The same, byte for byte.
    fn changing_bytes(blocks: &[Block], offsets: &[u64]) -> u64 {
        let mut memory = vec![None; peak(blocks, offsets) as usize];
        let mut bytes = 0;
        for run in 0..2 {
            for block in written(blocks) {
                for at in 0..blocks[block].size {
                    let is_upper = at >= blocks[block].size / 2;
                    let was = memory[(offsets[block] + at) as usize].replace(is_upper);
                    bytes += u64::from(run == 1 && was == Some(!is_upper));
                }
            }
        }
        bytes
    }

    fn changing_of(lives: &[(u32, u32, u32)], offsets: &[u32]) -> u64 {
        let (_, blocks) = blocks(&buffers(lives), 1).unwrap();
        let offsets: Vec<u64> = offsets.iter().map(|&offset| offset.into()).collect();
        changing_of_all(&blocks, &offsets)
    }

    #[test]
    fn a_chain_that_shrinks_keeps_its_halves() {
        // What MobileNetV1's layers give, in KiB: there are two middles.
        let sizes = [
            588, 1568, 1568, 3136, 784, 1568, 1568, 1568, 392, 784, 784, 784, 196, 392, 392, 392, 392, 392,
            392, 392, 392, 392, 392, 392, 98, 196, 196, 196, 4,
        ];
        let chain: Vec<(u32, u32, u32)> = (0..).zip(sizes).map(|(at, size)| (size, at, at + 1)).collect();
        let smallest = plan(&buffers(&chain), &[], 1).unwrap();
        let mut kept = smallest.offsets.clone();
        assert_eq!(keep_halves(&buffers(&chain), &mut kept, 1), Ok(smallest.arena_bytes));
        assert!(changing_of(&chain, &smallest.offsets) > 0);
        assert_eq!(changing_of(&chain, &kept), 0);
    }

    #[test]
    fn halves_that_change_are_counted_in_each_run() {
        // The second one lies on the upper half of the first: its lower half is new to one thread, and what the first
        // one then writes there to the other.
        assert_eq!(changing_of(&[(8, 0, 0), (4, 1, 1)], &[0, 4]), 2 + 2);
        assert_eq!(changing_of(&[(8, 0, 0), (4, 1, 1)], &[0, 2]), 0);
    }

    proptest! {
        #[test]
        fn as_many_halves_change_as_byte_for_byte(
            all in prop::collection::vec((1_u64..40, 0_u64..60, 0_usize..9), 0..12),
        ) {
            let blocks: Vec<Block> =
                all.iter().map(|&(size, _, first)| Block { size, first, last: first }).collect();
            let offsets: Vec<u64> = all.iter().map(|&(_, offset, _)| offset).collect();
            prop_assert_eq!(changing_of_all(&blocks, &offsets), changing_bytes(&blocks, &offsets));
        }

        #[test]
        fn plans_stay_sound_and_small(
            buffers in prop_oneof![network(12), few_buffers()], align in 1_u32..70,
        ) {
            let smallest = plan(&buffers, &[], align).unwrap();
            let mut kept = smallest.offsets.clone();
            let arena_bytes = keep_halves(&buffers, &mut kept, align).unwrap();
            prop_assert!(arena_bytes <= smallest.arena_bytes);
            prop_assert_eq!(check(&buffers, &[], align, &kept), Ok(arena_bytes));
            let (occupied, blocks) = blocks(&buffers, align).unwrap();
            let [before, after] = [smallest.offsets, kept].map(|offsets| {
                let offsets: Vec<u64> = occupied.iter().map(|&buffer| offsets[buffer].into()).collect();
                changing_of_all(&blocks, &offsets)
            });
            prop_assert!(after <= before);
        }
    }
}
