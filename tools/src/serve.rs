//! A gateway: models that answer requests, and that other files take the place of while they do.

pub mod frame;

use crate::build;
use crate::commands::{Failure, hint, open_failure};
use crate::isa;
use flatpack_format::{Model, Tensor, TensorType};
use flatpack_runtime::{Arena, Kernel, MappedModel, OpenError, OpenOptions, Session, WatchedModel, ops};
use frame::{Answer, FrameError, Kind, Request, Status, read_body, write_answer, write_request};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of the longest name that a request opens.
const LONGEST_NAME: u32 = 255;

/// Bytes of the longest answer in JSON.
const LONGEST_JSON: u32 = 1 << 20;

/// Models that serve, by name.
#[derive(Debug)]
pub struct Gateway {
    models: Vec<Served>,
    verify: bool,
    counts: Counts,
}

#[derive(Debug)]
struct Served {
    name: String,
    file: WatchedModel,
}

impl Served {
    /// Says what would make its file faster, if anything.
    fn say_hint(&self) {
        let Self { name, file } = self;
        if let Some(hint) = file.model().model().ok().as_ref().and_then(hint) {
            log(&format!("{name}: {} is {hint}", file.path().display()));
        }
    }
}

/// What a gateway has done.
#[derive(Debug, Default)]
struct Counts {
    runs: AtomicU64,
    refused: AtomicU64,
    reloads: AtomicU64,
    refused_files: AtomicU64,
}

/// Why a file is not to serve.
enum Unfit {
    Open(OpenError),
    Check(build::BuildError),
}

impl From<OpenError> for Unfit {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Check(build::BuildError::Open(error.into()))
    }
}

impl From<flatpack_format::Error> for Unfit {
    fn from(error: flatpack_format::Error) -> Self {
        Self::Check(build::BuildError::Open(error.into()))
    }
}

impl Unfit {
    fn failure(self, path: &Path) -> Failure {
        match self {
            Self::Open(error) => open_failure(&error),
            Self::Check(error) => Failure::model(miette::miette!("{}: {error}", path.display())),
        }
    }
}

impl Gateway {
    /// Opens the files of models. With `verify`, each is read as a whole before it serves: its checksums must
    /// hold, and it must meet its goldens.
    ///
    /// # Errors
    /// If a file cannot be opened, is not valid or does not load.
    pub fn open(models: &[(String, PathBuf)], options: OpenOptions, verify: bool) -> Result<Self, Failure> {
        let open = |(name, path): &(String, PathBuf)| {
            let file = WatchedModel::open(path, options).map_err(|error| open_failure(&error))?;
            fit(&file.model(), verify).map_err(|unfit| unfit.failure(path))?;
            let served = Served { name: name.clone(), file };
            served.say_hint();
            Ok(served)
        };
        let models = models.iter().map(open).collect::<Result<_, Failure>>()?;
        Ok(Self { models, verify, counts: Counts::default() })
    }

    /// What it has done, for scripts.
    pub fn counts(&self) -> Value {
        let Counts { runs, refused, reloads, refused_files } = &self.counts;
        let [runs, refused, reloads, refused_files] =
            [runs, refused, reloads, refused_files].map(|count| count.load(Relaxed));
        json!({ "runs": runs, "refused": refused, "reloads": reloads, "refused_files": refused_files })
    }

    /// Looks whether another file is there, and says so.
    fn look(&self, served: &Served) {
        let Served { name, file } = served;
        match file.reload_if(|mapped| fit(mapped, self.verify)) {
            Ok(false) => {}
            Ok(true) => {
                self.counts.reloads.fetch_add(1, Relaxed);
                log(&format!("{name}: {} was replaced, and the new file serves", file.path().display()));
                served.say_hint();
            }
            Err(unfit) => {
                self.counts.refused_files.fetch_add(1, Relaxed);
                let failure = unfit.failure(file.path());
                let help = failure.report.help().map(|help| format!(" ({help})")).unwrap_or_default();
                log(&format!("{name}: {}{help}; the file before goes on serving", failure.report));
            }
        }
    }

    /// Answers the requests of one connection until it ends.
    ///
    /// # Errors
    /// If the connection breaks, or brings what is no request: then that was answered, too.
    pub fn converse(&self, reader: &mut impl BufRead, writer: &mut impl Write) -> Result<(), FrameError> {
        let mut conversation = Conversation { gateway: self, reader, writer };
        let outcome = conversation.run();
        if let Err(error) = &outcome
            && !matches!(error, FrameError::Write(_))
        {
            // Whoever has gone does not hear it, and has ended the connection already.
            let _ = conversation.refuse(Status::Closed, 0, &error.to_string());
        }
        outcome
    }
}

/// The kernels of this machine; a name that is none was refused before.
fn kernels() -> &'static [Kernel] {
    isa::kernels().unwrap_or(ops::ALL)
}

