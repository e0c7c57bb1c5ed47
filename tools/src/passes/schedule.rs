//! Orders the steps so that the sum of the sizes alive at the busiest step is as small as possible.
//!
//! A model's graph fixes only a partial order: the branches of an inception block may run in any
//! order, and it is this choice that decides how many large tensors are alive together. While a step
//! runs, the arena holds
//!
//! ```text
//! buffers written so far that a later step reads or that are outputs of the model
//! + what the step writes - what it writes into the memory of a buffer that it is the last to read
//! ```
//!
//! and the largest such sum is the *peak*. It is what [`plan_memory`](super::plan_memory) then takes
//! as its lower bound.
//!
//! Where everything so far must run before everything that is left, the order falls into *segments*
//! that can be looked at one by one. Only the segment with the largest peak matters: `search` looks
//! for a better order of its steps, until the segment that then has the largest peak is proved to have
//! none or the budget is spent. The budget counts sets of steps and not seconds, so that the same
//! problem gets the same order on every machine. All other steps keep the order they were given in,
//! and a chain is not searched at all.

mod search;
mod step_set;
#[cfg(test)]
mod tests;

use std::ops::Range;

use thiserror::Error;

use step_set::StepSet;

/// Sets of steps that the searches for one model may visit together.
const SET_BUDGET: usize = 200_000;

/// Sets of steps that the first search of a segment may visit. A search that finds nothing allows the
/// next one twice as many.
const FIRST_SET_COUNT: usize = 4_000;

/// One step of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Indices of the buffers it reads.
    pub reads: Vec<usize>,
    /// Indices of the buffers it writes. One that nobody reads and that is not an output, such as
    /// scratch memory, is alive during this step only.
    pub writes: Vec<usize>,
    /// A buffer of `reads` whose memory the first of `writes` may take: it does if no step is left
    /// that reads this buffer, the buffer is not an output, and it is large enough.
    pub in_place: Option<usize>,
    /// Indices of steps that must have run before, besides those that write what it reads.
    pub after: Vec<usize>,
}

/// Steps, in an order in which they can run, and the buffers they pass on to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Size of each buffer.
    pub buffer_bytes: Vec<u32>,
    /// Indices of the buffers that are alive before the first step, until their last use.
    pub inputs: Vec<usize>,
    /// Indices of the buffers that stay alive to the end, once written.
    pub outputs: Vec<usize>,
    /// The steps. Every buffer is an input or is written by exactly one step, before it is read.
    pub steps: Vec<Step>,
}

/// An order of the steps of a [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Indices of the steps, first to last.
    pub steps: Vec<usize>,
    /// Largest sum of sizes alive at one step or before the first.
    pub peak_bytes: u64,
    /// Whether it is proved that no order has a smaller peak.
    pub optimal: bool,
}

/// Error returned by [`order`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    /// A buffer is named that does not exist.
    #[error("buffer {buffer} is used, but there are {buffer_count} buffers")]
    UnknownBuffer {
        /// The index that was named.
        buffer: usize,
        /// Number of buffers.
        buffer_count: usize,
    },
    /// A step reads what no input holds and no earlier step has written.
    #[error("step {step} reads buffer {buffer}; expected an input or an earlier step to write it")]
    ReadBeforeWritten {
        /// Index of the step.
        step: usize,
        /// Index of the buffer.
        buffer: usize,
    },
    /// A step writes an input, or what another write has written.
    #[error("step {step} writes buffer {buffer}, which is already written")]
    WrittenTwice {
        /// Index of the step.
        step: usize,
        /// Index of the buffer.
        buffer: usize,
    },
    /// A step may overwrite a buffer that it does not read.
    #[error("step {step} may overwrite buffer {buffer}; expected one that it reads")]
    InPlaceNotRead {
        /// Index of the step.
        step: usize,
        /// Index of the buffer.
        buffer: usize,
    },
    /// A step must run after one that does not come before it.
    #[error("step {step} must run after step {after}; expected an earlier step")]
    AfterLater {
        /// Index of the step.
        step: usize,
        /// Index of the other step.
        after: usize,
    },
    /// No step writes an output, and it is not an input.
    #[error("output {buffer} is never written")]
    OutputNotWritten {
        /// Index of the buffer.
        buffer: usize,
    },
}

