//! What a firmware can run, as its `features.json` says it, and what a model asks of it.
//!
//! The firmware is compiled from the same file, by `flatpack_runtime::include_features!`.

use flatpack_format::{Model, OpCode, VERSION};
use miette::Diagnostic;
use serde::Deserialize;
use std::fmt;
use std::path::Path;
use thiserror::Error;

/// The fields of `features.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// The version of the format that it reads.
    pub format_version: u32,
    /// The capabilities besides operators that it has.
    pub feature_bits: u32,
    /// Names of the operators that it has kernels for.
    pub operators: Vec<String>,
    /// Memory for arena and state, and for the far arena of a model that has one: the firmware has both in one.
    pub memory_bytes: u64,
    /// The largest file.
    pub file_bytes: u64,
}

/// Why a file says nothing about a firmware.
#[derive(Debug, Error)]
pub enum FirmwareError {
    /// The system cannot read it.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It has other fields.
    #[error("this does not say what a firmware can run: {0}")]
    Json(#[from] serde_json::Error),
    /// A name is that of no operator.
    #[error("there is no operator `{0}`; `flatpack ops` lists them")]
    Operator(String),
}

/// Something that a model needs and a firmware lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It reads another version of the format.
    Version {
        /// That version.
        reads: u32,
    },
    /// Bits of the header that it does not know.
    Features {
        /// These bits.
        bits: u32,
    },
    /// It has no kernel of an operator.
    Kernel {
        /// The operator.
        op: OpCode,
        /// The layers whose steps need it, or numbers of steps where names were stripped.
        layers: Vec<String>,
    },
    /// Arenas and state of the model are larger than its memory.
    Memory {
        /// Bytes of the arena, and of the far arena.
        arena_bytes: u64,
        /// Bytes of the state.
        state_bytes: u64,
        /// Bytes that there are.
        has: u64,
    },
    /// The file is larger than its place.
    FileBytes {
        /// Bytes of the file.
        needs: u64,
        /// Bytes that there are.
        has: u64,
    },
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { reads } => {
                write!(f, "it reads version {reads} of the format, and the file is of version {VERSION}")
            }
            Self::Features { bits } => write!(f, "it does not know the feature bits {bits:#x}"),
            Self::Kernel { op, layers } => {
                write!(f, "it has no kernel of {}, which computes {}", op.name(), layers.join(", "))
            }
            Self::Memory { arena_bytes, state_bytes, has } => write!(
                f,
                "it has {has} bytes of memory, and the model needs {}: {arena_bytes} of arena, {state_bytes} of state",
                arena_bytes + state_bytes
            ),
            Self::FileBytes { needs, has } => {
                write!(f, "it has room for a file of {has} bytes, and this one has {needs}")
            }
        }
    }
}

impl Lack {
    /// What to do about it.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Version { .. } | Self::Features { .. } => {
                "update the firmware's runtime, or build with the flatpack of its version"
            }
            Self::Kernel { .. } => {
                "add the operator to the firmware's features.json and flash it, or make the model without it: \
                 int8 models need the operators in _i8, float32 models those without"
            }
            Self::Memory { .. } => {
                "raise memory_bytes and flash the firmware, or make the model's activations smaller: --quantize int8, \
                 a smaller --batch or input"
            }
            Self::FileBytes { .. } => {
                "raise file_bytes and flash the firmware, or make the file smaller: --quantize int8, --strip, \
                 --goldens 1"
            }
        }
    }
}

/// A model that a firmware cannot run.
#[derive(Debug)]
pub struct Unfit {
    /// The name of the firmware's file.
    pub firmware: String,
    /// All that it lacks.
    pub lacks: Vec<Lack>,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the firmware of {} cannot run this model:", self.firmware)?;
        self.lacks.iter().try_for_each(|lack| write!(f, "\n- {lack}"))
    }
}

impl std::error::Error for Unfit {}

impl Diagnostic for Unfit {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        let mut remedies: Vec<&str> = self.lacks.iter().map(Lack::remedy).collect();
        remedies.dedup();
        Some(Box::new(remedies.join("\n")))
    }
}

