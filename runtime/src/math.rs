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
//! (2⁻¹⁴⁹ among subnormals), so that a correctly rounded function has 0.5. Each function states a
//! bound for its whole domain, which the tests assert at every 1009th `f32` and around every
//! special value; `FLATPACK_MATH_STRIDE=1 cargo test --release math` visits all 2³².
//!
//! # Coefficients
//!
//! Every polynomial is our own minimax fit: Remez exchange in 40-digit arithmetic over 4001
//! Chebyshev points, weighted so that its error counts relative to the function's result.
//! Coefficients are rounded to `f32` one at a time from the lowest power up, and the others fitted
//! again after each. The error that remains is given beside each polynomial.

mod erf;
mod exp;
mod ln;
mod pow;
mod root;
mod round;
mod trig;

#[cfg(test)]
mod ulp;

pub use erf::erf;
pub use exp::{exp, exp_m1, logistic, tanh};
pub use ln::{ln, ln_1p, softplus};
pub use pow::pow;
pub use root::{rsqrt, sqrt};
pub use round::{ceil, floor, round_half_even};
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
