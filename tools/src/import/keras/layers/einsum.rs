//! Sums of products in Einstein's notation, such as `abc,cde->abde`, as products of matrices.

use flatpack_format::OpCode;
use flatpack_format::ops::batch_matmul::BatchMatmulParams;
use flatpack_format::ops::{Clamp, fully_connected::FullyConnectedParams};

use super::operation::{over, wrong};
use super::{Lower, activation};
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::lower::{Lowering, Weights, dims_of};
use crate::import::keras::network::{Layer, Weight};

pub(super) const LAYERS: &[(&str, Lower)] = &[("EinsumDense", Lower::Map(einsum_dense))];

/// A tensor and a label for each of its axes.
#[derive(Clone)]
struct Labelled {
    x: TensorId,
    labels: Vec<char>,
}

/// The labels of the operands and of the result.
struct Equation {
    operands: Vec<Vec<char>>,
    result: Vec<char>,
}

impl Equation {
    /// Reads an equation for operands of these ranks. The axes that `...` stands for get labels of their own,
    /// lined up at the last one.
    fn parse(text: &str, ranks: &[usize]) -> Result<Self, Fault> {
        let invalid = |expected: &str| wrong("the equation", format!("{text:?}"), expected);
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() {
            return Err(invalid(&format!("one for {} operands", ranks.len())));
        }
        let open = |term: &str, rank: usize| match term.matches("...").count() {
            0 if term.len() == rank => Some(0),
            1 => rank.checked_sub(term.len() - 3),
            _ => None,
        };
        let open: Option<Vec<usize>> =
            terms.iter().zip(ranks).map(|(term, &rank)| open(term, rank)).collect();
        let open = open.ok_or_else(|| invalid("a label for each axis"))?;
        let most = open.iter().copied().max().unwrap_or(0);
        let spelled = |term: &str, open: usize| -> Option<Vec<char>> {
            let letters = |part: &str| -> Option<Vec<char>> {
                part.chars().map(|c| Some(c).filter(char::is_ascii_alphabetic)).collect()
            };
            let Some((before, after)) = term.split_once("...") else { return letters(term) };
            let hidden = (most - open..most).map(|at| char::from(b'0' + at as u8));
            Some(letters(before)?.into_iter().chain(hidden).chain(letters(after)?).collect())
        };
        let operands: Option<Vec<Vec<char>>> =
            terms.iter().zip(&open).map(|(term, &open)| spelled(term, open)).collect();
        let operands = operands.ok_or_else(|| invalid("letters as labels"))?;
        let all: Vec<char> = operands.iter().flatten().copied().collect();
        let result = match right {
            Some(right) => spelled(right, most).ok_or_else(|| invalid("letters as labels"))?,
            None => {
                let mut once: Vec<char> = all
                    .iter()
                    .copied()
                    .filter(|label| all.iter().filter(|l| *l == label).count() == 1)
                    .collect();
                // Digits, the labels of `...`, come first.
                once.extend((0..most).map(|at| char::from(b'0' + at as u8)));
                once.sort_unstable();
                once.dedup();
                once
            }
        };
        if operands.iter().chain([&result]).any(|labels| has_twice(labels)) {
            return Err(Fault::Unsupported {
                what: format!("a label that is twice in one operand of {text:?}"),
                remedy: "take the diagonal before the model".into(),
            });
        }
        if result.iter().any(|label| !all.contains(label)) {
            return Err(invalid("a result of labels that operands have"));
        }
        Ok(Self { operands, result })
    }
}

fn has_twice(labels: &[char]) -> bool {
    labels.iter().enumerate().any(|(at, label)| labels[..at].contains(label))
}

fn without(labels: &[char], others: &[char]) -> Vec<char> {
    labels.iter().copied().filter(|label| !others.contains(label)).collect()
}

fn common(labels: &[char], others: &[char]) -> Vec<char> {
    labels.iter().copied().filter(|label| others.contains(label)).collect()
}

impl Labelled {
    fn extent(&self, low: &Lowering, label: char) -> u32 {
        let at = self.labels.iter().position(|&own| own == label);
        at.map_or(1, |at| low.graph.dims(self.x)[at])
    }

    fn extents(&self, low: &Lowering, labels: &[char]) -> Vec<u32> {
        labels.iter().map(|&label| self.extent(low, label)).collect()
    }

    /// The same with its axes in this order.
    fn ordered(self, low: &mut Lowering, labels: &[char]) -> Result<Self, Fault> {
        let at = |label: &char| self.labels.iter().position(|own| own == label).unwrap_or(0);
        let order: Vec<usize> = labels.iter().map(at).collect();
        Ok(Self { x: low.transpose(self.x, &order)?, labels: labels.to_vec() })
    }

