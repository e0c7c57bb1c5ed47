//! Files that are mapped: what opening one touches, and another that takes its place.
#![cfg(all(feature = "mmap", target_os = "linux"))]

use flatpack_format::ops::Clamp;
use flatpack_format::ops::fully_connected::FullyConnectedParams;
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{Block, DType, Layout, OpCode, Rule, Shape, Target, TensorType};
use flatpack_runtime::{Arena, MappedModel, OpenFault, OpenOptions, Session, WatchedModel, ops};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Inputs of the layer of [`file`].
const DEPTH: u32 = 1024;

/// A fully connected layer with weights that are all `weight`: each output is `DEPTH · weight` times what
/// every input is.
fn file(outputs: u32, weight: f32) -> Vec<u8> {
    let tensor = |dims: &[u32], memory| TensorDraft {
        name: None,
        tensor_type: TensorType { dtype: DType::F32, shape: Shape::new(dims).unwrap() },
        layout: Layout::Rows,
        quant: 0,
        memory,
    };
    let weights = vec![weight; (outputs * DEPTH) as usize];
    let draft = Draft {
        target: Target::Portable,
        tensors: vec![
            tensor(&[1, DEPTH], Memory::Arena(0)),
            tensor(&[outputs, DEPTH], Memory::Constant(bytemuck::cast_slice(&weights).to_vec())),
            tensor(&[1, outputs], Memory::Arena(4 * DEPTH)),
        ],
        steps: vec![StepDraft {
            name: None,
            op: OpCode::FullyConnected,
            params: bytemuck::bytes_of(&FullyConnectedParams { clamp: Clamp::NONE }).to_vec(),
            inputs: vec![0, 1],
            outputs: vec![2],
            scratches: vec![],
        }],
        inputs: vec![0],
        outputs: vec![2],
        quants: vec![],
        cases: vec![],
        meta: BTreeMap::new(),
    };
    let (blocks, len) = draft.write().unwrap();
    Block::bytes(&blocks)[..len].to_vec()
}

/// A folder with a file `model.fpk`.
struct Folder {
    folder: TempDir,
    path: PathBuf,
}

impl Folder {
    fn with(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.fpk");
        fs::write(&path, bytes).unwrap();
        Self { folder, path }
    }

    /// Renames another file over it.
    fn replace(&self, bytes: &[u8]) {
        let new = self.folder.path().join("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, &self.path).unwrap();
    }
}

/// What the layer of [`file`] gives for ones.
fn output(mapped: &MappedModel) -> f32 {
    let model = mapped.model().unwrap();
    let mut arena = Arena::of(&model).unwrap();
    let mut session = Session::load(model, ops::ALL, arena.bytes_mut()).unwrap();
    session.input::<f32>(0).unwrap().fill(1.0);
    session.run().unwrap();
    session.output::<f32>(0).unwrap()[0]
}

/// Kilobytes of a file's map in this process, as the system says them.
fn kilobytes(path: &Path, field: &str) -> u64 {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = smaps.lines().skip_while(|line| !line.ends_with(path.to_str().unwrap()));
    let value = lines.find_map(|line| line.strip_prefix(field)).unwrap();
    value.trim_start_matches(':').trim_end_matches("kB").trim().parse().unwrap()
}

/// Pages that this thread has touched first.
fn faults() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(7).unwrap().parse().unwrap()
}

#[test]
fn opening_touches_as_much_of_a_small_file_as_of_a_large_one() {
    let [small, large] = [256, 8192].map(|outputs| Folder::with(&file(outputs, 1.0)));
    let faults = [&small, &large].map(|folder| {
        let before = faults();
        let mapped = MappedModel::open(&folder.path).unwrap();
        let faults = faults() - before;
        // Of the two ends, where the tables are, the system maps what lies around: 2 MiB at most.
        assert!(kilobytes(&folder.path, "Rss") <= 4 << 10);
        assert_eq!(output(&mapped), DEPTH as f32);
        assert!(kilobytes(&folder.path, "Rss") > kilobytes(&folder.path, "Size") / 2);
        faults
    });
    assert!(faults[1] <= faults[0] + 2, "{faults:?} page faults");
}

#[test]
fn a_populated_file_is_there_before_the_first_run() {
    let folder = Folder::with(&file(1024, 1.0));
    let mapped = MappedModel::options().populate(true).open(&folder.path).unwrap();
    assert_eq!(kilobytes(&folder.path, "Rss"), kilobytes(&folder.path, "Size"));
    assert_eq!(output(&mapped), DEPTH as f32);
}

#[test]
fn a_locked_file_stays() {
    // Less than any system lets a process lock.
    let folder = Folder::with(&file(4, 1.0));
    let mapped = MappedModel::options().lock(true).open(&folder.path).unwrap();
    assert_eq!(kilobytes(&folder.path, "Locked"), kilobytes(&folder.path, "Size"));
    assert_eq!(output(&mapped), DEPTH as f32);
}

