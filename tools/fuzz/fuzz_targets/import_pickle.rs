//! Any bytes are imported as a graph, or refused, as a pickle first of all.
#![no_main]

use flatpack_fuzz::import::{keras, open_bytes};
use libfuzzer_sys::fuzz_target;
use miette::Diagnostic;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let source = open_bytes(Path::new("model.pkl"), data.to_vec(), None);
    if let Err(error) = source.and_then(|source| source.graph(&keras::Options::default())) {
        let _ =
            format!("{error} {error:?} {}", error.help().map_or_else(String::new, |help| help.to_string()));
    }
});
