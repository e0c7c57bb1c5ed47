//! YAML as PyYAML writes it, which `model.to_yaml()` used until Keras 2.6.
//!
//! Plain scalars are what YAML 1.1 says they are. Of Python's tags, that of tuples is read as a list and
//! those of texts as text; the others name what a careless loader would call, and are refused.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

use crate::import::Fault;

/// As deep as JSON text may be.
const MAX_DEPTH: usize = 127;

/// Values of an architecture, each as often as it is referred to.
const MAX_VALUES: usize = 1 << 20;

/// Parses the first document of `bytes`.
///
/// Numbers that JSON does not have are read as their names: `NaN`, `Infinity` and `-Infinity`.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Fault> {
    let text = std::str::from_utf8(bytes).map_err(damaged)?;
    let mut reader = Reader { open: Vec::new(), anchors: HashMap::new(), values: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(damaged)?;
        if let Some(root) = reader.event(event, span.start.line())? {
            return Ok(root);
        }
    }
    Err(damaged("no document"))
}

fn damaged(detail: impl std::fmt::Display) -> Fault {
    Fault::Damaged { container: "YAML", detail: detail.to_string() }
}

/// A value that may be referred to.
#[derive(Clone)]
struct Part {
    value: Value,
    /// How deep it is: 1 for a scalar.
    height: usize,
    /// How many values it has, itself included.
    count: usize,
}

/// A list or an object whose end is yet to come.
struct Open {
    anchor: usize,
    items: Vec<Part>,
    is_object: bool,
}

struct Reader {
    open: Vec<Open>,
    anchors: HashMap<usize, Part>,
    values: usize,
}

impl Reader {
    /// Takes an event, and gives the whole at the last one.
    fn event(&mut self, event: Event<'_>, line: usize) -> Result<Option<Value>, Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref(), line)?;
                self.close(anchor, Part { value, height: 1, count: 1 })
            }
            Event::Alias(anchor) => {
                let part = self.anchors.get(&anchor).cloned();
                let part = part.ok_or_else(|| damaged(format!("line {line}: a value within itself")))?;
                self.close(0, part)
            }
            Event::SequenceStart(anchor, tag) => self.begin(anchor, false, tag.as_deref(), line),
            Event::MappingStart(anchor, tag) => self.begin(anchor, true, tag.as_deref(), line),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, items, is_object }) = self.open.pop() else { return Ok(None) };
                let height = 1 + items.iter().map(|item| item.height).max().unwrap_or(0);
                let count = 1 + items.iter().map(|item| item.count).sum::<usize>();
                let mut values = items.into_iter().map(|item| item.value);
                let value = if is_object {
                    let mut map = Map::new();
                    while let (Some(key), Some(value)) = (values.next(), values.next()) {
                        let key = match key {
                            Value::String(key) => key,
                            Value::Number(_) | Value::Bool(_) | Value::Null => key.to_string(),
                            _ => return Err(damaged(format!("line {line}: a key that is no text"))),
                        };
                        map.insert(key, value);
                    }
                    Value::Object(map)
                } else {
                    Value::Array(values.collect())
                };
                self.close(anchor, Part { value, height, count })
            }
            _ => Ok(None),
        }
    }

    fn begin(
        &mut self,
        anchor: usize,
        is_object: bool,
        tag: Option<&Tag>,
        line: usize,
    ) -> Result<Option<Value>, Fault> {
        check(tag, line)?;
        self.open.push(Open { anchor, items: Vec::new(), is_object });
        self.check_depth(1)?;
        Ok(None)
    }

    fn close(&mut self, anchor: usize, part: Part) -> Result<Option<Value>, Fault> {
        self.check_depth(part.height)?;
        self.values = self.values.saturating_add(part.count);
        if self.values > MAX_VALUES {
            return Err(Fault::Limit {
                what: "the number of values in the YAML text",
                found: self.values as u64,
                limit: MAX_VALUES as u64,
            });
        }
        if anchor > 0 {
            self.values += part.count;
            self.anchors.insert(anchor, part.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(part),
            None => return Ok(Some(part.value)),
        }
        Ok(None)
    }

    fn check_depth(&self, height: usize) -> Result<(), Fault> {
        let found = self.open.len() + height;
        if found <= MAX_DEPTH {
            return Ok(());
        }
        Err(Fault::Limit {
            what: "the nesting of the YAML text",
            found: found as u64,
            limit: MAX_DEPTH as u64,
        })
    }
}

/// What Python writes in front of tuples and of texts of Python 2.
const PLAIN_TAGS: [&str; 4] = ["python/tuple", "python/list", "python/unicode", "python/str"];

