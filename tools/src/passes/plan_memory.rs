//! Gives every buffer a place in the arena so that the arena is as small as possible.
//!
//! Buffers whose lifetimes share a step must not share a byte; the others may. The literature calls
//! this *dynamic storage allocation*; it is NP-hard, but the networks that go to boards have tens of
//! buffers of which few are alive together, and for those the optimum is found and proved:
//!
//! 1. no plan is smaller than the largest sum of sizes alive at one step, the *lower bound*;
//! 2. `fit` places the buffers greedily in several orders; if one plan meets the bound, done;
//! 3. `search` asks for an arena that is smaller than the best known until there is none.
//!
//! For two threads, `halves` looks for a plan of the same size in which each writes where it was before.
//! Where an output may lie over the input of its step, `overlap` looks for a plan that is smaller still.
//! Where there are two memories, `regions` says which buffers lie in which.
//!
//! The search counts its work instead of looking at the clock, so that the same buffers get the same
//! offsets on every machine. When the budget is spent the best plan found so far is returned, and
//! [`Plan::optimal`] says that it is not proved.

mod check;
mod fit;
mod halves;
mod overlap;
mod regions;
mod search;

pub use check::{CheckError, check};
pub use overlap::Overlap;
pub use regions::{DivideError, Division, check_division, divide};

use std::ops::RangeInclusive;

use overlap::Pairs;
use thiserror::Error;

/// One block of arena memory, alive from step `first_step` to step `last_step`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Size before rounding up to the alignment; a buffer of zero bytes is in nobody's way.
    pub bytes: u32,
    /// The first step that writes the buffer.
    pub first_step: u32,
    /// The last step that reads or writes the buffer; not before `first_step`.
    pub last_step: u32,
}

/// Where each buffer lies in the arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Byte offset of each buffer, in the order of the buffers, a multiple of the alignment.
    pub offsets: Vec<u32>,
    /// Size of the arena, a multiple of the alignment.
    pub arena_bytes: u32,
    /// Largest sum of the sizes, each rounded up to the alignment, that are alive at one step, where an
    /// output and the input that it may lie over count as what they take together. No plan is smaller.
    pub lower_bound_bytes: u32,
    /// Whether it is proved that no plan has a smaller arena.
    pub optimal: bool,
}

/// Error returned by [`plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// The alignment is zero.
    #[error("the arena's alignment is 0 bytes; expected at least 1")]
    ZeroAlign,
    /// A buffer's lifetime ends before it begins.
    #[error("buffer {buffer} is last used in step {last_step}, before step {first_step} writes it")]
    EndsBeforeItBegins {
        /// Index of the buffer.
        buffer: usize,
        /// Its `first_step`.
        first_step: u32,
        /// Its `last_step`.
        last_step: u32,
    },
    /// The arena does not fit 32-bit offsets.
    #[error("the arena needs {arena_bytes} bytes; expected at most 4294967295")]
    TooLarge {
        /// Size of the smallest arena found.
        arena_bytes: u64,
    },
}

/// Places `buffers` at multiples of `align` in the smallest arena that can be found, those of `overlaps` over
/// each other only if that makes it smaller.
///
/// The result depends on nothing but the arguments.
pub fn plan(buffers: &[Buffer], overlaps: &[Overlap], align: u32) -> Result<Plan, PlanError> {
    let (occupied, blocks) = blocks(buffers, align)?;
    let lower_bound = lower_bound(&blocks);
    let fitted = fit::best(&blocks, lower_bound);
    let (mut block_offsets, mut optimal) = search::improve(&blocks, lower_bound, fitted);

    let block_of = |buffer: usize| occupied.iter().position(|&occupied| occupied == buffer);
    let pairs = Pairs::new(overlaps, align.into(), block_of);
    let mut lower_bound = lower_bound;
    if !pairs.is_empty() {
        lower_bound = pairs.lower_bound(&blocks);
        if let Some(smaller) = pairs.plan(&blocks, peak(&blocks, &block_offsets), lower_bound) {
            block_offsets = smaller;
        }
        optimal = lower_bound == peak(&blocks, &block_offsets) || overlap::is_exact(&blocks);
    }

    let arena_bytes = peak(&blocks, &block_offsets);
    let narrow = |bytes| u32::try_from(bytes).map_err(|_| PlanError::TooLarge { arena_bytes });
    let mut offsets = vec![0; buffers.len()];
    for (buffer, offset) in occupied.into_iter().zip(block_offsets) {
        offsets[buffer] = narrow(offset)?;
    }
    Ok(Plan { offsets, arena_bytes: narrow(arena_bytes)?, lower_bound_bytes: narrow(lower_bound)?, optimal })
}

