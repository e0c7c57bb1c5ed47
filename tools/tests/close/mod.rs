//! Outputs against those of Keras or TensorFlow.

use std::path::Path;

use flatpack::array::Array;

/// Equal but for a hundred-thousandth of the larger of each value and 1.
pub(crate) fn assert_close(computed: &[Array], expected: &[Array], what: &Path) {
    assert_eq!(computed.len(), expected.len(), "{what:?}");
    for (computed, expected) in computed.iter().zip(expected) {
        assert_eq!(computed.shape, expected.shape, "{what:?}");
        for (computed, expected) in computed.values.iter().zip(&expected.values) {
            assert!(
                (computed - expected).abs() <= 1e-5 * expected.abs().max(1.0),
                "{what:?}: {computed}, {expected}"
            );
        }
    }
}
