//! Kernels, and the decoded steps that they check and run.

use crate::operands::Operands;
use bytemuck::Pod;
use core::ops::Range;
use flatpack_format::ops::Multiplier;
use flatpack_format::{
    DType, Layout, MAX_INPUTS, Misfit, OpCode, OpRule, Place, RowWise, Shape, Step, Tensor, TensorType,
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
    /// The rule of an operator of which `run` computes only the rows that the node names.
    pub rows: Option<&'static OpRule>,
}

impl Kernel {
    /// A kernel that computes a step as a whole.
    pub const fn new(
        op: OpCode,
        check: fn(&Node<'_>) -> Result<(), Misfit>,
        run: fn(&Node<'_>, Operands<'_>) -> Option<()>,
    ) -> Self {
        Self { op, check, run, rows: None }
    }

    /// The kernel of an operator that goes row by row.
    #[must_use]
    pub const fn by_rows(self, rule: &'static OpRule) -> Self {
        Self { rows: Some(rule), ..self }
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
}

impl<'a> Node<'a> {
    pub(crate) fn new(step: Step<'a>) -> Self {
        Self { step, rows: (0, u32::MAX) }
    }

    /// The step, of which only some rows are to be computed.
    pub(crate) fn of_rows(self, rows: Range<u32>) -> Self {
        Self { rows: (rows.start, rows.end), ..self }
    }

    /// Which rows of the step are to be computed, in the order in which they are; all, for an operator
    /// that does not go row by row.
    pub fn rows(&self) -> Range<u32> {
        self.rows.0..self.rows.1
    }

    /// How the step goes row by row.
    pub fn row_wise(&self, rule: &OpRule) -> Option<RowWise> {
        self.with_types(|types, y| (rule.rows)(self.step.params(), types, y))?
    }

    /// Number of rows of the step, and multiply-accumulates of one; of a step that multiplies nothing its
    /// elements.
    pub(crate) fn macs_of_rows(&self, rule: &OpRule) -> Option<(u32, u32)> {
        let macs = self.with_types(|types, y| (rule.macs)(self.step.params(), types, y))?;
        let rows = self.row_wise(rule)?;
        let rows = rows.images.saturating_mul(rows.y_rows);
        let macs = u32::try_from(macs).unwrap_or(u32::MAX);
        Some((rows, macs.max(self.output()?.len()).checked_div(rows)?))
    }

    fn with_types<R>(&self, f: impl FnOnce(&[TensorType], &TensorType) -> R) -> Option<R> {
        let scalar = TensorType { dtype: DType::U8, shape: Shape::SCALAR };
        let mut types = [scalar; MAX_INPUTS];
        for (input, to) in self.step.inputs().zip(&mut types) {
            *to = input.tensor_type();
        }
        Some(f(types.get(..self.step.input_count())?, &self.output()?.tensor_type()))
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
        let output = self.output().ok_or(Misfit::Count)?;
        for (at, input) in self.step.inputs().enumerate() {
            if input.layout() != Layout::Rows && !(input.layout() == of_weights && at == 1) {
                return Err(Misfit::Layout(at as u8));
            }
            let in_place = may_alias >> at & 1 == 1 && input.same_memory(&output);
            if input.overlaps(&output) && !in_place && !(at == 0 && self.may_overlap(rule)) {
                return Err(Misfit::Alias(at as u8));
            }
        }
        let made = self.with_types(|types, _| (rule.output)(self.step.params(), types));
        if output.tensor_type() != made.ok_or(Misfit::Count)?? || output.layout() != Layout::Rows {
            return Err(Misfit::Shape(self.step.input_count() as u8));
        }
        Ok(())
    }

    /// Whether the output lies over input 0 as an operator that goes row by row stands it: far enough
    /// before or after it, and over no other input, which shares no memory with input 0 either.
    fn may_overlap(&self, rule: &OpRule) -> bool {
        let (Some(x), Some(y)) = (self.input(0), self.output()) else { return false };
        let others = self.step.inputs().skip(1).any(|other| other.overlaps(&x));
        let far = |rows: RowWise| rows.allows(x.offset(), y.offset());
        !others && x.place() == y.place() && self.row_wise(rule).is_some_and(far)
    }
}

fn dims<const N: usize>(shape: &Shape) -> Option<[usize; N]> {
    let dims: &[u32; N] = shape.dims().try_into().ok()?;
    Some(dims.map(|d| d as usize))
}
