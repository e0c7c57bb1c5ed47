//! What errors and rules say.

/// Gives a type its words, the same at a terminal (`Display`) and in the log of a chip (`defmt::Format`, if
/// the crate has that feature).
#[doc(hidden)]
#[macro_export]
macro_rules! say {
    ($type:ident: $($case:pat => $text:literal $(, $value:expr)*;)*) => {
        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match *self { $($case => core::write!(f, $text $(, $value)*),)* }
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for $type {
            fn format(&self, f: defmt::Formatter<'_>) {
                match *self { $($case => defmt::write!(f, $text $(, $value)*),)* }
            }
        }
    };
}
