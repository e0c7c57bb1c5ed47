//! Any bytes are imported as a graph, or refused, as an archive of a SavedModel first of all.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| flatpack_fuzz::import_bytes(data));
