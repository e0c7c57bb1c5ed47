//! Arrays of NumPy, as they pickle themselves and as `joblib` does, and bytes.

use std::borrow::Cow;

use super::{Called, Id, Node, Pickle};
use crate::array::Array;
use crate::import::Fault;
use crate::import::numbers::{Element, Kind, Numbers};

/// The most axes of an array.
const MAX_RANK: usize = 32;

/// What an array takes besides its elements, in elements: no array of a file is described by less than a quarter as
/// many bytes, and one that is in a thousand places takes it a thousand times.
const OVERHEAD: usize = 64;

/// Bytes, also where protocol 2 or older keeps them as text of the same characters.
pub(crate) fn bytes<'p>(pickle: &'p Pickle<'_>, id: Id) -> Option<Cow<'p, [u8]>> {
    match pickle.node(id) {
        Node::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
        Node::Called(called) => {
            let global = pickle.global(called.callable)?;
            match (global.name.as_ref(), pickle.args(called)) {
                ("encode" | "bytearray", &[text, encoding]) => {
                    let encoding = pickle.text(encoding)?;
                    if !matches!(encoding, "latin1" | "latin-1") {
                        return None;
                    }
                    let Node::Text(text) = pickle.node(text) else { return None };
                    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
                    bytes.ok().map(Cow::Owned)
                }
                ("bytes" | "bytearray", []) => Some(Cow::Borrowed(&[])),
                ("bytes" | "bytearray", &[inside]) => match pickle.node(inside) {
                    Node::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
                    _ => None,
                },
                _ => None,
            }
        }
        _ => None,
    }
}

/// Reads arrays, which together may not be much larger than the file: one array may be in a hundred places.
pub(crate) struct Arrays<'p, 'b> {
    pickle: &'p Pickle<'b>,
    /// Elements that may still be read.
    budget: usize,
}

impl<'p, 'b> Arrays<'p, 'b> {
    /// For a pickle in a file of so many bytes.
    pub(crate) fn new(pickle: &'p Pickle<'b>, file_bytes: usize) -> Self {
        Self { pickle, budget: file_bytes.saturating_mul(4) }
    }

    /// The array that a value is, also a list of lists of numbers. `None` where it is none.
    pub(crate) fn read(&mut self, id: Id) -> Result<Option<Numbers>, Fault> {
        let numbers = match self.stored(id) {
            Some(stored) => {
                self.spend(stored.bytes.len() / stored.element.size_bytes() + OVERHEAD)?;
                stored.numbers()
            }
            None => self.nested(id)?,
        };
        Ok(numbers)
    }

    /// The bytes of an array of bytes.
    pub(crate) fn bytes(&self, id: Id) -> Option<Cow<'p, [u8]>> {
        let stored = self.stored(id)?;
        (stored.element.size_bytes() == 1).then_some(stored.bytes)
    }

    fn spend(&mut self, elements: usize) -> Result<(), Fault> {
        match self.budget.checked_sub(elements) {
            Some(left) => self.budget = left,
            None => {
                return Err(Fault::Limit {
                    what: "the number of elements of all arrays in the pickle",
                    found: elements as u64,
                    limit: self.budget as u64,
                });
            }
        }
        Ok(())
    }

    fn stored(&self, id: Id) -> Option<Stored<'p>> {
        let pickle = self.pickle;
        let called = pickle.called(id)?;
        let args = pickle.args(called);
        match pickle.global(called.callable)?.name.as_ref() {
            "_reconstruct" => {
                let &[_, shape, dtype, fortran, content] = pickle.tuple(called.state?)? else { return None };
                Some(Stored {
                    shape: shape_of(pickle, shape)?,
                    element: element_of(pickle, dtype)?,
                    is_fortran: matches!(pickle.node(fortran), Node::Bool(true)),
                    bytes: bytes(pickle, content)?,
                })
            }
            "_frombuffer" => {
                let &[content, dtype, shape, order] = args else { return None };
                Some(Stored {
                    shape: shape_of(pickle, shape)?,
                    element: element_of(pickle, dtype)?,
                    is_fortran: pickle.text(order)? == "F",
                    bytes: bytes(pickle, content)?,
                })
            }
            "NumpyArrayWrapper" => {
                let state = called.state?;
                Some(Stored {
                    shape: shape_of(pickle, pickle.entry(state, "shape")?)?,
                    element: element_of(pickle, pickle.entry(state, "dtype")?)?,
                    is_fortran: pickle.text(pickle.entry(state, "order")?)? == "F",
                    bytes: Cow::Borrowed(called.payload?),
                })
            }
            "scalar" => {
                let &[dtype, content] = args else { return None };
                Some(Stored {
                    shape: Vec::new(),
                    element: element_of(pickle, dtype)?,
                    is_fortran: false,
                    bytes: bytes(pickle, content)?,
                })
            }
            _ => None,
        }
    }

    /// Lists of lists of numbers, as of `array.tolist()`.
    fn nested(&mut self, id: Id) -> Result<Option<Numbers>, Fault> {
        let pickle = self.pickle;
        let mut shape = Vec::new();
        let mut level = vec![id];
        while let Some(items) = level.first().and_then(|&first| pickle.items(first)) {
            let extent = items.len();
            if extent == 0 || shape.len() == MAX_RANK {
                return Ok(None);
            }
            self.spend(level.len().saturating_mul(extent))?;
            let mut next = Vec::with_capacity(level.len() * extent);
            for id in level {
                match pickle.items(id) {
                    Some(items) if items.len() == extent => next.extend(items),
                    _ => return Ok(None),
                }
            }
            shape.push(extent);
            level = next;
        }
        if shape.is_empty() {
            return Ok(None);
        }
        let value = |id: Id| match pickle.node(id) {
            Node::Float(value) => Some(*value),
            Node::Int(value) => Some(*value as f64),
            _ => None,
        };
        let Some(wide) = level.into_iter().map(value).collect::<Option<Vec<f64>>>() else { return Ok(None) };
        let rounded = wide.iter().any(|&value| f64::from(value as f32) != value && !value.is_nan());
        let values = wide.into_iter().map(|value| value as f32).collect();
        let element = Element { kind: Kind::F64, big_endian: false };
        Ok(Some(Numbers { array: Array::new(shape, values), element, rounded }))
    }
}

