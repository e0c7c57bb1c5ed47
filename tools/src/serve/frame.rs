//! Frames: what goes over a connection, as [docs/gateways.md] has it.
//!
//! [docs/gateways.md]: https://github.com/flatpack-rs/flatpack/blob/main/docs/gateways.md

use std::io::{self, BufRead, ErrorKind, Read, Write};
use thiserror::Error;

const REQUEST: [u8; 4] = *b"FPKq";
const ANSWER: [u8; 4] = *b"FPKa";

/// Bytes before the body of a frame.
const HEADER_BYTES: usize = 16;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The models that are served, as JSON. No body.
    List = 1,
    /// The model that the connection talks of from here on. The body is its name; the answer describes it as JSON.
    Open = 2,
    /// A run from the initial state. The body is the bytes of all inputs.
    Run = 3,
    /// A run from the state that the one before left, by the same file. The body is as that of a run.
    Next = 4,
}

impl Kind {
    fn from_number(number: u16) -> Option<Self> {
        [Self::List, Self::Open, Self::Run, Self::Next].into_iter().find(|&kind| kind as u16 == number)
    }
}

/// How a request was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was done. The body is JSON, or the bytes of all outputs.
    Done = 0,
    /// It was not: the body says why. The connection goes on.
    Refused = 1,
    /// Another file serves, whose inputs or outputs are not what the connection has opened: it is to open
    /// the model again.
    Changed = 2,
    /// It was not: the body says why. The connection is closed.
    Closed = 3,
}

impl Status {
    fn from_number(number: u16) -> Option<Self> {
        let all = [Self::Done, Self::Refused, Self::Changed, Self::Closed];
        all.into_iter().find(|&status| status as u16 == number)
    }
}

/// Why what was read is no frame.
#[derive(Debug, Error)]
pub enum FrameError {
    /// It cannot be read, or not be met.
    #[error("{0}")]
    Read(io::Error),
    /// It cannot be written: a part of it may have been.
    #[error("{0}")]
    Write(io::Error),
    /// It begins with other bytes.
    #[error("this is no frame: it begins with {0:02x?}")]
    Magic([u8; 4]),
    /// The kind or status has another number.
    #[error("there is no frame of kind {0}")]
    Kind(u16),
    /// Bytes that are to be zero are not.
    #[error("a frame of another version: reserved bytes are not zero")]
    Reserved,
    /// The body is longer than it may be.
    #[error("a body of {found} bytes, expected at most {limit}")]
    TooLong {
        /// Bytes of the body.
        found: u32,
        /// The most that was expected.
        limit: u32,
    },
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Read(match error.kind() {
            ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the connection ended within a frame"),
            _ if is_pause(&error) => io::Error::new(error.kind(), "the rest of a frame did not come in time"),
            _ => error,
        })
    }
}

/// The head of a request; the body follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub kind: Kind,
    /// Bytes of the body.
    pub body_bytes: u32,
}

impl Request {
    /// Reads a head, or `None` where the stream ends. Waits for the first byte as long as it takes, also where
    /// reads of the stream time out.
    ///
    /// # Errors
    /// If something else comes, or half of a head.
    pub fn read(reader: &mut impl BufRead) -> Result<Option<Self>, FrameError> {
        let mut waiting = || loop {
            match reader.fill_buf() {
                Err(error) if is_pause(&error) => {}
                filled => return filled.map(|bytes| !bytes.is_empty()),
            }
        };
        if !waiting()? {
            return Ok(None);
        }
        let (kind, file, body_bytes) = read_head(reader, REQUEST)?;
        if file != 0 {
            return Err(FrameError::Reserved);
        }
        Ok(Some(Self { kind: Kind::from_number(kind).ok_or(FrameError::Kind(kind))?, body_bytes }))
    }
}

/// A request with its body.
///
/// # Errors
/// If it cannot be written; a body has less than 4 GiB.
pub fn write_request(writer: &mut impl Write, kind: Kind, body: &[&[u8]]) -> Result<(), FrameError> {
    write_frame(writer, REQUEST, kind as u16, 0, body)
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How the request was met.
    pub status: Status,
    /// Which file answered: the checksum in its header, which stands for all that is in it. 0 for none.
    pub file: u32,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads an answer whose body has at most `limit` bytes.
    ///
    /// # Errors
    /// If something else comes, or half of an answer.
    pub fn read(reader: &mut impl Read, limit: u32) -> Result<Self, FrameError> {
        let (status, file, body_bytes) = read_head(reader, ANSWER)?;
        let status = Status::from_number(status).ok_or(FrameError::Kind(status))?;
        let body = read_body(reader, body_bytes, limit)?;
        Ok(Self { status, file, body })
    }
}

/// An answer, with its body in pieces.
///
/// # Errors
/// If it cannot be written; a body has less than 4 GiB.
pub fn write_answer(
    writer: &mut impl Write,
    status: Status,
    file: u32,
    body: &[&[u8]],
) -> Result<(), FrameError> {
    write_frame(writer, ANSWER, status as u16, file, body)
}

/// A body of `body_bytes`, of which there may be `limit`.
///
/// # Errors
/// If there are more, or the stream ends within.
pub fn read_body(reader: &mut impl Read, body_bytes: u32, limit: u32) -> Result<Vec<u8>, FrameError> {
    if body_bytes > limit {
        return Err(FrameError::TooLong { found: body_bytes, limit });
    }
    let mut body = vec![0; body_bytes as usize];
    reader.read_exact(&mut body)?;
    Ok(body)
}

/// Whether nothing came in time, or a signal did.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Kind or status, file, and bytes of the body.
fn read_head(reader: &mut impl Read, expected: [u8; 4]) -> Result<(u16, u32, u32), FrameError> {
    let mut header = [0; HEADER_BYTES];
    // What is no frame is told by its first bytes, without waiting for the others.
    let mut magic = [0; 4];
    reader.read_exact(&mut magic)?;
    if magic != expected {
        return Err(FrameError::Magic(magic));
    }
    reader.read_exact(&mut header[4..])?;
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
    if half(6) != 0 {
        return Err(FrameError::Reserved);
    }
    Ok((half(4), word(8), word(12)))
}

fn write_frame(
    writer: &mut impl Write,
    magic: [u8; 4],
    kind: u16,
    file: u32,
    body: &[&[u8]],
) -> Result<(), FrameError> {
    let body_bytes: usize = body.iter().map(|piece| piece.len()).sum();
    let body_bytes_field = u32::try_from(body_bytes).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(HEADER_BYTES + body_bytes);
    frame.extend(magic);
    frame.extend(kind.to_le_bytes());
    frame.extend([0; 2]);
    frame.extend(file.to_le_bytes());
    frame.extend(body_bytes_field.to_le_bytes());
    body.iter().for_each(|piece| frame.extend_from_slice(piece));
    writer.write_all(&frame).and_then(|()| writer.flush()).map_err(FrameError::Write)
}
