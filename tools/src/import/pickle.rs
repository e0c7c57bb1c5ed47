//! Python pickles, read as the text they are.
//!
//! A pickle is a program for a small stack machine: most of its opcodes push values, some name things of
//! Python modules and call them. This machine has no way to call: what Python would import becomes the
//! node [`Node::Global`], what it would call becomes [`Node::Called`] with its arguments, and whether that
//! is something whose meaning is known is a question for the reader of the nodes ([`Pickle::permit`]).
//!
//! The bytes are hostile. Each opcode makes at most one node, nodes are limited in number, none is copied,
//! and nothing here calls itself, so that memory and time are those of the file's length.
//!
//! The opcodes are those of Python's `pickletools`, protocols 0 to 5.

mod arrays;
mod machine;
mod text;

pub(crate) use arrays::{Arrays, bytes};

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use super::{Fault, Named};

/// As many names of a pickle are told.
const MAX_NAMES: usize = 200;

/// A value of the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(u32);

/// What a value is.
#[derive(Debug)]
pub(crate) enum Node<'b> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits.
    LargeInt,
    Float(f64),
    Bytes(Cow<'b, [u8]>),
    Text(Cow<'b, str>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Set(Vec<Id>),
    /// Keys and values, one after the other.
    Dict(Vec<Id>),
    /// Something of a module, by its name.
    Global(Box<Global<'b>>),
    Called(Box<Called<'b>>),
}

/// What Python would import.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Global<'b> {
    pub(crate) module: Cow<'b, str>,
    pub(crate) name: Cow<'b, str>,
    /// Offset in the file.
    at: usize,
}

/// What Python would call.
#[derive(Debug)]
pub(crate) struct Called<'b> {
    /// What is called.
    pub(crate) callable: Id,
    /// Its arguments, a tuple.
    pub(crate) args: Id,
    /// What is then given to the result's `__setstate__`, or else set as its attributes.
    pub(crate) state: Option<Id>,
    /// What is then appended to the result.
    pub(crate) items: Vec<Id>,
    /// The keys and values that are then set in the result.
    pub(crate) entries: Vec<Id>,
    /// Bytes that follow the call in the file, where `joblib` keeps an array.
    pub(crate) payload: Option<&'b [u8]>,
    /// Offset in the file.
    pub(crate) at: usize,
}

/// All values of a pickle.
#[derive(Debug)]
pub(crate) struct Pickle<'b> {
    nodes: Vec<Node<'b>>,
    /// What it stands for.
    root: Id,
}

/// Whether a call is one whose meaning is known.
pub(crate) type Permit<'p, 'b> = &'p dyn Fn(&Pickle<'b>, &Called<'b>) -> bool;

