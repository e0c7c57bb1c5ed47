//! Numbers of bytes on the command line.

/// A number of bytes: `32768`, `32K`, `32KiB`, `1M`.
///
/// # Errors
/// What is expected, if it is another text or 4 GiB or more.
pub(super) fn byte_count(text: &str) -> Result<u32, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" | "B" => Some(1),
        "K" | "KiB" => Some(1 << 10),
        "M" | "MiB" => Some(1 << 20),
        _ => None,
    };
    let bytes = number.parse::<u32>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    bytes
        .ok_or_else(|| format!("`{text}` is no number of bytes below 4 GiB, such as 32768, 32K, 32KiB or 1M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        let counts =
            ["0", "32768", "32K", "32KiB", "96B", "1M", "4095MiB"].map(|text| byte_count(text).unwrap());
        assert_eq!(counts, [0, 32768, 32768, 32768, 96, 1 << 20, 4095 << 20]);
        for text in ["", "K", "-1", "1.5K", "32 K", "32KB", "32k", "4096M", "5000000000"] {
            assert!(byte_count(text).is_err(), "{text}");
        }
    }
}
