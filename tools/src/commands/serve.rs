//! `flatpack serve`: models that answer requests on a socket.

use super::{Failure, Report};
use crate::serve::frame::{FrameError, Status, write_answer};
use crate::serve::{Gateway, log};
use flatpack_runtime::OpenOptions;
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeMap;
use std::io::{self, BufReader, ErrorKind};
use std::net::Shutdown;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long the rest of a frame may take to come, and an answer to be read.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);

/// How long running requests may take once the gateway is to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Serve .fpk files on a Unix socket, or to one client on standard input and output.
///
/// Each connection has a thread and sessions of its own; all share one map of each file. A file that another
/// one was renamed over is replaced before the next run, while running requests finish on the old one; one
/// that is not valid is refused, and the old one goes on. SIGTERM and SIGINT end the gateway once running
/// requests are answered. Frames are described in docs/gateways.md.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The files; a name in front, if it is not to be that of the file.
    #[arg(value_name = "[NAME=]FILE", required = true, value_parser = named)]
    models: Vec<(String, PathBuf)>,
    /// The socket to listen on.
    #[arg(long, value_name = "PATH", required_unless_present = "stdio")]
    socket: Option<PathBuf>,
    /// Answer on standard output what comes on standard input, until that ends.
    #[arg(long, conflicts_with = "socket")]
    stdio: bool,
    /// Copy files into memory in place of mapping them.
    #[arg(long, conflicts_with = "populate")]
    read: bool,
    /// Read all of a file when it is opened.
    #[arg(long)]
    populate: bool,
    /// Keep files in memory.
    #[arg(long)]
    lock: bool,
    /// Check checksums and goldens of a file before it serves.
    #[arg(long)]
    verify: bool,
    /// Connections at once; more are refused.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
}

const EXAMPLES: &str = "Examples:
  flatpack serve model.fpk --socket /run/flatpack.sock
  flatpack serve faces=models/a.fpk words=models/b.fpk --socket gateway.sock --verify --populate
  flatpack serve model.fpk --stdio < requests > answers";

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) => (name.to_owned(), PathBuf::from(path)),
        None => {
            let path = PathBuf::from(text);
            (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), path)
        }
    };
    if name.is_empty() || name.len() > 255 {
        return Err("a name has 1 to 255 bytes".into());
    }
    Ok((name, path))
}

pub(super) fn run(args: &Args) -> Result<Report, Failure> {
    let mut names: Vec<&str> = args.models.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::usage(miette::miette!(
            help = "give one of them another name, such as NAME=FILE",
            "two files are to be served as `{}`",
            twice[0]
        )));
    }
    let options = OpenOptions::new().read(args.read).populate(args.populate).lock(args.lock);
    let gateway = Gateway::open(&args.models, options, args.verify)?;
    match &args.socket {
        Some(socket) => listen(gateway, socket, args.connections as usize),
        None => {
            let outcome = gateway.converse(&mut io::stdin().lock(), &mut io::stdout().lock());
            outcome.map_err(|error| Failure::usage(miette::miette!("standard input: {error}")))?;
            log(&format!("standard input ended: {}", gateway.counts()));
            Ok(Report::new("", Value::Null))
        }
    }
}

/// Serves until a signal comes.
fn listen(gateway: Gateway, socket: &Path, most: usize) -> Result<Report, Failure> {
    let failure = |error: io::Error| Failure::io(socket, &error);
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failure)?;
    let listener = bind(socket).map_err(failure)?;
    log(&format!("listening on {}", socket.display()));
    let shared = Arc::new(Shared { gateway, connections: Mutex::default(), ended: Condvar::new() });
    let acceptor = Arc::clone(&shared);
    thread::spawn(move || acceptor.accept(&listener, most));
    let signal = signals.forever().next();
    let removed = std::fs::remove_file(socket);
    log(if signal == Some(SIGINT) { "interrupted: stopping" } else { "terminated: stopping" });
    let left = shared.stop();
    if left > 0 {
        log(&format!("{left} connections did not end in {} s", STOP_TIMEOUT.as_secs()));
    }
    removed.map_err(failure)?;
    let counts = shared.gateway.counts();
    let text = format!(
        "{} runs, {} requests refused, {} files replaced, {} new files refused",
        counts["runs"], counts["refused"], counts["reloads"], counts["refused_files"]
    );
    Ok(Report::new(text, json!({ "socket": socket, "counts": counts })))
}

/// Listens on a socket; one that nobody listens on any more is taken away.
fn bind(socket: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(socket) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if !std::fs::symlink_metadata(socket)?.file_type().is_socket() {
                return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file that is no socket"));
            }
            if UnixStream::connect(socket).is_ok() {
                return Err(io::Error::new(error.kind(), "another gateway listens there"));
            }
            std::fs::remove_file(socket)?;
            UnixListener::bind(socket)
        }
        bound => bound,
    }
}

/// What the threads of a gateway share.
struct Shared {
    gateway: Gateway,
    connections: Mutex<Connections>,
    /// A connection ended.
    ended: Condvar,
}

#[derive(Default)]
struct Connections {
    stopping: bool,
    next: u64,
    open: BTreeMap<u64, UnixStream>,
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &UnixListener, most: usize) {
        for stream in listener.incoming() {
            let accepted = stream.and_then(|stream| self.begin(stream, most));
            if let Err(error) = accepted {
                log(&format!("a connection was not accepted: {error}"));
                // Where the process has no file numbers left, the next connection fares no better at once.
                thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Gives a connection a thread.
    fn begin(self: &Arc<Self>, mut stream: UnixStream, most: usize) -> io::Result<()> {
        stream.set_read_timeout(Some(FRAME_TIMEOUT))?;
        stream.set_write_timeout(Some(FRAME_TIMEOUT))?;
        let other_end = stream.try_clone()?;
        let mut connections = self.connections();
        if connections.stopping {
            return Ok(());
        }
        if connections.open.len() >= most {
            let text = format!("{most} connections are open, and no more are served at once");
            return write_answer(&mut stream, Status::Closed, 0, &[text.as_bytes()])
                .map_err(io::Error::other);
        }
        let number = connections.next;
        connections.next += 1;
        connections.open.insert(number, other_end);
        drop(connections);
        let shared = Arc::clone(self);
        let spawned = thread::Builder::new().spawn(move || {
            let served = shared.serve(&stream);
            if let Err(error) = served {
                log(&format!("connection {number}: {error}"));
            }
            shared.end(number);
        });
        spawned.map(|_| ()).inspect_err(|_| self.end(number))
    }

    fn serve(&self, mut stream: &UnixStream) -> Result<(), FrameError> {
        self.gateway.converse(&mut BufReader::new(stream), &mut stream)
    }

    fn end(&self, number: u64) {
        self.connections().open.remove(&number);
        self.ended.notify_all();
    }

    /// Lets running requests be answered and no more come. Gives how many connections did not end.
    fn stop(&self) -> usize {
        let mut connections = self.connections();
        connections.stopping = true;
        for stream in connections.open.values() {
            // One that has ended already needs none.
            let _ = stream.shutdown(Shutdown::Read);
        }
        let ended = self.ended.wait_timeout_while(connections, STOP_TIMEOUT, |c| !c.open.is_empty());
        ended.unwrap_or_else(PoisonError::into_inner).0.open.len()
    }
}
