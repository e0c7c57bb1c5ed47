//! Writes the first inputs for fuzzing: the small `.h5` files below some folders and their short forms,
//! or, into a folder `import_tflite`, the small `.tflite` files, also those in `.npz` files, or, into a folder
//! `import_keras`, the small `.keras` files.
//!
//!     seeds FOLDER-TO-WRITE FOLDER-TO-READ…

use flatpack_fuzz::Short;
use flatpack_fuzz::import::keras;
use ndarray::{Ix1, OwnedRepr};
use ndarray_npy::NpzReader;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The largest file that makes a good input.
const MAX_BYTES: usize = 20_000;

fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, endings, found)?;
        } else if path.extension().is_some_and(|extension| endings.iter().any(|e| extension == *e)) {
            found.push(path);
        }
    }
    Ok(())
}

/// The first `.tflite` file among the arrays of a `.npz` file.
fn in_arrays(path: &Path) -> Option<Vec<u8>> {
    let mut arrays = NpzReader::new(fs::File::open(path).ok()?).ok()?;
    let name = arrays.names().ok()?.into_iter().find(|name| name.contains("_model"))?;
    let bytes = arrays.by_name::<OwnedRepr<u8>, Ix1>(&name).ok()?;
    Some(bytes.to_vec())
}

fn tflite_files(to: &Path, folders: impl Iterator<Item = PathBuf>) -> io::Result<()> {
    let mut found = vec![];
    for folder in folders {
        files(&folder, &["tflite", "npz"], &mut found)?;
    }
    for (number, path) in found.iter().enumerate() {
        let is_whole = path.extension().is_some_and(|extension| extension == "tflite");
        let bytes = if is_whole { Some(fs::read(path)?) } else { in_arrays(path) };
        if let Some(bytes) = bytes.filter(|bytes| bytes.len() <= MAX_BYTES) {
            fs::write(to.join(format!("{number}.tflite")), bytes)?;
        }
    }
    Ok(())
}

fn archives(to: &Path, folders: impl Iterator<Item = PathBuf>) -> io::Result<()> {
    let mut found = vec![];
    for folder in folders {
        files(&folder, &["keras"], &mut found)?;
    }
    for (number, path) in found.iter().enumerate() {
        if fs::metadata(path)?.len() <= MAX_BYTES as u64 {
            fs::copy(path, to.join(format!("{number}.keras")))?;
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut folders = env::args_os().skip(1).map(PathBuf::from);
    let to = folders.next().expect("the folder to write");
    fs::create_dir_all(&to)?;
    if to.ends_with("import_tflite") {
        return tflite_files(&to, folders);
    }
    if to.ends_with("import_keras") {
        return archives(&to, folders);
    }
    let mut found = vec![];
    for folder in folders {
        files(&folder, &["h5"], &mut found)?;
    }
    for (number, path) in found.iter().enumerate() {
        let bytes = fs::read(path)?;
        if bytes.len() <= MAX_BYTES {
            fs::write(to.join(format!("{number}.h5")), bytes)?;
        }
        let Ok(saved) = keras::open(path, None) else { continue };
        let text = serde_json::to_vec(&Short::of(&saved))?;
        if text.len() <= MAX_BYTES {
            fs::write(to.join(format!("{number}.json")), text)?;
        }
    }
    Ok(())
}
