//! Writes the seeds of the fuzz targets: a model of one step for each operator, in both layouts,
//! one of all operators, and one of none.

#[path = "../../tests/every_op/mod.rs"]
mod every_op;

use flatpack_format::writer::Draft;
use flatpack_format::{Block, OpCode, Target};
use std::path::Path;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut seeds = 0;
    let mut seed = |name: &str, draft: &Draft| {
        let (blocks, len) = draft.write().expect("the samples are valid");
        for target in ["load_and_run", "round_trip"] {
            std::fs::create_dir_all(corpus.join(target))?;
            std::fs::write(corpus.join(target).join(format!("{name}.fpk")), &Block::bytes(&blocks)[..len])?;
        }
        seeds += 1;
        std::io::Result::Ok(())
    };
    for target in [Target::Portable, Target::Linux] {
        for &op in OpCode::ALL {
            seed(&format!("{}_{}", op.name(), target.name()), &every_op::one(op, target))?;
        }
    }
    seed("all", &every_op::all(OpCode::ALL, Target::Portable))?;
    seed("none", &every_op::all(&[], Target::Portable))?;
    let steps = corpus.join("any_step");
    std::fs::create_dir_all(&steps)?;
    for &op in OpCode::ALL {
        std::fs::write(steps.join(op.name()), every_op::step(op).encoded())?;
    }
    println!("{seeds} seeds for each target in {}", corpus.display());
    Ok(())
}
