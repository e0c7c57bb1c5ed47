//! Whether a step fits its operator, by the operator's rule alone: what [`OpRule::check`] has proved, kernels
//! rely on.

use crate::model::{Step, Tensor};
use crate::op::{MAX_INPUTS, Misfit, OpRule};
use crate::ops::Multiplier;
use crate::rows::RowWise;
use crate::shape::Shape;
use crate::tensor::{DType, Layout, Place, TensorType};

/// As many inputs as nearly all steps have.
const FEW: usize = 4;

const SCALAR: TensorType = TensorType { dtype: DType::U8, shape: Shape::SCALAR };

impl OpRule {
    /// Proves that a step has the output which the rule gives for its inputs and parameters; that nothing but
    /// weights is in another layout than `rows`, and these in none but those of [`packed`](Self::packed); that
    /// multipliers are constant and in their domain; that states are what the step writes after its first
    /// output, in their order; and that nothing it writes shares memory with another operand, but with inputs
    /// of [`in_place`](Self::in_place) all of it, and with input 0 as [`rows`](Self::rows) allows.
    ///
    /// # Errors
    /// The first operand that does not fit.
    pub fn check(&self, step: &Step<'_>) -> Result<(), Misfit> {
        if step.input_count() <= FEW {
            self.check_in(step, &mut [SCALAR; FEW])
        } else {
            self.check_in(step, &mut [SCALAR; MAX_INPUTS])
        }
    }

    /// `types` has room for those of all inputs.
    #[inline(never)]
    fn check_in(&self, step: &Step<'_>, types: &mut [TensorType]) -> Result<(), Misfit> {
        let states = usize::from(self.states);
        let first_state = step.input_count().checked_sub(states).ok_or(Misfit::Count)?;
        if step.output_count() != states.saturating_add(1) {
            return Err(Misfit::Count);
        }
        let output = step.output().ok_or(Misfit::Count)?;
        let y = output.tensor_type();
        let types = types_of(step, types).ok_or(Misfit::Count)?;
        for (at, input) in step.inputs().enumerate() {
            let packed =
                self.weights >> at & 1 == 1 && (self.packed)(step.params()).contains(&input.layout());
            if input.layout() != Layout::Rows && !packed {
                return Err(Misfit::Layout(at as u8));
            }
            let in_place = self.in_place >> at & 1 == 1 && input.same_memory(&output);
            let over = || at == 0 && self.may_overlap(step, types, &y, [&input, &output]);
            if input.overlaps(&output) && !in_place && !over() {
                return Err(Misfit::Alias(at as u8));
            }
        }
        if (self.output)(step.params(), types)? != y || output.layout() != Layout::Rows {
            return Err(Misfit::Shape(step.input_count() as u8));
        }
        for (at, updated) in (first_state..).zip(step.outputs().skip(1)) {
            check_state(step, at, updated)?;
        }
        match self.multipliers {
            Some(at) if !step.constant(at.into()).is_some_and(Multiplier::all_valid) => {
                Err(Misfit::Constant(at))
            }
            _ => Ok(()),
        }
    }

    /// Whether the output lies over input 0 as an operator that goes row by row stands it: far enough
    /// before or after it, and over no other input, which shares no memory with input 0 either.
    fn may_overlap(
        &self,
        step: &Step<'_>,
        types: &[TensorType],
        y: &TensorType,
        of: [&Tensor<'_>; 2],
    ) -> bool {
        let [x, output] = of;
        let others = step.inputs().skip(1).any(|other| other.overlaps(x));
        let rows = (self.rows)(step.params(), types, y);
        !others && x.place() == output.place() && rows.is_some_and(|r| r.allows(x.offset(), output.offset()))
    }

    /// How a step goes row by row, if it does.
    #[inline(never)]
    pub fn row_wise(&self, step: &Step<'_>) -> Option<RowWise> {
        // No operator that does has more inputs.
        let mut types = [SCALAR; FEW];
        (self.rows)(step.params(), types_of(step, &mut types)?, &step.output()?.tensor_type())
    }

    /// Number of rows of a step that goes row by row, and multiply-accumulates of one; of a step that
    /// multiplies nothing its elements.
    pub fn macs_of_rows(&self, step: &Step<'_>) -> Option<(u32, u32)> {
        let rows = self.row_wise(step)?;
        let rows = rows.images.saturating_mul(rows.y_rows);
        let mut types = [SCALAR; FEW];
        let output = step.output()?;
        let macs = (self.macs)(step.params(), types_of(step, &mut types)?, &output.tensor_type());
        let macs = u32::try_from(macs).unwrap_or(u32::MAX);
        Some((rows, macs.max(output.len()).checked_div(rows)?))
    }
}

/// The types of the inputs of a step, in `types`.
fn types_of<'t>(step: &Step<'_>, types: &'t mut [TensorType]) -> Option<&'t [TensorType]> {
    let types = types.get_mut(..step.input_count())?;
    for (to, input) in types.iter_mut().zip(step.inputs()) {
        *to = input.tensor_type();
    }
    Some(types)
}

/// Input `at` lies in the state memory, is the output `updated` too, and shares no memory with other inputs.
fn check_state(step: &Step<'_>, at: usize, updated: Tensor<'_>) -> Result<(), Misfit> {
    let misfit = Misfit::State(at as u8);
    let state = step.input(at).ok_or(misfit)?;
    if updated.number() != state.number() || state.place() != Place::State {
        return Err(misfit);
    }
    let mut others = step.inputs().enumerate().filter(|(other, _)| *other != at);
    match others.find(|(_, input)| input.overlaps(&state)) {
        Some((other, _)) => Err(Misfit::Alias(other as u8)),
        None => Ok(()),
    }
}
