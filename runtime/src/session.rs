//! A model with its kernels and its memory.

use crate::kernel::{Kernel, Node};
use crate::operands::{Memories, Operands};
use crate::threads::Threads;
#[cfg(feature = "threads")]
use crate::threads::pool::Pool;
use bytemuck::Pod;
use flatpack_format::{ALIGN, Misfit, Model, OpCode, Place, SectionKind, Step, Tensor};

/// Why a model cannot run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The memory given is smaller than what the model needs of it.
    ArenaTooSmall {
        /// Bytes that the model needs.
        needed_bytes: u32,
    },
    /// The memory given does not begin at a multiple of 16 bytes.
    ArenaMisaligned,
    /// The second memory given is smaller than the far arena of the model.
    FarTooSmall {
        /// Bytes of the far arena.
        needed_bytes: u32,
    },
    /// The second memory given does not begin at a multiple of 16 bytes.
    FarMisaligned,
    /// There is no kernel for an operator of the model.
    MissingKernel {
        /// The opcode.
        op: u16,
    },
    /// A step does not meet the rule of its operator, on which the kernel relies.
    Misfit {
        /// Number of the step.
        step: u32,
        /// What does not fit; see [`Misfit`].
        misfit: Misfit,
    },
}

flatpack_format::say! { LoadError:
    Self::ArenaTooSmall { needed_bytes } => "the arena is too small: the model needs {} bytes", needed_bytes;
    Self::ArenaMisaligned => "the arena must begin at a multiple of {} bytes", ALIGN;
    Self::FarTooSmall { needed_bytes } => "the far arena is too small: the model needs {} bytes", needed_bytes;
    Self::FarMisaligned => "the far arena must begin at a multiple of {} bytes", ALIGN;
    Self::MissingKernel { op } => "there is no kernel for {} (opcode {})",
        OpCode::from_number(op).map_or("an unknown operator", OpCode::name), op;
    Self::Misfit { step, misfit } => "step {} does not fit its kernel: {}", step, misfit;
}

impl core::error::Error for LoadError {}

/// Why a run stopped. A model that was loaded does not stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunError {
    /// A kernel refused a step that its own check had passed.
    Refused {
        /// Number of the step.
        step: u32,
    },
}

flatpack_format::say! { RunError:
    Self::Refused { step } => "the kernel of step {} refused what its check had passed", step;
}

impl core::error::Error for RunError {}

/// Whether a run has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// There are steps left.
    Running,
    /// The outputs are there.
    Done,
}

/// A model with its kernels and its memory.
///
/// Inputs and outputs live in the arenas: write the inputs, run, read the outputs. A run may reuse
/// the memory of its inputs, so that they are to be written anew for each.
#[derive(Debug)]
pub struct Session<'a> {
    model: Model<'a>,
    kernels: &'a [Kernel],
    /// Kernels follow each other by the numbers of their operators, one for each.
    in_order: bool,
    memories: Memories<'a>,
    next: u32,
    /// How many rows of the next step are computed.
    row: u32,
    #[cfg(feature = "threads")]
    pool: Option<Pool>,
}

impl<'a> Session<'a> {
    /// Bytes of memory that [`Session::load`] needs for `model`: its arena, its state, and its far arena if it
    /// has one.
    pub fn memory_bytes(model: &Model<'_>) -> usize {
        near_bytes(model) + model.header().far_bytes as usize
    }

    /// Checks every step by its operator's rule and sets the state to its initial values.
    ///
    /// `memory` must begin at a multiple of 16 bytes and have [`Session::memory_bytes`] or more. A far arena
    /// lies there too: [`Session::load_with_far`] takes another memory for it.
    ///
    /// # Errors
    /// If the memory does not do, a kernel is missing, or a step does not meet its rule.
    pub fn load(model: Model<'a>, kernels: &'a [Kernel], memory: &'a mut [u8]) -> Result<Self, LoadError> {
        if !is_aligned(memory) {
            return Err(LoadError::ArenaMisaligned);
        }
        let needed_bytes = Self::memory_bytes(&model);
        let too_small = LoadError::ArenaTooSmall { needed_bytes: needed_bytes as u32 };
        let memory = memory.get_mut(..needed_bytes).ok_or(too_small)?;
        let (near, far) = memory.split_at_mut_checked(near_bytes(&model)).ok_or(too_small)?;
        Self::load_with_far(model, kernels, near, far)
    }

