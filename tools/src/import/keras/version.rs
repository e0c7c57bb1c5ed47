//! Which Keras wrote a file.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::import::Fault;

/// A Keras version, such as 2.15.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl FromStr for Version {
    type Err = Fault;

    /// Reads `2.15.0`, and also `2.2.4-tf`, `2.13.0rc1`, `3.0`.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let mut numbers = text.trim().split(['.', '-']).map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..digits].parse::<u32>().ok()
        });
        let unreadable = || Fault::Unexpected {
            place: "`keras_version`".into(),
            found: format!("{text:?}"),
            expected: "a version such as \"2.15.0\"".into(),
        };
        let mut next = || numbers.next().flatten();
        Ok(Self {
            major: next().ok_or_else(unreadable)?,
            minor: next().unwrap_or(0),
            patch: next().unwrap_or(0),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// How a file spells layers, arguments and calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// Keras 1.x: `Convolution2D`, `nb_filter`, `border_mode`.
    Keras1,
    /// Keras 2.x and tf.keras: `batch_input_shape`, calls as nested lists.
    Keras2,
    /// Keras 3.x: `batch_shape`, calls as `args` and `kwargs`.
    Keras3,
}

impl Dialect {
    /// The dialect of `version`; where the file does not say, judged by the words in `config`.
    pub(super) fn of(version: Option<Version>, config: &Value) -> Result<Self, Fault> {
        match version.map(|version| version.major) {
            Some(1) => Ok(Self::Keras1),
            Some(2) => Ok(Self::Keras2),
            Some(3) => Ok(Self::Keras3),
            Some(_) => Err(Fault::Unsupported {
                what: format!(
                    "a model written by Keras {}",
                    version.map(|v| v.to_string()).unwrap_or_default()
                ),
                remedy: "flatpack reads Keras 1.x to 3.x; save the model with one of those".into(),
            }),
            None if has_key(config, &["batch_shape", "keras_history"]) => Ok(Self::Keras3),
            None if has_key(config, &["nb_filter", "border_mode", "W_regularizer", "inner_init"]) => {
                Ok(Self::Keras1)
            }
            None => Ok(Self::Keras2),
        }
    }
}

/// Whether one of `keys` is anywhere in `value`.
fn has_key(value: &Value, keys: &[&str]) -> bool {
    match value {
        Value::Object(map) => {
            map.iter().any(|(key, value)| keys.contains(&key.as_str()) || has_key(value, keys))
        }
        Value::Array(values) => values.iter().any(|value| has_key(value, keys)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions_with_suffixes_are_read() {
        for (text, expected) in
            [("2.15.0", (2, 15, 0)), ("2.2.4-tf", (2, 2, 4)), ("2.13.1rc0", (2, 13, 1)), ("3.0", (3, 0, 0))]
        {
            let version: Version = text.parse().unwrap();
            assert_eq!((version.major, version.minor, version.patch), expected);
        }
        assert!("tf".parse::<Version>().is_err());
    }

    #[test]
    fn a_missing_version_is_judged_by_the_words_used() {
        let of = |config| Dialect::of(None, &config).unwrap();
        assert_eq!(of(json!({"config": {"batch_shape": [null, 3]}})), Dialect::Keras3);
        assert_eq!(of(json!({"config": [{"config": {"nb_filter": 3}}]})), Dialect::Keras1);
        assert_eq!(of(json!({"config": [{"config": {"units": 3}}]})), Dialect::Keras2);
    }

    #[test]
    fn a_version_from_the_future_is_refused() {
        let version = "4.0.0".parse().ok();
        assert!(matches!(Dialect::of(version, &json!({})), Err(Fault::Unsupported { .. })));
    }
}
