//! Texts of protocol 0, which are lines with escapes.

use std::borrow::Cow;

/// The bytes of a literal in quotes, as Python 2's `repr` writes them.
pub(super) fn latin1_literal(line: &str) -> Option<Cow<'_, [u8]>> {
    let line = line.trim_end();
    let quote = line.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let inside = line.get(1..)?.strip_suffix(quote)?;
    if !inside.contains('\\') {
        return Some(inside.as_bytes().into());
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (&escape, behind) = rest.split_first()?;
        rest = behind;
        match escape {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'a' => bytes.push(7),
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'v' => bytes.push(11),
            b'\\' | b'\'' | b'"' => bytes.push(escape),
            b'x' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            b'0'..=b'7' => {
                let more = rest.iter().take(2).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
                let digits = rest[..more]
                    .iter()
                    .fold(u32::from(escape - b'0'), |value, digit| value * 8 + u32::from(digit - b'0'));
                bytes.push(digits as u8);
                rest = &rest[more..];
            }
            other => bytes.extend([b'\\', other]),
        }
    }
    Some(bytes.into())
}

/// Text in Python's `raw-unicode-escape`: Latin-1, and `\uXXXX` or `\UXXXXXXXX`.
pub(super) fn raw_unicode(line: &[u8]) -> Option<Cow<'_, str>> {
    if line.is_ascii() && !line.contains(&b'\\') {
        return std::str::from_utf8(line).ok().map(Cow::Borrowed);
    }
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        let digits = match (first, rest.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(first));
                continue;
            }
        };
        let number = std::str::from_utf8(rest.get(1..1 + digits)?).ok()?;
        text.push(
            char::from_u32(u32::from_str_radix(number, 16).ok()?).unwrap_or(char::REPLACEMENT_CHARACTER),
        );
        rest = &rest[1 + digits..];
    }
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_python_are_read() {
        // From `pickle.dumps(…, 0)` of Python 2 and 3.
        assert_eq!(latin1_literal(r"'a\x00\n\'b'").unwrap().as_ref(), b"a\0\n'b");
        assert_eq!(latin1_literal("\"it's\"").unwrap().as_ref(), b"it's");
        assert_eq!(latin1_literal(r"'\101\7'").unwrap().as_ref(), b"A\x07");
        assert_eq!(raw_unicode(b"a\\u005cb\xff").unwrap(), "a\\b\u{ff}");
        assert_eq!(raw_unicode(b"\\U0001f600").unwrap(), "\u{1f600}");
    }

    #[test]
    fn what_is_cut_short_is_none() {
        for line in ["", "'", "'abc", r"'\x1'", r"'\'", "abc"] {
            assert_eq!(latin1_literal(line), None, "{line}");
        }
        assert_eq!(raw_unicode(b"\\u12"), None);
    }
}
