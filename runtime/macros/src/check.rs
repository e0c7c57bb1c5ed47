//! All that can be known of a file before a program runs it.

use flatpack_format::{Block, Model, Step};

/// Gives `f` the model of a file that keeps every rule.
///
/// # Errors
/// The first rule that the file breaks, or the first step that does not fit its operator.
pub(crate) fn with_model<T>(file: &[u8], f: impl FnOnce(&Model<'_>) -> T) -> Result<T, String> {
    // Rule V05: a program places the file so, too.
    let mut aligned = vec![Block::ZERO; Block::count(file.len())];
    let bytes = Block::bytes_mut(&mut aligned);
    bytes[..file.len()].copy_from_slice(file);
    let model = Model::parse(&bytes[..file.len()]).map_err(|error| error.to_string())?;
    model.check_contents().map_err(|error| error.to_string())?;
    model.steps().try_for_each(|step| check(&step))?;
    Ok(f(&model))
}

/// Checks a step by its operator's rule.
fn check(step: &Step<'_>) -> Result<(), String> {
    let fits = step.op().rule().check(step);
    fits.map_err(|misfit| format!("step {} ({}): {misfit}", step.number(), step.op().name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatpack_format::SectionKind;

    const DIGITS: &[u8] = include_bytes!("../../../firmware-example/digits_cnn.fpk");

    fn refusal(file: &[u8]) -> String {
        with_model(file, |_| ()).unwrap_err()
    }

    #[test]
    fn a_whole_file_passes() {
        assert_eq!(with_model(DIGITS, |model| model.steps().len()), Ok(6));
    }

    #[test]
    fn every_changed_byte_is_found() {
        let mut file = DIGITS.to_vec();
        for at in (0..file.len()).step_by(97) {
            file[at] ^= 0x40;
            assert!(refusal(&file).starts_with('V'), "byte {at}");
            file[at] ^= 0x40;
        }
    }

    #[test]
    fn a_file_that_was_cut_is_refused() {
        for length in [0, 1, 95, 96, 1000, DIGITS.len() - 1] {
            assert!(refusal(&DIGITS[..length]).starts_with('V'), "{length} bytes");
        }
    }

    /// Parameters that no rule of the format looks at: the operator's own does.
    #[test]
    fn a_step_that_does_not_fit_its_operator_is_named() {
        let model = |file: &[u8]| -> (usize, usize) {
            with_model(file, |model| {
                let section = model.sections().iter().position(|s| s.kind == SectionKind::Params as u16);
                (model.sections()[section.unwrap()].offset as usize, section.unwrap())
            })
            .unwrap()
        };
        let (params, section) = model(DIGITS);
        let mut file = DIGITS.to_vec();
        // The stride of the first convolution.
        file[params..params + 4].copy_from_slice(&7u32.to_le_bytes());
        repair(&mut file, section);
        let error = refusal(&file);
        assert!(error.starts_with("step 0 (conv_2d): "), "{error}");
    }

    /// Writes the checksums of a section and of the header anew.
    fn repair(file: &mut [u8], section: usize) {
        let u32_at =
            |file: &[u8], at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let record = 96 + 24 * section;
        let (start, bytes) = (u32_at(file, record + 8), u32_at(file, record + 12));
        let crc = flatpack_format::crc32(&file[start..start + bytes]);
        file[record + 16..record + 20].copy_from_slice(&crc.to_le_bytes());
        let head = 96 + 24 * u32_at(file, 16);
        file[20..24].fill(0);
        let crc = flatpack_format::crc32(&file[..head]);
        file[20..24].copy_from_slice(&crc.to_le_bytes());
    }
}
