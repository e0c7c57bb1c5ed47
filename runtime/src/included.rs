//! A model that is part of the program: what `include_model!` makes its module of.

use crate::kernel::Kernel;
use crate::session::{LoadError, Session};
use bytemuck::Pod;
use core::marker::PhantomData;
use core::ops::Deref;
use flatpack_format::{DType, Error, Model};

/// A module of the `.fpk` file that is included: `include_model!(pub NAME, "model.fpk");`.
///
/// A relative path begins at the folder of the `Cargo.toml` of the crate that is compiled. In place of
/// a path, `env!("VARIABLE")` takes that of a variable which a build script or the caller of cargo set.
/// The program is compiled anew when the file changes.
///
/// The file is read and checked while the program is compiled: every rule of the format, every checksum,
/// and each step by the rule of its operator, by the code that [`Session::load`](crate::Session::load) checks
/// with. A file that is at fault does not compile, and what the compiler has proved, `load` does not prove again:
/// that code is not in the program.
///
/// | item | what it is |
/// |---|---|
/// | `ARENA_BYTES`, `STATE_BYTES` | memory of a session, exactly |
/// | `Arena`, `ARENA` | the type of a static that has both, and what it begins as |
/// | `load(&mut Arena)` | a [`Session`] |
/// | `FAR_BYTES`, `FarArena`, `FAR_ARENA` | the same for the far arena of a model that has one; its `load` takes `&mut FarArena` too |
/// | `check_goldens(&mut Session)` | the self-test; of a file of integers, without the arithmetic of reals |
/// | `INPUT`, `OUTPUT` | [`Input`] and [`Output`]: name, shape, quantisation, elements of the right type; `INPUT_0`, `INPUT_1` … where there are several |
/// | `CLASSES` | names of the classes, where the file has them |
/// | `KERNELS` | the kernels of the model; the linker drops all others |
/// | `FILE` | the file, aligned, where constants lie: on a board, in flash |
/// | `MACS` | multiply-accumulates of a run |
///
/// ```
/// flatpack_runtime::include_model!(pub DIGITS, "../firmware-example/digits_cnn.fpk");
///
/// let mut arena = DIGITS::ARENA; // on a board: a static, such as cortex_m::singleton! gives
/// let mut session = DIGITS::load(&mut arena)?;
/// let checked = session.check_goldens().expect("this machine computes what the host computed");
/// assert_eq!(checked.cases, 2);
///
/// let pixels: &mut [f32; 64] = DIGITS::INPUT.of(&mut session).expect("the session is of this model");
/// pixels.fill(0.5);
/// session.run().expect("a model that was loaded does not stop");
/// let classes: &[f32; 10] = DIGITS::OUTPUT.of(&session).expect("the session is of this model");
/// assert!((classes.iter().sum::<f32>() - 1.0).abs() < 1e-6);
/// # Ok::<(), flatpack_runtime::FileError>(())
/// ```
///
/// ```compile_fail
/// flatpack_runtime::include_model!(TEXT, "Cargo.toml"); // V02: the file starts with the magic bytes
/// ```
#[cfg(feature = "macros")]
#[macro_export]
macro_rules! include_model {
    ($($call:tt)*) => { $crate::include_model_from! { $crate, $($call)* } };
}

/// A module of what a firmware can run, for models that are not known when it is compiled:
/// `include_features!(pub NAME, "features.json");`. Paths are those of [`include_model!`].
///
/// ```json
/// {
///     "format_version": 1,
///     "feature_bits": 0,
///     "operators": ["conv_2d", "depthwise_conv_2d", "fully_connected", "max_pool_2d", "softmax"],
///     "memory_bytes": 12288,
///     "file_bytes": 65536
/// }
/// ```
///
/// The firmware gets its kernels and its arena from this file, and whoever makes models for it gives the
/// same file to `flatpack build --for features.json`, which refuses what does not run there. So what the
/// firmware says of itself is what it is. The first two fields are those of the runtime: with another
/// one's, it does not compile.
///
/// | item | what it is |
/// |---|---|
/// | `Arena`, `ARENA` | the type of a static of `memory_bytes`, which may hold a far arena too, and what it begins as |
/// | `load(&memory, &mut Arena)` | a [`Session`] of the file that a memory begins with, such as a partition of flash |
/// | `KERNELS` | the kernels of the operators; the linker drops all others |
/// | `FILE_BYTES` | the largest file |
///
/// ```
/// flatpack_runtime::include_features!(FIRMWARE, "../firmware-example/features.json");
/// # flatpack_runtime::include_model!(DIGITS, "../firmware-example/digits_cnn.fpk");
/// # let mut blocks = [flatpack_runtime::Block::ZERO; FIRMWARE::FILE_BYTES / 16];
/// # let partition = flatpack_runtime::Block::bytes_mut(&mut blocks);
/// # partition[..DIGITS::FILE.len()].copy_from_slice(DIGITS::FILE);
/// let mut arena = FIRMWARE::ARENA;
/// let mut session = FIRMWARE::load(partition, &mut arena)?;
/// session.model().check_contents().expect("the file came as it was sent");
/// session.check_goldens().expect("this machine computes what the host computed");
/// # Ok::<(), flatpack_runtime::FileError>(())
/// ```
#[cfg(feature = "macros")]
#[macro_export]
macro_rules! include_features {
    ($($call:tt)*) => { $crate::include_features_from! { $crate, $($call)* } };
}