    /// As [`Session::load`], with the far arena in a memory of its own: on a board with a fast memory and a
    /// slow one, `near` is of the fast one, and `far` of the slow one.
    ///
    /// `near` must have the `arena_bytes` and `state_bytes` of the header, `far` its `far_bytes`; both must
    /// begin at a multiple of 16 bytes. A model without far arena does not look at `far`.
    ///
    /// # Errors
    /// As [`Session::load`]; which memory does not do is said.
    pub fn load_with_far(
        model: Model<'a>,
        kernels: &'a [Kernel],
        near: &'a mut [u8],
        far: &'a mut [u8],
    ) -> Result<Self, LoadError> {
        let session = Self::of_checked_steps(model, kernels, near, far)?;
        for step in model.steps() {
            let op = step.op();
            let kernel = session.kernel_of(&step).ok_or(LoadError::MissingKernel { op: op as u16 })?;
            let fits = kernel.rule.check(&step);
            fits.map_err(|misfit| LoadError::Misfit { step: step.number(), misfit })?;
        }
        Ok(session)
    }

    /// [`Session::load_with_far`] of a model whose steps were checked before.
    pub(crate) fn of_checked_steps(
        model: Model<'a>,
        kernels: &'a [Kernel],
        near: &'a mut [u8],
        far: &'a mut [u8],
    ) -> Result<Self, LoadError> {
        let header = model.header();
        if !is_aligned(near) {
            return Err(LoadError::ArenaMisaligned);
        }
        let too_small = LoadError::ArenaTooSmall { needed_bytes: near_bytes(&model) as u32 };
        let (arena, rest) = near.split_at_mut_checked(header.arena_bytes as usize).ok_or(too_small)?;
        let state = rest.get_mut(..header.state_bytes as usize).ok_or(too_small)?;
        let needed_bytes = header.far_bytes;
        let far = far.get_mut(..needed_bytes as usize).ok_or(LoadError::FarTooSmall { needed_bytes })?;
        if !far.is_empty() && !is_aligned(far) {
            return Err(LoadError::FarMisaligned);
        }
        let mut session = Self {
            model,
            kernels,
            in_order: cfg!(feature = "std") && kernels.is_sorted_by(|a, b| a.op < b.op),
            memories: [arena, state, far],
            next: 0,
            row: 0,
            #[cfg(feature = "threads")]
            pool: None,
        };
        session.reset();
        Ok(session)
    }

    /// The same session on so many threads, of which the one that calls [`Session::run`] is one: the others are made
    /// here, and wait until a step has work for them. Convolutions and pools are shared out by rows of their outputs, fully
    /// connected layers by outputs or rows, reductions of reals and elementwise operators by elements, where these are
    /// worth waking a thread; results are the same for any number.
    ///
    /// # Errors
    /// If the system makes no more threads.
    #[cfg(feature = "threads")]
    pub fn with_threads(mut self, count: usize) -> Result<Self, std::io::Error> {
        self.pool = Pool::new(count).map_err(std::io::Error::other)?;
        Ok(self)
    }

