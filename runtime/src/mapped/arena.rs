//! Memory of sessions from the system.

use crate::Session;
use flatpack_format::Model;
use memmap2::MmapMut;
use std::io;

/// The memory of a session, for [`Session::load`]: zeros that the system gives where they are first
/// touched, in large pages where it has them. A vector of blocks does as well, but is written to before
/// it is used, and page by page, which the first run waits for; and it begins at 16 bytes, so that vectors of
/// 64 bytes, as AVX-512 has them, lie across two lines of the cache.
#[derive(Debug)]
pub struct Arena(MmapMut);

impl Arena {
    /// [`Session::memory_bytes`] of a model.
    ///
    /// # Errors
    /// If the system has not so much memory left.
    pub fn of(model: &Model<'_>) -> io::Result<Self> {
        let memory = MmapMut::map_anon(Session::memory_bytes(model))?;
        // A wish: systems without large pages refuse it, and small ones do.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Ok(Self(memory))
    }

    /// The memory.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
