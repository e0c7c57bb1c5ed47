//! Opening a file on a gateway: mapped into memory, or read into it.

mod arena;
mod error;
mod watched;

pub use arena::Arena;
pub use error::{OpenError, OpenFault};
pub use watched::WatchedModel;

use flatpack_format::{Error, Model, Rule};
use memmap2::{Mmap, MmapMut, MmapOptions};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use watched::Stamp;

/// A file that is mapped, or was read into memory. [`MappedModel::model`] gives its checked view.
///
/// Opening checks the header and the tables; weights are read when they are used. Sessions on
/// several threads may share one `MappedModel`, and processes that map one file share its memory.
///
/// A map shows what is in the file: if another process truncates or rewrites the file in place
/// while it is mapped, a running session sees the change or is killed by the system. Replace a
/// file by renaming a new one over it, which leaves maps of the old one whole, or use
/// [`MappedModel::read`].
#[derive(Debug)]
pub struct MappedModel {
    /// Of the file, or a copy of it that cannot be written.
    memory: Mmap,
    stamp: Stamp,
}

/// How a file is opened: mapped, unless it says otherwise.
///
/// ```
/// # fn open(path: &str) -> Result<(), flatpack_runtime::OpenError> {
/// let mapped = flatpack_runtime::MappedModel::options().populate(true).open(path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    read: bool,
    populate: bool,
    lock: bool,
}

impl OpenOptions {
    /// The file is mapped, and its weights are read when they are used.
    pub const fn new() -> Self {
        Self { read: false, populate: false, lock: false }
    }

    /// Copies the file into memory of this process: for storage that may go away, and for files that
    /// are not replaced by renaming. The copy cannot be written, and no process shares it.
    #[must_use]
    pub const fn read(self, read: bool) -> Self {
        Self { read, ..self }
    }

    /// Reads all of the file while it is opened, so that the first run waits for no storage. The
    /// system may take the memory back. Linux alone does so.
    #[must_use]
    pub const fn populate(self, populate: bool) -> Self {
        Self { populate, ..self }
    }

    /// Keeps all of the file in memory as long as it is open, so that no run waits for storage. The
    /// system bounds how much a process may keep.
    #[must_use]
    pub const fn lock(self, lock: bool) -> Self {
        Self { lock, ..self }
    }

    /// Opens a file and checks its header and tables.
    ///
    /// # Errors
    /// If the system cannot open, map, read or lock the file, or it breaks a rule of the format.
    pub fn open(self, path: impl AsRef<Path>) -> Result<MappedModel, OpenError> {
        let path = path.as_ref();
        self.open_file(path).map_err(|fault| OpenError { path: path.into(), fault })
    }

    fn open_file(self, path: &Path) -> Result<MappedModel, OpenFault> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file").into());
        }
        let too_long = Error { rule: Rule::V01, at: u32::MAX };
        let len = u32::try_from(metadata.len()).map_err(|_| too_long)? as usize;
        let memory = if self.read { copy(file, len)? } else { map(&file, len, self.populate)? };
        Model::parse(&memory)?;
        #[cfg(unix)]
        if self.lock {
            memory.lock().map_err(OpenFault::Lock)?;
        }
        Ok(MappedModel { memory, stamp: Stamp::of(&metadata) })
    }
}

impl MappedModel {
    /// Maps a file and checks its header and tables.
    ///
    /// # Errors
    /// If the system cannot map the file, or it breaks a rule of the format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path)
    }

    /// Reads a file into memory and checks its header and tables: [`OpenOptions::read`].
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().read(true).open(path)
    }

    /// Ways to open a file.
    pub const fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// The checked view of the file.
    ///
    /// # Errors
    /// Only if a mapped file was changed since it was opened.
    pub fn model(&self) -> Result<Model<'_>, Error> {
        Model::parse(&self.memory)
    }
}

fn copy(mut file: File, len: usize) -> io::Result<Mmap> {
    let mut memory = MmapMut::map_anon(len)?;
    file.read_exact(&mut memory)?;
    memory.make_read_only()
}

#[allow(unsafe_code)]
fn map(file: &File, len: usize, populate: bool) -> io::Result<Mmap> {
    let mut options = MmapOptions::new();
    options.len(len);
    if populate {
        options.populate();
    }
    // SAFETY: the map is only read, as plain bytes, through slices that bytemuck checks; all bit
    // patterns of the record types are valid. That nobody shortens or rewrites the file while it
    // is mapped is the caller's part, stated at `MappedModel`.
    unsafe { options.map(file) }
}
