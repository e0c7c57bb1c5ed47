//! Opening a file on a gateway: mapped into memory, or read into it.

use flatpack_format::{Block, Error, Model};
use memmap2::Mmap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::vec;
use std::vec::Vec;

/// A file that is mapped, or was read into memory. [`MappedModel::model`] gives its checked view.
///
/// Opening checks the header and the tables; weights are read when they are used. Sessions on
/// several threads may share one `MappedModel`.
///
/// A map shows what is in the file: if another process truncates or rewrites the file in place
/// while it is mapped, a running session sees the change or is killed by the system. Replace a
/// file by renaming a new one over it, which leaves maps of the old one whole, or use
/// [`MappedModel::read`].
#[derive(Debug)]
pub struct MappedModel {
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    Map(Mmap),
    Blocks(Vec<Block>, usize),
}

/// Why a file cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The system cannot open, map or read it.
    Io(io::Error),
    /// It breaks a rule of the format.
    Format(Error),
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Format(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::Format(error)
    }
}

impl MappedModel {
    /// Maps a file and checks its header and tables.
    ///
    /// # Errors
    /// If the system cannot map the file, or it breaks a rule of the format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let file = File::open(path)?;
        Self { memory: Memory::Map(map(&file)?) }.checked()
    }

    /// Reads a file into memory and checks its header and tables. For files on storage that may go
    /// away or be written to.
    ///
    /// # Errors
    /// As [`MappedModel::open`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let mut file = File::open(path)?;
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let mut blocks = vec![Block::ZERO; Block::count(len)];
        let bytes = Block::bytes_mut(&mut blocks).get_mut(..len).unwrap_or_default();
        file.read_exact(bytes)?;
        Self { memory: Memory::Blocks(blocks, len) }.checked()
    }

    fn checked(self) -> Result<Self, OpenError> {
        Model::parse(self.bytes()).map_err(OpenError::Format)?;
        Ok(self)
    }

    fn bytes(&self) -> &[u8] {
        match &self.memory {
            Memory::Map(map) => map,
            Memory::Blocks(blocks, len) => Block::bytes(blocks).get(..*len).unwrap_or_default(),
        }
    }

    /// The checked view of the file.
    ///
    /// # Errors
    /// Only if a mapped file was changed since it was opened.
    pub fn model(&self) -> Result<Model<'_>, Error> {
        Model::parse(self.bytes())
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is only read, as plain bytes, through slices that bytemuck checks; all bit
    // patterns of the record types are valid. That nobody shortens or rewrites the file while it
    // is mapped is the caller's part, stated at `MappedModel`.
    unsafe { Mmap::map(file) }
}
