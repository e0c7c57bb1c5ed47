//! What the recurrent operators on float32 have in common: how they walk over the moments of a sequence,
//! and which functions they apply.
//!
//! Operands are x `[N, T, I]` or `[T, N, I]`, w `[G, S, I]`, recurrent `[G, S, S]`, bias `[B, S]`, then a mask
//! with the first two axes of x and the first values of the states, where the record says so, then the
//! states, which begin with hidden → y, see `Recurrence::output`.

use crate::op::Misfit;
use crate::shape::Shape;
use crate::tensor::{DType, TensorType};
use bytemuck::{Pod, Zeroable};

macro_rules! activations {
    ($($number:literal = $name:ident, $formula:literal;)*) => {
        /// A function of one element, by number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Activation { $(#[doc = $formula] $name = $number,)* }

        impl Activation {
            /// All, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The function with this number, if there is one.
            pub const fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

activations! {
    0 = Linear, "`x`";
    1 = Logistic, "`1 / (1 + e⁻ˣ)`";
    2 = Tanh, "`tanh(x)`";
    3 = Relu, "`max(x, 0)`";
    4 = Relu6, "`min(max(x, 0), 6)`";
    5 = HardTanh, "`min(max(x, −1), 1)`";
    6 = HardSigmoid, "`min(max(x / 6 + 0.5, 0), 1)`";
    7 = SteepHardSigmoid, "`min(max(0.2 x + 0.5, 0), 1)`";
    8 = LeakyRelu, "`x` where x > 0, else `0.2 x`";
    9 = Elu, "`x` where x > 0, else `eˣ − 1`";
    10 = Selu, "as operator `selu`";
    11 = Exp, "`eˣ`";
    12 = Softplus, "`ln(1 + eˣ)`";
    13 = Softsign, "`x / (1 + |x|)`";
    14 = Swish, "`x / (1 + e⁻ˣ)`";
    15 = HardSwish, "`x · min(max(x + 3, 0), 6) / 6`";
    16 = Gelu, "`x / 2 · (1 + erf(x / √2))`";
    17 = Mish, "`x · tanh(ln(1 + eˣ))`";
}

/// The states begin with what the run before left.
pub const KEPT: u32 = 0;
/// The states begin with zeros in each run.
pub const ZEROS: u32 = 1;
/// The states begin with operands in each run.
pub const GIVEN: u32 = 2;

/// There is no mask.
pub const UNMASKED: u32 = 0;
/// Where the mask is 0, the output is that of the moment before, at the first moment 0.
pub const REPEATED: u32 = 1;
/// Where the mask is 0, the output is 0.
pub const ZEROED: u32 = 2;

/// Where the mask is 0, the output is the hidden state.
pub const HELD: u32 = 3;

/// What the recurrent operators have in common: 32 bytes.
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq, Eq)]
#[repr(C)]
pub struct Recurrence {
    /// 1 if x is `[T, N, I]`, 0 if it is `[N, T, I]`; likewise y and the mask.
    pub time_major: u32,
    /// 1 if the moments are walked from the last to the first.
    pub backwards: u32,
    /// What the states begin with: [`KEPT`], [`ZEROS`] or [`GIVEN`].
    pub start: u32,
    /// 1 if y has the output of the last moment of the walk alone, 0 if it has that of each moment.
    pub last_only: u32,
    /// 1 if y has the states after the walk behind its outputs, each as one more moment.
    pub states_after: u32,
    /// What y has where the mask is 0, where the states stay as they are: [`UNMASKED`], [`REPEATED`],
    /// [`ZEROED`] or [`HELD`].
    pub mask: u32,
    /// The function of what is new; see [`Activation`].
    pub activation: u32,
    /// The function of gates.
    pub gate_activation: u32,
}

/// The inputs that are weights: w and recurrent.
pub(crate) const WEIGHTS: u32 = 0b110;

/// How an operator is made of gates and states.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) gates: u32,
    /// Rows of the bias.
    pub(crate) biases: u32,
    /// For each state, how many rows of `S` elements it has.
    pub(crate) states: &'a [u32],
}

impl Recurrence {
    /// A walk from the first moment to the last without a mask, which goes on where the one before ended, and
    /// gives the outputs of all moments.
    pub const PLAIN: Self = Self {
        time_major: 0,
        backwards: 0,
        start: KEPT,
        last_only: 0,
        states_after: 0,
        mask: UNMASKED,
        activation: Activation::Tanh as u32,
        gate_activation: Activation::Logistic as u32,
    };

    /// How many operands there are besides those of the states.
    fn count(&self, states: usize) -> usize {
        4 + usize::from(self.mask != UNMASKED) + if self.start == GIVEN { states } else { 0 }
    }

    /// The number of the mask operand.
    pub fn mask_at(&self) -> Option<usize> {
        (self.mask != UNMASKED).then_some(4)
    }

