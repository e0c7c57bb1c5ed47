//! TensorFlow's element types by their numbers.

use crate::import::numbers::{Element, Kind};

pub(crate) const FLOAT: i32 = 1;
pub(crate) const INT32: i32 = 3;
pub(crate) const INT64: i32 = 9;
pub(crate) const BOOL: i32 = 10;

/// How its bits are read. `None` for what is no number.
pub(crate) fn element(dtype: i32, big_endian: bool) -> Option<Element> {
    let integer = |size_bytes, signed| Kind::Integer { size_bytes, signed };
    let kind = match dtype {
        FLOAT => Kind::F32,
        2 => Kind::F64,
        INT32 => integer(4, true),
        4 | BOOL => integer(1, false),
        5 => integer(2, true),
        6 => integer(1, true),
        INT64 => integer(8, true),
        14 => Kind::Bf16,
        17 => integer(2, false),
        19 => Kind::F16,
        22 => integer(4, false),
        23 => integer(8, false),
        _ => return None,
    };
    Some(Element { kind, big_endian })
}

/// For a message.
pub(crate) fn name(dtype: i32) -> String {
    match dtype {
        7 => "string".into(),
        8 => "complex64".into(),
        20 => "resource".into(),
        21 => "variant".into(),
        other => match element(other, false) {
            Some(element) => element.to_string(),
            None => format!("number {other}"),
        },
    }
}