/// An array as the file holds it.
struct Stored<'p> {
    shape: Vec<usize>,
    element: Element,
    /// Whether the first axis varies fastest.
    is_fortran: bool,
    bytes: Cow<'p, [u8]>,
}

impl Stored<'_> {
    fn numbers(self) -> Option<Numbers> {
        let Self { mut shape, element, is_fortran, bytes } = self;
        if !is_fortran {
            return Numbers::new(shape, element, &bytes);
        }
        shape.reverse();
        let axes: Vec<usize> = (0..shape.len()).rev().collect();
        let numbers = Numbers::new(shape, element, &bytes)?;
        Some(Numbers { array: numbers.array.transposed(&axes), ..numbers })
    }
}

/// How many bytes the array has that `joblib` describes so.
pub(super) fn array_bytes(pickle: &Pickle<'_>, state: Id) -> Option<usize> {
    let shape = shape_of(pickle, pickle.entry(state, "shape")?)?;
    let element = element_of(pickle, pickle.entry(state, "dtype")?)?;
    shape.iter().try_fold(element.size_bytes(), |bytes, extent| bytes.checked_mul(*extent))
}

fn shape_of(pickle: &Pickle<'_>, id: Id) -> Option<Vec<usize>> {
    let items = pickle.items(id)?;
    let extent = |&id: &Id| match pickle.node(id) {
        Node::Int(extent) => usize::try_from(*extent).ok(),
        _ => None,
    };
    if items.len() > MAX_RANK { None } else { items.iter().map(extent).collect() }
}

/// `numpy.dtype('f4', False, True)` with the state `(3, '<', …)`.
fn element_of(pickle: &Pickle<'_>, id: Id) -> Option<Element> {
    let called: &Called<'_> = pickle.called(id)?;
    if pickle.global(called.callable)?.name != "dtype" {
        return None;
    }
    let code = pickle.text(*pickle.args(called).first()?)?;
    let order = match called.state {
        Some(state) => pickle.text(*pickle.tuple(state)?.get(1)?)?,
        None => "<",
    };
    let (own, code) = match code.strip_prefix(['<', '>', '|', '=']) {
        Some(rest) => (&code[..1], rest),
        None => ("", code),
    };
    let integer = |size_bytes, signed| Kind::Integer { size_bytes, signed };
    let kind = match code {
        "f2" => Kind::F16,
        "f4" => Kind::F32,
        "f8" => Kind::F64,
        "b1" | "u1" => integer(1, false),
        "i1" => integer(1, true),
        "i2" => integer(2, true),
        "u2" => integer(2, false),
        "i4" => integer(4, true),
        "u4" => integer(4, false),
        "i8" => integer(8, true),
        "u8" => integer(8, false),
        _ => return None,
    };
    Some(Element { kind, big_endian: order == ">" || own == ">" })
}
