//! The stack machine: opcodes to nodes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::arrays::array_bytes;
use super::text::{latin1_literal, raw_unicode};
use super::{Called, Global, Id, Node, Pickle, damage};
use crate::import::Fault;

/// Values of one pickle. A million weights as a list of numbers, and as much again.
const MAX_NODES: usize = 2 << 20;

/// Runs the opcodes in `bytes` up to `STOP`, which gives the root; the nodes are there also where that fails.
pub(super) fn run<'b>(bytes: &'b [u8], pickle: &mut Pickle<'b>) -> Result<Id, Fault> {
    let mut machine = Machine {
        bytes,
        at: 0,
        opcode_at: 0,
        pickle,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        if let Some(root) = machine.step()? {
            return Ok(root);
        }
    }
}

struct Machine<'b, 'p> {
    bytes: &'b [u8],
    /// The next byte.
    at: usize,
    /// The opcode that is being read.
    opcode_at: usize,
    pickle: &'p mut Pickle<'b>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'b> Machine<'b, '_> {
    /// One opcode. The root at the last one.
    fn step(&mut self) -> Result<Option<Id>, Fault> {
        self.opcode_at = self.at;
        let opcode = self.take(1)?[0];
        match opcode {
            // Protocol and frames say how to read ahead.
            0x80 => match self.take(1)?[0] {
                0..=5 => {}
                other => return Err(self.damage(format!("protocol {other}, expected at most 5"))),
            },
            0x95 => {
                let length = self.number(8)?;
                if length > (self.bytes.len() - self.at) as u64 {
                    return Err(self.damage("a frame reaches beyond the end"));
                }
            }
            b'.' => return self.pop().map(Some),

            b'(' => self.marks.push(self.stack.len()),
            b'0' => match self.marks.last() == Some(&self.stack.len()) {
                true => drop(self.marks.pop()),
                false => drop(self.pop()?),
            },
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }

            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'I' => {
                let node = match self.line()? {
                    "01" => Node::Bool(true),
                    "00" => Node::Bool(false),
                    digits => self.decimal(digits)?,
                };
                self.push(node)?;
            }
            b'L' => {
                let line = self.line()?;
                let node = self.decimal(line.strip_suffix('L').unwrap_or(line))?;
                self.push(node)?;
            }
            b'J' => {
                let word = self.number(4)? as u32;
                self.push(Node::Int(word.cast_signed().into()))?;
            }
            b'K' => self.push_number(1)?,
            b'M' => self.push_number(2)?,
            0x8a => {
                let length = self.number(1)?;
                self.push_large(length)?;
            }
            0x8b => {
                let length = self.number(4)?;
                self.push_large(length)?;
            }
            b'F' => {
                let line = self.line()?;
                let value = line.trim().parse();
                self.push(Node::Float(value.map_err(|_| self.damage("a float that is none"))?))?;
            }
            b'G' => {
                let bits = self.number(8)?.swap_bytes();
                self.push(Node::Float(f64::from_bits(bits)))?;
            }

            b'U' => self.push_bytes(1)?,
            b'C' => self.push_bytes(1)?,
            b'T' | b'B' => self.push_bytes(4)?,
            0x8e | 0x96 => self.push_bytes(8)?,
            b'S' => {
                let line = self.line()?;
                let bytes = latin1_literal(line).ok_or_else(|| self.damage("a string that is none"))?;
                self.push(Node::Bytes(bytes))?;
            }
            0x8c => self.push_text(1)?,
            b'X' => self.push_text(4)?,
            0x8d => self.push_text(8)?,
            b'V' => {
                let line = self.line_bytes()?;
                let text = raw_unicode(line).ok_or_else(|| self.damage("a text that is none"))?;
                self.push(Node::Text(text))?;
            }

            b')' => self.push(Node::Tuple(Vec::new()))?,
            0x85 => self.push_tuple(1)?,
            0x86 => self.push_tuple(2)?,
            0x87 => self.push_tuple(3)?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'd' => {
                let flat = self.pop_to_mark()?;
                self.push(Node::Dict(Vec::new()))?;
                self.set_items(flat)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(vec![key, value])?;
            }
            b'u' => {
                let flat = self.pop_to_mark()?;
                self.set_items(flat)?;
            }
            0x8f => self.push(Node::Set(Vec::new()))?,
            0x91 => {
                let items = self.pop_to_mark()?;
                self.push(Node::Set(items))?;
            }
            0x90 => {
                let items = self.pop_to_mark()?;
                let set = self.top()?;
                match self.node_mut(set) {
                    Node::Set(members) => members.extend(items),
                    _ => return Err(self.damage("members for what is no set")),
                }
            }

            b'p' | b'q' | b'r' => {
                let key = self.memo_key(opcode)?;
                self.memoize(key)?;
            }
            0x94 => self.memoize(self.memo.len() as u64)?,
            b'g' | b'h' | b'j' => {
                let key = self.memo_key(opcode)?;
                self.recall(key)?;
            }

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push_global(module.into(), name.into())?;
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.push_global(module, name)?;
            }
            b'R' | 0x81 => {
                let args = self.pop()?;
                let callable = self.pop()?;
                self.call(callable, args)?;
            }
            0x92 => {
                // Keyword arguments are behind the others, so that a call of nothing known has them.
                let keywords = self.pop()?;
                let (args, callable) = (self.pop()?, self.pop()?);
                let args = match self.node(keywords) {
                    Node::Dict(flat) if flat.is_empty() => args,
                    _ => {
                        let Node::Tuple(items) = self.node(args) else {
                            return Err(self.damage("arguments that are no tuple"));
                        };
                        let items = items.iter().copied().chain([keywords]).collect();
                        self.push(Node::Tuple(items))?;
                        self.pop()?
                    }
                };
                self.call(callable, args)?;
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let items = self.pop_to_mark()?;
                self.push_global(module.into(), name.into())?;
                let callable = self.pop()?;
                self.call_with(callable, items)?;
            }
            b'o' => {
                let mut items = self.pop_to_mark()?;
                if items.is_empty() {
                    return Err(self.damage("a call of nothing"));
                }
                let callable = items.remove(0);
                self.call_with(callable, items)?;
            }
            b'b' => self.build()?,

