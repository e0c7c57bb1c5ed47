//! Kernels, and the decoded steps that they check and run.

use crate::operands::Operands;
use bytemuck::Pod;
use flatpack_format::ops::Multiplier;
use flatpack_format::{
    DType, Layout, MAX_INPUTS, Misfit, OpCode, OpRule, Place, Shape, Step, Tensor, TensorType,
};

/// What a machine can do for one operator.
#[derive(Clone, Copy)]
pub struct Kernel {
    /// The operator.
    pub op: OpCode,
    /// Proves everything that `run` relies on.
    pub check: fn(&Node<'_>) -> Result<(), Misfit>,
    /// Computes the step. `None` only for a step that `check` would have refused.
    pub run: fn(&Node<'_>, Operands<'_>) -> Option<()>,
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
}

impl<'a> Node<'a> {
    pub(crate) fn new(step: Step<'a>) -> Self {
        Self { step }
    }

    /// The step.
    pub fn step(&self) -> Step<'a> {
        self.step
    }

    /// The parameter record.
    pub fn params<P: Pod>(&self) -> Option<&'a P> {
        bytemuck::try_from_bytes(self.step.params()).ok()
    }

    /// Input operand `index`.
    pub fn input(&self, index: usize) -> Option<Tensor<'a>> {
        self.step.inputs().nth(index)
    }

    /// Output operand 0. Those after it are states; see [`Node::check_with_state`].
    pub fn output(&self) -> Option<Tensor<'a>> {
        self.step.outputs().next()
    }

    /// The elements of input `index`, if it is a constant of elements of type `T`.
    pub fn constant<T: Pod>(&self, index: usize) -> Option<&'a [T]> {
        let tensor = self.input(index).filter(|tensor| tensor.place() == Place::Constant)?;
        let start = tensor.offset() as usize;
        let bytes = self.step.model().bytes().get(start..start.saturating_add(tensor.bytes() as usize))?;
        bytemuck::try_cast_slice(bytes).ok()
    }

    /// Proves that input `index` holds constant multipliers, each in its domain.
    ///
    /// # Errors
    /// If it does not.
    pub fn check_requant(&self, index: usize) -> Result<(), Misfit> {
        match self.constant::<Multiplier>(index) {
            Some(multipliers) if Multiplier::all_valid(multipliers) => Ok(()),
            _ => Err(Misfit::Constant(index as u8)),
        }
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

    /// Proves that the step has the output, and only that, which `rule` gives for its inputs and
    /// parameters; that nothing but weights (input 1, where `packed_weights`: in layout `panel16`) is in
    /// another layout than `rows`; and that only the inputs in `may_alias` (bit per input) share memory with the
    /// output, and then all of it.
    ///
    /// # Errors
    /// The first operand that does not fit.
    pub fn check(&self, rule: &OpRule, packed_weights: bool, may_alias: u32) -> Result<(), Misfit> {
        if self.step.output_count() != 1 {
            return Err(Misfit::Count);
        }
        self.check_output(rule, if packed_weights { Layout::Panel16 } else { Layout::Rows }, may_alias)
    }

    /// As [`check`](Self::check), where weights (input 1) may be in layout `pairs`.
    ///
    /// # Errors
    /// The first operand that does not fit.
    pub fn check_with_pairs(&self, rule: &OpRule) -> Result<(), Misfit> {
        if self.step.output_count() != 1 {
            return Err(Misfit::Count);
        }
        self.check_output(rule, Layout::Pairs, 0)
    }

    /// Proves that the step has the output which `rule` gives for its inputs and parameters; that its
    /// last `count` inputs are tensors of the state memory, each of which is, in the same order, one
    /// of the outputs after the first; that there is no other output, all layouts are `rows`, and
    /// nothing that the step writes shares memory with another operand.
    ///
    /// # Errors
    /// The first operand that does not fit.
    pub fn check_with_state(&self, rule: &OpRule, count: usize) -> Result<(), Misfit> {
        let first = self.step.input_count().checked_sub(count).ok_or(Misfit::Count)?;
        if self.step.output_count() != count.saturating_add(1) {
            return Err(Misfit::Count);
        }
        self.check_output(rule, Layout::Rows, 0)?;
        for (at, updated) in (first..).zip(self.step.outputs().skip(1)) {
            let misfit = Misfit::State(at as u8);
            let state = self.input(at).ok_or(misfit)?;
            if updated.number() != state.number() || state.place() != Place::State {
                return Err(misfit);
            }
            let mut others = self.step.inputs().enumerate().filter(|(other, _)| *other != at);
            if let Some((other, _)) = others.find(|(_, input)| input.overlaps(&state)) {
                return Err(Misfit::Alias(other as u8));
            }
        }
        Ok(())
    }

    fn check_output(&self, rule: &OpRule, of_weights: Layout, may_alias: u32) -> Result<(), Misfit> {
        let scalar = TensorType { dtype: DType::U8, shape: Shape::SCALAR };
        let mut types = [scalar; MAX_INPUTS];
        let mut count = 0;
        let output = self.output().ok_or(Misfit::Count)?;
        for ((at, input), to) in self.step.inputs().enumerate().zip(&mut types) {
            *to = input.tensor_type();
            count += 1;
            if input.layout() != Layout::Rows && !(input.layout() == of_weights && at == 1) {
                return Err(Misfit::Layout(at as u8));
            }
            let in_place = may_alias >> at & 1 == 1 && input.same_memory(&output);
            if input.overlaps(&output) && !in_place {
                return Err(Misfit::Alias(at as u8));
            }
        }
        if count != self.step.input_count() {
            return Err(Misfit::Count);
        }
        let types = types.get(..count).unwrap_or_default();
        let made = (rule.output)(self.step.params(), types)?;
        if output.tensor_type() != made || output.layout() != Layout::Rows {
            return Err(Misfit::Shape(count as u8));
        }
        Ok(())
    }
}

fn dims<const N: usize>(shape: &Shape) -> Option<[usize; N]> {
    let dims: &[u32; N] = shape.dims().try_into().ok()?;
    Some(dims.map(|d| d as usize))
}