/// Moves buffers that [`plan`] has placed so that two threads, which share the steps of a gateway's session, seldom
/// write where the other one was; gives the size of the arena, which is no larger than it was.
///
/// The result depends on nothing but the arguments.
///
/// # Errors
/// If the buffers are at fault, as with [`plan`].
pub fn keep_halves(buffers: &[Buffer], offsets: &mut [u32], align: u32) -> Result<u32, PlanError> {
    let (occupied, blocks) = blocks(buffers, align)?;
    let found = occupied.iter().map(|&buffer| offsets[buffer].into()).collect();
    let kept = halves::keep(&blocks, found, align.into());
    let narrow = |bytes| u32::try_from(bytes).map_err(|_| PlanError::TooLarge { arena_bytes: bytes });
    for (buffer, &offset) in occupied.into_iter().zip(&kept) {
        offsets[buffer] = narrow(offset)?;
    }
    narrow(peak(&blocks, &kept))
}

/// The sum of the sizes alive at each step, each rounded up to the alignment, where an output and the input
/// that it may lie over count as what they take together. No plan is smaller than the largest.
///
/// # Errors
/// As [`plan`].
pub fn step_loads(buffers: &[Buffer], overlaps: &[Overlap], align: u32) -> Result<Vec<u64>, PlanError> {
    let (occupied, blocks) = blocks(buffers, align)?;
    let pairs = Pairs::new(overlaps, align.into(), |buffer| occupied.iter().position(|&o| o == buffer));
    Ok(pairs.loads(&blocks))
}

/// Whether a plan of at most `most_bytes` is found without a long search. [`plan`] finds such a one, too.
fn fits(buffers: &[Buffer], overlaps: &[Overlap], align: u32, most_bytes: u32) -> Result<bool, PlanError> {
    let (occupied, blocks) = blocks(buffers, align)?;
    let most_bytes = u64::from(most_bytes);
    if peak(&blocks, &fit::best(&blocks, lower_bound(&blocks))) <= most_bytes {
        return Ok(true);
    }
    let pairs = Pairs::new(overlaps, align.into(), |buffer| occupied.iter().position(|&o| o == buffer));
    let lower_bound = pairs.lower_bound(&blocks);
    let may_fit = !pairs.is_empty() && lower_bound <= most_bytes;
    Ok(may_fit && pairs.plan(&blocks, most_bytes + 1, lower_bound).is_some())
}

/// The buffers that occupy memory, and their blocks.
fn blocks(buffers: &[Buffer], align: u32) -> Result<(Vec<usize>, Vec<Block>), PlanError> {
    if align == 0 {
        return Err(PlanError::ZeroAlign);
    }
    let mut occupied = Vec::new();
    let mut blocks = Vec::new();
    for (buffer, &Buffer { bytes, first_step, last_step }) in buffers.iter().enumerate() {
        if last_step < first_step {
            return Err(PlanError::EndsBeforeItBegins { buffer, first_step, last_step });
        }
        if bytes > 0 {
            occupied.push(buffer);
            blocks.push(Block {
                size: u64::from(bytes).next_multiple_of(u64::from(align)),
                first: first_step as usize,
                last: last_step as usize,
            });
        }
    }
    Ok((occupied, blocks))
}

/// A buffer that occupies memory, with its aligned size. Sizes and offsets are 64 bits wide on the
/// inside: the sum of 2^31 sizes does not overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    size: u64,
    first: usize,
    last: usize,
}

