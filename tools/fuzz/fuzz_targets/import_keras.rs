//! Any bytes are imported as a graph, or refused, as a `.keras` archive first of all.
#![no_main]

use flatpack_fuzz::import::keras::{self, Options};
use libfuzzer_sys::fuzz_target;
use miette::Diagnostic;
use std::{env, fs, process};

fuzz_target!(|data: &[u8]| {
    let path = env::temp_dir().join(format!("import_keras.{}", process::id()));
    fs::write(&path, data).expect("a folder to write to");
    let saved = keras::open(&path, None);
    fs::remove_file(&path).expect("the file just written");
    let made = saved.and_then(|saved| keras::lower(&saved, &saved.network()?, &Options::default()));
    if let Err(error) = made {
        let _ =
            format!("{error} {error:?} {}", error.help().map_or_else(String::new, |help| help.to_string()));
    }
});
