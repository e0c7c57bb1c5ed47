//! Kernels, and the decoded steps that they run.

use crate::operands::Operands;
use crate::threads::Threads;
use bytemuck::Pod;
use core::ops::Range;
use flatpack_format::{Misfit, OpCode, OpRule, Shape, Step, Tensor};

/// What a machine can do for one operator.
#[derive(Clone, Copy)]
pub struct Kernel {
    /// The operator.
    pub op: OpCode,
    /// What a step must meet, which `run` relies on.
    pub rule: OpRule,
    /// Computes the step. `None` only for a step that does not meet the rule.
    pub run: fn(&Node<'_>, Operands<'_>) -> Option<()>,
}

impl Kernel {
    /// A kernel of an operator with its rule. If that says how a step goes row by row, `run` computes the rows
    /// that the node names.
    pub const fn new(op: OpCode, rule: OpRule, run: fn(&Node<'_>, Operands<'_>) -> Option<()>) -> Self {
        Self { op, rule, run }
    }

    /// The same kernel with another way to compute a step.
    #[must_use]
    pub(crate) const fn by(self, run: fn(&Node<'_>, Operands<'_>) -> Option<()>) -> Self {
        Self { run, ..self }
    }

    /// The kernel without what the rule demands, for steps that the compiler has checked: of the rule is left how
    /// steps go row by row. No step passes its check.
    #[doc(hidden)]
    #[must_use]
    pub const fn of_checked_steps(self) -> Self {
        let rule = OpRule { output: |_, _| Err(Misfit::Count), packed: |_| &[], ..self.rule };
        Self { rule, ..self }
    }
}

impl core::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.op.name())
    }
}

/// One step, decoded for its kernel.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    step: Step<'a>,
    rows: (u32, u32),
    threads: Threads<'a>,
}

impl<'a> Node<'a> {
    /// The step, of which only some rows are to be computed.
    pub(crate) fn new(step: Step<'a>, rows: Range<u32>, threads: Threads<'a>) -> Self {
        Self { step, rows: (rows.start, rows.end), threads }
    }

    /// What it may be computed on.
    pub(crate) fn threads(&self) -> Threads<'a> {
        self.threads
    }

    /// Which rows of the step are to be computed, in the order in which they are; all, for an operator
    /// that does not go row by row.
    pub fn rows(&self) -> Range<u32> {
        self.rows.0..self.rows.1
    }

    /// The step.
    pub fn step(&self) -> &Step<'a> {
        &self.step
    }

    /// The parameter record.
    pub fn params<P: Pod>(&self) -> Option<&'a P> {
        self.step.record()
    }

    /// Input operand `index`.
    #[inline(never)]
    pub fn input(&self, index: usize) -> Option<Tensor<'a>> {
        self.step.input(index)
    }

    /// Output operand 0. Those after it are states; see [`OpRule::states`].
    #[inline(never)]
    pub fn output(&self) -> Option<Tensor<'a>> {
        self.step.output()
    }

    /// Shape of input `index`, if it has `N` dimensions.
    pub fn input_dims<const N: usize>(&self, index: usize) -> Option<[usize; N]> {
        dims(&self.input(index)?.shape())
    }

    /// Shape of the output, if it has `N` dimensions.
    pub fn output_dims<const N: usize>(&self) -> Option<[usize; N]> {
        dims(&self.output()?.shape())
    }

    /// Whether input `index` lies in the very memory of the output.
    pub fn in_place(&self, index: usize) -> bool {
        match (self.input(index), self.output()) {
            (Some(x), Some(y)) => x.same_memory(&y) && x.overlaps(&y),
            _ => false,
        }
    }
}

fn dims<const N: usize>(shape: &Shape) -> Option<[usize; N]> {
    let dims: &[u32; N] = shape.dims().try_into().ok()?;
    Some(dims.map(|d| d as usize))
}

/// What a step does, an expression of its node and operands, with its loops compiled for an instruction set.
macro_rules! vectorized {
    ($A:ty, |$node:ident, $operands:ident| $run:expr) => {{
        struct Step<'n, 'm, 'o>(&'n $crate::kernel::Node<'m>, $crate::operands::Operands<'o>);

        impl $crate::arch::Loops for Step<'_, '_, '_> {
            type Output = Option<()>;

            #[inline(always)]
            fn run<A: $crate::arch::Arch>(self) -> Option<()> {
                let Self($node, $operands) = self;
                $run
            }
        }
        <$A as $crate::arch::Arch>::vectorize(Step($node, $operands))
    }};
}
pub(crate) use vectorized;