/// Refuses tags that stand for anything but plain values.
fn check(tag: Option<&Tag>, line: usize) -> Result<(), Fault> {
    let Some(tag) = tag else { return Ok(()) };
    let name = format!("{}{}", tag.handle, tag.suffix);
    let core = name.strip_prefix("tag:yaml.org,2002:").or_else(|| name.strip_prefix("!!"));
    match core {
        Some(core) if PLAIN_TAGS.contains(&core) || !core.contains('/') => Ok(()),
        Some(core) => Err(Fault::Code {
            what: format!("it names `!!{}` (at line {line})", core.escape_debug()),
            remedy: "if you did not write this model, do not load it in Python either; else load it there and save it \
                     with `model.to_json()`",
        }),
        None if name == "!" => Ok(()),
        None => Err(damaged(format!("line {line}: the tag `{}`", name.escape_debug()))),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Result<Value, Fault> {
    check(tag, line)?;
    let is_text = tag.is_some_and(|tag| ["str", "unicode"].iter().any(|end| tag.suffix.ends_with(end)));
    Ok(match style {
        ScalarStyle::Plain if !is_text => plain(text),
        _ => text.into(),
    })
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return true.into(),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return false.into(),
        ".nan" | ".NaN" | ".NAN" => return "NaN".into(),
        ".inf" | "+.inf" | ".Inf" | ".INF" => return "Infinity".into(),
        "-.inf" | "-.Inf" | "-.INF" => return "-Infinity".into(),
        _ => {}
    }
    let is_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if text.bytes().all(is_number) {
        if let Ok(integer) = text.parse::<i64>() {
            return integer.into();
        }
        // Without a point, `1e5` is text.
        if let (true, Ok(float)) = (text.contains('.'), text.parse::<f64>()) {
            return float.into();
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_are_what_pyyaml_takes_them_for() {
        // Text and values from `yaml.safe_load` of PyYAML 6.0.
        let text =
            "a: [1, -2.5, 1.0e-07, 1e5, .nan, -.inf, yes, 'yes', ~, null, '', relu, \"a\\nb\"]\nb: 'it''s'\n";
        let expected = json!({
            "a": [1, -2.5, 1e-7, "1e5", "NaN", "-Infinity", true, "yes", null, null, "", "relu", "a\nb"],
            "b": "it's",
        });
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn tuples_and_references_are_lists_and_copies() {
        let text = "a: &id001 !!python/tuple [3, 3]\nb: *id001\nc: !!python/unicode 'x'\nd: &id002\n  e: 1\nf: *id002\n";
        let expected = json!({"a": [3, 3], "b": [3, 3], "c": "x", "d": {"e": 1}, "f": {"e": 1}});
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn tags_that_call_are_refused_by_name() {
        for (text, name) in [
            ("a: !!python/object/apply:os.system ['id']", "!!python/object/apply:os.system"),
            ("a: !!python/name:os.system", "!!python/name:os.system"),
            ("a: !!python/object/new:subprocess.Popen [['id']]", "!!python/object/new:subprocess.Popen"),
            ("a: !!python/module:os", "!!python/module:os"),
            ("a:\n  b: !<tag:yaml.org,2002:python/object/apply:eval> ['1']", "!!python/object/apply:eval"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(matches!(error, Fault::Code { .. }), "{text}: {error}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn what_is_deep_or_refers_to_itself_or_grows_is_refused() {
        let limit = |text: &str| matches!(parse(text.as_bytes()), Err(Fault::Limit { .. }));
        assert!(limit(&("[".repeat(200) + &"]".repeat(200))));
        let laughs = |level: usize| {
            format!("l{}: &l{} [{}]\n", level, level, vec![format!("*l{}", level - 1); 10].join(", "))
        };
        let text: String = std::iter::once("l0: &l0 [ha]\n".to_owned()).chain((1..12).map(laughs)).collect();
        assert!(limit(&text));
        let deep = |level: usize| format!("l{level}: &l{level} [*l{}]\n", level - 1);
        let text: String = std::iter::once("l0: &l0 [ha]\n".to_owned()).chain((1..300).map(deep)).collect();
        assert!(limit(&text));
        assert!(matches!(parse(b"a: &x [*x]"), Err(Fault::Damaged { .. })));
        // Deeper than the parser itself goes.
        assert!(parse(("[".repeat(1000) + &"]".repeat(1000)).as_bytes()).is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(parse(b"a: [").is_err() && parse(b"\xff").is_err() && parse(b"").is_err());
    }
}
