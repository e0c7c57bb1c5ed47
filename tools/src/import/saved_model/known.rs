//! Arrays that are known while a graph is made: weights, and what is computed from them and from shapes.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;

use super::proto::TensorProto;
use super::{damage, dtype};
use crate::array::Array;
use crate::graph::TensorId;
use crate::import::Fault;
use crate::import::keras::Weight;
use crate::import::numbers::Numbers;

/// An array of numbers; `float32` and integers of up to 53 bits are exact.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
    /// Whether quotients are rounded.
    pub(super) is_integer: bool,
    /// What it is called: the variable or the node.
    pub(super) name: String,
    /// The constant of the graph that it became.
    pub(super) made: Cell<Option<TensorId>>,
    weight: OnceCell<Weight>,
}

/// The most values of an array that is computed here.
const MAX_VALUES: usize = 1 << 26;

impl Known {
    pub(super) fn new(name: &str, shape: Vec<usize>, values: Vec<f64>, is_integer: bool) -> Rc<Self> {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        let (made, weight) = (Cell::new(None), OnceCell::new());
        Rc::new(Self { shape, values, is_integer, name: name.into(), made, weight })
    }

    pub(super) fn ints(shape: Vec<usize>, values: impl IntoIterator<Item = i64>) -> Rc<Self> {
        Self::new("", shape, values.into_iter().map(|value| value as f64).collect(), true)
    }

    /// The value of a variable.
    pub(super) fn of_numbers(name: &str, numbers: Numbers) -> Rc<Self> {
        let is_integer = numbers.element.is_integer();
        let Array { shape, values, .. } = numbers.array;
        Self::new(name, shape, values.into_iter().map(f64::from).collect(), is_integer)
    }

    /// The value of a constant in a graph.
    pub(super) fn of_proto(name: &str, tensor: &TensorProto) -> Result<Rc<Self>, Fault> {
        let shape = tensor.shape.clone().unwrap_or_default().extents();
        let shape = shape.ok_or_else(|| damage(format!("the constant `{name}` has an open shape")))?;
        let count = shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
        let count = count.filter(|&count| count <= MAX_VALUES);
        let count = count.ok_or_else(|| too_many(&shape))?;
        let element = dtype::element(tensor.dtype, false).ok_or_else(|| Fault::Unsupported {
            what: format!("a constant of type {}", dtype::name(tensor.dtype)),
            remedy: "build the model so that it computes with numbers alone".into(),
        })?;
        let is_integer = element.is_integer();
        if !tensor.content.is_empty() {
            let numbers = Numbers::new(shape, element, &tensor.content);
            let numbers = numbers.ok_or_else(|| damage(format!("the constant `{name}` is cut short")))?;
            return Ok(Self::of_numbers(name, numbers));
        }
        let listed: Vec<f64> = match tensor.dtype {
            dtype::FLOAT => tensor.floats.iter().map(|&value| value.into()).collect(),
            2 => tensor.doubles.clone(),
            dtype::INT64 => tensor.longs.iter().map(|&value| value as f64).collect(),
            dtype::BOOL => tensor.bools.iter().map(|&value| f64::from(u8::from(value))).collect(),
            14 | 19 => {
                let bits = tensor.halves.iter().map(|&bits| element.value(&(bits as u16).to_le_bytes()).0);
                bits.map(f64::from).collect()
            }
            _ => tensor.ints.iter().map(|&value| value.into()).collect(),
        };
        // The last one stands for all that follow.
        let last = listed.last().copied().unwrap_or(0.0);
        let values = listed.into_iter().chain(std::iter::repeat(last)).take(count).collect();
        Ok(Self::new(name, shape, values, is_integer))
    }

    /// The values as integers.
    pub(super) fn integers(&self) -> Vec<i64> {
        self.values.iter().map(|&value| value as i64).collect()
    }

