//! Why a file cannot be opened.

use flatpack_format::{Error, Rule};
use std::io;
use std::path::PathBuf;

/// Why a file cannot be opened.
#[derive(Debug)]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: OpenFault,
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum OpenFault {
    /// The system cannot open, map or read it.
    Io(io::Error),
    /// The system cannot keep it in memory.
    Lock(io::Error),
    /// It breaks a rule of the format.
    Format(Error),
}

impl OpenFault {
    /// What to do about it, where that can be said.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                "it became shorter while it was read: replace files by renaming others over them"
            }
            Self::Io(_) => return None,
            Self::Lock(_) => {
                "raise how much this process may lock (`ulimit -l`, LimitMEMLOCK of systemd), or open it without"
            }
            Self::Format(error) => match error.rule {
                Rule::V01 => "it was cut short: copy it again",
                Rule::V02 => "this is no .fpk file; `flatpack build model.h5` makes one",
                Rule::V03 => "it was made by another version of flatpack: build it again",
                _ => "it was damaged: copy or build it again",
            },
        })
    }
}

impl core::fmt::Display for OpenFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Lock(error) => write!(f, "it cannot be locked into memory: {error}"),
            Self::Format(error) => error.fmt(f),
        }
    }
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.fault)?;
        self.fault.help().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

impl core::error::Error for OpenError {}

impl From<io::Error> for OpenFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for OpenFault {
    fn from(error: Error) -> Self {
        Self::Format(error)
    }
}
