//! The instruction sets of gateways: which of them this machine has, and the kernels made for each.

#[cfg(target_arch = "x86_64")]
use crate::arch::{Avx2, Avx2Vnni, Avx512, Avx512Vnni};
#[cfg(target_arch = "aarch64")]
use crate::arch::{Dots, Matrices, Neon, Pairs};
use crate::kernel::Kernel;
use crate::ops;

/// An instruction set that kernels are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isa {
    /// What every machine of this target has.
    Portable,
    /// x86-64 with AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 with AVX2 and dot products of bytes, without AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx2Vnni,
    /// x86-64 with AVX-512 (F, BW, DQ and VL).
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// x86-64 with AVX-512 and its dot products of bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// 64-bit Arm: all that run Linux have NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// 64-bit Arm with dot products of bytes: Cortex-A55, Cortex-A76, and later.
    #[cfg(target_arch = "aarch64")]
    NeonDots,
    /// 64-bit Arm with products of matrices of bytes, too: Cortex-A510, Cortex-A710, Neoverse N2, and later.
    #[cfg(target_arch = "aarch64")]
    NeonMatrices,
}

impl Isa {
    /// All that this build has kernels for, from the slowest to the fastest.
    pub const ALL: &[Self] = &[
        Self::Portable,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2Vnni,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512Vnni,
        #[cfg(target_arch = "aarch64")]
        Self::Neon,
        #[cfg(target_arch = "aarch64")]
        Self::NeonDots,
        #[cfg(target_arch = "aarch64")]
        Self::NeonMatrices,
    ];

    /// The fastest that this machine has.
    pub fn detect() -> Self {
        Self::ALL.iter().copied().rfind(|isa| isa.is_here()).unwrap_or(Self::Portable)
    }

    /// Whether this machine has it.
    pub fn is_here(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("fma")
                    && std::arch::is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Vnni => Self::Avx2.is_here() && std::arch::is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_here()
                    && std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512dq")
                    && std::arch::is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Self::Avx512.is_here() && std::arch::is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDots => Self::Neon.is_here() && std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonMatrices => Self::NeonDots.is_here() && std::arch::is_aarch64_feature_detected!("i8mm"),
        }
    }

    /// Every kernel, by opcode, made for it: `None` if this machine does not have it.
    pub fn kernels(self) -> Option<&'static [Kernel]> {
        self.is_here().then_some(match self {
            Self::Portable => ops::ALL,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => const { &ops::all::<Avx2>() },
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Vnni => const { &ops::all::<Avx2Vnni>() },
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => const { &ops::all::<Avx512>() },
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => const { &ops::all::<Avx512Vnni>() },
            #[cfg(target_arch = "aarch64")]
            Self::Neon => const { &ops::all::<Neon<Pairs>>() },
            #[cfg(target_arch = "aarch64")]
            Self::NeonDots => const { &ops::all::<Neon<Dots>>() },
            #[cfg(target_arch = "aarch64")]
            Self::NeonMatrices => const { &ops::all::<Neon<Matrices>>() },
        })
    }

    /// Its name, as [`Isa::by_name`] takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Vnni => "avx2-vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Self::NeonDots => "neon-dotprod",
            #[cfg(target_arch = "aarch64")]
            Self::NeonMatrices => "neon-i8mm",
        }
    }

    /// The instruction set of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|isa| isa.name() == name)
    }
}

#[cfg(all(test, target_arch = "aarch64"))]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_64_bit_arm_is_tested() {
        for isa in Isa::ALL {
            assert!(isa.is_here(), "emulate a processor that has {}", isa.name());
        }
    }
}
