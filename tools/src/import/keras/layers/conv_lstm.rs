//! LSTMs whose products are convolutions, written out time step by time step.

use flatpack_format::OpCode;

use super::activation;
use super::conv::convolution;
use super::merging::concatenated;
use super::recurrent::{Given, Results};
use super::reshaping::Slice;
use super::spatial::{Padding, Window, channels_first};
use crate::graph::{Data, TensorId};
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, Weights, size_of_layer};
use crate::import::keras::network::{Layer, Weight};
use crate::import::keras::version::Dialect;

/// The most time steps: each becomes about 17 operators.
const MAX_STEPS: u32 = 1 << 10;

/// A layer over a sequence of images of `N` axes, such as [`super::recurrent`] has.
pub(super) type Walk = fn(&mut Lowering, &Layer, &Given, bool, bool) -> Result<Results, Fault>;

/// How a layer of this class walks over a sequence, if it is a convolutional LSTM.
pub(super) fn walk_of(class: &str) -> Option<Walk> {
    match class {
        "ConvLSTM1D" => Some(walked::<1>),
        "ConvLSTM2D" => Some(walked::<2>),
        "ConvLSTM3D" => Some(walked::<3>),
        _ => None,
    }
}

/// A sequence `[batch, time, image…, channels]`; the states are images of `filters` channels.
fn walked<const N: usize>(
    low: &mut Lowering,
    layer: &Layer,
    given: &Given,
    zeroed: bool,
    turned: bool,
) -> Result<Results, Fault> {
    let flag = |key: &str| layer.config.bool_or(key, false);
    let (sequences, backwards) = (flag("return_sequences")?, flag("go_backwards")?);
    let order = Order::of(layer)?;
    let x = order.channels_last(low, given.x, 2)?;
    let dims = low.dims(x);
    let (&[batch, steps, ..], true) = (dims.as_slice(), dims.len() == N + 3) else {
        return Err(Fault::Unexpected {
            place: "the call".into(),
            found: format!("a tensor of shape {dims:?}"),
            expected: format!("batch, time steps, channels and {N} more axes"),
        });
    };
    if let Some(mask) =
        given.mask.map(|mask| low.dims(mask)).filter(|mask| !mask.starts_with(&[batch, steps]))
    {
        return Err(Fault::Unexpected {
            place: "the mask".into(),
            found: format!("one of shape {mask:?}"),
            expected: format!("one for {batch} samples and {steps} time steps"),
        });
    }
    if steps > MAX_STEPS {
        return Err(Fault::Unsupported {
            what: format!("a sequence of {steps} images, of which each is written out,"),
            remedy: format!(
                "build the model with `stateful=True` over at most {MAX_STEPS} time steps, copy the weights \
                 with `set_weights`, and run it for one part of the sequence after the other"
            ),
        });
    }
    let cell = Cell::<N>::of(layer, dims[N + 2])?;
    let mut states = match given.states[..] {
        [h, c] => Some([order.channels_last(low, h, 1)?, order.channels_last(low, c, 1)?]),
        _ => None,
    };
    // Keras 2 pays no heed to it in this layer.
    let zeroed = zeroed && low.dialect == Dialect::Keras3;
    let kept = states.is_none() && flag("stateful")?;
    let mut kept_states = None;
    let mut y = None;
    let mut outputs = Vec::new();
    for step in 0..steps {
        let step = if backwards { steps - 1 - step } else { step };
        let image = moment(low, x, step)?;
        let gates = cell.of_input(low, image)?;
        if kept && kept_states.is_none() {
            kept_states = Some(cell.kept(low, gates));
            states = kept_states;
        }
        let [mut h, mut c] = cell.step(low, gates, states)?;
        let mut output = h;
        if let Some(mask) = given.mask {
            let mask = moment(low, mask, step)?;
            let mask = order.mask(low, mask, N + 2)?;
            let [h_before, c_before] = states.map_or([None; 2], |states| states.map(Some));
            output = chosen(low, mask, h, y.filter(|_| !zeroed))?;
            h = if !zeroed && y == h_before { output } else { chosen(low, mask, h, h_before)? };
            c = chosen(low, mask, c, c_before)?;
        }
        (states, y) = (Some([h, c]), Some(output));
        outputs.push(output);
    }
    let (Some(last), Some(states)) = (y, states) else {
        return Err(Fault::Unexpected {
            place: "the call".into(),
            found: "no time steps".into(),
            expected: "one or more".into(),
        });
    };
    for (kept, next) in kept_states.into_iter().flatten().zip(states) {
        let state = low.graph.states.iter_mut().find(|state| state.value == kept);
        if let Some(state) = state {
            state.next = Some(next);
        }
    }
    let y = if sequences {
        if turned {
            outputs.reverse();
        }
        let sequence = stacked(low, &outputs)?;
        order.back(low, sequence, 2)?
    } else {
        order.back(low, last, 1)?
    };
    let mut results = Results { y, states: Vec::new() };
    if flag("return_state")? {
        for state in states {
            results.states.push(order.back(low, state, 1)?);
        }
    }
    Ok(results)
}

