//! Numbers as files hold them, of any type and byte order, to `f32`.

use std::fmt;

use crate::array::Array;

/// An array of a file, as `f32`.
pub(crate) struct Numbers {
    /// Shape and values.
    pub(crate) array: Array,
    /// The type in the file.
    pub(crate) element: Element,
    /// Whether a value had to be rounded to become an `f32`.
    pub(crate) rounded: bool,
}

impl Numbers {
    /// The numbers in `bytes`, row-major. `None` when these are not as many as `shape` has.
    pub(crate) fn new(shape: Vec<usize>, element: Element, bytes: &[u8]) -> Option<Self> {
        let count = shape.iter().try_fold(1usize, |len, extent| len.checked_mul(*extent))?;
        if count.checked_mul(element.size_bytes())? != bytes.len() {
            return None;
        }
        let mut rounded = false;
        let value = |bytes| {
            let (value, exact) = element.value(bytes);
            rounded |= !exact;
            value
        };
        let values = bytes.chunks_exact(element.size_bytes()).map(value).collect();
        Some(Self { array: Array::new(shape, values), element, rounded })
    }
}

/// A numeric element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) kind: Kind,
    pub(crate) big_endian: bool,
}

/// What the bits of an element mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F16,
    Bf16,
    F32,
    F64,
    Integer { size_bytes: usize, signed: bool },
}

impl Element {
    pub(crate) fn is_integer(&self) -> bool {
        matches!(self.kind, Kind::Integer { .. })
    }

    pub(crate) fn size_bytes(&self) -> usize {
        match self.kind {
            Kind::F16 | Kind::Bf16 => 2,
            Kind::F32 => 4,
            Kind::F64 => 8,
            Kind::Integer { size_bytes, .. } => size_bytes,
        }
    }

    /// The nearest `f32`, and whether it is the very number.
    pub(crate) fn value(&self, bytes: &[u8]) -> (f32, bool) {
        // Little-endian in the low bytes of a word, whatever the order in the file.
        let mut word = [0u8; 8];
        match self.big_endian {
            false => word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from),
            true => word.iter_mut().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from),
        }
        let bits = u64::from_le_bytes(word);
        match self.kind {
            Kind::F32 => (f32::from_bits(bits as u32), true),
            Kind::F16 => (half_to_f32(bits as u16), true),
            Kind::Bf16 => (f32::from_bits((bits as u32) << 16), true),
            Kind::F64 => {
                let wide = f64::from_bits(bits);
                let narrow = wide as f32;
                (narrow, f64::from(narrow) == wide || wide.is_nan())
            }
            Kind::Integer { size_bytes, signed } => {
                let unused_bits = 64 - 8 * size_bytes as u32;
                let wide = if signed {
                    i128::from((bits << unused_bits).cast_signed() >> unused_bits)
                } else {
                    i128::from(bits)
                };
                let narrow = wide as f32;
                (narrow, narrow as i128 == wide)
            }
        }
    }
}

/// In NumPy's spelling.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::F16 => f.write_str("float16"),
            Kind::Bf16 => f.write_str("bfloat16"),
            Kind::F32 => f.write_str("float32"),
            Kind::F64 => f.write_str("float64"),
            Kind::Integer { size_bytes, signed } => {
                write!(f, "{}int{}", if signed { "" } else { "u" }, 8 * size_bytes)
            }
        }
    }
}

/// IEEE 754 binary16 to binary32, exactly.
fn half_to_f32(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f32::from(bits & 0x3ff);
    match (bits >> 10) & 0x1f {
        0 => sign * fraction * 2f32.powi(-24),
        0x1f if fraction == 0.0 => sign * f32::INFINITY,
        0x1f => f32::NAN,
        exponent => sign * (1024.0 + fraction) * 2f32.powi(i32::from(exponent) - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats_are_exact() {
        // Bit patterns and values from IEEE 754 binary16.
        for (bits, expected) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
            (0x8000, -0.0),
        ] {
            assert_eq!(half_to_f32(bits).to_bits(), f32::to_bits(expected), "{bits:#06x}");
        }
        assert!(half_to_f32(0x7e00).is_nan());
    }

    #[test]
    fn integers_and_doubles_say_when_they_were_rounded() {
        let element = |kind, big_endian| Element { kind, big_endian };
        let signed = Kind::Integer { size_bytes: 4, signed: true };
        let unsigned = Kind::Integer { size_bytes: 1, signed: false };
        let little = false;
        assert_eq!(element(signed, little).value(&(-7i32).to_le_bytes()), (-7.0, true));
        assert_eq!(element(signed, true).value(&(-7i32).to_be_bytes()), (-7.0, true));
        assert_eq!(element(signed, little).value(&16_777_217i32.to_le_bytes()), (16_777_216.0, false));
        assert_eq!(element(unsigned, little).value(&[255]), (255.0, true));
        assert_eq!(element(Kind::F64, little).value(&0.5f64.to_le_bytes()), (0.5, true));
        assert_eq!(element(Kind::F64, little).value(&0.1f64.to_le_bytes()), (0.1, false));
        assert_eq!(element(Kind::Bf16, little).value(&[0x80, 0x3f]), (1.0, true));
    }
}
