//! Plans in which the output of a step may lie over the input that it is the last to read.
//!
//! Two such blocks are not just apart or not: one may begin so far before the other, or so far after
//! it. What was a search among stacked rectangles becomes one among offsets. Of the smallest plans take the
//! one whose offsets have the smallest sum: placing its blocks from the lowest to the highest, each as low
//! as it can be, gives this plan. So one of the orders of placing leads to the optimum. All of them are
//! tried for a few blocks, and many for more, which is near enough: most networks meet the bound, which
//! counts such a pair as what both take together.

use std::collections::{HashMap, HashSet};

use super::fit::orders;
use super::{Block, loads_of, peak, sections};

/// Greedy plans that are tried beyond those of the fixed orders, for networks of some more blocks.
const MOST_TRIALS: usize = 1_000;

/// Pairs of blocks that all trials together may look at.
const MOST_PAIRS: usize = 3_000_000;

/// Whether so few blocks are placed in every order.
pub(super) fn is_exact(blocks: &[Block]) -> bool {
    blocks.len() <= 6
}

/// An output, and the input that its step is the last to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Index of the buffer that the step reads for the last time.
    pub input: usize,
    /// Index of the buffer that the step writes first.
    pub output: usize,
    /// At which distances the two may share memory.
    pub distances: flatpack_format::Overlap,
}

/// Which blocks may lie over each other: distances of the second from the first, by pair.
pub(super) struct Pairs {
    distances: HashMap<(usize, usize), [u64; 2]>,
}

impl Pairs {
    /// `index` gives the block of a buffer that occupies memory.
    pub(super) fn new(overlaps: &[Overlap], align: u64, index: impl Fn(usize) -> Option<usize>) -> Self {
        let mut distances = HashMap::new();
        for overlap in overlaps {
            let (Some(input), Some(output)) = (index(overlap.input), index(overlap.output)) else { continue };
            let flatpack_format::Overlap { before, after } = overlap.distances;
            let [before, after] =
                [before, after].map(|bytes| u64::from(bytes.max(1)).next_multiple_of(align));
            distances.insert((input, output), [before, after]);
        }
        Self { distances }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.distances.is_empty()
    }

    /// How far block `b` must begin before or after block `a`, where they are alive together.
    fn apart(&self, blocks: &[Block], a: usize, b: usize) -> [u64; 2] {
        let [before, after] = [blocks[b].size, blocks[a].size];
        let least = |[x, y]: [u64; 2]| [x.min(before), y.min(after)];
        let as_output = self.distances.get(&(a, b)).map(|&distances| least(distances));
        let as_input = || self.distances.get(&(b, a)).map(|&[x, y]| least([y, x]));
        as_output.or_else(as_input).unwrap_or([before, after])
    }

    /// The largest sum of sizes alive at one step, where such a pair counts as what it takes together.
    pub(super) fn lower_bound(&self, blocks: &[Block]) -> u64 {
        let (in_sections, _) = sections(blocks);
        self.loads(&in_sections).into_iter().max().unwrap_or(0)
    }

    /// The sums of sizes alive at each step, or section, where such a pair counts as what it takes together.
    pub(super) fn loads(&self, blocks: &[Block]) -> Vec<u64> {
        let mut loads = loads_of(blocks);
        for &(input, output) in self.distances.keys() {
            // Both are alive in one section: that of their step.
            let [x, y] = [input, output].map(|block| blocks[block].size);
            let [before, after] = self.apart(blocks, input, output);
            let together = (before + x).max(y).min((after + y).max(x));
            let both = blocks[input].first.max(blocks[output].first);
            loads[both] -= (x + y).saturating_sub(together);
        }
        loads
    }

    /// The lowest offset that is free for `block`.
    fn lowest(&self, blocks: &[Block], offsets: &[Option<u64>], block: usize) -> u64 {
        let mut taken: Vec<(u64, u64)> = Vec::new();
        for (other, offset) in offsets.iter().enumerate() {
            let Some(offset) = *offset else { continue };
            if blocks[other].is_alive_with(&blocks[block]) {
                let [before, after] = self.apart(blocks, other, block);
                // Not between these two.
                taken.push((offset.saturating_sub(before - 1), offset + after));
            }
        }
        taken.sort_unstable();
        let mut lowest = 0;
        for (from, to) in taken {
            if from > lowest {
                break;
            }
            lowest = lowest.max(to);
        }
        lowest
    }