    /// The one value.
    pub(super) fn scalar(&self) -> Option<f64> {
        match self.values[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// The array as a weight of a layer, the same one each time.
    pub(super) fn weight(&self) -> Weight {
        let made = self.weight.get_or_init(|| {
            let values = self.values.iter().map(|&value| value as f32).collect();
            Weight { name: self.name.clone(), array: Arc::new(Array::new(self.shape.clone(), values)) }
        });
        made.clone()
    }
}

fn too_many(shape: &[usize]) -> Fault {
    Fault::Unsupported {
        what: format!("a constant of shape {shape:?}"),
        remedy: format!("constants have at most {MAX_VALUES} elements"),
    }
}

/// What an operation computes of known arrays. `None` where it is not one that is computed here.
pub(super) fn elementwise(op: &str, args: &[Rc<Known>]) -> Option<Result<Rc<Known>, Fault>> {
    if let [x] = args {
        let f: fn(f64) -> f64 = match op {
            "Abs" => f64::abs,
            "Ceil" => f64::ceil,
            "Exp" => f64::exp,
            "Floor" => f64::floor,
            "Log" => f64::ln,
            "LogicalNot" => |x| f64::from(x == 0.0),
            "Neg" => |x| -x,
            "Reciprocal" | "Inv" => |x| 1.0 / x,
            "Relu" => |x| x.max(0.0),
            "Rsqrt" => |x| 1.0 / x.sqrt(),
            "Sigmoid" => |x| 1.0 / (1.0 + (-x).exp()),
            "Sqrt" => f64::sqrt,
            "Square" => |x| x * x,
            "Tanh" => f64::tanh,
            _ => return None,
        };
        let values = x.values.iter().map(|&x| f(x)).collect();
        return Some(Ok(Known::new(&x.name, x.shape.clone(), values, x.is_integer)));
    }
    let [a, b] = args else { return None };
    let is_integer = a.is_integer && b.is_integer;
    let f: fn(f64, f64) -> f64 = match op {
        "Add" | "AddV2" | "BiasAdd" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "RealDiv" | "DivNoNan" => |a, b| a / b,
        "Div" if !is_integer => |a, b| a / b,
        "Div" | "TruncateDiv" => |a, b| (a / b).trunc(),
        "FloorDiv" => |a, b| (a / b).floor(),
        "FloorMod" => |a, b| a - b * (a / b).floor(),
        "Maximum" => f64::max,
        "Minimum" => f64::min,
        "Pow" => f64::powf,
        "SquaredDifference" => |a, b| (a - b) * (a - b),
        "Equal" => |a, b| f64::from(a == b),
        "NotEqual" => |a, b| f64::from(a != b),
        "Less" => |a, b| f64::from(a < b),
        "LessEqual" => |a, b| f64::from(a <= b),
        "Greater" => |a, b| f64::from(a > b),
        "GreaterEqual" => |a, b| f64::from(a >= b),
        "LogicalAnd" => |a, b| f64::from(a != 0.0 && b != 0.0),
        "LogicalOr" => |a, b| f64::from(a != 0.0 || b != 0.0),
        _ => return None,
    };
    let Some(shape) = broadcast(&a.shape, &b.shape) else {
        return Some(Err(damage(format!("{op} of shapes {:?} and {:?}", a.shape, b.shape))));
    };
    if shape.iter().try_fold(1usize, |n, &e| n.checked_mul(e)).is_none_or(|count| count > MAX_VALUES) {
        return Some(Err(too_many(&shape)));
    }
    let (at_a, at_b) = (offsets(&a.shape, &shape), offsets(&b.shape, &shape));
    let values = at_a.into_iter().zip(at_b).map(|(i, j)| f(a.values[i], b.values[j])).collect();
    let name = if a.values.len() >= b.values.len() { &a.name } else { &b.name };
    Some(Ok(Known::new(name, shape, values, is_integer)))
}

/// The shape of what two arrays give together.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Where the elements of an array of `shape` are that is broadcast to `target`.
pub(super) fn offsets(shape: &[usize], target: &[usize]) -> Vec<usize> {
    let mut found = vec![0];
    let missing = target.len() - shape.len();
    for (axis, &extent) in target.iter().enumerate() {
        let own = axis.checked_sub(missing).map_or(1, |at| shape[at]);
        let stride: usize = if own == 1 { 0 } else { shape[axis - missing + 1..].iter().product() };
        found = found.iter().flat_map(|start| (0..extent).map(move |step| start + step * stride)).collect();
    }
    found
}

/// The array with its axes in another order: axis `i` of the result is axis `axes[i]`.
pub(super) fn transposed(x: &Known, axes: &[usize]) -> Rc<Known> {
    let stride = |axis: usize| x.shape[axis + 1..].iter().product::<usize>();
    let mut found = vec![0];
    for &axis in axes {
        let stride = stride(axis);
        let extent = x.shape[axis];
        found = found.iter().flat_map(|start| (0..extent).map(move |step| start + step * stride)).collect();
    }
    let shape = axes.iter().map(|&axis| x.shape[axis]).collect();
    Known::new(&x.name, shape, found.into_iter().map(|at| x.values[at]).collect(), x.is_integer)
}

/// Parts of these sizes along an axis.
pub(super) fn split(x: &Known, axis: usize, sizes: &[usize]) -> Vec<Rc<Known>> {
    let inner: usize = x.shape[axis + 1..].iter().product();
    let row = x.shape[axis] * inner;
    let mut begin = 0;
    let mut parts = Vec::with_capacity(sizes.len());
    for &size in sizes {
        let rows = x.values.chunks_exact(row.max(1));
        let values = rows.flat_map(|row| &row[begin * inner..(begin + size) * inner]).copied().collect();
        let mut shape = x.shape.clone();
        shape[axis] = size;
        parts.push(Known::new(&x.name, shape, values, x.is_integer));
        begin += size;
    }
    parts
}

/// Arrays one after the other along an axis.
pub(super) fn concatenated(parts: &[Rc<Known>], axis: usize) -> Option<Rc<Known>> {
    let first = parts.first()?;
    let mut shape = first.shape.clone();
    let outer: usize = shape.get(..axis)?.iter().product();
    *shape.get_mut(axis)? = 0;
    let same = |part: &Known| {
        part.shape.len() == shape.len()
            && (0..shape.len()).all(|other| other == axis || part.shape[other] == shape[other])
    };
    if !parts.iter().all(|part| same(part)) {
        return None;
    }
    let extent = parts.iter().map(|part| part.shape[axis]).sum();
    let mut values = Vec::new();
    for row in 0..outer {
        for part in parts {
            let len = part.values.len() / outer.max(1);
            values.extend_from_slice(&part.values[row * len..(row + 1) * len]);
        }
    }
    shape[axis] = extent;
    Some(Known::new(&first.name, shape, values, first.is_integer))
}

/// A reduction over some axes.
pub(super) fn reduced(op: &str, x: &Known, axes: &[usize], keep_dims: bool) -> Option<Rc<Known>> {
    let (first, f): (f64, fn(f64, f64) -> f64) = match op {
        "Sum" | "Mean" => (0.0, |a, b| a + b),
        "Prod" => (1.0, |a, b| a * b),
        "Max" => (f64::NEG_INFINITY, f64::max),
        "Min" => (f64::INFINITY, f64::min),
        "All" => (1.0, |a, b| f64::from(a != 0.0 && b != 0.0)),
        "Any" => (0.0, |a, b| f64::from(a != 0.0 || b != 0.0)),
        _ => return None,
    };
    let kept: Vec<usize> = (0..x.shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let moved = transposed(x, &order);
    let count: usize = axes.iter().map(|&axis| x.shape[axis]).product();
    let results: usize = kept.iter().map(|&axis| x.shape[axis]).product();
    let mut values: Vec<f64> = (0..results)
        .map(|row| moved.values[row * count..(row + 1) * count].iter().copied().fold(first, f))
        .collect();
    if op == "Mean" {
        values.iter_mut().for_each(|value| *value /= count as f64);
    }
    let extent = |axis: usize| if axes.contains(&axis) { 1 } else { x.shape[axis] };
    let shape = match keep_dims {
        true => (0..x.shape.len()).map(extent).collect(),
        false => kept.iter().map(|&axis| x.shape[axis]).collect(),
    };
    Some(Known::new(&x.name, shape, values, x.is_integer))
}
