//! Writes the first inputs for fuzzing: the small `.h5` files below some folders, and their short forms.
//!
//!     seeds FOLDER-TO-WRITE FOLDER-TO-READ…

use flatpack_fuzz::Short;
use flatpack_fuzz::import::keras;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The largest file that makes a good input.
const MAX_BYTES: usize = 20_000;

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "h5") {
            found.push(path);
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut folders = env::args_os().skip(1).map(PathBuf::from);
    let to = folders.next().expect("the folder to write");
    fs::create_dir_all(&to)?;
    let mut found = vec![];
    for folder in folders {
        files(&folder, &mut found)?;
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
