//! The self-test: runs the goldens of a file and says where it first diverges.

use crate::math::half;
use crate::session::{RunError, Session};
use bytemuck::try_cast_slice;
use flatpack_format::{Case, CaseRecord, DType, ReceiptRecord, Tensor, crc32};

/// How a machine's results differ from the goldens of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Divergence {
    /// An element that a receipt shows.
    Element {
        /// Number of the golden case.
        case: u32,
        /// Number of the step.
        step: u32,
        /// Index of the element in the step's first output.
        element: u32,
        /// Its value here.
        got: f32,
        /// Its value in the receipt.
        want: f32,
    },
    /// The bytes of a step's first output, which should be the same on every machine.
    Digest {
        /// Number of the golden case.
        case: u32,
        /// Number of the step.
        step: u32,
    },
    /// The sum of all elements of a step's first output, or of their magnitudes.
    Sum {
        /// Number of the golden case.
        case: u32,
        /// Number of the step.
        step: u32,
        /// The sum here.
        got: f32,
        /// The sum in the receipt.
        want: f32,
    },
    /// An element of an output, where no step's receipt showed a difference.
    Output {
        /// Number of the golden case.
        case: u32,
        /// Number of the output.
        output: u32,
        /// Index of the element.
        element: u32,
        /// Its value here.
        got: f32,
        /// Its value in the golden.
        want: f32,
    },
    /// A byte of an output, where no step's receipt showed a difference. Only
    /// [`Session::check_exact_goldens`] tells it.
    OutputByte {
        /// Number of the golden case.
        case: u32,
        /// Number of the output.
        output: u32,
        /// Index of the byte.
        byte: u32,
    },
    /// A run stopped.
    Run(RunError),
}

flatpack_format::say! { Divergence:
    Self::Element { case, step, element, got, want } =>
        "golden {} first diverges at step {}: element {} is {}, should be {}", case, step, element, got, want;
    Self::Digest { case, step } =>
        "golden {} first diverges at step {}: its result is not the recorded one", case, step;
    Self::Sum { case, step, got, want } =>
        "golden {} first diverges at step {}: its elements sum to {}, should be {}", case, step, got, want;
    Self::Output { case, output, element, got, want } =>
        "golden {} diverges at output {}: element {} is {}, should be {}", case, output, element, got, want;
    Self::OutputByte { case, output, byte } =>
        "golden {} diverges at output {}: byte {} is not the predicted one", case, output, byte;
    Self::Run(error) => "{}", error;
}

impl core::error::Error for Divergence {}

/// What a self-test compared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Checked {
    /// Golden cases run.
    pub cases: u32,
    /// Receipts met.
    pub receipts: u32,
    /// Output elements compared.
    pub elements: u32,
    /// The largest difference of an output element.
    pub max_difference: f32,
}

impl Session<'_> {
    /// Runs every golden of the file and compares each step with its receipt and the outputs with
    /// the predictions. State is reset before each case and at the end.
    ///
    /// # Errors
    /// The first divergence.
    pub fn check_goldens(&mut self) -> Result<Checked, Divergence> {
        self.check_cases(meets, outputs_meet)
    }

    /// As [`Session::check_goldens`], for a file whose goldens are exact, as those of integers are: every
    /// byte counts, and no arithmetic of reals comes into the program. Of a file with other goldens, it
    /// says that they diverge.
    ///
    /// # Errors
    /// The first divergence.
    pub fn check_exact_goldens(&mut self) -> Result<Checked, Divergence> {
        self.check_cases(meets_exactly, outputs_meet_exactly)
    }

    #[inline(always)]
    fn check_cases(&mut self, meets: Meets, outputs_meet: OutputsMeet) -> Result<Checked, Divergence> {
        let mut checked = Checked::default();
        for (number, case) in self.model().cases().enumerate() {
            self.check_steps(number as u32, &case, meets, &mut checked)?;
            outputs_meet(self, number as u32, &case, &mut checked)?;
            checked.cases += 1;
        }
        self.reset();
        Ok(checked)
    }

    fn check_steps(
        &mut self,
        number: u32,
        case: &Case<'_>,
        meets: Meets,
        checked: &mut Checked,
    ) -> Result<(), Divergence> {
        self.reset();
        for (index, (_, values)) in case.inputs().enumerate() {
            let input = self.input_bytes(index).unwrap_or_default();
            input.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
        }
        let mut receipts = case.receipts().iter().peekable();
        for step in self.model().steps() {
            self.step().map_err(Divergence::Run)?;
            if let Some(receipt) = receipts.next_if(|receipt| receipt.step == step.number()) {
                let output = step.output();
                let values = output.and_then(|output| self.bytes(output).map(|bytes| (output, bytes)));
                if let Some((output, bytes)) = values {
                    meets(number, case.record(), receipt, output, bytes)?;
                    checked.receipts += 1;
                }
            }
        }
        Ok(())
    }
}