    fn in_order(&self, blocks: &[Block], order: &[usize]) -> Vec<u64> {
        let mut offsets = vec![None; blocks.len()];
        for &block in order {
            offsets[block] = Some(self.lowest(blocks, &offsets, block));
        }
        offsets.into_iter().flatten().collect()
    }

    /// The smallest plan that `orders` of placing and changes of the best of them lead to.
    fn search(&self, blocks: &[Block], orders: Vec<Vec<usize>>, enough: u64) -> (u64, Vec<u64>, Vec<usize>) {
        let mut best = (u64::MAX, Vec::new(), Vec::new());
        let consider = |order: Vec<usize>, best: &mut (u64, Vec<u64>, Vec<usize>)| {
            let offsets = self.in_order(blocks, &order);
            let size = peak(blocks, &offsets);
            if size <= best.0 {
                *best = (size, offsets, order);
            }
        };
        for order in orders {
            consider(order, &mut best);
        }
        if best.0 > enough && is_exact(blocks) {
            every_order(blocks.len(), &mut |order| consider(order.to_vec(), &mut best));
            return best;
        }
        let trials = (MOST_PAIRS / (blocks.len() * blocks.len()).max(1)).min(MOST_TRIALS);
        let mut state = 1u64;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % limit.max(1) as u64) as usize
        };
        for _ in 0..trials {
            if best.0 <= enough {
                break;
            }
            let mut order = best.2.clone();
            let moved = order.remove(below(blocks.len()));
            order.insert(below(blocks.len()), moved);
            consider(order, &mut best);
        }
        best
    }

    /// A plan with an arena of less than `limit`, if one is found; in it no more pairs lie over each other
    /// than that takes, as far as leaving out one after the other shows.
    pub(super) fn plan(mut self, blocks: &[Block], limit: u64, lower_bound: u64) -> Option<Vec<u64>> {
        let (size, mut offsets, order) = self.search(blocks, orders(blocks).collect(), lower_bound);
        if size >= limit {
            return None;
        }
        let over: HashSet<(usize, usize)> = self
            .distances
            .keys()
            .copied()
            .filter(|&(input, output)| {
                offsets[input] < offsets[output] + blocks[output].size
                    && offsets[output] < offsets[input] + blocks[input].size
            })
            .collect();
        self.distances.retain(|pair, _| over.contains(pair));
        let mut pairs: Vec<(usize, usize)> = over.into_iter().collect();
        pairs.sort_unstable();
        for pair in pairs {
            let Some(distances) = self.distances.remove(&pair) else { continue };
            let plans = [order.clone()].into_iter().chain(orders(blocks));
            let mut plans = plans.map(|order| self.in_order(blocks, &order));
            match plans.find(|plan| peak(blocks, plan) <= size) {
                Some(plan) => offsets = plan,
                None => {
                    self.distances.insert(pair, distances);
                }
            }
        }
        Some(offsets)
    }
}

