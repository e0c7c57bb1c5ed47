//! Buffers divided between two memories, a fast one and a slow one.
//!
//! The buffers that are touched most for their size have the first say: each goes to the fast memory if there
//! is a plan with it and those before it. What is left goes to the slow one. Where it does not fit there, the
//! largest have the first say instead.

use std::cmp::Reverse;

use super::{Buffer, Overlap, Plan, PlanError, fits, plan};
use thiserror::Error;

/// Which buffers lie in the slow memory, and where each lies in its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// Whether each buffer lies in the slow memory.
    pub far: Vec<bool>,
    /// Offset of each buffer in its memory.
    pub offsets: Vec<u32>,
    /// Sizes of the fast memory and the slow one.
    pub arena_bytes: [u32; 2],
    /// As [`Plan`] has it, of the plan of the fast memory.
    pub lower_bound_bytes: u32,
    /// As [`Plan`] has it, of the plan of the fast memory.
    pub optimal: bool,
}

/// Error returned by [`divide`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DivideError {
    /// There is no plan for any memory.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No division was found that fits.
    #[error("the second memory needs {far_bytes} bytes, or the first {bytes} and the second none")]
    DoesNotFit {
        /// Bytes of the second memory that would do.
        far_bytes: u32,
        /// Bytes of a single memory that would do.
        bytes: u32,
    },
}

/// The buffers of one memory.
struct Part {
    members: Vec<usize>,
    buffers: Vec<Buffer>,
    overlaps: Vec<Overlap>,
}

impl Part {
    /// Those for which `far` is this value. An output lies over its input only where both are of one part.
    fn new(buffers: &[Buffer], overlaps: &[Overlap], far: &[bool], is_far: bool) -> Self {
        let members: Vec<usize> = (0..buffers.len()).filter(|&buffer| far[buffer] == is_far).collect();
        let index = |buffer: usize| members.binary_search(&buffer).ok();
        let overlaps = overlaps.iter().filter_map(|overlap| {
            let (input, output) = (index(overlap.input)?, index(overlap.output)?);
            Some(Overlap { input, output, ..*overlap })
        });
        let overlaps = overlaps.collect();
        Self { buffers: members.iter().map(|&member| buffers[member]).collect(), overlaps, members }
    }

    fn plan(&self, align: u32) -> Result<Plan, PlanError> {
        plan(&self.buffers, &self.overlaps, align)
    }
}

/// Places `buffers` in two memories of `most_bytes` at multiples of `align`: all in the first if they fit
/// there, else those with the most `touched` bytes for their size.
///
/// The result depends on nothing but the arguments.
///
/// # Errors
/// If the buffers are at fault, as with [`plan`], or no division was found that fits.
pub fn divide(
    buffers: &[Buffer],
    overlaps: &[Overlap],
    touched: &[u64],
    align: u32,
    most_bytes: [u32; 2],
) -> Result<Division, DivideError> {
    let in_one = plan(buffers, overlaps, align)?;
    let bytes = in_one.arena_bytes;
    if bytes <= most_bytes[0] {
        let far = vec![false; buffers.len()];
        let Plan { offsets, lower_bound_bytes, optimal, .. } = in_one;
        return Ok(Division { far, offsets, arena_bytes: [bytes, 0], lower_bound_bytes, optimal });
    }
    let mut by_use: Vec<usize> = (0..buffers.len()).collect();
    let mut by_size = by_use.clone();
    // The one is touched more for its size than the other if its product is larger.
    let product = |a: usize, b: usize| u128::from(touched[a]) * u128::from(buffers[b].bytes);
    by_use.sort_by(|&a, &b| product(b, a).cmp(&product(a, b)));
    by_size.sort_by_key(|&buffer| Reverse(buffers[buffer].bytes));
    let first = in_order(buffers, overlaps, align, most_bytes[0], &by_use)?;
    if first.arena_bytes[1] <= most_bytes[1] {
        return Ok(first);
    }
    let second = in_order(buffers, overlaps, align, most_bytes[0], &by_size)?;
    if second.arena_bytes[1] <= most_bytes[1] {
        return Ok(second);
    }
    Err(DivideError::DoesNotFit { far_bytes: first.arena_bytes[1], bytes })
}

/// Fills the first memory with the buffers that fit there, in `order`.
fn in_order(
    buffers: &[Buffer],
    overlaps: &[Overlap],
    align: u32,
    near_bytes: u32,
    order: &[usize],
) -> Result<Division, PlanError> {
    let mut far = vec![true; buffers.len()];
    for &buffer in order {
        far[buffer] = false;
        let near = Part::new(buffers, overlaps, &far, false);
        far[buffer] = !fits(&near.buffers, &near.overlaps, align, near_bytes)?;
    }
    let parts = [false, true].map(|is_far| Part::new(buffers, overlaps, &far, is_far));
    let [near_plan, far_plan] = [parts[0].plan(align)?, parts[1].plan(align)?];
    let mut offsets = vec![0; buffers.len()];
    for (part, plan) in parts.iter().zip([&near_plan, &far_plan]) {
        part.members.iter().zip(&plan.offsets).for_each(|(&member, &offset)| offsets[member] = offset);
    }
    Ok(Division {
        far,
        offsets,
        arena_bytes: [near_plan.arena_bytes, far_plan.arena_bytes],
        lower_bound_bytes: near_plan.lower_bound_bytes,
        optimal: near_plan.optimal,
    })
}