/// Finds an order with the smallest peak that can be found.
///
/// The peak is never larger than that of the order given, which is returned as it is where no better
/// one is found. The result depends on nothing but the argument.
pub fn order(problem: &Problem) -> Result<Order, OrderError> {
    let flow = Flow::new(problem)?;
    let (mut segments, input_bytes) = segments(&flow);

    // No order has a smaller peak than this.
    let mut proved = input_bytes;
    let mut set_budget = SET_BUDGET;
    let optimal = loop {
        let worst = segments.iter_mut().rev().max_by_key(|segment| segment.peak_bytes());
        let Some(segment) = worst.filter(|segment| segment.peak_bytes() > proved) else {
            break true;
        };
        if segment.next_set_count == 0 {
            segment.next_set_count = FIRST_SET_COUNT;
            proved = proved.max(search::lower_bound(&flow, segment));
            continue;
        }
        if segment.next_set_count > set_budget {
            break false;
        }
        let pass = search::pass(&flow, segment, proved, segment.next_set_count);
        set_budget = set_budget.saturating_sub(pass.set_count);
        match pass.better {
            Some(better) => segment.better = Some(better),
            None if pass.is_exhaustive => proved = segment.peak_bytes(),
            None => segment.next_set_count *= 2,
        }
    };

    let peak_bytes = segments.iter().map(Segment::peak_bytes).max().unwrap_or(0).max(input_bytes);
    let mut steps = Vec::with_capacity(problem.steps.len());
    for segment in segments {
        match segment.better {
            Some(better) if segment.given_peak_bytes > peak_bytes => steps.extend(better.steps),
            _ => steps.extend(segment.steps),
        }
    }
    Ok(Order { steps, peak_bytes, optimal })
}

/// Who passes which buffer on to whom.
struct Flow<'a> {
    problem: &'a Problem,
    is_output: Vec<bool>,
    /// Per buffer: the step that writes it, none for an input.
    writer: Vec<Option<usize>>,
    /// Per buffer: the steps that read it, in the given order, each once.
    readers: Vec<Vec<usize>>,
    /// Per step: the buffers it reads, each once.
    reads: Vec<Vec<usize>>,
}

/// What a step does to the sum of the sizes alive.
struct Cost {
    /// The sum while the step runs.
    during_bytes: u64,
    /// The sum after it.
    after_bytes: u64,
}

impl<'a> Flow<'a> {
    fn new(problem: &'a Problem) -> Result<Self, OrderError> {
        let buffer_count = problem.buffer_bytes.len();
        let known = |buffer: usize| {
            if buffer < buffer_count {
                Ok(buffer)
            } else {
                Err(OrderError::UnknownBuffer { buffer, buffer_count })
            }
        };
        let mut flow = Flow {
            problem,
            is_output: vec![false; buffer_count],
            writer: vec![None; buffer_count],
            readers: vec![Vec::new(); buffer_count],
            reads: Vec::with_capacity(problem.steps.len()),
        };
        let mut is_written = vec![false; buffer_count];
        for &buffer in &problem.inputs {
            is_written[known(buffer)?] = true;
        }
        for (step, operands) in problem.steps.iter().enumerate() {
            let mut reads = operands.reads.clone();
            reads.sort_unstable();
            reads.dedup();
            for &buffer in &reads {
                if !is_written[known(buffer)?] {
                    return Err(OrderError::ReadBeforeWritten { step, buffer });
                }
                flow.readers[buffer].push(step);
            }
            if let Some(buffer) = operands.in_place.filter(|buffer| !reads.contains(buffer)) {
                return Err(OrderError::InPlaceNotRead { step, buffer });
            }
            if let Some(&after) = operands.after.iter().find(|&&after| after >= step) {
                return Err(OrderError::AfterLater { step, after });
            }
            for &buffer in &operands.writes {
                if is_written[known(buffer)?] {
                    return Err(OrderError::WrittenTwice { step, buffer });
                }
                is_written[buffer] = true;
                flow.writer[buffer] = Some(step);
            }
            flow.reads.push(reads);
        }
        for &buffer in &problem.outputs {
            if !is_written[known(buffer)?] {
                return Err(OrderError::OutputNotWritten { buffer });
            }
            flow.is_output[buffer] = true;
        }
        Ok(flow)
    }

    fn bytes(&self, buffer: usize) -> u64 {
        u64::from(self.problem.buffer_bytes[buffer])
    }

    /// The steps that must have run before `step` can.
    fn predecessors(&self, step: usize) -> impl Iterator<Item = usize> {
        let writers = self.reads[step].iter().filter_map(|&buffer| self.writer[buffer]);
        writers.chain(self.problem.steps[step].after.iter().copied())
    }