/// Compares what a step wrote with its receipt.
type Meets = fn(u32, &CaseRecord, &ReceiptRecord, Tensor<'_>, &[u8]) -> Result<(), Divergence>;

/// Compares the outputs with those of a case.
type OutputsMeet = fn(&Session<'_>, u32, &Case<'_>, &mut Checked) -> Result<(), Divergence>;

fn outputs_meet(
    session: &Session<'_>,
    number: u32,
    case: &Case<'_>,
    checked: &mut Checked,
) -> Result<(), Divergence> {
    for (index, (output, want)) in case.outputs().enumerate() {
        let got = session.output_bytes(index).unwrap_or_default();
        let largest = (0..output.len()).map(|i| magnitude(element(output, want, i))).fold(0.0, maximum);
        let tolerance = maximum(case.record().abs_tolerance, case.record().rel_tolerance * largest);
        for i in 0..output.len() {
            let (got, want) = (element(output, got, i), element(output, want, i));
            if !close(got, want, tolerance) {
                let (case, output) = (number, index as u32);
                return Err(Divergence::Output { case, output, element: i, got, want });
            }
            checked.elements = checked.elements.saturating_add(1);
            checked.max_difference = maximum(checked.max_difference, magnitude(got - want));
        }
    }
    Ok(())
}

fn outputs_meet_exactly(
    session: &Session<'_>,
    number: u32,
    case: &Case<'_>,
    checked: &mut Checked,
) -> Result<(), Divergence> {
    for (index, (output, want)) in case.outputs().enumerate() {
        let got = session.output_bytes(index).unwrap_or_default();
        if let Some(byte) = got.iter().zip(want).position(|(got, want)| got != want) {
            let (output, byte) = (index as u32, byte as u32);
            return Err(Divergence::OutputByte { case: number, output, byte });
        }
        checked.elements = checked.elements.saturating_add(output.len());
    }
    Ok(())
}

/// The one way to meet an exact receipt; no other receipt is met so.
fn meets_exactly(
    case: u32,
    _: &CaseRecord,
    receipt: &ReceiptRecord,
    _: Tensor<'_>,
    bytes: &[u8],
) -> Result<(), Divergence> {
    if receipt.exact == 1 && crc32(bytes) == receipt.crc32 {
        return Ok(());
    }
    Err(Divergence::Digest { case, step: receipt.step })
}

fn meets(
    case: u32,
    tolerances: &CaseRecord,
    receipt: &ReceiptRecord,
    output: Tensor<'_>,
    bytes: &[u8],
) -> Result<(), Divergence> {
    let tolerance =
        |scale: f32| maximum(tolerances.receipt_abs_tolerance, tolerances.receipt_rel_tolerance * scale);
    let step = receipt.step;
    if receipt.exact == 1 {
        return meets_exactly(case, tolerances, receipt, output, bytes);
    }
    for (&element_index, &want) in receipt.probe_index.iter().zip(&receipt.probe_value) {
        let got = element(output, bytes, element_index);
        if !close(got, want, tolerance(receipt.max_abs)) {
            return Err(Divergence::Element { case, step, element: element_index, got, want });
        }
    }
    let (sum, sum_abs) = sums(output, bytes);
    for (got, want) in [(sum, receipt.sum), (sum_abs, receipt.sum_abs)] {
        if !close(got, want, tolerance(receipt.sum_abs)) {
            return Err(Divergence::Sum { case, step, got, want });
        }
    }
    Ok(())
}

/// The sum of all elements and that of their magnitudes, added up in `f64` in the order of the
/// elements.
pub fn sums(tensor: Tensor<'_>, bytes: &[u8]) -> (f32, f32) {
    let (mut sum, mut sum_abs) = (0.0f64, 0.0f64);
    for index in 0..tensor.len() {
        let value = element(tensor, bytes, index);
        sum += f64::from(value);
        sum_abs += f64::from(magnitude(value));
    }
    (sum as f32, sum_abs as f32)
}

/// Element `index` of a tensor as a float; NaN past the end.
pub fn element(tensor: Tensor<'_>, bytes: &[u8], index: u32) -> f32 {
    let index = index as usize;
    match tensor.dtype() {
        DType::F32 => try_cast_slice(bytes).ok().and_then(|v: &[f32]| v.get(index).copied()),
        DType::I32 => try_cast_slice(bytes).ok().and_then(|v: &[i32]| v.get(index).map(|&v| v as f32)),
        DType::I16 => try_cast_slice(bytes).ok().and_then(|v: &[i16]| v.get(index).map(|&v| v.into())),
        DType::I8 => bytes.get(index).map(|&v| (v as i8).into()),
        DType::U8 | DType::Bool => bytes.get(index).map(|&v| v.into()),
        DType::F16 => try_cast_slice(bytes).ok().and_then(|v: &[u16]| v.get(index).map(|&v| half(v))),
    }
    .unwrap_or(f32::NAN)
}

/// Equal bits (so that infinities and NaNs meet themselves), or a difference within `tolerance`.
fn close(got: f32, want: f32, tolerance: f32) -> bool {
    magnitude(got - want) <= tolerance || got == want || (got.is_nan() && want.is_nan())
}

fn magnitude(v: f32) -> f32 {
    f32::from_bits(v.to_bits() & 0x7fff_ffff)
}

/// The larger of the two; the first where they cannot be compared.
fn maximum(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}