/// The part of `x` at one position of its second axis, which is left out.
fn moment(low: &mut Lowering, x: TensorId, step: u32) -> Result<TensorId, Fault> {
    let mut slice = Slice::of(low, x);
    (slice.begin[1], slice.size[1]) = (step, 1);
    let part = slice.take(low, x)?;
    let mut dims = low.dims(part);
    dims.remove(1);
    low.reshape(part, &dims)
}

/// Tensors of one shape along a new second axis.
fn stacked(low: &mut Lowering, moments: &[TensorId]) -> Result<TensorId, Fault> {
    let mut parts = Vec::new();
    for &moment in moments {
        let mut dims = low.dims(moment);
        dims.insert(1, 1);
        parts.push(low.reshape(moment, &dims)?);
    }
    concatenated(low, &parts, 1)
}

/// `new` where the mask has ones, else `before`, or zeros.
fn chosen(
    low: &mut Lowering,
    mask: TensorId,
    new: TensorId,
    before: Option<TensorId>,
) -> Result<TensorId, Fault> {
    let (of_mask, of_new) = (low.graph.dims(mask), low.graph.dims(new));
    let fits = |(mask, new): (&u32, &u32)| *mask == 1 || mask == new;
    if of_mask.len() != of_new.len() || !of_mask.iter().zip(of_new).all(fits) {
        return Err(Fault::Unexpected {
            place: "the mask".into(),
            found: format!("one of shape {of_mask:?} for a time step"),
            expected: format!("one that broadcasts to {of_new:?}"),
        });
    }
    let before = before.unwrap_or_else(|| low.scalar(0.0));
    low.node(OpCode::Select, (), &[mask, new, before])
}

/// Where a layer has the channels of its tensors; operators have them last.
#[derive(Clone, Copy)]
struct Order {
    channels_first: bool,
}

impl Order {
    fn of(layer: &Layer) -> Result<Self, Fault> {
        let channels_first = channels_first(layer)?;
        let along_axis = ["activation", "recurrent_activation"]
            .into_iter()
            .find(|key| !activation::is_elementwise(&layer.config, key));
        match along_axis.filter(|_| channels_first) {
            None => Ok(Self { channels_first }),
            Some(key) => Err(Fault::Unsupported {
                what: format!("an `{key}` along the last axis where channels come first"),
                remedy: "build the model with `data_format=\"channels_last\"`".into(),
            }),
        }
    }

    /// A tensor whose channels, if first, are axis `axis`, with the channels last.
    fn channels_last(self, low: &mut Lowering, x: TensorId, axis: usize) -> Result<TensorId, Fault> {
        let rank = low.graph.dims(x).len();
        if !self.channels_first || axis >= rank {
            return Ok(x);
        }
        let order: Vec<usize> = (0..axis).chain(axis + 1..rank).chain([axis]).collect();
        low.transpose(x, &order)
    }

    /// The opposite.
    fn back(self, low: &mut Lowering, x: TensorId, axis: usize) -> Result<TensorId, Fault> {
        let last = low.graph.dims(x).len() - 1;
        if !self.channels_first {
            return Ok(x);
        }
        let order: Vec<usize> = (0..axis).chain([last]).chain(axis..last).collect();
        low.transpose(x, &order)
    }

