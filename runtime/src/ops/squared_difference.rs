//! Squared difference: `y = clamp((a − b)²)`.

super::binary::kernel!(SquaredDifference, |a: f32, b: f32| {
    let difference = a - b;
    difference * difference
});

#[cfg(test)]
mod tests {
    use crate::ops::binary::tests::it_meets;
    use flatpack_format::OpCode;

    #[test]
    fn it_meets_the_formula() {
        // The difference is rounded, and the square doubles what that changes.
        it_meets(OpCode::SquaredDifference, |a, b| (a - b) * (a - b), 2.0);
    }
}