#[test]
fn a_file_that_was_read_may_be_cut_short_and_written_to() {
    let folder = Folder::with(&file(256, 1.0));
    let read = MappedModel::read(&folder.path).unwrap();
    fs::write(&folder.path, [0; 64]).unwrap();
    assert_eq!(output(&read), DEPTH as f32);
    fs::remove_file(&folder.path).unwrap();
    assert_eq!(output(&read), DEPTH as f32);
}

#[test]
fn a_file_that_is_renamed_over_another_is_picked_up_and_old_sessions_go_on() {
    for options in [OpenOptions::new(), OpenOptions::new().read(true)] {
        let folder = Folder::with(&file(16, 1.0));
        let watched = WatchedModel::open(&folder.path, options).unwrap();
        assert!(!watched.reload().unwrap());
        let old = watched.model();
        let model = old.model().unwrap();
        let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
        let mut session = Session::load(model, ops::ALL, Block::bytes_mut(&mut memory)).unwrap();
        session.input::<f32>(0).unwrap().fill(1.0);

        folder.replace(&file(16, 2.0));
        assert!(watched.serves(&old));
        assert!(watched.reload().unwrap());
        assert!(!watched.reload().unwrap());
        assert!(!watched.serves(&old));
        assert_eq!(output(&watched.model()), 2.0 * DEPTH as f32);
        session.run().unwrap();
        assert_eq!(session.output::<f32>(0).unwrap(), [DEPTH as f32; 16]);
    }
}

#[test]
fn a_new_file_of_the_same_length_with_the_times_of_the_old_one_is_picked_up() {
    let folder = Folder::with(&file(16, 1.0));
    let watched = WatchedModel::open(&folder.path, OpenOptions::new().read(true)).unwrap();
    let times = fs::metadata(&folder.path).unwrap().modified().unwrap();
    for turn in 2..10 {
        // The number of the file is free, since nothing maps it, and may be given again.
        fs::remove_file(&folder.path).unwrap();
        fs::write(&folder.path, file(16, turn as f32)).unwrap();
        fs::File::options().write(true).open(&folder.path).unwrap().set_modified(times).unwrap();
        assert!(watched.reload().unwrap());
        assert_eq!(output(&watched.model()), (turn * DEPTH) as f32);
    }
}

#[test]
fn a_new_file_that_is_not_valid_is_refused_once_and_the_old_one_serves() {
    let whole = file(16, 2.0);
    let mut other_magic = whole.clone();
    other_magic[0] ^= 1;
    let folder = Folder::with(&file(16, 1.0));
    let watched = WatchedModel::open(&folder.path, OpenOptions::new()).unwrap();
    for (bytes, rule) in [(&whole[..whole.len() / 2], Rule::V01), (&other_magic, Rule::V02), (&[], Rule::V02)]
    {
        folder.replace(bytes);
        let refused = watched.reload().unwrap_err();
        assert!(matches!(refused.fault, OpenFault::Format(error) if error.rule == rule), "{refused}");
        assert_eq!(refused.path, folder.path);
        assert!(!watched.reload().unwrap());
        assert_eq!(output(&watched.model()), DEPTH as f32);
    }
    fs::remove_file(&folder.path).unwrap();
    let refused = watched.reload().unwrap_err();
    assert!(matches!(&refused.fault, OpenFault::Io(error) if error.kind() == std::io::ErrorKind::NotFound));
    assert!(!watched.reload().unwrap());
    assert_eq!(output(&watched.model()), DEPTH as f32);

    folder.replace(&whole);
    let refused = watched.reload_if(|_| Err(Refused::NotWanted)).unwrap_err();
    assert!(matches!(refused, Refused::NotWanted));
    assert!(!watched.reload().unwrap());
    assert_eq!(output(&watched.model()), DEPTH as f32);
    folder.replace(&whole);
    assert!(watched.reload().unwrap());
    assert_eq!(output(&watched.model()), 2.0 * DEPTH as f32);
}

#[derive(Debug)]
enum Refused {
    NotWanted,
    NotOpened,
}

impl From<flatpack_runtime::OpenError> for Refused {
    fn from(_: flatpack_runtime::OpenError) -> Self {
        Self::NotOpened
    }
}

#[test]
fn errors_name_the_file_and_what_to_do() {
    let whole = file(4, 1.0);
    let folder = Folder::with(&whole[..whole.len() - 1]);
    let name = folder.path.display();
    for options in [OpenOptions::new(), OpenOptions::new().read(true)] {
        let said = |path: &Path| options.open(path).unwrap_err().to_string();
        let cut = said(&folder.path);
        assert!(
            cut.starts_with(&format!("{name}: V01 ")) && cut.ends_with("(it was cut short: copy it again)")
        );
        let folder = folder.folder.path();
        assert_eq!(said(folder), format!("{}: it is no regular file", folder.display()));
        let none = folder.join("none.fpk");
        assert!(said(&none).starts_with(&format!("{}: No such file", none.display())));
    }
}