    /// The number of the operand that a state begins with.
    pub fn first_value_at(&self, state: usize) -> Option<usize> {
        (self.start == GIVEN).then(|| 4 + usize::from(self.mask != UNMASKED) + state)
    }

    /// The number of the operand that is this state, of so many.
    pub fn state_at(&self, state: usize, states: usize) -> usize {
        self.count(states) + state
    }

    /// The type of y where w and recurrent are of type `dtype`; of 8-bit integers, their scales are rows behind the
    /// bias. `[N, T, S]`, with `last_only` `[N, S]`; with `states_after` as many more moments as there are
    /// states, and one for the last output. With `time_major`, the first two of three axes change places.
    ///
    /// # Errors
    /// The first operand or parameter that does not fit.
    pub(crate) fn output(
        &self,
        cell: Cell<'_>,
        inputs: &[TensorType],
        dtype: DType,
    ) -> Result<TensorType, Misfit> {
        let flags = [self.time_major, self.backwards, self.last_only, self.states_after];
        let functions = [self.activation, self.gate_activation].map(Activation::from_number);
        if flags.iter().any(|&flag| flag > 1)
            || self.start > GIVEN
            || self.mask > HELD
            || functions.iter().any(Option::is_none)
        {
            return Err(Misfit::Params);
        }
        let states = cell.states.len();
        let before = self.count(states);
        if inputs.len() != before + states {
            return Err(Misfit::Count);
        }
        let expected = |at: usize| if at == 1 || at == 2 { dtype } else { DType::F32 };
        if let Some((at, _)) = inputs.iter().enumerate().find(|(at, input)| input.dtype != expected(*at)) {
            return Err(Misfit::DType(at as u8));
        }
        let (operands, rest) = inputs.split_at_checked(4).ok_or(Misfit::Count)?;
        let &[x, w, recurrent, bias] = operands else { return Err(Misfit::Count) };
        let [x, w, recurrent, bias] = [x, w, recurrent, bias].map(|input| input.shape);
        let Extents { batch, time, units } = extents(self.time_major, cell.gates, [x, w, recurrent])?;
        let scales = if dtype == DType::I8 { 2 * cell.gates } else { 0 };
        if bias.dims() != [cell.biases + scales, units] {
            return Err(Misfit::Shape(3));
        }
        for (at, input) in (4..).zip(rest) {
            let dims = input.shape.dims();
            let fits = if self.mask_at() == Some(at) {
                dims == [x.dim(0), x.dim(1)]
            } else if at < before {
                dims == [batch, units]
            } else {
                match cell.states.get(at - before) {
                    Some(1) => dims == [batch, units],
                    Some(&rows) => dims == [batch, rows, units],
                    None => false,
                }
            };
            if !fits {
                return Err(Misfit::Shape(at as u8));
            }
        }
        let outputs = if self.last_only == 1 { 1 } else { time };
        let shape = match (self.last_only, self.states_after) {
            (1, 0) => Shape::new(&[batch, units]),
            (_, after) => {
                let rows = outputs.checked_add(after * states as u32).ok_or(Misfit::Overflow)?;
                let [first, second] = if self.time_major == 1 { [rows, batch] } else { [batch, rows] };
                Shape::new(&[first, second, units])
            }
        };
        shape.map(TensorType::f32).ok_or(Misfit::Overflow)
    }
}

/// The extents of a sequence.
pub(crate) struct Extents {
    pub(crate) batch: u32,
    pub(crate) time: u32,
    pub(crate) units: u32,
}

/// The extents that x, w and recurrent of so many gates have in common.
pub(crate) fn extents(time_major: u32, gates: u32, [x, w, recurrent]: [Shape; 3]) -> Result<Extents, Misfit> {
    let &[first, second, inputs] = x.dims() else { return Err(Misfit::Rank(0)) };
    let &[of_w, units, depth] = w.dims() else { return Err(Misfit::Rank(1)) };
    let (batch, time) = match time_major {
        0 => (first, second),
        1 => (second, first),
        _ => return Err(Misfit::Params),
    };
    if of_w != gates || depth != inputs {
        return Err(Misfit::Shape(1));
    }
    if recurrent.dims() != [gates, units, units] {
        return Err(Misfit::Shape(2));
    }
    Ok(Extents { batch, time, units })
}

/// The products of all moments: each multiplies w with x and recurrent with what was.
pub(crate) fn macs(_: &[u8], inputs: &[TensorType], _: &TensorType) -> u64 {
    let len = |at: usize| inputs.get(at).and_then(|t| t.shape.len()).map_or(0, u64::from);
    let moments = inputs.first().map_or(0, |x| u64::from(x.shape.dim(0)) * u64::from(x.shape.dim(1)));
    moments.saturating_mul(len(1).saturating_add(len(2)))
}
