//! Selection by a condition.

use super::{Operator, moment, part};
use flatpack_format::OpCode;
use tract_core::ops::logic::comp_ne;

/// The operator.
pub const OPERATOR: Operator = Operator {
    moment: Some(moment::of_elements),
    is_elementwise: true,
    part: Some(part::same_rows),
    ..Operator::new(OpCode::Select, |r, _, _, inputs| {
        let inputs = r.of_one_rank(inputs)?;
        let zero = r.scalar_like(inputs[0], 0.0)?;
        r.select(comp_ne(), [inputs[0], zero], [inputs[1], inputs[2]])
    })
};
