//! `flatpack serve` under load, while files are replaced, and what hostile clients hear.
#![cfg(target_os = "linux")]

use flatpack::isa::kernels;
use flatpack::serve::Client;
use flatpack::serve::frame::{Answer, FrameError, Kind, Status};
use flatpack_format::ops::Clamp;
use flatpack_format::ops::binary::BinaryParams;
use flatpack_format::ops::reshape::ReshapeParams;
use flatpack_format::writer::{Draft, Memory, StepDraft, TensorDraft};
use flatpack_format::{Block, DType, Layout, OpCode, Shape, Target, TensorType};
use flatpack_runtime::{MappedModel, Session};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

fn flatpack() -> Command {
    Command::new(env!("CARGO_BIN_EXE_flatpack"))
}

/// A folder with what digits_cnn gives in float32 (`reals.fpk`) and with weights in a quarter of the bytes
/// (`bytes.fpk`), which take and give the same.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits_cnn/model.h5");
    for (name, options) in [("reals.fpk", &[][..]), ("bytes.fpk", &["--quantize", "int8-weights"])] {
        let output = folder.path().join(name);
        let mut build = flatpack();
        build.args(["build", model, "-o"]).arg(output).args(options).stdout(Stdio::null());
        assert!(build.status().unwrap().success());
    }
    folder
}

/// Renames a copy of a file over another.
fn replace(path: &Path, bytes: &[u8]) {
    let copy = path.with_extension("new");
    fs::write(&copy, bytes).unwrap();
    fs::rename(copy, path).unwrap();
}

/// A gateway in a process of its own.
struct Gateway {
    child: Child,
    socket: PathBuf,
    /// Lines, read as they come: a process waits for who reads its log.
    log: Receiver<String>,
}

impl Gateway {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let socket = folder.join("socket");
        let mut serve = flatpack();
        serve.arg("serve").args(arguments).arg("--json").arg("--socket").arg(&socket).current_dir(folder);
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, log) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let gateway = Self { child, socket, log };
        assert!(gateway.says().contains("listening"));
        gateway
    }

    /// The next line of the log.
    fn says(&self) -> String {
        self.log.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    fn client(&self, name: &str) -> Client {
        let mut client = Client::connect(&self.socket).unwrap();
        client.open(name).unwrap();
        client
    }

    /// Sends a signal, and gives the report.
    fn stop(mut self, signal: &str) -> Value {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let mut report = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
        assert!(self.child.wait().unwrap().success());
        assert!(!self.socket.exists());
        serde_json::from_str(&report).unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // One that was stopped has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The checksum in a file's header, and what the file gives for an input.
fn expected(file: &Path, input: &[f32]) -> (u32, Vec<u8>) {
    let mapped = MappedModel::open(file).unwrap();
    let model = mapped.model().unwrap();
    let mut memory = vec![Block::ZERO; Block::count(Session::memory_bytes(&model))];
    let mut session = Session::load(model, kernels().unwrap(), Block::bytes_mut(&mut memory)).unwrap();
    session.input::<f32>(0).unwrap().copy_from_slice(input);
    session.run().unwrap();
    (model.header().header_crc32, session.output_bytes(0).unwrap().to_vec())
}

fn input(seed: usize) -> Vec<f32> {
    (0..64).map(|at| ((at * 7 + seed * 13) % 17) as f32).collect()
}

fn ask(client: &mut Client, kind: Kind, input: &[f32]) -> Answer {
    client.ask(kind, &[bytemuck::cast_slice(input)]).unwrap()
}

#[test]
fn under_load_every_answer_is_that_of_one_of_the_files_that_take_turns() {
    const CLIENTS: usize = 4;
    const RUNS: usize = 200;
    let folder = folder();
    let files = ["reals.fpk", "bytes.fpk"].map(|name| folder.path().join(name));
    let bytes = files.each_ref().map(|file| fs::read(file).unwrap());
    let path = folder.path().join("digits.fpk");
    replace(&path, &bytes[0]);
    let gateway = Gateway::start(folder.path(), &["digits.fpk", "other=bytes.fpk"]);

    let done = AtomicBool::new(false);
    let (swaps, served) = thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let mut swaps = 0;
            while !done.load(Relaxed) {
                swaps += 1;
                replace(&path, &bytes[swaps % 2]);
            }
            swaps
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (mut client, files) = (gateway.client("digits"), &files);
                scope.spawn(move || {
                    let input = input(number);
                    let expected = files.each_ref().map(|file| expected(file, &input));
                    assert_ne!(expected[0], expected[1]);
                    let mut served = [0; 2];
                    for _ in 0..RUNS {
                        let Answer { status, file, body } = ask(&mut client, Kind::Run, &input);
                        assert_eq!(status, Status::Done);
                        let which = expected.iter().position(|other| *other == (file, body.clone()));
                        served[which.unwrap()] += 1;
                    }
                    served
                })
            })
            .collect();
        let served: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        done.store(true, Relaxed);
        (swapper.join().unwrap(), served.into_iter().map(Result::unwrap).collect::<Vec<_>>())
    });
    assert!(swaps > 10);
    for file in 0..2 {
        assert!(served.iter().any(|served| served[file] > 0), "{served:?}");
    }
    let report = gateway.stop("-TERM");
    assert_eq!(report["counts"]["runs"], CLIENTS * RUNS);
    assert_eq!(report["counts"]["refused"], 0);
    assert_eq!(report["counts"]["refused_files"], 0);
    assert!(report["counts"]["reloads"].as_u64().unwrap() > 1);
}