    /// For each step of `range` the steps of `range` that must have run before it can, counted from
    /// the start of `range`.
    fn ancestors(&self, range: Range<usize>) -> Vec<StepSet> {
        let mut ancestors: Vec<StepSet> = Vec::with_capacity(range.len());
        for step in range.clone() {
            let mut set = StepSet::new(range.len());
            for predecessor in self.predecessors(step).filter(|step| range.contains(step)) {
                set.insert(predecessor - range.start);
                set.extend(&ancestors[predecessor - range.start]);
            }
            ancestors.push(set);
        }
        ancestors
    }

    /// Whether somebody needs the buffer after the step that writes it.
    fn is_kept(&self, buffer: usize) -> bool {
        self.is_output[buffer] || !self.readers[buffer].is_empty()
    }

    /// The bytes that `step` writes into the memory of one of its inputs, if `is_last` says of this
    /// input that the step is the last to read it.
    fn in_place_bytes(&self, step: usize, is_last: impl Fn(usize) -> bool) -> u64 {
        let Step { writes, in_place, .. } = &self.problem.steps[step];
        match (in_place, writes.first()) {
            (&Some(read), Some(&written)) if self.bytes(written) <= self.bytes(read) && is_last(read) => {
                self.bytes(written)
            }
            _ => 0,
        }
    }

    /// The cost of running `step` when `live_bytes` are alive and the steps of which `has_run` is
    /// true have run.
    fn cost(&self, step: usize, live_bytes: u64, has_run: impl Fn(usize) -> bool) -> Cost {
        let is_last = |buffer: usize| {
            !self.is_output[buffer]
                && self.readers[buffer].iter().all(|&reader| reader == step || has_run(reader))
        };
        let writes = &self.problem.steps[step].writes;
        let written: u64 = writes.iter().map(|&buffer| self.bytes(buffer)).sum();
        let kept = writes.iter().filter(|&&buffer| self.is_kept(buffer));
        let kept: u64 = kept.map(|&buffer| self.bytes(buffer)).sum();
        let freed = self.reads[step].iter().filter(|&&buffer| is_last(buffer));
        let freed: u64 = freed.map(|&buffer| self.bytes(buffer)).sum();
        Cost {
            during_bytes: live_bytes + written - self.in_place_bytes(step, is_last),
            after_bytes: live_bytes + kept - freed,
        }
    }
}

/// Neighbouring steps before which everything earlier, and after which everything later must run.
struct Segment {
    steps: Range<usize>,
    /// Sum of the sizes alive before the first of the steps.
    live_bytes: u64,
    /// Peak of the order given.
    given_peak_bytes: u64,
    /// An order with a smaller peak.
    better: Option<Better>,
    /// Sets that the next search of the segment may visit; 0 before its lower bound is known.
    next_set_count: usize,
}

/// A better order of the steps of a segment.
struct Better {
    steps: Vec<usize>,
    peak_bytes: u64,
}

impl Segment {
    /// Peak of the best order known.
    fn peak_bytes(&self) -> u64 {
        self.better.as_ref().map_or(self.given_peak_bytes, |better| better.peak_bytes)
    }
}

/// The segments, with their peaks in the given order, and the bytes alive before the first.
fn segments(flow: &Flow) -> (Vec<Segment>, u64) {
    let mut inputs = flow.problem.inputs.clone();
    inputs.sort_unstable();
    inputs.dedup();
    let input_bytes = inputs.iter().map(|&buffer| flow.bytes(buffer)).sum();
    let kept = inputs.iter().filter(|&&buffer| flow.is_kept(buffer));
    let mut live_bytes = kept.map(|&buffer| flow.bytes(buffer)).sum();

    let mut segments: Vec<Segment> = Vec::new();
    for (step, begins) in segment_begins(flow).into_iter().enumerate() {
        let cost = flow.cost(step, live_bytes, |other| other < step);
        match segments.last_mut().filter(|_| !begins) {
            Some(segment) => {
                segment.steps.end = step + 1;
                segment.given_peak_bytes = segment.given_peak_bytes.max(cost.during_bytes);
            }
            None => segments.push(Segment {
                steps: step..step + 1,
                live_bytes,
                given_peak_bytes: cost.during_bytes,
                better: None,
                next_set_count: 0,
            }),
        }
        live_bytes = cost.after_bytes;
    }
    (segments, input_bytes)
}

/// For each step whether every earlier step must run before it and before every later step.
fn segment_begins(flow: &Flow) -> Vec<bool> {
    let step_count = flow.problem.steps.len();
    // What this step and those behind it have in common: all steps before this index come first.
    let mut common = step_count;
    let mut begins = vec![false; step_count];
    for (step, ancestors) in flow.ancestors(0..step_count).iter().enumerate().rev() {
        common = common.min(ancestors.first_missing());
        begins[step] = common == step;
    }
    begins
}
