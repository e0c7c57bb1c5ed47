//! Hashes of integers as the text of their digits.

use serde_json::json;

use super::super::dtype;
use super::super::lower::Lowering;
use super::{Args, Value};
use crate::import::Fault;

pub(super) const NAMES: &[&str] = &["AsString", "StringToHashBucketFast", "StringToHashBucketStrong"];

pub(super) fn evaluate(low: &mut Lowering<'_, '_>, args: &Args<'_>) -> Result<Value, Fault> {
    let node = args.node;
    if node.op == "AsString" {
        let is_plain = matches!(node.dtype("T"), Some(dtype::INT32 | dtype::INT64))
            && node.int("width").is_none_or(|width| width < 0)
            && node.text("fill").is_none_or(str::is_empty);
        return if is_plain { Ok(Value::Digits(args.tensor(low, 0)?)) } else { Err(args.unsupported()) };
    }
    let Value::Digits(x) = *args.get(0)? else { return Err(args.unsupported()) };
    let config = json!({"num_bins": node.int("num_buckets"), "salt": node.ints("key")});
    Ok(Value::Tensor(low.builder.foreign_layer("Hashing", config, Vec::new(), x)?))
}
