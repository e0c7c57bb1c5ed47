//! Exact search for a smaller arena.
//!
//! The question asked again and again is: do the blocks fit below `capacity`? Of the plans that do,
//! take the one whose offsets have the smallest sum. In it no block could sink, and such a plan can
//! be built from the bottom up:
//!
//! ```text
//! floor[s] = no block still to be placed starts lower in section s; at first 0
//!
//! take a niche: neighbouring sections with one floor f, between higher ones
//! one of these holds:
//!     a block that lives inside the niche is the leftmost one at f      (a branch for each block)
//!         raise its sections to its end, and those of the niche to its left
//!     no block lies at f                                                              (a branch)
//!         raise the niche
//! ```
//!
//! Sections where no block lies at their floor are raised to the lowest place of a block that
//! reaches into them from outside: the lowest block over them cannot live inside them, or it would
//! sink to the floor. For the same reason the branch is dead if a block from inside fits between the
//! two floors.
//!
//! What keeps the tree small:
//!
//! - a branch ends when a section's floor and its waiting blocks together exceed the capacity, or the
//!   lowest place of a block is too high for it;
//! - where no waiting block crosses from one section to the next, the two sides are independent: each
//!   is searched on its own, and if one fails the other is not tried again;
//! - the niche with the fewest blocks inside comes first; of equal blocks only one is tried;
//! - a block that finds room wherever the others lie is set aside before (see [`Core`]).
//!
//! A wrong turn at the root costs the whole budget, so that short searches with different orders of
//! branches take turns; any of them may find a plan or prove that there is none.

use std::cmp::Reverse;
use std::ops::Range;

use super::fit::{Fit, free_offset};
use super::{Block, peak, sections};

/// Elementary operations, of one or two nanoseconds each, that one call of [`improve`] may spend.
const BUDGET: u64 = 500_000_000;

/// What a branch costs besides looking at the sections of its waiting blocks, one operation each.
const BRANCH_WORK: usize = 150;

/// What the first of the short searches may spend; every round of them may spend twice as much.
const FIRST_SHARE: u64 = 2_000_000;

/// More blocks than this are not searched: the search calls itself once per block and more.
const MAX_BLOCKS: usize = 500;