#[test]
fn a_file_that_is_not_valid_is_refused_and_the_old_one_goes_on() {
    let folder = folder();
    let [reals, bytes] = ["reals.fpk", "bytes.fpk"].map(|name| folder.path().join(name));
    let path = folder.path().join("digits.fpk");
    let (old, new) = (fs::read(&reals).unwrap(), fs::read(&bytes).unwrap());
    replace(&path, &old);
    let gateway = Gateway::start(folder.path(), &["digits.fpk", "--verify"]);
    let mut client = gateway.client("digits");
    let input = input(1);
    let [expected_old, expected_new] = [&reals, &bytes].map(|file| expected(file, &input));

    let mut damaged = new.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 0xff;
    let cut = &new[..new.len() / 2];
    for (other, said) in
        [(cut, "V01"), (b"something else", "V02"), (&damaged, "not so"), (&[], "flatpack build")]
    {
        replace(&path, other);
        let answer = ask(&mut client, Kind::Run, &input);
        assert_eq!((answer.file, answer.body), expected_old);
        let line = gateway.says();
        assert!(line.contains("digits.fpk") && line.contains(said), "{line}");
        assert!(line.contains("the file before goes on serving"), "{line}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(ask(&mut client, Kind::Run, &input).file, expected_old.0);
    assert!(gateway.says().contains("No such file"));
    replace(&path, &new);
    let answer = ask(&mut client, Kind::Run, &input);
    assert_eq!((answer.file, answer.body), expected_new);
    let report = gateway.stop("-INT");
    assert_eq!(report["counts"]["refused_files"], 5);
    assert_eq!(report["counts"]["reloads"], 1);
}

/// A model that adds up its inputs: y is the sum of all x since the first run.
fn sums(len: u32) -> Vec<u8> {
    let tensor = |memory| TensorDraft {
        name: None,
        tensor_type: TensorType { dtype: DType::F32, shape: Shape::new(&[len]).unwrap() },
        layout: Layout::Rows,
        quant: 0,
        memory,
    };
    let step = |op, params: &[u8], inputs: &[u32], output| StepDraft {
        name: None,
        op,
        params: params.to_vec(),
        inputs: inputs.to_vec(),
        outputs: vec![output],
        scratches: vec![],
    };
    let add = BinaryParams { clamp: Clamp::NONE };
    let reshape = ReshapeParams::new(&Shape::new(&[len]).unwrap());
    let draft = Draft {
        target: Target::Portable,
        tensors: vec![
            tensor(Memory::Arena(0)),
            tensor(Memory::State(0, vec![0; 4 * len as usize])),
            tensor(Memory::Arena(4 * len.next_multiple_of(4))),
        ],
        steps: vec![
            step(OpCode::Add, bytemuck::bytes_of(&add), &[1, 0], 1),
            step(OpCode::Reshape, bytemuck::bytes_of(&reshape), &[1], 2),
        ],
        inputs: vec![0],
        outputs: vec![2],
        quants: vec![],
        cases: vec![],
        meta: BTreeMap::new(),
    };
    let (blocks, bytes) = draft.write().unwrap();
    Block::bytes(&blocks)[..bytes].to_vec()
}

#[test]
fn a_stream_goes_on_with_its_file_until_it_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sums.fpk");
    replace(&path, &sums(4));
    let gateway = Gateway::start(folder.path(), &["sums.fpk"]);
    let mut client = gateway.client("sums");
    let sum = |client: &mut Client, kind| {
        let answer = ask(client, kind, &[1.0; 4]);
        assert_eq!(answer.status, Status::Done);
        bytemuck::pod_read_unaligned::<[f32; 4]>(&answer.body)[0]
    };
    assert_eq!(sum(&mut client, Kind::Next), 1.0);
    assert_eq!(sum(&mut client, Kind::Next), 2.0);
    let list = client.ask(Kind::List, &[]).unwrap();
    let list: Value = serde_json::from_slice(&list.body).unwrap();
    assert_eq!(list["models"][0]["name"], "sums");
    assert_eq!(sum(&mut client, Kind::Next), 3.0);
    assert_eq!(sum(&mut gateway.client("sums"), Kind::Next), 1.0);
    assert_eq!(sum(&mut client, Kind::Run), 1.0);

    // With other inputs, so that whatever begins anew must know of them.
    replace(&path, &sums(5));
    assert_eq!(sum(&mut client, Kind::Next), 2.0);
    let changed = ask(&mut client, Kind::Run, &[1.0; 4]);
    assert_eq!(changed.status, Status::Changed);
    assert!(String::from_utf8(changed.body).unwrap().contains("open it again"));
    let model = client.open("sums").unwrap();
    assert_eq!(model["inputs"][0]["shape"], serde_json::json!([5]));
    assert_eq!(ask(&mut client, Kind::Run, &[1.0; 5]).status, Status::Done);
    gateway.stop("-TERM");
}

#[test]
fn hostile_clients_hear_what_is_wrong_and_others_are_served() {
    let folder = folder();
    let gateway = Gateway::start(folder.path(), &["reals.fpk", "--connections", "2"]);
    let mut client = gateway.client("reals");
    let head = |kind: u16, reserved: u16, file: u32, bytes: u32| {
        [
            &b"FPKq"[..],
            &kind.to_le_bytes(),
            &reserved.to_le_bytes(),
            &file.to_le_bytes(),
            &bytes.to_le_bytes(),
        ]
        .concat()
    };
    let open = [&head(2, 0, 0, 5)[..], b"reals"].concat();
    let run = |bytes: u32| [&open[..], &head(3, 0, 0, bytes)].concat();
    let cases = [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "this is no frame: it begins with [47, 45, 54, 20]"),
        (b"FPK".to_vec(), "ended within a frame"),
        (head(1, 0, 0, 0)[..15].to_vec(), "ended within a frame"),
        (head(0, 0, 0, 0), "no frame of kind 0"),
        (head(5, 0, 0, 0), "no frame of kind 5"),
        (head(1, 1, 0, 0), "reserved"),
        (head(1, 0, 1, 0), "reserved"),
        (head(1, 0, 0, 1), "a body of 1 bytes, expected at most 0"),
        (head(2, 0, 0, 256), "a body of 256 bytes, expected at most 255"),
        (head(2, 0, 0, u32::MAX), "a body of 4294967295 bytes"),
        (head(3, 0, 0, 256), "no model is open"),
        (run(255), "a body of 255 bytes, expected 256, those of all inputs"),
        (run(u32::MAX), "a body of 4294967295 bytes, expected 256"),
        ([&run(256)[..], &[1; 255]].concat(), "ended within a frame"),
    ];
    for (bytes, said) in cases {
        let mut stream = UnixStream::connect(&gateway.socket).unwrap();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Answer::read(&mut stream, 4096).unwrap();
        if answer.status == Status::Done {
            answer = Answer::read(&mut stream, 4096).unwrap();
        }
        let text = String::from_utf8(answer.body).unwrap();
        assert!(answer.status == Status::Closed && text.contains(said), "{bytes:02x?}: {text}");
        assert!(matches!(Answer::read(&mut stream, 4096), Err(FrameError::Read(_))));
    }
    // A name that is not there is no reason to go.
    let refused = client.ask(Kind::Open, &["réals".as_bytes()]).unwrap();
    assert_eq!(refused.status, Status::Refused);
    assert_eq!(String::from_utf8(refused.body).unwrap(), "there is no model `réals`: there are reals");
    client.open("reals").unwrap();

    let _second = gateway.client("reals");
    let third = Answer::read(&mut UnixStream::connect(&gateway.socket).unwrap(), 4096).unwrap();
    assert_eq!(third.status, Status::Closed);
    assert!(String::from_utf8(third.body).unwrap().starts_with("2 connections are open"));
    let input = input(0);
    let answer = ask(&mut client, Kind::Run, &input);
    assert_eq!((answer.file, answer.body), expected(&folder.path().join("reals.fpk"), &input));
    gateway.stop("-TERM");
}

