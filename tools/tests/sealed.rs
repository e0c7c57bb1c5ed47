//! What `flatpack build` leaves behind when it is killed at any time.
#![cfg(unix)]

use flatpack_runtime::{Block, OpenOptions, Session, WatchedModel, ops};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn build(model: &str, output: &Path) -> Command {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut command = Command::new(env!("CARGO_BIN_EXE_flatpack"));
    command.arg("build").arg(examples.join(model).join("model.h5")).arg("-o").arg(output);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Whether a file is being written in a folder.
fn is_writing(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| entry.unwrap().path().extension().is_some_and(|e| e == "tmp"))
}

fn meets_goldens(watched: &WatchedModel) {
    let mapped = watched.model();
    let model = mapped.model().unwrap();
    model.check_contents().unwrap();
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)).unwrap();
    assert!(session.check_goldens().unwrap().cases > 0);
}

#[test]
fn a_writer_that_is_killed_half_way_leaves_the_old_model_serving() {
    let folder = tempfile::tempdir().unwrap();
    let [path, other, saved] = ["model.fpk", "other.fpk", "saved.fpk"].map(|name| folder.path().join(name));
    assert!(build("digits_cnn", &path).status().unwrap().success());
    assert!(build("digits_mlp", &other).status().unwrap().success());
    let [old, new] = [&path, &other].map(|path| fs::read(path).unwrap());
    let watched = WatchedModel::open(&path, OpenOptions::new()).unwrap();

    let mut killed = 0;
    for _ in 0..20 {
        let mut writer = build("digits_mlp", &path).spawn().unwrap();
        let begin = Instant::now();
        while !is_writing(folder.path()) && begin.elapsed() < Duration::from_secs(60) {}
        writer.kill().unwrap();
        writer.wait().unwrap();
        let half_way = is_writing(folder.path());
        killed += u32::from(half_way);
        assert_eq!(watched.reload().unwrap(), !half_way);
        meets_goldens(&watched);
        let bytes = fs::read(&path).unwrap();
        assert!(if half_way { bytes == old } else { bytes == new });

        fs::write(&saved, &old).unwrap();
        fs::rename(&saved, &path).unwrap();
        assert!(watched.reload().unwrap());
        for entry in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(entry).unwrap();
            }
        }
    }
    assert!(killed > 0);

    assert!(build("digits_mlp", &path).status().unwrap().success());
    assert!(watched.reload().unwrap());
    meets_goldens(&watched);
}

#[test]
fn a_file_may_be_read_by_all_from_its_first_moment() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.fpk");
    assert!(build("digits_mlp", &path).status().unwrap().success());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
