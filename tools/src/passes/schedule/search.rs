//! Search for a better order of one segment's steps.
//!
//! What is alive after some steps does not depend on their order, so that of all orders of the same
//! steps only one with the smallest peak need be remembered. The search goes through the sets of
//! steps that can have run, from the empty set to the full one, a layer for each number of steps:
//!
//! ```text
//! peak[set + step] = min over steps: max(peak[set], bytes alive while step runs after set)
//! ```
//!
//! Sets that are reached only with the peak of the best order known, or a larger one, are left out.
//! A step that stays below it and leaves no more alive than before can as well run at once, because
//! it makes no later step dearer: if a set has such a step, no other is tried from there.
//!
//! If a layer has more sets than its width allows, those with the most bytes alive are dropped: the
//! pass is then a heuristic (*beam search*) and proves nothing. A narrow pass finds a good order soon,
//! by which the following, wider ones leave out all the more; a pass that drops no set and finds
//! nothing is the proof that there is nothing to be found.

use std::collections::HashMap;
use std::ops::Range;

use super::step_set::StepSet;
use super::{Better, Cost, Flow, Segment};

/// What one pass has found.
pub(super) struct Pass {
    /// The best order, if it has a smaller peak than the best known.
    pub(super) better: Option<Better>,
    /// Whether no set was dropped.
    pub(super) is_exhaustive: bool,
    /// Number of sets visited.
    pub(super) set_count: usize,
}

/// A set of steps that have run, and the best way there.
struct State {
    has_run: StepSet,
    /// The steps that can run next, in order.
    ready: Vec<usize>,
    live_bytes: u64,
    peak_bytes: u64,
    last: Last,
}

/// The last step on the way to a state, and the state before it in the previous layer.
#[derive(Clone, Copy)]
struct Last {
    step: usize,
    parent: usize,
}

/// What each step of a segment waits for, and what waits for it, counted from the segment's start.
struct Waiting {
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
}

impl Waiting {
    fn of(flow: &Flow, steps: Range<usize>) -> Self {
        let mut after = vec![Vec::new(); steps.len()];
        let before = steps.clone().map(|step| {
            let within = flow.predecessors(step).filter(|before| steps.contains(before));
            let mut before: Vec<usize> = within.map(|before| before - steps.start).collect();
            before.sort_unstable();
            before.dedup();
            before.iter().for_each(|&before| after[before].push(step - steps.start));
            before
        });
        Self { before: before.collect(), after }
    }

    /// The steps that can run at first.
    fn ready(&self) -> Vec<usize> {
        (0..self.before.len()).filter(|&step| self.before[step].is_empty()).collect()
    }

    /// The steps that can run after `step`, which was the last of `has_run` and one of `ready`.
    fn ready_after(&self, step: usize, ready: &[usize], has_run: &StepSet) -> Vec<usize> {
        let others = ready.iter().copied().filter(|&other| other != step);
        let can_run = |later: &usize| self.before[*later].iter().all(|&before| has_run.contains(before));
        let mut next: Vec<usize> = others.chain(self.after[step].iter().copied().filter(can_run)).collect();
        next.sort_unstable();
        next
    }
}

/// Looks for an order of the segment's steps with a smaller peak, visiting about `set_count` sets.
///
/// Peaks up to `proved_bytes` are as good as each other, because some step somewhere needs as much in
/// any order.
pub(super) fn pass(flow: &Flow, segment: &Segment, proved_bytes: u64, set_count: usize) -> Pass {
    let waiting = Waiting::of(flow, segment.steps.clone());
    let begin = segment.steps.start;
    let step_count = segment.steps.len();
    let width = set_count.div_ceil(step_count);
    let mut is_exhaustive = true;

    let mut lasts: Vec<Vec<Last>> = Vec::new();
    let mut layer = vec![State {
        has_run: StepSet::new(step_count),
        ready: waiting.ready(),
        live_bytes: segment.live_bytes,
        peak_bytes: proved_bytes,
        last: Last { step: 0, parent: 0 },
    }];
    for _ in segment.steps.clone() {
        let mut next: Vec<State> = Vec::new();
        let mut index_of: HashMap<StepSet, usize> = HashMap::new();
        for (parent, state) in layer.iter().enumerate() {
            for (step, cost) in affordable(flow, segment, state) {
                let peak_bytes = state.peak_bytes.max(cost.during_bytes);
                let mut has_run = state.has_run.clone();
                has_run.insert(step);
                let last = Last { step, parent };
                match index_of.get(&has_run) {
                    Some(&index) if next[index].peak_bytes <= peak_bytes => {}
                    Some(&index) => (next[index].peak_bytes, next[index].last) = (peak_bytes, last),
                    None => {
                        index_of.insert(has_run.clone(), next.len());
                        let ready = waiting.ready_after(step, &state.ready, &has_run);
                        let live_bytes = cost.after_bytes;
                        next.push(State { has_run, ready, live_bytes, peak_bytes, last });
                    }
                }
            }
        }
        if next.len() > width {
            is_exhaustive = false;
            next = narrow(next, width);
        }
        lasts.push(next.iter().map(|state| state.last).collect());
        layer = next;
    }

    let better = layer.first().map(|state| {
        let mut steps = Vec::with_capacity(step_count);
        let mut index = 0;
        for layer in lasts.iter().rev() {
            let Last { step, parent } = layer[index];
            steps.push(begin + step);
            index = parent;
        }
        steps.reverse();
        Better { steps, peak_bytes: state.peak_bytes }
    });
    let set_count = lasts.iter().map(Vec::len).sum();
    Pass { better, is_exhaustive, set_count }
}

