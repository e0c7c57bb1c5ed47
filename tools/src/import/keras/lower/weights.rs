//! The arrays of a layer, taken in order and checked.

use crate::import::Fault;
use crate::import::keras::network::{Layer, Weight};

/// The weights of a layer, taken in order and checked.
pub(crate) struct Weights<'a> {
    weights: &'a [Weight],
    taken: usize,
}

impl<'a> Weights<'a> {
    pub(crate) fn of(layer: &'a Layer) -> Self {
        Self { weights: &layer.weights, taken: 0 }
    }

    /// The next weight, which is called `name` in messages and has this shape.
    pub(crate) fn take(&mut self, name: &str, shape: &[u32]) -> Result<&'a Weight, Fault> {
        let weight = self.take_any(name)?;
        if !weight.array.shape.iter().map(|&extent| extent as u64).eq(shape.iter().map(|&e| u64::from(e))) {
            return Err(Fault::Weights {
                found: format!("`{}` of shape {:?}", weight.name, weight.array.shape),
                expected: format!("a {name} of shape {shape:?}"),
            });
        }
        Ok(weight)
    }

    /// The next weight, where one is expected.
    pub(crate) fn take_if(
        &mut self,
        expected: bool,
        name: &str,
        shape: &[u32],
    ) -> Result<Option<&'a Weight>, Fault> {
        if expected { self.take(name, shape).map(Some) } else { Ok(None) }
    }

    /// The next weight, of any shape.
    pub(crate) fn take_any(&mut self, name: &str) -> Result<&'a Weight, Fault> {
        let weight = self.weights.get(self.taken).ok_or_else(|| Fault::Weights {
            found: format!("{} arrays", self.weights.len()),
            expected: format!("a {name} as array {}", self.taken + 1),
        })?;
        self.taken += 1;
        Ok(weight)
    }

    /// Demands that all weights are taken.
    pub(crate) fn end(self) -> Result<(), Fault> {
        if self.taken == self.weights.len() {
            return Ok(());
        }
        Err(Fault::Weights {
            found: format!("{} arrays", self.weights.len()),
            expected: self.taken.to_string(),
        })
    }
}