/// Demands that a file loads, and meets its goldens if it is to be verified.
fn fit(mapped: &MappedModel, verify: bool) -> Result<(), Unfit> {
    let model = mapped.model()?;
    if verify {
        model.check_contents()?;
        return build::check(&model, kernels()).map(|_| ()).map_err(Unfit::Check);
    }
    let mut arena = Arena::of(&model)?;
    let loaded = Session::load(model, kernels(), arena.bytes_mut());
    loaded.map(|_| ()).map_err(|error| Unfit::Check(build::BuildError::Load(error)))
}

/// Prints a line of what goes on.
pub fn log(line: &str) {
    // A log that is closed stops no model.
    let _ = writeln!(io::stderr(), "flatpack serve: {line}");
}

/// What a client must know of a model to ask for runs: of each input, and of each output.
#[derive(Clone, Debug, PartialEq)]
struct Interface([Vec<Port>; 2]);

#[derive(Clone, Debug, PartialEq)]
struct Port {
    tensor_type: TensorType,
    bytes: u32,
    /// Scale and zero point.
    quant: Option<(f32, i32)>,
}

impl Interface {
    fn of(model: &Model<'_>) -> Self {
        let port = |tensor: Tensor<'_>| Port {
            tensor_type: tensor.tensor_type(),
            bytes: tensor.bytes(),
            quant: tensor
                .quant()
                .and_then(|number| model.quants().get(number as usize))
                .map(|quant| (quant.scale, quant.zero_point)),
        };
        Self([model.inputs().map(port).collect(), model.outputs().map(port).collect()])
    }

    /// Bytes of all inputs.
    fn input_bytes(&self) -> u64 {
        let Self([inputs, _]) = self;
        inputs.iter().map(|port| u64::from(port.bytes)).sum()
    }
}

impl Port {
    fn json(&self, name: Option<&str>) -> Value {
        let Self { tensor_type: TensorType { dtype, shape }, bytes, quant } = self;
        let mut json = json!({ "name": name, "dtype": dtype.name(), "shape": shape.dims(), "bytes": bytes });
        if let Some((scale, zero_point)) = quant {
            json["scale"] = json!(scale);
            json["zero_point"] = json!(zero_point);
        }
        json
    }
}

impl Served {
    /// The file that serves: the checksum of its header, what a client must know of it, and that for scripts.
    fn described(&self) -> Result<(u32, Interface, Value), flatpack_format::Error> {
        let mapped = self.file.model();
        let model = mapped.model()?;
        let (file, interface) = (model.header().header_crc32, Interface::of(&model));
        let Interface([inputs, outputs]) = &interface;
        let json = |(port, &number): (&Port, &u32)| port.json(model.tensor_name(number));
        let inputs: Value = inputs.iter().zip(model.input_numbers()).map(json).collect();
        let outputs: Value = outputs.iter().zip(model.output_numbers()).map(json).collect();
        let json = json!({ "name": self.name, "file": file, "inputs": inputs, "outputs": outputs });
        Ok((file, interface, json))
    }
}

/// A connection.
struct Conversation<'a, R, W> {
    gateway: &'a Gateway,
    reader: R,
    writer: W,
}

/// The model that a connection talks of.
struct Opened<'a> {
    served: &'a Served,
    interface: Interface,
}

impl<'a, R: BufRead, W: Write> Conversation<'a, R, W> {
    fn run(&mut self) -> Result<(), FrameError> {
        let (mut opened, mut next) = (None, None);
        loop {
            let request = match next.take() {
                Some(request) => Some(request),
                None => Request::read(&mut self.reader)?,
            };
            let Some(Request { kind, body_bytes }) = request else { return Ok(()) };
            match (kind, &opened) {
                (Kind::List, _) => self.list(body_bytes)?,
                (Kind::Open, _) => {
                    let name = read_body(&mut self.reader, body_bytes, LONGEST_NAME)?;
                    opened = self.open(&String::from_utf8_lossy(&name))?;
                }
                (Kind::Run | Kind::Next, Some(opened)) => {
                    next = self.session(opened, Request { kind, body_bytes })?;
                }
                (Kind::Run | Kind::Next, None) => {
                    return Err(
                        io::Error::other("no model is open: send a request of kind 2 with its name").into()
                    );
                }
            }
        }
    }

    fn list(&mut self, body_bytes: u32) -> Result<(), FrameError> {
        read_body(&mut self.reader, body_bytes, 0)?;
        let mut models = Vec::new();
        for served in &self.gateway.models {
            self.gateway.look(served);
            models.push(served.described().map_err(io::Error::other)?.2);
        }
        self.done(0, &[json!({ "models": models }).to_string().as_bytes()])
    }