impl Firmware {
    /// Reads a `features.json`.
    ///
    /// # Errors
    /// If it cannot be read, has other fields, or names an operator that does not exist.
    pub fn read(path: &Path) -> Result<Self, FirmwareError> {
        let firmware: Self = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let known = |name: &&String| OpCode::ALL.iter().any(|op| op.name() == **name);
        match firmware.operators.iter().find(|name| !known(name)) {
            Some(name) => Err(FirmwareError::Operator(name.clone())),
            None => Ok(firmware),
        }
    }

    /// All that the firmware lacks for a model. `layer` names the layer of a step.
    pub fn lacks(&self, model: &Model<'_>, layer: impl Fn(u32) -> Option<String>) -> Vec<Lack> {
        let header = model.header();
        let mut lacks = Vec::new();
        if self.format_version != VERSION {
            lacks.push(Lack::Version { reads: self.format_version });
        }
        let bits = header.features & !self.feature_bits;
        if bits != 0 {
            lacks.push(Lack::Features { bits });
        }
        let required = OpCode::ALL.iter().filter(|op| header.requires_op(**op as u16));
        for &op in required.filter(|op| !self.operators.iter().any(|name| name == op.name())) {
            let steps = model.steps().filter(|step| step.op() == op).map(|step| step.number());
            let mut layers: Vec<String> =
                steps.map(|step| layer(step).unwrap_or_else(|| format!("step {step}"))).collect();
            layers.dedup();
            lacks.push(Lack::Kernel { op, layers });
        }
        let arena_bytes = u64::from(header.arena_bytes) + u64::from(header.far_bytes);
        let state_bytes = u64::from(header.state_bytes);
        if arena_bytes + state_bytes > self.memory_bytes {
            lacks.push(Lack::Memory { arena_bytes, state_bytes, has: self.memory_bytes });
        }
        let needs = u64::from(header.file_bytes);
        if needs > self.file_bytes {
            lacks.push(Lack::FileBytes { needs, has: self.file_bytes });
        }
        lacks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::Block;

    fn digits(f: impl FnOnce(&Model<'_>)) {
        let file = include_bytes!("../../firmware-example/digits_cnn.fpk");
        let mut blocks = vec![Block::ZERO; Block::count(file.len())];
        Block::bytes_mut(&mut blocks)[..file.len()].copy_from_slice(file);
        f(&Model::parse(&Block::bytes(&blocks)[..file.len()]).unwrap());
    }

    fn example() -> Firmware {
        Firmware::read(Path::new("../firmware-example/features.json")).unwrap()
    }

    #[test]
    fn the_example_runs_its_model() {
        digits(|model| assert_eq!(example().lacks(model, |_| None), []));
    }

    #[test]
    fn all_that_is_lacking_is_named() {
        let mut firmware =
            Firmware { format_version: 2, memory_bytes: 8_703, file_bytes: 26_751, ..example() };
        firmware.operators.retain(|name| name != "conv_2d");
        digits(|model| {
            let lacks = firmware.lacks(model, |step| (step == 0).then(|| "first".into()));
            let text: Vec<String> = lacks.iter().map(ToString::to_string).collect();
            assert_eq!(
                text,
                [
                    "it reads version 2 of the format, and the file is of version 1",
                    "it has no kernel of conv_2d, which computes first, step 2",
                    "it has 8703 bytes of memory, and the model needs 8704: 8704 of arena, 0 of state",
                    "it has room for a file of 26751 bytes, and this one has 26752",
                ]
            );
        });
    }

    #[test]
    fn a_field_or_an_operator_that_does_not_exist_is_an_error() {
        let read = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            Firmware::read(file.path()).unwrap_err().to_string()
        };
        let text = std::fs::read_to_string("../firmware-example/features.json").unwrap();
        assert!(read("{").starts_with("this does not say what a firmware can run: EOF"));
        assert!(read(&text.replace("memory", "ram")).contains("unknown field `ram_bytes`"));
        assert_eq!(
            read(&text.replace("softmax", "soft_max")),
            "there is no operator `soft_max`; `flatpack ops` lists them"
        );
    }
}