    /// Sums over the axes with other labels than these.
    fn summed(self, low: &mut Lowering, kept: &[char]) -> Result<Self, Fault> {
        let axes: Vec<usize> =
            (0..self.labels.len()).filter(|&at| !kept.contains(&self.labels[at])).collect();
        let x = over(low, OpCode::Sum, self.x, &axes, false)?;
        Ok(Self { x, labels: common(&self.labels, kept) })
    }

    /// Without the axes of length 1 that are longer in `other`: they repeat there.
    fn unrepeated(self, low: &mut Lowering, other: &Self) -> Result<Self, Fault> {
        let repeats = |&label: &char| self.extent(low, label) == 1 && other.extent(low, label) > 1;
        let labels: Vec<char> = self.labels.iter().copied().filter(|label| !repeats(label)).collect();
        let dims = self.extents(low, &labels);
        Ok(Self { x: low.reshape(self.x, &dims)?, labels })
    }
}

/// The result of an equation.
pub(super) fn einsum(low: &mut Lowering, equation: &str, operands: &[TensorId]) -> Result<TensorId, Fault> {
    let ranks: Vec<usize> = operands.iter().map(|&x| low.graph.dims(x).len()).collect();
    let Equation { operands: labels, result } = Equation::parse(equation, &ranks)?;
    let mut rest: Vec<Labelled> =
        operands.iter().zip(labels).map(|(&x, labels)| Labelled { x, labels }).collect();
    rest.reverse();
    let mut y = rest.pop().ok_or_else(|| wrong("the call", "no tensor", "one"))?;
    while let Some(next) = rest.pop() {
        let later: Vec<char> =
            rest.iter().flat_map(|operand| &operand.labels).chain(&result).copied().collect();
        y = product(low, y, next, &later)?;
    }
    let y = y.summed(low, &result)?;
    Ok(y.ordered(low, &result)?.x)
}

/// The products of two tensors, summed over the labels that are not `kept`. Labels come in the order: of both,
/// of `a` alone, of `b` alone.
fn product(low: &mut Lowering, a: Labelled, b: Labelled, kept: &[char]) -> Result<Labelled, Fault> {
    let a = a.unrepeated(low, &b)?;
    let b = b.unrepeated(low, &a)?;
    let a_kept = [kept, &b.labels].concat();
    let a = a.summed(low, &a_kept)?;
    let b_kept = [kept, &a.labels].concat();
    let b = b.summed(low, &b_kept)?;
    let both = common(&a.labels, &b.labels);
    let (batch, summed) = (common(&both, kept), without(&both, kept));
    let (rows, columns) = (without(&a.labels, &both), without(&b.labels, &both));
    let (batch_dims, row_dims) = (a.extents(low, &batch), a.extents(low, &rows));
    let (depth_dims, column_dims) = (a.extents(low, &summed), b.extents(low, &columns));
    if let Some(&label) = both.iter().find(|&&label| a.extent(low, label) != b.extent(low, label)) {
        let extents = [a.extent(low, label), b.extent(low, label)];
        return Err(wrong("the equation", format!("extents {extents:?} with one label"), "equal ones"));
    }
    let labels = [&batch[..], &rows, &columns].concat();
    let dims = [&batch_dims[..], &row_dims, &column_dims].concat();
    let a = a.ordered(low, &[&batch[..], &rows, &summed].concat())?;
    if summed.is_empty() {
        let b = b.ordered(low, &[&batch[..], &columns].concat())?;
        let a = low.reshape(a.x, &[&batch_dims[..], &row_dims, &vec![1; columns.len()]].concat())?;
        let b = low.reshape(b.x, &[&batch_dims[..], &vec![1; rows.len()], &column_dims].concat())?;
        return Ok(Labelled { x: low.binary(OpCode::Mul, a, b)?, labels });
    }
    let batch_len: Vec<u32> = if batch.is_empty() { vec![] } else { vec![batch_dims.iter().product()] };
    let [row_len, depth_len, column_len] =
        [&row_dims, &depth_dims, &column_dims].map(|dims| dims.iter().product::<u32>());
    // The order that needs no transposition, if one does.
    let as_it_is = [&batch[..], &summed, &columns].concat() == b.labels;
    let (order, matrix) = if as_it_is {
        (b.labels.clone(), [depth_len, column_len])
    } else {
        ([&batch[..], &columns, &summed].concat(), [column_len, depth_len])
    };
    let b = b.ordered(low, &order)?;
    let a = low.reshape(a.x, &[&batch_len[..], &[row_len, depth_len]].concat())?;
    let b = low.reshape(b.x, &[&batch_len[..], &matrix].concat())?;
    let params = BatchMatmulParams { transpose_b: u32::from(!as_it_is) };
    let y = low.node(OpCode::BatchMatmul, params, &[a, b])?;
    Ok(Labelled { x: low.reshape(y, &dims)?, labels })
}

