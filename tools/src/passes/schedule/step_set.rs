//! Sets of steps, one bit for each.

const WORD_BITS: usize = u64::BITS as usize;

/// A set of step indices below a limit.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct StepSet {
    words: Box<[u64]>,
}

impl StepSet {
    /// The empty set of indices below `limit`.
    pub(super) fn new(limit: usize) -> Self {
        StepSet { words: vec![0; limit.div_ceil(WORD_BITS)].into() }
    }

    pub(super) fn insert(&mut self, step: usize) {
        self.words[step / WORD_BITS] |= 1 << (step % WORD_BITS);
    }

    pub(super) fn contains(&self, step: usize) -> bool {
        self.words[step / WORD_BITS] >> (step % WORD_BITS) & 1 == 1
    }

    /// Adds the members of `other`, which has the same limit.
    pub(super) fn extend(&mut self, other: &StepSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// The smallest index that is not a member.
    pub(super) fn first_missing(&self) -> usize {
        let full = self.words.iter().take_while(|&&word| word == u64::MAX).count();
        let rest = self.words.get(full).map_or(0, |word| word.trailing_ones() as usize);
        full * WORD_BITS + rest
    }
}