    fn open(&mut self, name: &str) -> Result<Option<Opened<'a>>, FrameError> {
        let models = &self.gateway.models;
        let Some(served) = models.iter().find(|served| served.name == name) else {
            let names: Vec<&str> = models.iter().map(|served| served.name.as_str()).collect();
            let text = format!("there is no model `{name}`: there are {}", names.join(", "));
            self.refuse(Status::Refused, 0, &text)?;
            return Ok(None);
        };
        self.gateway.look(served);
        let (file, interface, json) = served.described().map_err(io::Error::other)?;
        self.done(file, &[json.to_string().as_bytes()])?;
        Ok(Some(Opened { served, interface }))
    }

    /// Runs the file that serves, beginning with `request`, until another file does or something else is asked
    /// for. Gives the request that it leaves to others, whose body is not read.
    fn session(&mut self, opened: &Opened<'a>, request: Request) -> Result<Option<Request>, FrameError> {
        let Opened { served, interface } = opened;
        if request.kind == Kind::Run {
            self.gateway.look(served);
        }
        let mapped = served.file.model();
        let model = mapped.model().map_err(io::Error::other)?;
        let file = model.header().header_crc32;
        if Interface::of(&model) != *interface {
            self.skip(request.body_bytes, interface)?;
            let text = format!(
                "another file serves as `{}`, with other inputs or outputs: open it again",
                served.name
            );
            self.refuse(Status::Changed, file, &text)?;
            return Ok(None);
        }
        let mut arena = Arena::of(&model)?;
        let loaded = Session::load(model, kernels(), arena.bytes_mut());
        let mut session = loaded.map_err(io::Error::other)?;
        let mut next = Some(request);
        while let Some(request) = next {
            match request.kind {
                Kind::Open => break,
                Kind::List => self.list(request.body_bytes)?,
                Kind::Run | Kind::Next => self.answer(&mut session, file, request, interface)?,
            }
            next = Request::read(&mut self.reader)?;
            if next.is_some_and(|request| request.kind == Kind::Run) {
                self.gateway.look(served);
                if !served.file.serves(&mapped) {
                    break;
                }
            }
        }
        // Where the connection ends, the caller finds its end again.
        Ok(next)
    }

    fn answer(
        &mut self,
        session: &mut Session<'_>,
        file: u32,
        request: Request,
        interface: &Interface,
    ) -> Result<(), FrameError> {
        self.expect(request.body_bytes, interface)?;
        if request.kind == Kind::Run {
            session.reset();
        }
        let Interface([inputs, outputs]) = interface;
        for input in 0..inputs.len() {
            let input = session.input_bytes(input).ok_or_else(|| io::Error::other("no input"))?;
            self.reader.read_exact(input)?;
        }
        session.run().map_err(io::Error::other)?;
        self.gateway.counts.runs.fetch_add(1, Relaxed);
        let outputs: Vec<&[u8]> =
            (0..outputs.len()).filter_map(|output| session.output_bytes(output)).collect();
        write_answer(&mut self.writer, Status::Done, file, &outputs)
    }

    /// Demands a body of all inputs.
    fn expect(&self, body_bytes: u32, interface: &Interface) -> Result<(), FrameError> {
        let expected = interface.input_bytes();
        if u64::from(body_bytes) == expected {
            return Ok(());
        }
        let text = format!("a body of {body_bytes} bytes, expected {expected}, those of all inputs");
        Err(io::Error::other(text).into())
    }

    fn skip(&mut self, body_bytes: u32, interface: &Interface) -> Result<(), FrameError> {
        self.expect(body_bytes, interface)?;
        let skipped = io::copy(&mut self.reader.by_ref().take(body_bytes.into()), &mut io::sink())?;
        if skipped == u64::from(body_bytes) {
            Ok(())
        } else {
            Err(io::Error::from(ErrorKind::UnexpectedEof).into())
        }
    }

    fn done(&mut self, file: u32, body: &[&[u8]]) -> Result<(), FrameError> {
        write_answer(&mut self.writer, Status::Done, file, body)
    }

    fn refuse(&mut self, status: Status, file: u32, text: &str) -> Result<(), FrameError> {
        self.gateway.counts.refused.fetch_add(1, Relaxed);
        write_answer(&mut self.writer, status, file, &[text.as_bytes()])
    }
}

/// A connection to a gateway, from the other side.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    /// Bytes of all outputs of the model that is open.
    output_bytes: u32,
}

impl Client {
    /// Connects to the socket of a gateway.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        let writer = stream.try_clone()?;
        Ok(Self { reader: BufReader::new(stream), writer, output_bytes: 0 })
    }

    /// Opens a model, and gives how the gateway describes it.
    ///
    /// # Errors
    /// If the connection breaks, or the gateway refuses.
    pub fn open(&mut self, name: &str) -> Result<Value, FrameError> {
        let answer = self.ask(Kind::Open, &[name.as_bytes()])?;
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status != Status::Done {
            return Err(io::Error::other(text.into_owned()).into());
        }
        let model: Value = serde_json::from_str(&text).map_err(io::Error::other)?;
        let outputs = model["outputs"].as_array().map_or(&[][..], Vec::as_slice);
        let bytes: u64 = outputs.iter().filter_map(|output| output["bytes"].as_u64()).sum();
        self.output_bytes = bytes.try_into().map_err(io::Error::other)?;
        Ok(model)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// If the connection breaks, or what comes is no answer.
    pub fn ask(&mut self, kind: Kind, body: &[&[u8]]) -> Result<Answer, FrameError> {
        write_request(&mut self.writer, kind, body)?;
        Answer::read(&mut self.reader, self.output_bytes.max(LONGEST_JSON))
    }
}
