//! Greedy plans: one block after the other, each at an offset that is free during its lifetime.

use std::cmp::Reverse;

use super::{Block, loads, peak, sections};

/// Which of the free gaps a block takes.
#[derive(Clone, Copy)]
pub(super) enum Fit {
    /// The lowest.
    First,
    /// The smallest, of equal ones the lowest.
    Best,
}

/// The smallest of the greedy plans, as offsets; stops at the first that meets `lower_bound`.
pub(super) fn best(blocks: &[Block], lower_bound: u64) -> Vec<u64> {
    let mut best = Vec::new();
    let mut best_peak = u64::MAX;
    for order in orders(blocks) {
        for fit in [Fit::First, Fit::Best] {
            let offsets = in_order(blocks, &order, fit);
            let peak = peak(blocks, &offsets);
            if peak < best_peak {
                (best, best_peak) = (offsets, peak);
            }
            if best_peak == lower_bound {
                return best;
            }
        }
    }
    best
}

/// Places the blocks one by one in `order`.
fn in_order(blocks: &[Block], order: &[usize], fit: Fit) -> Vec<u64> {
    let mut offsets = vec![None; blocks.len()];
    for &block in order {
        offsets[block] = Some(free_offset(blocks, &offsets, block, fit));
    }
    offsets.into_iter().flatten().collect()
}

/// An offset for `block` that is free in its whole lifetime, given the blocks that have offsets.
pub(super) fn free_offset(blocks: &[Block], offsets: &[Option<u64>], block: usize, fit: Fit) -> u64 {
    let Block { size, .. } = blocks[block];
    let mut occupied: Vec<(u64, u64)> = blocks
        .iter()
        .zip(offsets)
        .filter(|(other, _)| other.is_alive_with(&blocks[block]))
        .filter_map(|(other, offset)| offset.map(|offset| (offset, offset + other.size)))
        .collect();
    occupied.sort_unstable();

    let mut end = 0;
    let mut smallest: Option<(u64, u64)> = None;
    for (start, next_end) in occupied {
        if start >= end + size {
            match fit {
                Fit::First => return end,
                Fit::Best => {
                    let gap = (start - end, end);
                    smallest = Some(smallest.map_or(gap, |other| other.min(gap)));
                }
            }
        }
        end = end.max(next_end);
    }
    smallest.map_or(end, |(_, offset)| offset)
}

/// The orders that are tried: large blocks, large areas (size × lifetime) and long lives first, the
/// blocks of the fullest sections first, and the order of execution from either end.
pub(super) fn orders(blocks: &[Block]) -> impl Iterator<Item = Vec<usize>> {
    let loads = loads(blocks);
    let (sections, _) = sections(blocks);
    let life = |b: usize| sections[b].life() as u64;
    let size = |b: usize| sections[b].size;
    let load = |b: usize| loads[sections[b].sections()].iter().max().copied();
    let by_size = sorted(blocks, |b| Reverse((size(b), life(b))));
    let by_area = sorted(blocks, |b| Reverse((size(b) * life(b), size(b))));
    let by_life = sorted(blocks, |b| Reverse((life(b), size(b))));
    let by_load = sorted(blocks, |b| Reverse((load(b), size(b))));
    let by_start = sorted(blocks, |b| (sections[b].first, Reverse(size(b))));
    let by_end = sorted(blocks, |b| Reverse((sections[b].last, size(b))));
    [by_size, by_area, by_life, by_load, by_start, by_end].into_iter()
}

/// All blocks, smallest key first, equal keys in the given order.
fn sorted<K: Ord>(blocks: &[Block], key: impl Fn(usize) -> K) -> Vec<usize> {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&block| key(block));
    order
}
