//! Writes the first inputs for fuzzing: the small `.h5` files below some folders and their short forms,
//! or, into a folder `import_tflite`, the small `.tflite` files, also those in `.npz` files, or, into folders
//! `import_keras`, `import_pickle` and `import_saved_model`, the small `.keras`, `.pkl` and `.zip` files, also those
//! `.pkl` files that are in `.zip` files.
//!
//!     seeds FOLDER-TO-WRITE FOLDER-TO-READ…

use flatpack_fuzz::Short;
use flatpack_fuzz::import::keras;
use ndarray::{Ix1, OwnedRepr};
use ndarray_npy::NpzReader;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::{env, fs, io};
use zip::ZipArchive;

/// The largest file that makes a good input.
const MAX_BYTES: usize = 32_000;

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

/// Small files of one ending, also those in `.zip` files.
fn copies(to: &Path, ending: &str, folders: impl Iterator<Item = PathBuf>) -> io::Result<()> {
    let mut found = vec![];
    for folder in folders {
        files(&folder, &[ending, "zip"], &mut found)?;
    }
    let mut seeds = vec![];
    for path in &found {
        let bytes = fs::read(path)?;
        if path.extension().is_some_and(|extension| extension == ending) {
            seeds.push(bytes);
        } else if let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) {
            for number in 0..archive.len() {
                let mut file = archive.by_index(number).map_err(io::Error::other)?;
                if file.name().ends_with(&format!(".{ending}")) {
                    let mut bytes = vec![];
                    file.read_to_end(&mut bytes)?;
                    seeds.push(bytes);
                }
            }
        }
    }
    for (number, bytes) in seeds.iter().filter(|bytes| bytes.len() <= MAX_BYTES).enumerate() {
        fs::write(to.join(format!("{number}.{ending}")), bytes)?;
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
    for (target, ending) in
        [("import_keras", "keras"), ("import_pickle", "pkl"), ("import_saved_model", "zip")]
    {
        if to.ends_with(target) {
            return copies(&to, ending, folders);
        }
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
