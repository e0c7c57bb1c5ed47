//! A layer's arguments, read by name and type.

use serde_json::{Map, Value};

use super::json::short;
use crate::import::Fault;

/// The arguments of one layer, in Keras 3 spelling.
///
/// A null value is the same as an absent one. Getters without a default report what was expected
/// when the key is missing; all report a value of the wrong type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config(pub Map<String, Value>);

impl Config {
    /// The value under `key`, unless null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// A boolean, `default` when absent.
    pub fn bool_or(&self, key: &str, default: bool) -> Result<bool, Fault> {
        self.get(key)
            .map_or(Ok(default), |value| value.as_bool().ok_or_else(|| wrong(key, value, "true or false")))
    }

    /// A string.
    pub fn str(&self, key: &str) -> Result<&str, Fault> {
        let value = self.get(key).ok_or_else(|| missing(key, "a string"))?;
        value.as_str().ok_or_else(|| wrong(key, value, "a string"))
    }

    /// A string, `default` when absent.
    pub fn str_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str, Fault> {
        if self.get(key).is_none() { Ok(default) } else { self.str(key) }
    }

    /// A non-negative integer.
    pub fn usize(&self, key: &str) -> Result<usize, Fault> {
        let value = self.get(key).ok_or_else(|| missing(key, "a non-negative integer"))?;
        as_i64(value)
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| wrong(key, value, "a non-negative integer"))
    }

    /// A non-negative integer, `default` when absent.
    pub fn usize_or(&self, key: &str, default: usize) -> Result<usize, Fault> {
        if self.get(key).is_none() { Ok(default) } else { self.usize(key) }
    }

    /// A number.
    pub fn f64(&self, key: &str) -> Result<f64, Fault> {
        let value = self.get(key).ok_or_else(|| missing(key, "a number"))?;
        let number = match value.as_str() {
            // Python's bare `Infinity` and its like, which JSON does not have.
            Some(name @ ("NaN" | "Infinity" | "-Infinity")) => name.parse().ok(),
            _ => value.as_f64(),
        };
        number.ok_or_else(|| wrong(key, value, "a number"))
    }

    /// A number, `default` when absent.
    pub fn f64_or(&self, key: &str, default: f64) -> Result<f64, Fault> {
        if self.get(key).is_none() { Ok(default) } else { self.f64(key) }
    }

    /// A list of integers; one bare integer is a list of one.
    pub fn ints(&self, key: &str) -> Result<Vec<i64>, Fault> {
        const EXPECTED: &str = "an integer or a list of integers";
        let value = self.get(key).ok_or_else(|| missing(key, EXPECTED))?;
        match value {
            Value::Array(values) => values.iter().map(as_i64).collect(),
            single => as_i64(single).map(|number| vec![number]),
        }
        .ok_or_else(|| wrong(key, value, EXPECTED))
    }

    /// `N` non-negative integers, as of `kernel_size` or `strides`; one bare integer stands for `N`
    /// equal ones; `default` when absent.
    pub fn extents<const N: usize>(&self, key: &str, default: [usize; N]) -> Result<[usize; N], Fault> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let expected = || format!("{N} non-negative integers");
        let numbers: Vec<usize> = self
            .ints(key)?
            .into_iter()
            .map(usize::try_from)
            .collect::<Result<_, _>>()
            .map_err(|_| wrong(key, value, expected()))?;
        match numbers.as_slice() {
            [single] => Ok([*single; N]),
            several => several.try_into().map_err(|_| wrong(key, value, expected())),
        }
    }
}

/// Integers; also such as Keras wrote as `3.0`.
fn as_i64(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
    })
}

fn missing(key: &str, expected: impl Into<String>) -> Fault {
    Fault::Unexpected { place: format!("`{key}`"), found: "nothing".into(), expected: expected.into() }
}

fn wrong(key: &str, value: &Value, expected: impl Into<String>) -> Fault {
    Fault::Unexpected { place: format!("`{key}`"), found: short(value), expected: expected.into() }
}