/// Checks the plan of each memory, as [`check`](super::check) does; returns the sizes of both.
///
/// # Errors
/// As [`check`](super::check); buffers are counted within the memory.
pub fn check_division(
    buffers: &[Buffer],
    overlaps: &[Overlap],
    align: u32,
    division: &Division,
) -> Result<[u32; 2], super::CheckError> {
    let check = |is_far: bool| {
        let part = Part::new(buffers, overlaps, &division.far, is_far);
        let offsets: Vec<u32> = part.members.iter().map(|&member| division.offsets[member]).collect();
        super::check(&part.buffers, &part.overlaps, align, &offsets)
    };
    Ok([check(false)?, check(true)?])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::overlap::tests::residuals;
    use super::super::tests::buffers;
    use super::*;

    #[test]
    fn what_fits_in_the_first_memory_lies_there_as_if_it_were_the_only_one() {
        let buffers = buffers(&[(100, 0, 1), (200, 1, 2), (40, 2, 3)]);
        let in_one = plan(&buffers, &[], 16).unwrap();
        let division = divide(&buffers, &[], &[1, 1, 1], 16, [in_one.arena_bytes, 0]).unwrap();
        assert_eq!(
            (division.offsets, division.arena_bytes),
            (in_one.offsets.clone(), [in_one.arena_bytes, 0])
        );
        assert_eq!(division.far, [false; 3]);
    }

    #[test]
    fn the_busiest_for_their_size_have_the_first_say() {
        // All alive together: 32 bytes touched 10 times, 64 touched 3 times, 32 touched twice.
        let buffers = buffers(&[(64, 0, 1), (32, 0, 1), (32, 0, 1)]);
        let touched = [192, 320, 64];
        let far = |near_bytes| divide(&buffers, &[], &touched, 16, [near_bytes, 1000]).unwrap().far;
        assert_eq!(far(127), [false, false, true]);
        assert_eq!(far(96), [false, false, true]);
        assert_eq!(far(64), [true, false, false]);
        assert_eq!(far(32), [true, false, true]);
        assert_eq!(far(0), [true, true, true]);
    }

    #[test]
    fn the_largest_have_the_first_say_where_the_second_memory_is_too_small_for_them() {
        let buffers = buffers(&[(32, 0, 1), (64, 0, 1)]);
        let divide = |far_bytes| divide(&buffers, &[], &[320, 64], 16, [64, far_bytes]);
        assert_eq!(divide(64).unwrap().far, [false, true]);
        assert_eq!(divide(32).unwrap().far, [true, false]);
        assert_eq!(divide(31), Err(DivideError::DoesNotFit { far_bytes: 64, bytes: 96 }));
    }

    #[test]
    fn an_output_lies_over_its_input_where_both_are_in_one_memory() {
        let distances = flatpack_format::Overlap { before: 16, after: 16 };
        let overlaps = [0, 1].map(|input| Overlap { input, output: input + 1, distances });
        let buffers = buffers(&[(800, 0, 1), (800, 1, 2), (800, 2, 3)]);
        let touched = [800, 900, 1000];
        let division = divide(&buffers, &overlaps, &touched, 16, [816, 800]);
        // All three go up and down in 816 bytes.
        assert_eq!(division.unwrap().far, [false; 3]);
        let division = divide(&buffers, &overlaps, &touched, 16, [800, 816]).unwrap();
        assert_eq!(check_division(&buffers, &overlaps, 16, &division), Ok(division.arena_bytes));
        assert_eq!((division.far, division.arena_bytes), (vec![false, true, false], [800, 800]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn divisions_are_sound_and_no_larger_than_the_memories(
            steps in prop::collection::vec(
                ((1u32..4000, 1u32..5, [16u32..900, 16u32..900]), 0u64..100_000),
                2..24,
            ),
            near_part in 0u32..=100,
            far_part in 0u32..=100,
        ) {
            let (steps, touched): (Vec<_>, Vec<u64>) = steps.into_iter().unzip();
            let (buffers, overlaps) = residuals(&steps);
            let in_one = plan(&buffers, &overlaps, 16).unwrap().arena_bytes;
            let most_bytes = [near_part, far_part].map(|part| in_one / 100 * part);
            match divide(&buffers, &overlaps, &touched, 16, most_bytes) {
                Ok(division) => {
                    prop_assert_eq!(check_division(&buffers, &overlaps, 16, &division), Ok(division.arena_bytes));
                    prop_assert!(division.arena_bytes[0] <= most_bytes[0]);
                    prop_assert!(division.arena_bytes[1] <= most_bytes[1]);
                }
                Err(DivideError::DoesNotFit { far_bytes, bytes }) => {
                    prop_assert!(most_bytes[0] < bytes && most_bytes[1] < far_bytes);
                    // What is said to do does.
                    prop_assert!(divide(&buffers, &overlaps, &touched, 16, [most_bytes[0], far_bytes]).is_ok());
                    prop_assert!(divide(&buffers, &overlaps, &touched, 16, [bytes, 0]).is_ok());
                }
                Err(DivideError::Plan(error)) => prop_assert!(false, "{error}"),
            }
        }
    }
}
