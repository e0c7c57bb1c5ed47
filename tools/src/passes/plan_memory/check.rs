//! The proof that a plan is sound, in code that shares nothing with the code that made it.

use thiserror::Error;

use super::{Buffer, Overlap};

/// Error returned by [`check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CheckError {
    /// There is not one offset per buffer.
    #[error("the plan has {found} offsets; expected one for each of the {expected} buffers")]
    OffsetCount {
        /// Number of offsets.
        found: usize,
        /// Number of buffers.
        expected: usize,
    },
    /// An offset is not a multiple of the alignment, or the alignment is zero.
    #[error("buffer {buffer} lies at byte {offset}; expected a multiple of {align}")]
    Misaligned {
        /// Index of the buffer.
        buffer: usize,
        /// Its offset.
        offset: u32,
        /// The alignment asked for.
        align: u32,
    },
    /// A buffer, rounded up to the alignment, ends behind the last byte that 32 bits can address.
    #[error("buffer {buffer} of {bytes} bytes at byte {offset} ends beyond byte 4294967295")]
    TooFar {
        /// Index of the buffer.
        buffer: usize,
        /// Its offset.
        offset: u32,
        /// Its size.
        bytes: u32,
    },
    /// Two buffers share a step and a byte.
    #[error("buffers {first} and {second} both hold byte {byte} in step {step}")]
    Overlap {
        /// Index of the one buffer.
        first: usize,
        /// Index of the other.
        second: usize,
        /// The lowest byte of the arena that both hold.
        byte: u32,
        /// The first step in which both are alive.
        step: u32,
    },
}