/// A value at an address that is a multiple of 16, which a file needs.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// Why a file does not run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileError {
    /// It breaks a rule of the format.
    Format(Error),
    /// It needs what is not here: memory, or a kernel.
    Load(LoadError),
}

flatpack_format::say! { FileError:
    Self::Format(error) => "{}", error;
    Self::Load(error) => "{}", error;
}

impl core::error::Error for FileError {}

impl<'a> Session<'a> {
    /// Parses a file and loads its model; see [`Model::parse`] and [`Session::load`].
    ///
    /// # Errors
    /// The first rule that the file breaks, or why the model does not load.
    pub fn from_file(file: &'a [u8], kernels: &'a [Kernel], memory: &'a mut [u8]) -> Result<Self, FileError> {
        let model = Model::parse(file).map_err(FileError::Format)?;
        Self::load(model, kernels, memory).map_err(FileError::Load)
    }

    /// For `include_model!`: a file that was parsed, and whose steps were checked, by the compiler.
    #[doc(hidden)]
    pub fn from_checked_file(
        file: &'a [u8],
        kernels: &'a [Kernel],
        near: &'a mut [u8],
        far: &'a mut [u8],
    ) -> Result<Self, FileError> {
        let model = Model::accepted(file).map_err(FileError::Format)?;
        Self::of_checked_steps(model, kernels, near, far).map_err(FileError::Load)
    }
}

/// How 8-bit integers stand for reals: `real = scale · (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quant {
    /// The distance of two integers.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i32,
}

/// What is known of an input or output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Port {
    /// Its number among the inputs or outputs.
    pub index: usize,
    /// Its name; empty if names were stripped from the file.
    pub name: &'static str,
    /// The type of its elements.
    pub dtype: DType,
    /// Its dimensions, batch included, outermost first.
    pub shape: &'static [usize],
    /// What its integers stand for, if they stand for reals.
    pub quant: Option<Quant>,
}

/// An input of `LEN` elements of type `T`, which is `u16` for binary16 and `u8` for `bool`.
#[derive(Clone, Copy, Debug)]
pub struct Input<T, const LEN: usize> {
    port: Port,
    elements: PhantomData<[T; LEN]>,
}

/// An output of `LEN` elements of type `T`, which is `u16` for binary16 and `u8` for `bool`.
#[derive(Clone, Copy, Debug)]
pub struct Output<T, const LEN: usize> {
    port: Port,
    elements: PhantomData<[T; LEN]>,
}

impl<T: Pod, const LEN: usize> Input<T, LEN> {
    /// For `include_model!`.
    #[doc(hidden)]
    pub const fn new(port: Port) -> Self {
        Self { port, elements: PhantomData }
    }

    /// Its elements, to be written. `None` if the session is of another model.
    pub fn of<'s>(&self, session: &'s mut Session<'_>) -> Option<&'s mut [T; LEN]> {
        session.input(self.port.index)?.try_into().ok()
    }
}

impl<T: Pod, const LEN: usize> Output<T, LEN> {
    /// For `include_model!`.
    #[doc(hidden)]
    pub const fn new(port: Port) -> Self {
        Self { port, elements: PhantomData }
    }

    /// Its elements. `None` if the session is of another model.
    pub fn of<'s>(&self, session: &'s Session<'_>) -> Option<&'s [T; LEN]> {
        session.output(self.port.index)?.try_into().ok()
    }
}

impl<T, const LEN: usize> Deref for Input<T, LEN> {
    type Target = Port;
    fn deref(&self) -> &Port {
        &self.port
    }
}

impl<T, const LEN: usize> Deref for Output<T, LEN> {
    type Target = Port;
    fn deref(&self) -> &Port {
        &self.port
    }
}