impl Block {
    /// The steps, or sections, from the first to the last.
    fn sections(&self) -> RangeInclusive<usize> {
        self.first..=self.last
    }

    /// Number of steps, or sections, from the first to the last.
    fn life(&self) -> usize {
        self.last - self.first + 1
    }

    fn is_alive_with(&self, other: &Block) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Replaces steps by *sections*: the sets of blocks alive together that no other such set contains.
///
/// Two blocks share a section exactly if they shared a step, and there are at most as many sections
/// as blocks. Returns the blocks, alive from section `first` to section `last`, and the number of
/// sections.
fn sections(blocks: &[Block]) -> (Vec<Block>, usize) {
    let mut firsts: Vec<usize> = blocks.iter().map(|block| block.first).collect();
    let mut lasts: Vec<usize> = blocks.iter().map(|block| block.last).collect();
    firsts.sort_unstable();
    lasts.sort_unstable();

    // A section ends at the first last step that follows a first step not yet in a section.
    let mut steps = Vec::new();
    let mut firsts = firsts.into_iter().peekable();
    for last in lasts {
        let mut begins = false;
        while firsts.next_if(|&first| first <= last).is_some() {
            begins = true;
        }
        if begins {
            steps.push(last);
        }
    }

    let blocks = blocks
        .iter()
        .map(|block| Block {
            size: block.size,
            first: steps.partition_point(|&step| step < block.first),
            last: steps.partition_point(|&step| step <= block.last) - 1,
        })
        .collect();
    (blocks, steps.len())
}

/// Largest sum of sizes alive at one step.
fn lower_bound(blocks: &[Block]) -> u64 {
    loads(blocks).into_iter().max().unwrap_or(0)
}

/// Sum of the sizes alive in each section.
fn loads(blocks: &[Block]) -> Vec<u64> {
    let (blocks, _) = sections(blocks);
    loads_of(&blocks)
}

/// Sum of the sizes alive in each section, of blocks that count sections.
fn loads_of(blocks: &[Block]) -> Vec<u64> {
    let count = blocks.iter().map(|block| block.last + 1).max().unwrap_or(0);
    let mut loads = vec![0; count];
    for block in blocks {
        for load in &mut loads[block.sections()] {
            *load += block.size;
        }
    }
    loads
}

/// End of the block that ends last.
fn peak(blocks: &[Block], offsets: &[u64]) -> u64 {
    blocks.iter().zip(offsets).map(|(block, offset)| offset + block.size).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;

    /// Buffers from (bytes, first step, last step).
    pub(super) fn buffers(lives: &[(u32, u32, u32)]) -> Vec<Buffer> {
        let buffer = |&(bytes, first_step, last_step)| Buffer { bytes, first_step, last_step };
        lives.iter().map(buffer).collect()
    }

    /// The smallest arena, by trying every order of placing the buffers as low as they go: the order
    /// of their offsets in an optimal plan is one of them.
    fn smallest_arena_bytes(buffers: &[Buffer], align: u32) -> u32 {
        fn place_rest(
            buffers: &[Buffer],
            align: u32,
            placed: &mut Vec<(Buffer, u32)>,
            rest: &mut Vec<usize>,
        ) -> u32 {
            let end = |(buffer, offset): &(Buffer, u32)| (offset + buffer.bytes).next_multiple_of(align);
            if rest.is_empty() {
                return placed.iter().map(end).max().unwrap_or(0);
            }
            let mut smallest = u32::MAX;
            for index in 0..rest.len() {
                let buffer = rest.remove(index);
                let Buffer { bytes, first_step, last_step } = buffers[buffer];
                let is_free = |offset: &u32| {
                    placed.iter().all(|other| {
                        other.0.last_step < first_step
                            || last_step < other.0.first_step
                            || end(other) <= *offset
                            || offset + bytes <= other.1
                    })
                };
                let offset = placed.iter().map(end).chain([0]).filter(is_free).min().unwrap();
                placed.push((buffers[buffer], offset));
                smallest = smallest.min(place_rest(buffers, align, placed, rest));
                placed.pop();
                rest.insert(index, buffer);
            }
            smallest
        }
        place_rest(buffers, align, &mut Vec::new(), &mut (0..buffers.len()).collect())
    }

    pub(super) fn few_buffers() -> impl Strategy<Value = Vec<Buffer>> {
        let buffer = (0_u32..40, 0_u32..6, 0_u32..4);
        let buffer = buffer.prop_map(|(bytes, first, life)| (bytes, first, first + life));
        prop::collection::vec(buffer, 0..=6).prop_map(|lives| buffers(&lives))
    }

    /// A network: each step writes what the next one reads, some results live on for a residual
    /// connection, and some steps need scratch memory.
    pub(super) fn network(step_count: usize) -> impl Strategy<Value = Vec<Buffer>> {
        let residual = prop_oneof![2 => Just(1_u32), 1 => 2_u32..8];
        let scratch_bytes = prop_oneof![Just(0), 1_u32..4_000];
        let step = (1_u32..40_000, residual, scratch_bytes);
        prop::collection::vec(step, step_count).prop_map(|steps| {
            let lives = (0..).zip(steps).flat_map(|(step, (bytes, life, scratch_bytes))| {
                [(bytes, step, step + life), (scratch_bytes, step, step)]
            });
            buffers(&lives.collect::<Vec<_>>())
        })
    }

    proptest! {
        #[test]
        fn few_buffers_are_planned_optimally(
            buffers in few_buffers(),
            align in prop::sample::select(vec![1, 3, 4, 16]),
        ) {
            let plan = plan(&buffers, &[], align).unwrap();
            prop_assert_eq!(check(&buffers, &[], align, &plan.offsets), Ok(plan.arena_bytes));
            prop_assert!(plan.optimal);
            prop_assert_eq!(plan.arena_bytes, smallest_arena_bytes(&buffers, align));
        }

        #[test]
        fn plans_are_sound_and_not_below_the_bound(buffers in network(60), align in 1_u32..70) {
            let plan = plan(&buffers, &[], align).unwrap();
            prop_assert_eq!(check(&buffers, &[], align, &plan.offsets), Ok(plan.arena_bytes));
            prop_assert!(plan.arena_bytes >= plan.lower_bound_bytes);
            let alive_bytes = |step: u32| -> u32 {
                let alive = |b: &&Buffer| b.first_step <= step && step <= b.last_step;
                buffers.iter().filter(alive).map(|b| b.bytes.next_multiple_of(align)).sum()
            };
            prop_assert_eq!(plan.lower_bound_bytes, (0..70).map(alive_bytes).max().unwrap());
        }
    }

    #[test]
    fn residual_networks_of_100_steps_meet_the_bound() {
        let mut runner = TestRunner::deterministic();
        for _ in 0..50 {
            let buffers = network(100).new_tree(&mut runner).unwrap().current();
            let plan = plan(&buffers, &[], 16).unwrap();
            assert_eq!(plan.arena_bytes, plan.lower_bound_bytes);
            assert!(plan.optimal);
        }
    }

    #[test]
    fn no_buffers_need_no_arena() {
        let none = Plan { offsets: vec![], arena_bytes: 0, lower_bound_bytes: 0, optimal: true };
        assert_eq!(plan(&[], &[], 16), Ok(none));
    }

    #[test]
    fn buffers_of_zero_bytes_need_no_arena() {
        let plan = plan(&buffers(&[(0, 0, 9), (0, 3, 3)]), &[], 16).unwrap();
        assert_eq!((plan.offsets, plan.arena_bytes), (vec![0, 0], 0));
    }

    #[test]
    fn a_chain_needs_its_largest_neighbours() {
        let chain = buffers(&[(100, 0, 1), (300, 1, 2), (200, 2, 3), (400, 3, 4), (50, 4, 5)]);
        let plan = plan(&chain, &[], 1).unwrap();
        assert_eq!((plan.arena_bytes, plan.optimal), (600, true));
    }

    #[test]
    fn the_search_finds_an_optimum_that_no_greedy_order_finds() {
        let lives = [(5, 3, 4), (7, 3, 3), (7, 2, 3), (8, 0, 2), (8, 0, 0)];
        let blocks = lives.map(|(size, first, last)| Block { size, first, last });
        assert_eq!(peak(&blocks, &fit::best(&blocks, 19)), 20);

        let buffers = buffers(&lives.map(|(size, first, last)| (size as u32, first as u32, last as u32)));
        let plan = plan(&buffers, &[], 1).unwrap();
        assert_eq!((plan.arena_bytes, plan.optimal), (19, true));
        assert_eq!(smallest_arena_bytes(&buffers, 1), 19);
    }

    #[test]
    fn an_optimum_above_the_bound_is_proved() {
        let buffers = buffers(&[
            (3, 0, 1),
            (2, 0, 0),
            (1, 1, 3),
            (1, 1, 2),
            (2, 2, 3),
            (1, 2, 2),
            (2, 3, 4),
            (3, 4, 4),
        ]);
        let plan = plan(&buffers, &[], 1).unwrap();
        assert_eq!((plan.lower_bound_bytes, plan.arena_bytes, plan.optimal), (5, 6, true));
        assert_eq!(smallest_arena_bytes(&buffers, 1), 6);
    }

    /// Buffers of which about a fifth are alive together, from the powers of `root` modulo a prime.
    fn crowd(count: usize, root: u32) -> Vec<Buffer> {
        let mut power: u32 = 1;
        let mut below = |limit| {
            power = power * root % 65_537;
            power % limit
        };
        let mut buffer = || {
            let first = below(300);
            (1 + below(997), first, first + below(150))
        };
        buffers(&(0..count).map(|_| buffer()).collect::<Vec<_>>())
    }

    #[test]
    fn a_crowd_that_fits_the_bound_is_planned_optimally() {
        let crowd = crowd(450, 3);
        let plan = plan(&crowd, &[], 1).unwrap();
        assert_eq!(check(&crowd, &[], 1, &plan.offsets), Ok(plan.lower_bound_bytes));
        assert!(plan.optimal);
    }

    #[test]
    fn a_plan_that_is_not_proved_is_sound_and_not_called_optimal() {
        // The first exhausts the budget, the second is too large to be searched.
        for crowd in [crowd(450, 7), crowd(900, 7)] {
            let plan = plan(&crowd, &[], 1).unwrap();
            assert_eq!(check(&crowd, &[], 1, &plan.offsets), Ok(plan.arena_bytes));
            assert!(plan.arena_bytes > plan.lower_bound_bytes && !plan.optimal);
        }
    }

    #[test]
    fn an_alignment_of_zero_is_refused() {
        assert_eq!(plan(&[], &[], 0), Err(PlanError::ZeroAlign));
    }

    #[test]
    fn a_buffer_that_ends_before_it_begins_is_refused() {
        let error = PlanError::EndsBeforeItBegins { buffer: 1, first_step: 5, last_step: 4 };
        assert_eq!(plan(&buffers(&[(8, 0, 0), (8, 5, 4)]), &[], 4), Err(error));
    }

    #[test]
    fn an_arena_beyond_32_bits_is_refused() {
        let error = |arena_bytes| Err(PlanError::TooLarge { arena_bytes });
        assert_eq!(plan(&buffers(&[(u32::MAX, 0, 0)]), &[], 16), error(1 << 32));
        assert_eq!(plan(&buffers(&[(u32::MAX, 0, 1), (1, 1, 2)]), &[], 1), error(1 << 32));
        let many = vec![Buffer { bytes: u32::MAX, first_step: 0, last_step: u32::MAX }; 100];
        assert_eq!(plan(&many, &[], u32::MAX), error(100 * u64::from(u32::MAX)));
    }

    #[test]
    fn the_last_byte_of_32_bits_is_used() {
        let plan = plan(&buffers(&[(u32::MAX - 1, 0, 1), (1, 1, u32::MAX)]), &[], 1).unwrap();
        assert_eq!((plan.arena_bytes, plan.optimal), (u32::MAX, true));
    }
}
