//! Models by others with what Keras or TensorFlow Lite predicts: too many for this repository.

use std::path::{Path, PathBuf};

/// The corpus, or `None`, said on standard error.
pub(crate) fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("FLATPACK_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    let found = path.is_dir();
    if !found {
        eprintln!("skipped: no corpus at {}; set FLATPACK_CORPUS", path.display());
    }
    found.then_some(path)
}