/// Improves the plan `offsets` until it is proved optimal or the budget is spent; returns the best
/// plan found and whether it is proved.
pub(super) fn improve(blocks: &[Block], lower_bound: u64, mut offsets: Vec<u64>) -> (Vec<u64>, bool) {
    let mut best = peak(blocks, &offsets);
    // Where no block can sink, offsets are sums of sizes: multiples of the sizes' common divisor.
    let sizes = blocks.iter().map(|block| block.size);
    let unit = sizes.fold(0, greatest_common_divisor);
    let mut proved = lower_bound;
    // The smallest capacity that has not been tried in vain.
    let mut untried = lower_bound;
    let mut work = BUDGET;
    while proved < best && work > 0 {
        let (capacity, share) = if untried == lower_bound {
            // Most optima are at the bound, and a tight capacity prunes best.
            (lower_bound, work / 2)
        } else if untried < best {
            let middle = untried + (best - untried) / unit / 2 * unit;
            (middle, work.div_ceil(4))
        } else {
            (best - unit, work)
        };
        let mut rest = share;
        match fit_below(capacity, blocks, &mut rest) {
            Outcome::Fits(found) => {
                best = peak(blocks, &found);
                offsets = found;
            }
            Outcome::DoesNotFit => {
                proved = capacity + unit;
                untried = untried.max(proved);
            }
            Outcome::OutOfBudget => untried = capacity + unit,
        }
        work -= share - rest;
    }
    (offsets, proved == best)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

enum Outcome {
    Fits(Vec<u64>),
    DoesNotFit,
    OutOfBudget,
}

/// Looks for a plan below `capacity`, which is at least the lower bound; takes from `work` what it
/// spends.
fn fit_below(capacity: u64, blocks: &[Block], work: &mut u64) -> Outcome {
    let core = Core::new(blocks, capacity);
    if core.members.len() > MAX_BLOCKS {
        *work = 0;
        return Outcome::OutOfBudget;
    }
    let members: Vec<Block> = core.members.iter().map(|&member| blocks[member]).collect();
    match take_turns(capacity, &members, work) {
        Outcome::Fits(found) => {
            let mut offsets = vec![None; blocks.len()];
            for (&member, offset) in core.members.iter().zip(found) {
                offsets[member] = Some(offset);
            }
            for &block in core.set_aside.iter().rev() {
                offsets[block] = Some(free_offset(blocks, &offsets, block, Fit::First));
            }
            Outcome::Fits(offsets.into_iter().flatten().collect())
        }
        outcome => outcome,
    }
}

/// Searches with every order of branches, forwards and backwards in time, for longer and longer.
fn take_turns(capacity: u64, blocks: &[Block], work: &mut u64) -> Outcome {
    let mut share = FIRST_SHARE;
    while *work > 0 {
        for is_mirrored in [false, true] {
            for branching in [Branching::Life, Branching::Area, Branching::Size] {
                let mut blocks = blocks.to_vec();
                if is_mirrored {
                    mirror(&mut blocks);
                }
                share = share.min(*work);
                let mut search = Search::new(&blocks, capacity, branching, share);
                let outcome = search.run();
                *work -= share - search.work;
                match outcome {
                    Ok(true) => return Outcome::Fits(search.offsets),
                    Ok(false) => return Outcome::DoesNotFit,
                    Err(OutOfBudget) => {}
                }
            }
        }
        share *= 2;
    }
    Outcome::OutOfBudget
}

/// Turns time around.
fn mirror(blocks: &mut [Block]) {
    let end = blocks.iter().map(|block| block.last).max().unwrap_or(0);
    for block in blocks {
        (block.first, block.last) = (end - block.last, end - block.first);
    }
}

/// The blocks that must be searched, and those that find room when they are placed last.
///
/// The `n` blocks that live together with a block of size `z` leave at most `n + 1` gaps. If none of
/// them holds the block, each is at most `z - 1` long, so that the capacity is at most the sum of the
/// `n` sizes and `(n + 1) * (z - 1)`. If it is larger, the block has a gap wherever the others lie.
/// Setting it aside may make the same true of its neighbours.
struct Core {
    members: Vec<usize>,
    /// In the order in which they were set aside, which is opposite to the order of placing them.
    set_aside: Vec<usize>,
}

impl Core {
    fn new(blocks: &[Block], capacity: u64) -> Self {
        let mut neighbours: Vec<Neighbours> =
            blocks.iter().map(|block| Neighbours::of(block, blocks)).collect();
        let mut members: Vec<usize> = (0..blocks.len()).collect();
        let mut set_aside = Vec::new();
        while let Some(position) = members.iter().position(|&member| {
            let Neighbours { count, sizes } = neighbours[member];
            capacity > sizes + (count + 1) * (blocks[member].size - 1)
        }) {
            let leaving = members.remove(position);
            set_aside.push(leaving);
            for &member in &members {
                if blocks[member].is_alive_with(&blocks[leaving]) {
                    neighbours[member].count -= 1;
                    neighbours[member].sizes -= blocks[leaving].size;
                }
            }
        }
        Core { members, set_aside }
    }
}

/// Number of the other blocks alive together with a block, and sum of their sizes.
struct Neighbours {
    count: u64,
    sizes: u64,
}

impl Neighbours {
    fn of(block: &Block, blocks: &[Block]) -> Self {
        let alive = || blocks.iter().filter(|other| other.is_alive_with(block));
        Neighbours {
            count: alive().count() as u64 - 1,
            sizes: alive().map(|other| other.size).sum::<u64>() - block.size,
        }
    }
}

/// Which blocks of a niche are tried first.
#[derive(Clone, Copy)]
enum Branching {
    /// Those that live longest.
    Life,
    /// Those with the largest product of size and life.
    Area,
    /// The largest.
    Size,
}

impl Branching {
    fn key(self, block: &Block) -> (u64, u64) {
        let life = block.life() as u64;
        match self {
            Branching::Life => (life, block.size),
            Branching::Area => (life * block.size, block.size),
            Branching::Size => (block.size, life),
        }
    }
}

struct OutOfBudget;

struct Search {
    blocks: Vec<Block>,
    capacity: u64,
    branching: Branching,
    /// Operations that may still be spent.
    work: u64,
    /// Per section: no block still to be placed starts lower.
    floors: Vec<u64>,
    /// Per section: sum of the sizes still to be placed.
    waiting_sizes: Vec<u64>,
    /// Per block: where it was placed last.
    offsets: Vec<u64>,
}

impl Search {
    fn new(blocks: &[Block], capacity: u64, branching: Branching, work: u64) -> Self {
        let (blocks, section_count) = sections(blocks);
        let mut waiting_sizes = vec![0; section_count];
        for block in &blocks {
            for sizes in &mut waiting_sizes[block.sections()] {
                *sizes += block.size;
            }
        }
        Search {
            capacity,
            branching,
            work,
            floors: vec![0; section_count],
            waiting_sizes,
            offsets: vec![0; blocks.len()],
            blocks,
        }
    }

    /// Whether the blocks fit; if so, `offsets` says where.
    fn run(&mut self) -> Result<bool, OutOfBudget> {
        let mut waiting: Vec<usize> = (0..self.blocks.len()).collect();
        waiting.sort_by_key(|&block| self.blocks[block].first);
        self.place_all(&waiting)
    }

    fn spend(&mut self, work: usize) -> Result<(), OutOfBudget> {
        self.work = self.work.saturating_sub(work as u64);
        if self.work == 0 { Err(OutOfBudget) } else { Ok(()) }
    }

    /// Places `waiting`, which is sorted by first section, one independent group after the other.
    fn place_all(&mut self, waiting: &[usize]) -> Result<bool, OutOfBudget> {
        let mut last = 0;
        let mut groups: Vec<&[usize]> = waiting
            .chunk_by(|&block, &next| {
                last = last.max(self.blocks[block].last);
                self.blocks[next].first <= last
            })
            .collect();
        groups.sort_by_key(|group| group.len());
        for group in groups {
            if !self.place_group(group)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Places `waiting`, whose sections have no gap.
    fn place_group(&mut self, waiting: &[usize]) -> Result<bool, OutOfBudget> {
        let begin = waiting.iter().map(|&block| self.blocks[block].first).min().unwrap_or(0);
        let end = waiting.iter().map(|&block| self.blocks[block].last + 1).max().unwrap_or(0);

        let (niche, candidates) = self.niche(begin..end, waiting);
        let floors = self.floors[begin..end].to_vec();
        let waiting_sizes = self.waiting_sizes[begin..end].to_vec();
        let lives: usize = waiting.iter().map(|&block| self.blocks[block].life()).sum();
        for block in candidates {
            self.spend(BRANCH_WORK + lives)?;
            let rest: Vec<usize> = waiting.iter().copied().filter(|&other| other != block).collect();
            if self.place_leftmost(block, &niche, &rest) && self.place_all(&rest)? {
                return Ok(true);
            }
            self.floors[begin..end].copy_from_slice(&floors);
            self.waiting_sizes[begin..end].copy_from_slice(&waiting_sizes);
        }
        self.spend(BRANCH_WORK + lives)?;
        // In a niche as wide as the group some block must lie at the floor.
        if niche != (begin..end) && self.raise(niche, waiting) && self.place_group(waiting)? {
            return Ok(true);
        }
        self.floors[begin..end].copy_from_slice(&floors);
        Ok(false)
    }

    /// The niche of `span` with the fewest waiting blocks inside, and these blocks without their
    /// doubles, in the order of trying them.
    fn niche(&self, span: Range<usize>, waiting: &[usize]) -> (Range<usize>, Vec<usize>) {
        let mut niches: Vec<(Range<usize>, Vec<usize>)> = Vec::new();
        let mut niche_of = vec![None; span.len()];
        let mut begin = span.start;
        for level in self.floors[span.clone()].chunk_by(|a, b| a == b) {
            let end = begin + level.len();
            let is_higher = |section: usize| self.floors[section] > level[0];
            if (begin == span.start || is_higher(begin - 1)) && (end == span.end || is_higher(end)) {
                niche_of[begin - span.start..end - span.start].fill(Some(niches.len()));
                niches.push((begin..end, Vec::new()));
            }
            begin = end;
        }
        for &block in waiting {
            let Block { first, last, .. } = self.blocks[block];
            let niche = niche_of[first - span.start];
            if let Some(niche) = niche.filter(|_| niche == niche_of[last - span.start]) {
                niches[niche].1.push(block);
            }
        }
        let fewest = niches.into_iter().min_by_key(|(_, inside)| inside.len());
        let (niche, mut inside) = fewest.unwrap_or((span, Vec::new()));
        inside.sort_by_key(|&block| {
            let block = &self.blocks[block];
            (Reverse(self.branching.key(block)), block.first)
        });
        inside.dedup_by_key(|block| self.blocks[*block]);
        (niche, inside)
    }

    /// Places `block` on the floor of `niche`, to the left of any other; returns false if the blocks
    /// of `rest` cannot fit any more.
    fn place_leftmost(&mut self, block: usize, niche: &Range<usize>, rest: &[usize]) -> bool {
        let Block { size, first, .. } = self.blocks[block];
        let floor = self.floors[niche.start];
        self.offsets[block] = floor;
        for section in self.blocks[block].sections() {
            self.floors[section] = floor + size;
            self.waiting_sizes[section] -= size;
        }
        self.raise(niche.start..first, rest)
            && rest.iter().all(|&other| self.lowest_offset(other) + self.blocks[other].size <= self.capacity)
    }

    /// Raises `sections`, which have one floor, given that no block lies there; returns false if the
    /// blocks of `waiting` cannot fit any more.
    fn raise(&mut self, sections: Range<usize>, waiting: &[usize]) -> bool {
        let Some(&floor) = self.floors[sections.clone()].first() else {
            return true;
        };
        let mut smallest_inside = None;
        let mut lowest_outside = None;
        for &other in waiting {
            let Block { size, first, last } = self.blocks[other];
            if sections.start <= first && last < sections.end {
                smallest_inside = Some(smallest_inside.map_or(size, |least: u64| least.min(size)));
            } else if first < sections.end && sections.start <= last {
                let offset = self.lowest_offset(other);
                lowest_outside = Some(lowest_outside.map_or(offset, |low: u64| low.min(offset)));
            }
        }
        let Some(raised) = lowest_outside else {
            return smallest_inside.is_none();
        };
        if smallest_inside.is_some_and(|size| floor + size <= raised) {
            return false;
        }
        self.floors[sections.clone()].fill(raised);
        self.waiting_sizes[sections].iter().all(|sizes| raised + sizes <= self.capacity)
    }

    /// The lowest offset that the floors leave to `block`.
    fn lowest_offset(&self, block: usize) -> u64 {
        self.floors[self.blocks[block].sections()].iter().max().copied().unwrap_or(0)
    }
}
