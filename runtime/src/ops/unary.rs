//! What the elementwise operators of one input have in common: y may lie in the place of x.

use crate::kernel::Node;
use crate::operands::Operands;
use flatpack_format::{Misfit, OpRule};

/// Proves the shapes; only x may share memory with y, and then exactly.
pub(crate) fn check(node: &Node<'_>, rule: &OpRule) -> Result<(), Misfit> {
    node.check(rule, false, 1)
}

/// `y[i] = f(x[i])`.
#[inline(always)]
pub(crate) fn run(node: &Node<'_>, operands: Operands<'_>, f: impl Fn(f32) -> f32) -> Option<()> {
    let (reads, y) = operands.write::<f32>(node.output()?)?;
    if node.in_place(0) {
        y.iter_mut().for_each(|y| *y = f(*y));
    } else {
        let x = reads.get::<f32>(node.input(0)?)?;
        y.iter_mut().zip(x).for_each(|(y, x)| *y = f(*x));
    }
    Some(())
}

/// The kernel of an elementwise operator: its opcode, rule, and function of x, or of the parameter
/// record and x.
macro_rules! kernel {
    ($op:ident, $f:expr) => {
        /// The kernel.
        pub const KERNEL: $crate::kernel::Kernel = $crate::kernel::Kernel {
            op: flatpack_format::OpCode::$op,
            check: |node| $crate::ops::unary::check(node, &flatpack_format::ops::unary::RULE),
            run: |node, operands| $crate::ops::unary::run(node, operands, $f),
        };
    };
    ($op:ident, $rule:expr, $params:ty, $f:expr) => {
        /// The kernel.
        pub const KERNEL: $crate::kernel::Kernel = $crate::kernel::Kernel {
            op: flatpack_format::OpCode::$op,
            check: |node| $crate::ops::unary::check(node, &$rule),
            run: |node, operands| {
                let params: &$params = node.params()?;
                $crate::ops::unary::run(node, operands, |x| ($f)(params, x))
            },
        };
    };
}
pub(crate) use kernel;