impl<'b> Pickle<'b> {
    /// Reads a pickle, and refuses it where it calls or imports what `is_known` and `is_known_name` do not
    /// know.
    ///
    /// # Errors
    /// When it is damaged, too large, holds what only Python's memory or other files have, or calls code.
    pub(crate) fn read(
        bytes: &'b [u8],
        is_known: Permit<'_, 'b>,
        is_known_name: &dyn Fn(&Global<'b>) -> bool,
    ) -> Result<Self, Fault> {
        let mut pickle = Self { nodes: Vec::new(), root: Id(0) };
        let read = machine::run(bytes, &mut pickle);
        // That it calls code is worse than that it is damaged behind that.
        pickle.permit(is_known, is_known_name)?;
        pickle.root = read?;
        Ok(pickle)
    }

    /// What Python would import and call, each once, as far as the bytes can be read.
    pub(crate) fn names(
        bytes: &'b [u8],
        is_known: Permit<'_, 'b>,
        is_known_name: &dyn Fn(&Global<'b>) -> bool,
    ) -> Vec<Named> {
        let mut pickle = Self { nodes: Vec::new(), root: Id(0) };
        // What is in front of a fault is told, and the fault is told by `read`.
        let _ = machine::run(bytes, &mut pickle);
        let mut found: Vec<Named> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for node in &pickle.nodes {
            let named = match node {
                Node::Global(global) => Named {
                    name: global.to_string(),
                    at: global.at,
                    is_called: false,
                    is_known: is_known_name(global),
                },
                Node::Called(called) => Named {
                    name: pickle.name(called.callable),
                    at: called.at,
                    is_called: true,
                    is_known: is_known(&pickle, called),
                },
                _ => continue,
            };
            match places.get(&named.name) {
                Some(&place) => {
                    let first: &mut Named = &mut found[place];
                    first.is_called |= named.is_called;
                    first.is_known &= named.is_known;
                }
                None if found.len() == MAX_NAMES => break,
                None => {
                    places.insert(named.name.clone(), found.len());
                    found.push(named);
                }
            }
        }
        found
    }

    fn permit(
        &self,
        is_known: Permit<'_, 'b>,
        is_known_name: &dyn Fn(&Global<'b>) -> bool,
    ) -> Result<(), Fault> {
        let refuse = |what: String, at: usize| Fault::Code {
            what: format!("it {what} (at byte {at})"),
            remedy: "if you did not make this file, do not load it in Python either; else load it there and save the \
                     model with `model.save(\"model.keras\")`",
        };
        let calls = self.nodes.iter().filter_map(|node| match node {
            Node::Called(called) => Some(called),
            _ => None,
        });
        for called in calls {
            if !is_known(self, called) {
                return Err(refuse(format!("calls `{}`", self.name(called.callable)), called.at));
            }
        }
        for node in &self.nodes {
            if let Node::Global(global) = node
                && !is_known_name(global)
            {
                return Err(refuse(format!("imports `{global}`"), global.at));
            }
        }
        Ok(())
    }

    /// What the pickle stands for.
    pub(crate) fn root(&self) -> Id {
        self.root
    }

    pub(crate) fn node(&self, id: Id) -> &Node<'b> {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn called(&self, id: Id) -> Option<&Called<'b>> {
        match self.node(id) {
            Node::Called(called) => Some(called),
            _ => None,
        }
    }

    pub(crate) fn global(&self, id: Id) -> Option<&Global<'b>> {
        match self.node(id) {
            Node::Global(global) => Some(global),
            _ => None,
        }
    }

    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            // Python 2 knows no other text.
            Node::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub(crate) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a list or a tuple.
    pub(crate) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// The keys and values of a dictionary, also of an `OrderedDict`.
    pub(crate) fn entries(&self, id: Id) -> Option<impl Iterator<Item = (Id, Id)>> {
        let flat = match self.node(id) {
            Node::Dict(flat) => flat,
            Node::Called(called) if !called.entries.is_empty() => &called.entries,
            _ => return None,
        };
        Some(flat.chunks_exact(2).map(|pair| (pair[0], pair[1])))
    }

    /// The value under a key that is a text; of several, the last.
    pub(crate) fn entry(&self, id: Id, key: &str) -> Option<Id> {
        let same = self.entries(id)?.filter(|&(found, _)| self.text(found) == Some(key));
        same.last().map(|(_, value)| value)
    }

    /// The arguments of a call.
    pub(crate) fn args(&self, called: &Called<'b>) -> &[Id] {
        self.tuple(called.args).unwrap_or_default()
    }

    /// For a message: what a callable is called.
    fn name(&self, callable: Id) -> String {
        match self.node(callable) {
            Node::Global(global) => global.to_string(),
            Node::Called(called) => match (self.global(called.callable), self.args(called)) {
                (Some(global), &[of, attribute]) if global.name == "getattr" => {
                    let of = self.global(of).map_or("…".into(), ToString::to_string);
                    format!("{of}.{}", short(self.text(attribute).unwrap_or("…")))
                }
                (Some(global), _) => format!("what {global} gives"),
                _ => "the result of another call".into(),
            },
            _ => "a value that is none of a module".into(),
        }
    }

    /// For a message: what a value is.
    pub(crate) fn describe(&self, id: Id) -> String {
        match self.node(id) {
            Node::None => "None".into(),
            Node::Bool(_) => "a boolean".into(),
            Node::Int(_) | Node::LargeInt | Node::Float(_) => "a number".into(),
            Node::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Node::Text(_) => "text".into(),
            Node::Tuple(items) => format!("a tuple of {}", items.len()),
            Node::List(items) => format!("a list of {}", items.len()),
            Node::Set(items) => format!("a set of {}", items.len()),
            Node::Dict(flat) => {
                let keys = flat.chunks_exact(2).filter_map(|pair| self.text(pair[0]));
                let keys: Vec<String> = keys.take(3).map(|key| format!("`{}`", short(key))).collect();
                match keys.is_empty() {
                    true => format!("a dictionary of {}", flat.len() / 2),
                    false => format!("a dictionary with {}", keys.join(", ")),
                }
            }
            Node::Global(global) => format!("`{global}`"),
            Node::Called(called) => format!("an object made by `{}`", self.name(called.callable)),
        }
    }
}

impl fmt::Display for Global<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", short(&self.module), short(&self.name))
    }
}

/// The first characters of a text, so that nothing of it acts on a terminal.
fn short(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

fn damage(at: usize, detail: impl std::fmt::Display) -> Fault {
    Fault::Damaged { container: "pickle", detail: format!("{detail} (at byte {at})") }
}