/// Checks that no two buffers alive in the same step share a byte, but those of `overlaps` at their
/// distances in the one step that they share; returns the size of the arena in bytes, a multiple of `align`.
///
/// A buffer of zero bytes shares no byte with any other, but its offset is checked like theirs.
pub fn check(
    buffers: &[Buffer],
    overlaps: &[Overlap],
    align: u32,
    offsets: &[u32],
) -> Result<u32, CheckError> {
    if offsets.len() != buffers.len() {
        return Err(CheckError::OffsetCount { found: offsets.len(), expected: buffers.len() });
    }
    let may_overlap = |first: usize, second: usize| {
        overlaps.iter().any(|overlap| {
            let pair = (overlap.input, overlap.output);
            let follow = buffers[pair.0].last_step == buffers[pair.1].first_step;
            let is_pair = pair == (first, second) || pair == (second, first);
            is_pair && follow && overlap.distances.allows(offsets[pair.0], offsets[pair.1])
        })
    };
    let mut arena_bytes = 0;
    for (buffer, (&Buffer { bytes, .. }, &offset)) in buffers.iter().zip(offsets).enumerate() {
        if align == 0 || !offset.is_multiple_of(align) {
            return Err(CheckError::Misaligned { buffer, offset, align });
        }
        let end = offset.checked_add(bytes).and_then(|end| end.checked_next_multiple_of(align));
        let end = end.ok_or(CheckError::TooFar { buffer, offset, bytes })?;
        arena_bytes = arena_bytes.max(end);
    }
    for second in 0..buffers.len() {
        for first in 0..second {
            let (a, b) = (buffers[first], buffers[second]);
            let step = a.first_step.max(b.first_step);
            let last_step = a.last_step.min(b.last_step);
            let byte = offsets[first].max(offsets[second]);
            let end = (offsets[first] + a.bytes).min(offsets[second] + b.bytes);
            if step <= last_step && byte < end && !(step == last_step && may_overlap(first, second)) {
                return Err(CheckError::Overlap { first, second, byte, step });
            }
        }
    }
    Ok(arena_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISTANCES: flatpack_format::Overlap = flatpack_format::Overlap { before: 3, after: 5 };

    const BUFFERS: [Buffer; 3] = [
        Buffer { bytes: 10, first_step: 0, last_step: 2 },
        Buffer { bytes: 7, first_step: 2, last_step: 3 },
        Buffer { bytes: 16, first_step: 3, last_step: 4 },
    ];

    #[test]
    fn buffers_that_never_live_together_may_share_bytes() {
        assert_eq!(check(&BUFFERS, &[], 8, &[0, 16, 0]), Ok(24));
    }

    #[test]
    fn the_padding_behind_a_buffer_belongs_to_the_arena() {
        assert_eq!(check(&BUFFERS[..1], &[], 8, &[0]), Ok(16));
    }

    #[test]
    fn no_buffers_take_no_bytes() {
        assert_eq!(check(&[], &[], 8, &[]), Ok(0));
    }

    #[test]
    fn a_missing_offset_is_rejected() {
        let error = CheckError::OffsetCount { found: 2, expected: 3 };
        assert_eq!(check(&BUFFERS, &[], 8, &[0, 16]), Err(error));
    }

    #[test]
    fn an_offset_too_many_is_rejected() {
        let error = CheckError::OffsetCount { found: 4, expected: 3 };
        assert_eq!(check(&BUFFERS, &[], 8, &[0, 16, 0, 0]), Err(error));
    }

    #[test]
    fn a_misaligned_offset_is_rejected() {
        let error = CheckError::Misaligned { buffer: 1, offset: 20, align: 8 };
        assert_eq!(check(&BUFFERS, &[], 8, &[0, 20, 0]), Err(error));
    }

    #[test]
    fn an_alignment_of_zero_is_rejected() {
        let error = CheckError::Misaligned { buffer: 0, offset: 0, align: 0 };
        assert_eq!(check(&BUFFERS, &[], 0, &[0, 16, 0]), Err(error));
    }

    #[test]
    fn an_end_beyond_32_bits_is_rejected() {
        let offset = u32::MAX - 7;
        let error = CheckError::TooFar { buffer: 2, offset, bytes: 16 };
        assert_eq!(check(&BUFFERS, &[], 8, &[0, 16, offset]), Err(error));
    }

    #[test]
    fn padding_beyond_32_bits_is_rejected() {
        let buffers = [Buffer { bytes: 1, first_step: 0, last_step: 0 }];
        let offset = u32::MAX - 7;
        let error = CheckError::TooFar { buffer: 0, offset, bytes: 1 };
        assert_eq!(check(&buffers, &[], 8, &[offset]), Err(error));
    }

    #[test]
    fn an_output_may_lie_over_its_input_at_its_distance_and_no_nearer() {
        let overlaps = [Overlap { input: 0, output: 1, distances: DISTANCES }];
        for (offsets, fits) in [([3, 0], true), ([2, 0], false), ([0, 5], true), ([0, 4], false)] {
            assert_eq!(check(&BUFFERS[..2], &overlaps, 1, &offsets).is_ok(), fits, "{offsets:?}");
        }
        assert!(check(&BUFFERS[..2], &[], 1, &[3, 0]).is_err());
    }

    #[test]
    fn what_is_alive_together_for_more_than_a_step_may_not_overlap() {
        let longer = [Buffer { last_step: 3, ..BUFFERS[0] }, BUFFERS[1]];
        let overlaps = [Overlap { input: 0, output: 1, distances: DISTANCES }];
        assert!(check(&longer, &overlaps, 1, &[3, 0]).is_err());
    }

    #[test]
    fn an_overlap_by_one_byte_is_rejected() {
        let buffers = [
            Buffer { bytes: 9, first_step: 0, last_step: 2 },
            Buffer { bytes: 8, first_step: 1, last_step: 3 },
        ];
        let error = CheckError::Overlap { first: 0, second: 1, byte: 8, step: 1 };
        assert_eq!(check(&buffers, &[], 8, &[0, 8]), Err(error));
    }

    #[test]
    fn an_overlap_in_a_shared_last_step_is_rejected() {
        let error = CheckError::Overlap { first: 0, second: 1, byte: 8, step: 2 };
        assert_eq!(check(&BUFFERS, &[], 8, &[0, 8, 16]), Err(error));
    }

    #[test]
    fn a_buffer_inside_another_is_rejected() {
        let buffers = [
            Buffer { bytes: 64, first_step: 0, last_step: 0 },
            Buffer { bytes: 8, first_step: 0, last_step: 0 },
        ];
        let error = CheckError::Overlap { first: 0, second: 1, byte: 16, step: 0 };
        assert_eq!(check(&buffers, &[], 8, &[0, 16]), Err(error));
    }

    #[test]
    fn a_buffer_of_zero_bytes_overlaps_nothing() {
        let buffers = [
            Buffer { bytes: 64, first_step: 0, last_step: 0 },
            Buffer { bytes: 0, first_step: 0, last_step: 0 },
        ];
        assert_eq!(check(&buffers, &[], 8, &[0, 16]), Ok(64));
    }
}