/// Calls `each` with every order of `count` things.
fn every_order(count: usize, each: &mut impl FnMut(&[usize])) {
    /// Puts each of those from `settled` on at that place in turn.
    fn continue_from(settled: usize, order: &mut [usize], each: &mut impl FnMut(&[usize])) {
        if settled == order.len() {
            each(order);
        }
        for next in settled..order.len() {
            order.swap(settled, next);
            continue_from(settled + 1, order, each);
            order.swap(settled, next);
        }
    }
    continue_from(0, &mut (0..count).collect::<Vec<usize>>(), each);
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::{Buffer, check, plan};
    use super::*;

    /// A chain: each step reads one buffer for the last time and writes the next one, which may lie over it at
    /// these distances.
    fn chain(sizes: &[u32], distances: &[[u32; 2]]) -> (Vec<Buffer>, Vec<Overlap>) {
        let buffer = |(step, &bytes): (u32, &u32)| Buffer { bytes, first_step: step, last_step: step + 1 };
        let overlap = |(input, &[before, after]): (usize, &[u32; 2])| Overlap {
            input,
            output: input + 1,
            distances: flatpack_format::Overlap { before, after },
        };
        let buffers = (0..).zip(sizes).map(buffer).collect();
        (buffers, distances.iter().enumerate().take(sizes.len() - 1).map(overlap).collect())
    }

    #[test]
    fn a_chain_of_equal_sizes_goes_up_and_down() {
        let (buffers, overlaps) = chain(&[8000; 9], &[[640, 640], [512, 512]].repeat(4));
        let plan = plan(&buffers, &overlaps, 16).unwrap();
        assert_eq!(check(&buffers, &overlaps, 16, &plan.offsets), Ok(8640));
        assert_eq!((plan.arena_bytes, plan.lower_bound_bytes, plan.optimal), (8640, 8640, true));
    }

    #[test]
    fn a_chain_is_placed_in_every_order() {
        let (buffers, overlaps) = chain(&[3, 4, 4, 4], &[[4, 3], [2, 2], [4, 3]]);
        let plan = plan(&buffers, &overlaps, 1).unwrap();
        assert_eq!(check(&buffers, &overlaps, 1, &plan.offsets), Ok(7));
    }

    #[test]
    fn no_pair_lies_over_each_other_where_that_helps_nothing() {
        let (buffers, overlaps) = chain(&[16, 900, 900, 10, 100], &[[16, 16]; 4]);
        let plan = plan(&buffers, &overlaps, 1).unwrap();
        let over = |pair: &&Overlap| {
            let end = |buffer: usize| plan.offsets[buffer] + buffers[buffer].bytes;
            plan.offsets[pair.input] < end(pair.output) && plan.offsets[pair.output] < end(pair.input)
        };
        let over: Vec<usize> = overlaps.iter().filter(over).map(|pair| pair.input).collect();
        assert_eq!((plan.arena_bytes, over), (916, vec![1]));
    }

    /// A buffer for each step, from bytes, how many steps it is alive, and how far before and after it the next one
    /// may begin that is computed from it.
    pub(crate) fn residuals(steps: &[(u32, u32, [u32; 2])]) -> (Vec<Buffer>, Vec<Overlap>) {
        let buffers: Vec<Buffer> = (0..)
            .zip(steps)
            .map(|(first_step, &(bytes, life, _))| Buffer { bytes, first_step, last_step: first_step + life })
            .collect();
        let follows = |input: &usize| buffers[*input].last_step == buffers[input + 1].first_step;
        let overlaps = (0..buffers.len() - 1).filter(follows).map(|input| {
            let [before, after] = steps[input].2;
            Overlap { input, output: input + 1, distances: flatpack_format::Overlap { before, after } }
        });
        let overlaps = overlaps.collect();
        (buffers, overlaps)
    }

    /// The smallest arena, by trying every offset.
    fn smallest(buffers: &[Buffer], overlaps: &[Overlap]) -> u32 {
        fn fits(buffers: &[Buffer], overlaps: &[Overlap], arena: u32, offsets: &mut Vec<u32>) -> bool {
            let placed = &buffers[..offsets.len()];
            let among: Vec<Overlap> =
                overlaps.iter().copied().filter(|pair| pair.output < placed.len()).collect();
            if check(placed, &among, 1, offsets).is_err() {
                return false;
            }
            let Some(next) = buffers.get(offsets.len()) else { return true };
            (0..=arena.saturating_sub(next.bytes)).any(|offset| {
                offsets.push(offset);
                let fits = fits(buffers, overlaps, arena, offsets);
                offsets.pop();
                fits
            })
        }
        let largest = buffers.iter().map(|buffer| buffer.bytes).max().unwrap();
        (largest..).find(|&arena| fits(buffers, overlaps, arena, &mut Vec::new())).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn plans_of_short_chains_are_sound_and_the_smallest(
            sizes in prop::collection::vec(1u32..7, 2..5),
            distances in prop::collection::vec([1u32..7, 1u32..7], 4),
        ) {
            let (buffers, overlaps) = chain(&sizes, &distances);
            let plan = plan(&buffers, &overlaps, 1).unwrap();
            prop_assert_eq!(check(&buffers, &overlaps, 1, &plan.offsets), Ok(plan.arena_bytes));
            let smallest = smallest(&buffers, &overlaps);
            prop_assert!(plan.lower_bound_bytes <= smallest);
            prop_assert_eq!((plan.arena_bytes, plan.optimal), (smallest, true));
        }

        #[test]
        fn plans_with_residuals_are_sound_and_no_larger_than_without_overlaps(
            steps in prop::collection::vec((1u32..4000, 1u32..5, [16u32..900, 16u32..900]), 2..40),
            align in prop::sample::select(vec![1u32, 16]),
        ) {
            let (buffers, overlaps) = residuals(&steps);
            let with = plan(&buffers, &overlaps, align).unwrap();
            prop_assert_eq!(check(&buffers, &overlaps, align, &with.offsets), Ok(with.arena_bytes));
            prop_assert!(with.arena_bytes >= with.lower_bound_bytes);
            prop_assert!(with.arena_bytes <= plan(&buffers, &[], align).unwrap().arena_bytes);
        }
    }
}
