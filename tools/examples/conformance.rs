//! Packs the operators' cases on integers for a chip: each is a model of one operator, whose goldens say
//! bit for bit what it gives.
//!
//! `cargo run -p flatpack --example conformance -- PACK`
//!
//! The cases are those of `tools/tests/data/int8`, which have TensorFlow Lite Micro's own results; the
//! test `int8_operators` shows that ours are equal on this machine. For each, the pack has a header of 48
//! bytes, which are the length of the file in 32 bits and its name, zeros after it, then the file, and zeros
//! up to a multiple of 16.

use flatpack::build::{self, Goldens, Options};
use flatpack::data;
use flatpack::graph::Graph;
use flatpack::import::tflite::Saved;
use flatpack_format::{Layout, Target};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes of a case's header.
const HEADER_BYTES: usize = 48;

fn main() -> ExitCode {
    let Some(to) = std::env::args().nth(1) else {
        eprintln!("usage: conformance PACK");
        return ExitCode::from(2);
    };
    match pack() {
        Ok((pack, cases, refused)) => {
            if let Err(error) = std::fs::write(&to, &pack) {
                eprintln!("{to}: {error}");
                return ExitCode::from(2);
            }
            println!(
                "{to}: {cases} cases, {} bytes; {refused} cases are not computed with integers",
                pack.len()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Puts the files of a case into the pack, and says how many: none if it is not computed with integers, and two
/// if it has another layout for boards.
fn add(pack: &mut Vec<u8>, name: &str, graph: &Graph) -> usize {
    let mut added = 0;
    for target in [Target::Portable, Target::CortexM] {
        let options = Options { target, goldens: Goldens::Predicted(2), strip: true, ..Options::default() };
        let Ok(built) = build::build(graph.clone(), &options) else { return added };
        if target != Target::Portable && built.draft.tensors.iter().all(|t| t.layout == Layout::Rows) {
            continue;
        }
        let mut header = (built.bytes().len() as u32).to_le_bytes().to_vec();
        header.extend(name.bytes());
        header.extend(if target == Target::Portable { "" } else { " pairs" }.bytes());
        header.resize(HEADER_BYTES, 0);
        pack.extend(header);
        pack.extend(built.bytes());
        pack.resize(pack.len().next_multiple_of(16), 0);
        added += 1;
    }
    added
}

/// The pack, how many cases are in it, and how many are left out.
fn pack() -> Result<(Vec<u8>, usize, usize), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/int8");
    let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<Result<Vec<PathBuf>, std::io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "npz"));
    files.sort();
    let (mut pack, mut cases, mut refused) = (Vec::new(), 0, 0);
    for path in files {
        let operator = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (name, array) in data::load(&path)? {
            let Some(number) = name.strip_suffix("_model") else { continue };
            let bytes = array.values.iter().map(|&byte| byte as u8).collect();
            let saved = Saved { file: "model.tflite".into(), bytes };
            let Ok(graph) = saved.lower() else {
                refused += 1;
                continue;
            };
            match add(&mut pack, &format!("{operator} {number}"), &graph) {
                0 => refused += 1,
                added => cases += added,
            }
        }
    }
    Ok((pack, cases, refused))
}