/// The `width` states with the fewest bytes alive, of equal ones those with the smallest peaks, in the
/// order in which they were found.
fn narrow(layer: Vec<State>, width: usize) -> Vec<State> {
    let mut ranked: Vec<(usize, State)> = layer.into_iter().enumerate().collect();
    ranked.sort_by_key(|(index, state)| (state.live_bytes, state.peak_bytes, *index));
    ranked.truncate(width);
    ranked.sort_by_key(|(index, _)| *index);
    ranked.into_iter().map(|(_, state)| state).collect()
}

/// The steps that can run after `state` without reaching the segment's peak, as indices into the
/// segment, with their costs; a single one if it can as well run at once.
fn affordable(flow: &Flow, segment: &Segment, state: &State) -> Vec<(usize, Cost)> {
    let begin = segment.steps.start;
    let has_run =
        |step: usize| step < begin || (step < segment.steps.end && state.has_run.contains(step - begin));
    let mut affordable = Vec::new();
    for &step in &state.ready {
        let cost = flow.cost(begin + step, state.live_bytes, has_run);
        if cost.during_bytes < segment.peak_bytes() && cost.after_bytes <= state.live_bytes {
            return vec![(step, cost)];
        }
        if cost.during_bytes < segment.peak_bytes() {
            affordable.push((step, cost));
        }
    }
    affordable
}

/// A peak that no order of the segment's steps undercuts: the largest sum of what must be alive while
/// a step runs because an ancestor writes it, and the step or a descendant reads it.
pub(super) fn lower_bound(flow: &Flow, segment: &Segment) -> u64 {
    let Range { start, end } = segment.steps;
    let ancestors = flow.ancestors(segment.steps.clone());
    let must_precede = |step: usize, later: usize| {
        later >= end || (later >= start && ancestors[later - start].contains(step - start))
    };
    let may_be_alive = |&buffer: &usize| {
        flow.writer[buffer].is_none_or(|writer| writer < end)
            && (flow.is_output[buffer] || flow.readers[buffer].last().is_some_and(|&r| r >= start))
    };
    let buffers: Vec<usize> = (0..flow.readers.len()).filter(may_be_alive).collect();
    let needed = |step: usize| {
        let alive = buffers.iter().filter(|&&buffer| {
            let writer = flow.writer[buffer];
            let is_written = writer.is_none_or(|writer| writer < start || must_precede(writer, step));
            let mut readers = flow.readers[buffer].iter();
            let is_read = readers.any(|&reader| reader == step || must_precede(step, reader));
            is_written && (is_read || flow.is_output[buffer])
        });
        let alive: u64 = alive.map(|&buffer| flow.bytes(buffer)).sum();
        let writes = &flow.problem.steps[step].writes;
        let written: u64 = writes.iter().map(|&buffer| flow.bytes(buffer)).sum();
        let can_be_last = |buffer: usize| {
            let mut readers = flow.readers[buffer].iter();
            !flow.is_output[buffer] && !readers.any(|&reader| must_precede(step, reader))
        };
        alive + written - flow.in_place_bytes(step, can_be_last)
    };
    segment.steps.clone().map(needed).max().unwrap_or(0)
}
