//! Any bytes are imported as a graph, or refused.
#![no_main]

use flatpack_fuzz::Short;
use flatpack_fuzz::graph::Graph;
use flatpack_fuzz::import::ImportError;
use flatpack_fuzz::import::keras::{self, Options, Saved};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use miette::Diagnostic;
use serde_json::{Value, json};
use std::{env, fs, process};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let made = match data {
        [b'{', ..] => {
            let Some(saved) = serde_json::from_slice(data).ok().and_then(Short::saved) else { return };
            graph(&saved)
        }
        _ => file(data).and_then(|saved| graph(&saved)),
    };
    if let Err(error) = made {
        let _ =
            format!("{error} {error:?} {}", error.help().map_or_else(String::new, |help| help.to_string()));
    }
});

fn file(data: &[u8]) -> Result<Saved, ImportError> {
    let path = env::temp_dir().join(format!("import_h5.{}", process::id()));
    fs::write(&path, data).expect("a folder to write to");
    let saved = keras::open(&path, None);
    fs::remove_file(&path).expect("the file just written");
    saved
}

fn graph(saved: &Saved) -> Result<Graph, ImportError> {
    keras::lower(saved, &saved.network()?, &Options::default())
}

/// Changes values of a short form where they are: other changes rarely leave it JSON.
fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut state = u64::from(seed) << 1 | 1;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let parsed = data[..size].first().filter(|&&first| first == b'{').filter(|_| random(8) > 0);
    let Some(mut value) = parsed.and_then(|_| serde_json::from_slice::<Value>(&data[..size]).ok()) else {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    };
    for _ in 0..=random(3) {
        let mut count = 0;
        visit(&mut value, &mut |_| count += 1);
        let [at, from] = [random(count), random(count)];
        let mut other = Value::Null;
        let mut number = 0;
        visit(&mut value, &mut |value| {
            if number == from {
                other = value.clone();
            }
            number += 1;
        });
        number = 0;
        visit(&mut value, &mut |value| {
            if number == at {
                change(value, &mut other, &mut random);
            }
            number += 1;
        });
    }
    match serde_json::to_vec(&value) {
        Ok(text) if text.len() <= max_size => {
            data[..text.len()].copy_from_slice(&text);
            text.len()
        }
        _ => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
}

/// All values, outermost first.
fn visit(value: &mut Value, f: &mut impl FnMut(&mut Value)) {
    f(value);
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| visit(value, f)),
        Value::Object(map) => map.values_mut().for_each(|value| visit(value, f)),
        _ => {}
    }
}

/// Changes a value, or makes it the other one.
fn change(value: &mut Value, other: &mut Value, random: &mut impl FnMut(usize) -> usize) {
    let choice = random(4);
    match value {
        Value::Bool(bool) if choice > 0 => *bool = !*bool,
        Value::Number(number) if choice > 0 => {
            let was = number.as_i64().unwrap_or_default();
            *value = match random(8) {
                0 => was.wrapping_add(1).into(),
                1 => was.wrapping_sub(1).into(),
                2 => was.wrapping_neg().into(),
                3 => random(8).into(),
                4 => (1u64 << random(64)).into(),
                5 => [i64::MAX, i64::MIN, -1, i64::from(u32::MAX), 1 << 30][random(5)].into(),
                6 => json!([0.5, -0.5, 1e-40, 1e300, -1e300][random(5)]),
                _ => u64::MAX.into(),
            };
        }
        Value::Array(values) if choice > 0 => {
            let at = random(values.len());
            match random(4) {
                0 if !values.is_empty() => {
                    values.remove(at);
                }
                1 if !values.is_empty() => values.push(values[at].clone()),
                2 => values.reverse(),
                _ => values.insert(at, other.take()),
            }
        }
        Value::Object(map) if choice > 0 => {
            let Some(key) = map.keys().nth(random(map.len())).cloned() else { return };
            if random(2) == 0 {
                map.remove(&key);
            } else {
                map.insert(key, other.take());
            }
        }
        _ => *value = other.take(),
    }
}