    /// The mask of a time step: of samples, or of each position. Missing axes are the last.
    fn mask(self, low: &mut Lowering, mask: TensorId, rank: usize) -> Result<TensorId, Fault> {
        let mut dims = low.dims(mask);
        dims.resize(rank.max(dims.len()), 1);
        let mask = low.reshape(mask, &dims)?;
        self.channels_last(low, mask, 1)
    }
}

/// What one time step computes:
/// `c' = f · c + i · activation(g)`, `h' = o · activation(c')`, where i, f, g and o are, side by side, a
/// convolution of the input plus one of h, and of i, f and o the recurrent activation.
struct Cell<'a, const N: usize> {
    layer: &'a Layer,
    filters: u32,
    /// The channels of all gates.
    gates: u32,
    window: Window<N>,
    kernel: &'a Weight,
    recurrent: &'a Weight,
    bias: Option<&'a Weight>,
}

impl<'a, const N: usize> Cell<'a, N> {
    fn of(layer: &'a Layer, channels: u32) -> Result<Self, Fault> {
        let window = Window::<N>::of_convolution(layer)?;
        let filters = size_of_layer(layer, "filters")?;
        let gates = filters.saturating_mul(4);
        let mut weights = Weights::of(layer);
        let kernel = weights.take("kernel", &[&window.size[..], &[channels, gates]].concat())?;
        let recurrent = weights.take("recurrent kernel", &[&window.size[..], &[filters, gates]].concat())?;
        let bias = weights.take_if(layer.config.bool_or("use_bias", true)?, "bias", &[gates])?;
        weights.end()?;
        Ok(Self { layer, filters, gates, window, kernel, recurrent, bias })
    }

    /// The gates of an image, as far as they do not depend on the states.
    fn of_input(&self, low: &mut Lowering, image: TensorId) -> Result<TensorId, Fault> {
        convolution(low, image, &self.window, 1, self.gates, self.kernel, self.bias)
    }

    /// States that a run finds as the run before left them, zeros at first, for gates of this shape.
    fn kept(&self, low: &mut Lowering, gates: TensorId) -> [TensorId; 2] {
        let mut dims = low.dims(gates);
        dims.pop();
        dims.push(self.filters);
        ["hidden", "cell"].map(|state| {
            let zeros = vec![0.0; dims.iter().product::<u32>() as usize];
            let name = format!("{} {state}", low.layer_path());
            low.graph.add_state(&name, &dims, Data::F32(zeros.into()), None)
        })
    }

    /// The next values of the states h and c; `None` stands for zeros.
    fn step(
        &self,
        low: &mut Lowering,
        gates: TensorId,
        states: Option<[TensorId; 2]>,
    ) -> Result<[TensorId; 2], Fault> {
        let gates = match states {
            Some([h, _]) => {
                let (stride, dilation, padding) = ([1; N], [1; N], Padding::Same);
                let window = Window { stride, dilation, padding, ..self.window };
                let of_h = convolution(low, h, &window, 1, self.gates, self.recurrent, None)?;
                low.binary(OpCode::Add, gates, of_h)?
            }
            None => gates,
        };
        let i = self.gate(low, gates, 0, "recurrent_activation")?;
        let g = self.gate(low, gates, 2, "activation")?;
        let mut c = low.binary(OpCode::Mul, i, g)?;
        if let Some([_, before]) = states {
            let f = self.gate(low, gates, 1, "recurrent_activation")?;
            let held = low.binary(OpCode::Mul, f, before)?;
            c = low.binary(OpCode::Add, held, c)?;
        }
        let o = self.gate(low, gates, 3, "recurrent_activation")?;
        let of_c = activation::of_argument(low, &self.layer.config, "activation", c)?;
        Ok([low.binary(OpCode::Mul, o, of_c)?, c])
    }

    /// The gate at this position, with its activation.
    fn gate(&self, low: &mut Lowering, gates: TensorId, at: u32, key: &str) -> Result<TensorId, Fault> {
        let mut slice = Slice::of(low, gates);
        let channels = slice.size.len() - 1;
        (slice.begin[channels], slice.size[channels]) = (at * self.filters, self.filters);
        let gate = slice.take(low, gates)?;
        activation::of_argument(low, &self.layer.config, key, gate)
    }
}