#[test]
fn a_socket_that_is_in_use_is_left_alone_and_a_dead_one_is_not() {
    let folder = folder();
    let mut gateway = Gateway::start(folder.path(), &["reals.fpk"]);
    let second = |socket: &Path| {
        let mut serve = flatpack();
        serve.arg("serve").arg(folder.path().join("reals.fpk")).arg("--socket").arg(socket).arg("--json");
        let output = serve.output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), json["error"].as_str().unwrap().to_owned())
    };
    let (code, error) = second(&gateway.socket);
    assert!(code == Some(2) && error.ends_with("socket: another gateway listens there"), "{error}");
    let file = folder.path().join("reals.fpk");
    let (code, error) = second(&file);
    assert!(code == Some(2) && error.ends_with("there is a file that is no socket"), "{error}");
    assert!(file.is_file());

    gateway.child.kill().unwrap();
    gateway.child.wait().unwrap();
    assert!(gateway.socket.exists());
    let gateway = Gateway::start(folder.path(), &["reals.fpk"]);
    assert_eq!(ask(&mut gateway.client("reals"), Kind::Run, &input(0)).status, Status::Done);
    gateway.stop("-TERM");
}

/// Kilobytes of the map of a file in a process, as the system says them.
fn kilobytes(process: u32, file: &Path, field: &str) -> u64 {
    let smaps = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let mut lines = smaps.lines().skip_while(|line| !line.ends_with(file.to_str().unwrap()));
    let value = lines.find_map(|line| line.strip_prefix(field)).unwrap();
    value.trim_start_matches(':').trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
fn processes_share_one_copy_of_the_weights() {
    const PROCESSES: usize = 3;
    let folder = folder();
    let file = folder.path().join("reals.fpk");
    let input = input(2);
    let (_, output) = expected(&file, &input);
    let mut children: Vec<Child> = (0..PROCESSES)
        .map(|_| {
            let mut serve = flatpack();
            serve.arg("serve").arg(&file).arg("--stdio").stderr(Stdio::null());
            serve.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in &mut children {
        let (to, from) = (child.stdin.as_mut().unwrap(), child.stdout.as_mut().unwrap());
        flatpack::serve::frame::write_request(to, Kind::Open, &[b"reals"]).unwrap();
        assert_eq!(Answer::read(from, 4096).unwrap().status, Status::Done);
        flatpack::serve::frame::write_request(to, Kind::Run, &[bytemuck::cast_slice(&input)]).unwrap();
        assert_eq!(Answer::read(from, 4096).unwrap().body, output);
    }
    for child in &children {
        let [rss, pss, shared, private] =
            ["Rss", "Pss", "Shared_Clean", "Private_Dirty"].map(|field| kilobytes(child.id(), &file, field));
        assert!(rss > 0 && shared == rss && private == 0, "{rss} KiB, {shared} shared, {private} written to");
        assert!(pss <= rss.div_ceil(PROCESSES as u64), "{pss} of {rss} KiB");
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty());
    }
}

#[test]
fn a_file_that_a_gateway_reads_slower_says_what_to_do() {
    let folder = folder();
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits_cnn/");
    let portable = folder.path().join("portable.fpk");
    let mut build = flatpack();
    build.args(["build", &format!("{digits}model.h5"), "--target", "portable", "-o"]).arg(&portable);
    assert!(build.output().unwrap().status.success());
    for (file, said) in [("portable.fpk", 1), ("reals.fpk", 0)] {
        let mut run = flatpack();
        run.args(["run", file, "--input", &format!("{digits}test.npz")]);
        let mut serve = flatpack();
        serve.args(["serve", file, "--stdio"]);
        for mut command in [run, serve] {
            let output = command.current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success());
            let log = String::from_utf8(output.stderr).unwrap();
            assert_eq!(log.matches("`flatpack build --target linux`").count(), said, "{log}");
        }
    }
}
