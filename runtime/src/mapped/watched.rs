//! A file that another may take the place of.

use super::{MappedModel, OpenError, OpenOptions};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};

/// A file that serves, and that another may take the place of by being renamed over it.
///
/// [`WatchedModel::reload`] picks up the new file; sessions on the old one go on, since each holds
/// it by an [`Arc`], and the last of them lets it go. A new file that is not valid is refused, and
/// the old one goes on serving. Threads may share one `WatchedModel`.
///
/// ```
/// use flatpack_runtime::{Arena, Session, WatchedModel, ops};
///
/// fn serve(file: &WatchedModel, requests: impl Iterator<Item = f32>) -> Result<(), Box<dyn std::error::Error>> {
///     let mut requests = requests.peekable();
///     while requests.peek().is_some() {
///         let mapped = file.model();
///         let model = mapped.model()?;
///         let mut arena = Arena::of(&model)?;
///         let mut session = Session::load(model, ops::ALL, arena.bytes_mut())?;
///         while file.serves(&mapped) {
///             let Some(request) = requests.next() else { return Ok(()) };
///             session.input::<f32>(0).ok_or("no input")?.fill(request);
///             session.run()?;
///             if let Err(refused) = file.reload() {
///                 eprintln!("{refused}");
///             }
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct WatchedModel {
    path: PathBuf,
    options: OpenOptions,
    serving: RwLock<Arc<MappedModel>>,
    /// What was found at the path by the last look.
    seen: Mutex<Option<Stamp>>,
}

impl WatchedModel {
    /// Opens the file.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open(path: impl Into<PathBuf>, options: OpenOptions) -> Result<Self, OpenError> {
        let path = path.into();
        let model = options.open(&path)?;
        let seen = Mutex::new(Some(model.stamp));
        Ok(Self { path, options, serving: RwLock::new(Arc::new(model)), seen })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that serves.
    pub fn model(&self) -> Arc<MappedModel> {
        self.serving.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this is the file that serves.
    pub fn serves(&self, model: &Arc<MappedModel>) -> bool {
        Arc::ptr_eq(&self.serving.read().unwrap_or_else(PoisonError::into_inner), model)
    }

    /// Looks whether another file is there, and if so, lets it serve. Gives whether there was one.
    ///
    /// Where there is none, this is one system call, and may go before each request. While another
    /// thread looks, it gives `false` at once, and the old file serves.
    ///
    /// # Errors
    /// If the new file cannot be opened, or none is left. Said once: the next call that finds the
    /// same file gives `false`.
    pub fn reload(&self) -> Result<bool, OpenError> {
        self.reload_if(|_| Ok(()))
    }

    /// As [`WatchedModel::reload`], with what else the new file must meet to serve.
    ///
    /// # Errors
    /// As there, and those of `accept`, likewise said once.
    pub fn reload_if<E: From<OpenError>>(
        &self,
        accept: impl FnOnce(&MappedModel) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut seen = match self.seen.try_lock() {
            Ok(seen) => seen,
            Err(TryLockError::Poisoned(seen)) => seen.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        let found = fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata));
        if found == *seen {
            return Ok(false);
        }
        *seen = found;
        let model = self.options.open(&self.path)?;
        *seen = Some(model.stamp);
        accept(&model)?;
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(model);
        Ok(true)
    }
}

/// What tells a file from another one, and from what was in it before.
///
/// While a file is mapped, no other one has its number. The time of its last change is the
/// system's: copies that keep the times of what they copy have another.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: [i64; 2],
}

#[cfg(unix)]
impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            changed: [metadata.ctime(), metadata.ctime_nsec()],
        }
    }
}

/// What tells a file from another one.
#[cfg(not(unix))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<std::time::SystemTime>,
}

#[cfg(not(unix))]
impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}
