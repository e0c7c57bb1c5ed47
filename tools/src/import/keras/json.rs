//! JSON as Python writes it.

use std::borrow::Cow;

use serde_json::Value;

use crate::import::Fault;

/// Parses JSON text, at most 127 levels deep.
///
/// Python's `json.dumps` writes `NaN`, `Infinity` and `-Infinity` bare; they are read as strings of
/// that name.
///
/// `what` names the text in errors.
pub(super) fn parse(what: &'static str, bytes: &[u8]) -> Result<Value, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(&quote_bare_numbers(bytes)).map_err(|source| Fault::Json { what, source })
}

/// Puts quotes around `NaN`, `Infinity` and `-Infinity` outside of strings.
fn quote_bare_numbers(bytes: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let mut quoted: Option<Vec<u8>> = None;
    let mut in_string = false;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let word = WORDS.iter().find(|word| !in_string && rest.starts_with(word));
        let step = match (word, rest[0]) {
            (Some(word), _) => {
                let text = quoted.get_or_insert_with(|| bytes[..at].to_vec());
                text.push(b'"');
                text.extend_from_slice(word);
                text.push(b'"');
                at += word.len();
                continue;
            }
            (None, b'\\') if in_string => 2,
            (None, b'"') => {
                in_string = !in_string;
                1
            }
            _ => 1,
        };
        let end = (at + step).min(bytes.len());
        if let Some(text) = &mut quoted {
            text.extend_from_slice(&bytes[at..end]);
        }
        at = end;
    }
    quoted.map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// A JSON value for a message, cut after some 80 characters.
pub(super) fn short(value: &Value) -> String {
    const SHOWN: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn python_s_bare_numbers_are_read_as_their_names() {
        let value = parse("it", br#"{"a": [NaN, -Infinity, Infinity], "NaN \" NaN": "Infinity"}"#).unwrap();
        assert_eq!(value, json!({"a": ["NaN", "-Infinity", "Infinity"], "NaN \" NaN": "Infinity"}));
    }

    #[test]
    fn text_nested_too_deeply_is_an_error_and_no_overflow() {
        let deep = "[".repeat(100_000);
        assert!(matches!(parse("it", deep.as_bytes()), Err(Fault::Json { .. })));
    }
}
