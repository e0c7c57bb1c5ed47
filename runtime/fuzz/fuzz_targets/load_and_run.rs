//! Any bytes are refused, or are a model that tests itself and runs to its end.
#![no_main]

mod input;
mod run;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| {
    run::load_and_run(&input::aligned(data), data.len());
    if let Some(blocks) = input::repaired(data) {
        run::load_and_run(&blocks, data.len());
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    input::mutate(data, size, max_size, seed)
});
