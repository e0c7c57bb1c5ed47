//! Elementary functions, `f32` to `f32`, with the same bits on every machine.
//!
//! Only `+ - * /` on `f32`, comparisons and integer operations are used, in a fixed order and never
//! fused, so a result depends on the argument alone: not on a C library, an optimisation level or
//! the presence of a floating-point unit. Assumed is IEEE 754 binary32 arithmetic that rounds to
//! nearest and keeps subnormals; a machine switched to flush-to-zero computes something else.
//! A result that is not a number is always [`NAN`], because instruction sets disagree about the
//! sign and payload of theirs.
//!
//! Nothing here can panic, and no table is longer than 32 bytes. What appears in activations is
//! free of early returns, so that a loop over a slice becomes vector code.
//!
//! # Accuracy
//!
//! Errors are in ULP: |computed − exact| over the spacing of `f32` at the correctly rounded result
//! (2⁻¹⁴⁹ among subnormals), so that a correctly rounded function has 0.5. *Bound* is what the tests
//! assert at every 1009th `f32` and around every special value. *Worst*, rounded up, is the largest
//! error among all 2³² arguments, as `FLATPACK_MATH_STRIDE=1 cargo test --release math -- --nocapture`
//! finds it in an hour or two; [`pow()`] has too many arguments for that, and is sampled at 2·10⁹.
//!
//! | function     | bound | worst | at       |
//! |--------------|-------|-------|----------|
//! | [`exp()`]    | 1     | 0.79  | −87.6    |
//! | [`exp_m1`]   | 1.25  | 1.17  | 0.3477   |
//! | [`ln()`]     | 1     | 0.96  | 0.7065   |
//! | [`ln_1p`]    | 1     | 0.97  | 0.2793   |
//! | [`softplus`] | 1.75  | 1.68  | −1.2588  |
//! | [`logistic`] | 1.5   | 1.50  | −3.4525  |
//! | [`tanh`]     | 1.5   | 1.40  | ±0.6001  |
//! | [`erf()`]    | 1.25  | 1.16  | ±1.0638  |
//! | [`pow()`]    | 1     | 0.84  | 1.3815, −271.2 |
//! | [`sin`]      | 1     | 0.94  | 6.22·10¹⁹ |
//! | [`cos`]      | 1     | 0.94  | 3.72·10³³ |
//! | [`sqrt`]     | 0.5   | 0.50  |          |
//! | [`rsqrt`]    | 1.5   | 1.50  | 1.18·10⁻³⁸ |
//! | [`floor`], [`ceil`], [`round_half_even`], [`round_half_away`] | 0 | 0 | |
//!
//! # Coefficients
//!
//! Every polynomial is our own minimax fit: Remez exchange in 40-digit arithmetic over 4001
//! Chebyshev points, weighted so that its error counts relative to the function's result.
//! Coefficients are rounded to `f32` one at a time from the lowest power up, and the others fitted
//! again after each. The error that remains is given beside each polynomial.

mod erf;
mod exp;
mod half;
mod ln;
mod pow;
mod root;
mod round;
mod trig;

#[cfg(test)]
pub(crate) mod ulp;

pub use erf::erf;
#[cfg(all(any(test, feature = "std"), any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use erf::{ERF_FAR, ERF_FAR_FROM, ERF_FAR_TO, ERF_NEAR};
#[cfg(all(any(test, feature = "std"), any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use exp::EXP_BEYOND_LINEAR;
pub use exp::{exp, exp_m1, logistic, tanh};
pub use half::half;
pub use ln::{ln, ln_1p, softplus};
pub use pow::pow;
pub use root::{rsqrt, sqrt};
pub use round::{ceil, floor, round_half_away, round_half_even};
pub use trig::{cos, sin};

/// The one NaN that these functions return: positive, quiet, without payload.
pub const NAN: f32 = f32::from_bits(0x7fc0_0000);

/// `result`, or [`NAN`] if `x` is a NaN.
#[inline]
fn unless_nan(x: f32, result: f32) -> f32 {
    if x.is_nan() { NAN } else { result }
}

/// `c[0] + c[1]·x + c[2]·x² + …`, by Horner's rule.
#[inline]
fn polynomial<const N: usize>(x: f32, c: &[f32; N]) -> f32 {
    let mut from_highest = c.iter().rev();
    let highest = from_highest.next().copied().unwrap_or(0.0);
    from_highest.fold(highest, |sum, c| sum * x + c)
}

/// 2ⁿ for −126 ≤ n ≤ 127; any other `n` gives some number, or a NaN.
#[inline]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}