            b'P' | b'Q' => {
                return Err(Fault::WrongContent {
                    found: "a pickle with parts outside of itself, as PyTorch's are,".into(),
                    expected: "a model of Keras",
                    remedy: "flatpack reads models of Keras and TensorFlow Lite: build the model in Keras and copy \
                             the weights",
                });
            }
            0x97 | 0x98 => {
                return Err(Fault::Unsupported {
                    what: "a pickle whose buffers are out of band, in other files,".into(),
                    remedy: "in Python, pickle it without `buffer_callback`, or save the model with \
                             `model.save(\"model.keras\")`"
                        .into(),
                });
            }
            0x82..=0x84 => {
                return Err(Fault::Unsupported {
                    what: "a pickle with codes of the registry of Python's `copyreg`, which no file has,"
                        .into(),
                    remedy: "in Python, save the model with `model.save(\"model.keras\")`".into(),
                });
            }
            other => return Err(self.damage(format!("{other:#04x} is no opcode"))),
        }
        Ok(None)
    }

    fn damage(&self, detail: impl std::fmt::Display) -> Fault {
        damage(self.opcode_at, detail)
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], Fault> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(Fault::Truncated {
            found_bytes: self.bytes.len() as u64,
            expected_bytes: (self.at as u64).saturating_add(count as u64),
        })?;
        self.at += count;
        Ok(taken)
    }

    /// A little-endian number of up to 8 bytes.
    fn number(&mut self, count: usize) -> Result<u64, Fault> {
        let mut word = [0; 8];
        word[..count].copy_from_slice(self.take(count)?);
        Ok(u64::from_le_bytes(word))
    }

    /// As many bytes as a number of `count` bytes says.
    fn counted(&mut self, count: usize) -> Result<&'b [u8], Fault> {
        let length = self.number(count)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// The bytes up to the end of the line.
    fn line_bytes(&mut self) -> Result<&'b [u8], Fault> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let line = self.take(length)?;
        self.take(1)?;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn line(&mut self) -> Result<&'b str, Fault> {
        let line = self.line_bytes()?;
        std::str::from_utf8(line).map_err(|_| self.damage("a line that is no text"))
    }

    fn node(&self, id: Id) -> &Node<'b> {
        self.pickle.node(id)
    }

    fn node_mut(&mut self, id: Id) -> &mut Node<'b> {
        &mut self.pickle.nodes[id.0 as usize]
    }

    fn push(&mut self, node: Node<'b>) -> Result<(), Fault> {
        let refuse = || Fault::Limit {
            what: "the number of values in the pickle",
            found: MAX_NODES as u64 + 1,
            limit: MAX_NODES as u64,
        };
        if self.pickle.nodes.len() == MAX_NODES {
            return Err(refuse());
        }
        let id = u32::try_from(self.pickle.nodes.len()).map_err(|_| refuse())?;
        self.pickle.nodes.push(node);
        self.stack.push(Id(id));
        Ok(())
    }

    fn push_number(&mut self, count: usize) -> Result<(), Fault> {
        let number = self.number(count)?;
        self.push(Node::Int(number.cast_signed()))
    }

    /// A two's complement integer of `length` bytes.
    fn push_large(&mut self, length: u64) -> Result<(), Fault> {
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        let negative = bytes.last().is_some_and(|last| last >> 7 == 1);
        let mut word = [if negative { 0xff } else { 0 }; 8];
        let node = match word.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Node::Int(i64::from_le_bytes(word))
            }
            None => Node::LargeInt,
        };
        self.push(node)
    }

    fn decimal(&self, digits: &str) -> Result<Node<'b>, Fault> {
        let number = digits.trim().strip_prefix('-').unwrap_or(digits.trim());
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.damage("a number that is none"));
        }
        Ok(digits.trim().parse().map_or(Node::LargeInt, Node::Int))
    }

    fn push_bytes(&mut self, count: usize) -> Result<(), Fault> {
        let bytes = self.counted(count)?;
        self.push(Node::Bytes(bytes.into()))
    }

    fn push_text(&mut self, count: usize) -> Result<(), Fault> {
        let bytes = self.counted(count)?;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            // Python lets halves of surrogate pairs through.
            Err(_) => String::from_utf8_lossy(bytes),
        };
        self.push(Node::Text(text))
    }

    fn push_tuple(&mut self, count: usize) -> Result<(), Fault> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let height = self.stack.len();
        if height < bottom + count {
            return Err(self.underflow());
        }
        let items = self.stack.split_off(height - count);
        self.push(Node::Tuple(items))
    }

    fn underflow(&self) -> Fault {
        self.damage("the stack is empty")
    }

    fn top(&self) -> Result<Id, Fault> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        self.stack[bottom..].last().copied().ok_or_else(|| self.underflow())
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_text(&mut self) -> Result<Cow<'b, str>, Fault> {
        let id = self.pop()?;
        match self.node(id) {
            Node::Text(text) => Ok(text.clone()),
            _ => Err(self.damage("a name that is no text")),
        }
    }

    /// What was pushed behind the last mark.
    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let height = self.marks.pop().ok_or_else(|| self.damage("there is no mark"))?;
        Ok(self.stack.split_off(height))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), Fault> {
        let list = self.top()?;
        match self.node_mut(list) {
            Node::List(members) => members.extend(items),
            Node::Called(called) => called.items.extend(items),
            _ => return Err(self.damage("items for what is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, flat: Vec<Id>) -> Result<(), Fault> {
        if !flat.len().is_multiple_of(2) {
            return Err(self.damage("a key without a value"));
        }
        let dict = self.top()?;
        match self.node_mut(dict) {
            Node::Dict(members) => members.extend(flat),
            Node::Called(called) => called.entries.extend(flat),
            _ => return Err(self.damage("entries for what is no dictionary")),
        }
        Ok(())
    }

    /// The number of a memo: a line, a byte or four.
    fn memo_key(&mut self, opcode: u8) -> Result<u64, Fault> {
        match opcode {
            b'q' | b'h' => self.number(1),
            b'r' | b'j' => self.number(4),
            _ => self.line()?.parse().map_err(|_| self.damage("a number of a memo that is none")),
        }
    }

    fn memoize(&mut self, key: u64) -> Result<(), Fault> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), Fault> {
        let Some(&id) = self.memo.get(&key) else {
            return Err(self.damage(format!("there is no memo {key}")));
        };
        self.stack.push(id);
        Ok(())
    }

    fn push_global(&mut self, module: Cow<'b, str>, name: Cow<'b, str>) -> Result<(), Fault> {
        let at = self.opcode_at;
        self.push(Node::Global(Box::new(Global { module, name, at })))
    }

    fn call_with(&mut self, callable: Id, items: Vec<Id>) -> Result<(), Fault> {
        self.push(Node::Tuple(items))?;
        let args = self.pop()?;
        self.call(callable, args)
    }

    fn call(&mut self, callable: Id, args: Id) -> Result<(), Fault> {
        if !matches!(self.node(args), Node::Tuple(_)) {
            return Err(self.damage("arguments that are no tuple"));
        }
        let at = self.opcode_at;
        let called =
            Called { callable, args, state: None, items: Vec::new(), entries: Vec::new(), payload: None, at };
        self.push(Node::Called(Box::new(called)))
    }

    fn build(&mut self) -> Result<(), Fault> {
        let state = self.pop()?;
        let object = self.top()?;
        let Node::Called(called) = self.node_mut(object) else {
            // Python would set the attributes of a class or of a function.
            return Err(self.damage("attributes for what is no new object"));
        };
        if called.state.replace(state).is_some() {
            return Err(self.damage("attributes for an object that has some"));
        }
        let callable = called.callable;
        let is_wrapper = matches!(self.node(callable), Node::Global(global)
            if global.name == "NumpyArrayWrapper" && global.module.starts_with("joblib"));
        if is_wrapper {
            self.payload(object, state)?;
        }
        Ok(())
    }

    /// Behind such an object `joblib` writes the array: a byte that counts the padding, the padding, the
    /// elements. Versions before 1.1 write the elements alone.
    fn payload(&mut self, object: Id, state: Id) -> Result<(), Fault> {
        let length = array_bytes(self.pickle, state);
        let length = length.ok_or_else(|| self.damage("an array of joblib of unknown type"))?;
        let aligned = self.pickle.entry(state, "numpy_array_alignment_bytes");
        if aligned.is_some_and(|id| matches!(self.node(id), Node::Int(_))) {
            self.counted(1)?;
        }
        let payload = self.take(length)?;
        if let Node::Called(called) = self.node_mut(object) {
            called.payload = Some(payload);
        }
        Ok(())
    }
}
