//! Which kernels models run with on this machine.

use flatpack_runtime::{Isa, Kernel, ops};
use std::env;
use thiserror::Error;

/// Environment variable with the name of the instruction set to use instead of the fastest.
pub const VARIABLE: &str = "FLATPACK_ISA";

/// An instruction set was asked for that is not here.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no kernels for `{name}` run here; there are {}", here())]
pub struct IsaError {
    /// What was asked for.
    name: String,
}

/// The instruction set of this name, if this machine has it.
///
/// # Errors
/// If there is none of the name, or the machine does not have it.
pub fn by_name(name: &str) -> Result<Isa, IsaError> {
    Isa::by_name(name).filter(|isa| isa.is_here()).ok_or_else(|| IsaError { name: name.to_owned() })
}

/// The instruction set that [`VARIABLE`] names, or else the fastest of this machine.
///
/// # Errors
/// If the variable names one that is not here.
pub fn chosen() -> Result<Isa, IsaError> {
    env::var(VARIABLE).map_or_else(|_| Ok(Isa::detect()), |name| by_name(&name))
}

/// The kernels of [`chosen`].
///
/// # Errors
/// As [`chosen`].
pub fn kernels() -> Result<&'static [Kernel], IsaError> {
    Ok(chosen()?.kernels().unwrap_or(ops::ALL))
}

fn here() -> String {
    let here = Isa::ALL.iter().filter(|isa| isa.is_here()).map(|isa| isa.name());
    here.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_is_refused_with_those_that_are_here() {
        assert_eq!(by_name("portable"), Ok(Isa::Portable));
        let error = by_name("z80").unwrap_err().to_string();
        assert!(error.starts_with("no kernels for `z80` run here") && error.contains("portable"), "{error}");
    }
}