/// Einstein's sum of the input and a kernel, a bias and an activation.
fn einsum_dense(low: &mut Lowering, layer: &Layer, x: TensorId) -> Result<TensorId, Fault> {
    let mut weights = Weights::of(layer);
    let kernel = weights.take_any("kernel")?;
    let bias_axes = layer.config.get("bias_axes").map(|_| layer.config.str("bias_axes")).transpose()?;
    let bias = bias_axes.map(|_| weights.take_any("bias")).transpose()?;
    weights.end()?;
    let ranks = [low.graph.dims(x).len(), kernel.array.shape.len()];
    let equation = Equation::parse(layer.config.str("equation")?, &ranks)?;
    let fused = bias_axes.zip(bias).filter(|(axes, bias)| is_of_columns(&equation, axes, bias, kernel));
    let y = match fully_connected(low, &equation, x, kernel, fused.map(|(_, bias)| bias))? {
        Some(y) if fused.is_some() => y,
        made => {
            let y = match made {
                Some(y) => y,
                None => {
                    let kernel = low.weight(kernel)?;
                    einsum(low, layer.config.str("equation")?, &[x, kernel])?
                }
            };
            match bias {
                Some(bias) => with_bias(low, y, bias)?,
                None => y,
            }
        }
    };
    activation::of_layer(low, layer, y)
}

fn with_bias(low: &mut Lowering, y: TensorId, bias: &Weight) -> Result<TensorId, Fault> {
    let bias = low.weight(bias)?;
    let sum = low.binary(OpCode::Add, y, bias)?;
    if low.graph.dims(sum) == low.graph.dims(y) {
        return Ok(sum);
    }
    Err(Fault::Weights {
        found: format!("a bias of shape {:?}", low.graph.dims(bias)),
        expected: format!("one that broadcasts to {:?}", low.graph.dims(y)),
    })
}

/// The labels of the kernel that the input lacks, in the order of the result.
fn columns(equation: &Equation) -> Vec<char> {
    without(&common(&equation.result, &equation.operands[1]), &equation.operands[0])
}

/// Whether the bias has one element for each position along the kernel's own axes, in the order of the result.
fn is_of_columns(equation: &Equation, bias_axes: &str, bias: &Weight, kernel: &Weight) -> bool {
    let columns = columns(equation);
    let own = |label: &char| {
        let at = equation.operands[1].iter().position(|other| other == label);
        at.map_or(1, |at| kernel.array.shape[at])
    };
    bias_axes.chars().count() == columns.len()
        && bias_axes.chars().all(|axis| columns.contains(&axis))
        && bias.array.len() == columns.iter().map(own).product::<usize>()
}

/// The equation as a fully connected layer; `None` where each position along some axis has a kernel of its own.
fn fully_connected(
    low: &mut Lowering,
    equation: &Equation,
    x: TensorId,
    kernel: &Weight,
    bias: Option<&Weight>,
) -> Result<Option<TensorId>, Fault> {
    let [of_x, of_kernel] = &equation.operands[..] else { return Ok(None) };
    let columns = columns(equation);
    let summed = without(&common(of_x, of_kernel), &equation.result);
    if summed.is_empty() || columns.len() + summed.len() != of_kernel.len() {
        return Ok(None);
    }
    let kernel_dims = dims_of(&kernel.array.shape)?;
    let at = |label: &char| of_kernel.iter().position(|own| own == label).unwrap_or(0);
    let axes: Vec<usize> = columns.iter().chain(&summed).map(at).collect();
    let extents = |labels: &[char]| labels.iter().map(|label| kernel_dims[at(label)]).collect::<Vec<_>>();
    let (column_dims, depth_dims) = (extents(&columns), extents(&summed));
    let x = Labelled { x, labels: of_x.clone() };
    if x.extents(low, &summed) != depth_dims {
        return Err(Fault::Weights {
            found: format!("a kernel of shape {kernel_dims:?}"),
            expected: format!("one that fits a tensor of shape {:?}", low.graph.dims(x.x)),
        });
    }
    let kept = [&equation.result[..], &summed].concat();
    let x = x.summed(low, &kept)?;
    let rows = without(&x.labels, &summed);
    let row_dims = x.extents(low, &rows);
    let x = x.ordered(low, &[&rows[..], &summed].concat())?;
    let [outputs, depth] = [&column_dims, &depth_dims].map(|dims| dims.iter().product::<u32>());
    let x = low.reshape(x.x, &[&row_dims[..], &[depth]].concat())?;
    let mut operands = vec![x, low.weight_as(kernel, &axes, &[outputs, depth])?];
    if let Some(bias) = bias {
        operands.push(low.flat(bias)?);
    }
    let y = low.node(OpCode::FullyConnected, FullyConnectedParams { clamp: Clamp::NONE }, &operands)?;
    let y = low.reshape(y, &[&row_dims[..], &column_dims].concat())?;
    let y = Labelled { x: y, labels: [&rows[..], &columns].concat() };
    Ok(Some(y.ordered(low, &equation.result)?.x))
}