    /// The model.
    pub fn model(&self) -> Model<'a> {
        self.model
    }

    /// Sets the state to its initial values, and the next step to the first.
    pub fn reset(&mut self) {
        let init = self.model.section(SectionKind::StateInit);
        let [_, state, _] = &mut self.memories;
        state.iter_mut().zip(init).for_each(|(to, from)| *to = *from);
        (self.next, self.row) = (0, 0);
    }

    /// The state memory: what the next run finds there. To run several streams with one model, keep a copy for
    /// each.
    pub fn state(&self) -> &[u8] {
        let [_, state, _] = &self.memories;
        state
    }

    /// The state memory, to be written: with what [`Session::state`] gave before, of the same model. What
    /// the first run finds there is the section `state_init`; see [`Session::reset`].
    pub fn state_mut(&mut self) -> &mut [u8] {
        let [_, state, _] = &mut self.memories;
        state
    }

    /// The elements of input `index`, to be written. `None` if there is no such input, or its
    /// elements are not of type `T`.
    pub fn input<T: Pod>(&mut self, index: usize) -> Option<&mut [T]> {
        let tensor = self.model.inputs().nth(index)?;
        bytemuck::try_cast_slice_mut(self.bytes_mut(tensor)?).ok()
    }

    /// The elements of output `index`. `None` if there is no such output, or its elements are not
    /// of type `T`.
    pub fn output<T: Pod>(&self, index: usize) -> Option<&[T]> {
        let tensor = self.model.outputs().nth(index)?;
        bytemuck::try_cast_slice(self.bytes(tensor)?).ok()
    }

    /// The bytes of input `index`, to be written.
    pub fn input_bytes(&mut self, index: usize) -> Option<&mut [u8]> {
        let tensor = self.model.inputs().nth(index)?;
        self.bytes_mut(tensor)
    }

    /// The bytes of output `index`.
    pub fn output_bytes(&self, index: usize) -> Option<&[u8]> {
        self.bytes(self.model.outputs().nth(index)?)
    }

    /// The bytes of any tensor of the model, as they are now: those of an activation last from the
    /// step that writes it until another takes its place.
    pub fn bytes(&self, tensor: Tensor<'_>) -> Option<&[u8]> {
        let [arena, state, far] = &self.memories;
        let memory = match tensor.place() {
            Place::Constant => self.model.bytes(),
            Place::Arena => arena,
            Place::State => state,
            Place::Far => far,
        };
        memory.get(range(tensor))
    }

    fn bytes_mut(&mut self, tensor: Tensor<'_>) -> Option<&mut [u8]> {
        let [arena, state, far] = &mut self.memories;
        let memory = match tensor.place() {
            Place::Constant => return None,
            Place::Arena => arena,
            Place::State => state,
            Place::Far => far,
        };
        memory.get_mut(range(tensor))
    }

    /// Runs all steps, or those that are left of a run begun with [`Session::step`].
    ///
    /// # Errors
    /// None, for a model that was loaded; the type is there so that nothing needs to panic.
    pub fn run(&mut self) -> Result<(), RunError> {
        while self.step()? == Progress::Running {}
        Ok(())
    }

    /// Runs one step, or what is left of it, so that a loop with other duties keeps its watchdog.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn step(&mut self) -> Result<Progress, RunError> {
        self.step_within(u32::MAX)
    }

    /// Runs a part of one step: as many rows of its output as take no more than `macs`
    /// multiply-accumulates, but one at least. The next call goes on where this one ended.
    ///
    /// Convolutions and pools have rows; a step of any other operator runs as a whole. A row of a pool
    /// counts one multiply-accumulate for each element.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn step_within(&mut self, macs: u32) -> Result<Progress, RunError> {
        let Some(step) = self.model.step(self.next) else {
            self.next = 0;
            return Ok(Progress::Done);
        };
        let refused = RunError::Refused { step: self.next };
        let kernel = self.kernel_of(&step).ok_or(refused)?;
        let begin = core::mem::take(&mut self.row);
        let mut end = u32::MAX;
        if macs < u32::MAX
            && let Some((rows, row_macs)) = kernel.rule.macs_of_rows(&step)
        {
            let count = macs.checked_div(row_macs).unwrap_or(macs).max(1);
            end = begin.saturating_add(count);
            self.row = if end < rows { end } else { 0 };
        }
        #[cfg(feature = "threads")]
        let threads = Threads { pool: self.pool.as_ref() };
        #[cfg(not(feature = "threads"))]
        let threads = Threads::default();
        let node = Node::new(step, begin..end, threads);
        let [arena, state, far] = &mut self.memories;
        let operands = Operands::new(self.model.bytes(), [arena, state, far]);
        (kernel.run)(&node, operands).ok_or(refused)?;
        if self.row > 0 {
            return Ok(Progress::Running);
        }
        if (self.next as usize).saturating_add(1) < self.model.steps().len() {
            self.next += 1;
            Ok(Progress::Running)
        } else {
            self.next = 0;
            Ok(Progress::Done)
        }
    }

    /// The first kernel of a step's operator.
    #[inline(always)]
    fn kernel_of(&self, step: &Step<'_>) -> Option<&'a Kernel> {
        let is_its = |kernel: &&Kernel| step.is_of(kernel.op);
        // Of the list of all, which gateways have, it is one of the last up to the place that its number says: to look at all
        // others takes longer than a small step. Boards name few.
        if cfg!(feature = "std") && self.in_order {
            let up_to = self.kernels.len().min(step.op_number().into());
            return self.kernels.get(..up_to)?.iter().rfind(is_its);
        }
        self.kernels.iter().find(is_its)
    }

    /// Number of the step that [`Session::step`] runs next.
    pub fn next_step(&self) -> u32 {
        self.next
    }
}

/// Bytes of arena and state.
fn near_bytes(model: &Model<'_>) -> usize {
    model.header().arena_bytes as usize + model.header().state_bytes as usize
}

fn is_aligned(memory: &[u8]) -> bool {
    memory.as_ptr().addr().is_multiple_of(ALIGN as usize)
}

fn range(tensor: Tensor<'_>) -> core::ops::Range<usize> {
    let start = tensor.offset() as usize;
    start..start.saturating_add(tensor.bytes() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_take_at_most_eight_bytes() {
        assert!(size_of::<LoadError>() <= 8);
        assert!(size_of::<RunError>() <= 8);
    }
}
