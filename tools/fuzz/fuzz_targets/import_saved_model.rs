//! Any bytes are imported as a graph, or refused, as an archive of a SavedModel first of all.
#![no_main]

use flatpack_fuzz::import::{keras, open};
use libfuzzer_sys::fuzz_target;
use miette::Diagnostic;
use std::{env, fs, process};

fuzz_target!(|data: &[u8]| {
    let path = env::temp_dir().join(format!("import_saved_model.{}", process::id()));
    fs::write(&path, data).expect("a folder to write to");
    let source = open(&path, None);
    fs::remove_file(&path).expect("the file just written");
    if let Err(error) = source.and_then(|source| source.graph(&keras::Options::default())) {
        let _ =
            format!("{error} {error:?} {}", error.help().map_or_else(String::new, |help| help.to_string()));
    }
});
