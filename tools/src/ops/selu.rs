//! Scaled exponential linear unit: `scale · x` where x > 0, else `scale · alpha · (eˣ − 1)`, with the
//! constants of Klambauer et al., 2017.

use super::elu::elu;
use super::{Operator, lookup, unary};
use flatpack_format::OpCode;
use tract_core::ops::math::mul;

const ALPHA: f64 = 1.673_263_242_354_377_2;
const SCALE: f64 = 1.050_700_987_355_480_5;

/// The operator.
pub const OPERATOR: Operator = unary::operator(
    OpCode::Selu,
    |r, _, _, inputs| {
        r.in_f64(inputs[0], |r, x| {
            let y = elu(r, ALPHA, x)?;
            r.with_scalar(mul(), y, SCALE)
        })
    },
    |graph, node| {
        lookup::of_reals(graph, node, |x| if x > 0.0 { SCALE * x } else { SCALE * ALPHA * libm::expm1(x) })
    },
);
