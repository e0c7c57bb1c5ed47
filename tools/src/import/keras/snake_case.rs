//! How Keras calls what has the name of a class.

/// `Conv2DTranspose` as `conv2d_transpose`, `PReLU` as `p_re_lu`: first a capital with small letters
/// behind it is a word of its own, then one behind a small letter begins a word.
pub(super) fn snake_case(class: &str) -> String {
    let (mut words, mut rest) = (String::new(), class);
    while let Some(first) = rest.chars().next() {
        words.push(first);
        rest = &rest[first.len_utf8()..];
        let tail = rest.trim_start_matches(|c: char| c.is_ascii_uppercase());
        let small = tail.trim_start_matches(|c: char| c.is_ascii_lowercase());
        if rest.len() == tail.len() + 1 && small.len() < tail.len() {
            let (word, behind) = rest.split_at(rest.len() - small.len());
            words.push('_');
            words.push_str(word);
            rest = behind;
        }
    }
    let mut name = String::new();
    for char in words.chars() {
        if char.is_ascii_uppercase() && name.ends_with(|c: char| c.is_ascii_lowercase()) {
            name.push('_');
        }
        name.push(char);
    }
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_called_as_keras_calls_them() {
        // From `keras.src.utils.naming.to_snake_case` of Keras 3.15.
        for (class, expected) in [
            ("Dense", "dense"),
            ("PReLU", "p_re_lu"),
            ("ELU", "elu"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("ConvLSTM2D", "conv_lstm2d"),
            ("LSTMCell", "lstm_cell"),
            ("StackedRNNCells", "stacked_rnn_cells"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("TFOpLambda", "tf_op_lambda"),
            ("aB", "a_b"),
            ("ABc", "a_bc"),
            ("AaBbCD2eF", "aa_bb_cd2e_f"),
        ] {
            assert_eq!(snake_case(class), expected);
        }
    }
}
