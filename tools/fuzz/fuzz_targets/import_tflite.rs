//! Any bytes are imported as a graph, or refused.
#![no_main]

use flatpack_fuzz::import::tflite::Saved;
use libfuzzer_sys::fuzz_target;
use miette::Diagnostic;

fuzz_target!(|data: &[u8]| {
    let saved = Saved { file: "fuzz.tflite".into(), bytes: data.to_vec() };
    if let Err(error) = saved.lower() {
        let _ =
            format!("{error} {error:?} {}", error.help().map_or_else(String::new, |help| help.to_string()));
    }
    let _ = saved.summary();
});
