//! Cases that are folders.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders in a folder, in the order of their names.
pub(crate) fn folders(within: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(within).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}
