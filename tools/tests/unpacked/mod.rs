//! Cases that are in an archive.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use tempfile::TempDir;
use zip::ZipArchive;

/// The files of `tests/data/{archive}` in a folder, and their names.
pub(crate) fn unpacked(archive: &str) -> (TempDir, Vec<String>) {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(archive);
    let mut archive = ZipArchive::new(Cursor::new(fs::read(archive).unwrap())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    archive.extract(folder.path()).unwrap();
    (folder, archive.file_names().map(str::to_owned).collect())
}
