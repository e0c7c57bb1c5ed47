//! The messages of TensorFlow's protocol buffers, with the fields that are read and no others.
//!
//! Numbers and types of the fields are those of `tensorflow/core/protobuf` and `tensorflow/core/framework`
//! (and, for [`KerasMetadata`], of Keras' `saved_metadata.proto`); what is not here is skipped.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SavedModel {
    #[prost(message, repeated, tag = "2")]
    pub meta_graphs: Vec<MetaGraph>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetaGraph {
    #[prost(message, optional, tag = "1")]
    pub meta_info: Option<MetaInfo>,
    #[prost(message, optional, tag = "2")]
    pub graph: Option<GraphDef>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub signatures: BTreeMap<String, Signature>,
    #[prost(message, optional, tag = "7")]
    pub objects: Option<SavedObjectGraph>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetaInfo {
    #[prost(string, repeated, tag = "4")]
    pub tags: Vec<String>,
    #[prost(string, tag = "5")]
    pub tensorflow_version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GraphDef {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<NodeDef>,
    #[prost(message, optional, tag = "2")]
    pub library: Option<Library>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Library {
    #[prost(message, repeated, tag = "1")]
    pub functions: Vec<FunctionDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionDef {
    #[prost(message, optional, tag = "1")]
    pub signature: Option<OpDef>,
    #[prost(message, repeated, tag = "3")]
    pub nodes: Vec<NodeDef>,
    /// Of each output, the tensor.
    #[prost(btree_map = "string, string", tag = "4")]
    pub ret: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OpDef {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub inputs: Vec<ArgDef>,
    #[prost(message, repeated, tag = "3")]
    pub outputs: Vec<ArgDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ArgDef {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodeDef {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub op: String,
    #[prost(string, repeated, tag = "3")]
    pub inputs: Vec<String>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub attrs: BTreeMap<String, AttrValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttrValue {
    #[prost(oneof = "Attr", tags = "1, 2, 3, 4, 5, 6, 8, 10")]
    pub value: Option<Attr>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Attr {
    #[prost(message, tag = "1")]
    List(ListValue),
    #[prost(bytes, tag = "2")]
    Bytes(Vec<u8>),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(float, tag = "4")]
    Float(f32),
    #[prost(bool, tag = "5")]
    Bool(bool),
    #[prost(int32, tag = "6")]
    Type(i32),
    #[prost(message, tag = "8")]
    Tensor(TensorProto),
    #[prost(message, tag = "10")]
    Function(Function),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListValue {
    #[prost(int64, repeated, tag = "3")]
    pub ints: Vec<i64>,
    #[prost(float, repeated, tag = "4")]
    pub floats: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Function {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Shape {
    #[prost(message, repeated, tag = "2")]
    pub dims: Vec<Dim>,
    #[prost(bool, tag = "3")]
    pub unknown_rank: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dim {
    /// -1 where it is open.
    #[prost(int64, tag = "1")]
    pub size: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorProto {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
    #[prost(bytes = "vec", tag = "4")]
    pub content: Vec<u8>,
    #[prost(float, repeated, tag = "5")]
    pub floats: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    pub doubles: Vec<f64>,
    #[prost(int32, repeated, tag = "7")]
    pub ints: Vec<i32>,
    #[prost(int64, repeated, tag = "10")]
    pub longs: Vec<i64>,
    #[prost(bool, repeated, tag = "11")]
    pub bools: Vec<bool>,
    #[prost(int32, repeated, tag = "13")]
    pub halves: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Signature {
    #[prost(btree_map = "string, message", tag = "1")]
    pub inputs: BTreeMap<String, TensorInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorInfo {
    #[prost(message, optional, tag = "3")]
    pub shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SavedObjectGraph {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<SavedObject>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub functions: BTreeMap<String, ConcreteFunction>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SavedObject {
    #[prost(message, repeated, tag = "1")]
    pub children: Vec<Child>,
    #[prost(message, optional, tag = "4")]
    pub user_object: Option<UserObject>,
    #[prost(message, optional, tag = "7")]
    pub variable: Option<Variable>,
    #[prost(message, optional, tag = "8")]
    pub bare_function: Option<BareFunction>,
    #[prost(message, optional, tag = "9")]
    pub constant: Option<Constant>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Child {
    #[prost(int32, tag = "1")]
    pub node: i32,
    #[prost(string, tag = "2")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UserObject {
    #[prost(string, tag = "1")]
    pub identifier: String,
    #[prost(string, tag = "3")]
    pub metadata: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Variable {
    #[prost(string, tag = "6")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Constant {
    /// The node outside of all functions that holds its value.
    #[prost(string, tag = "1")]
    pub node: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BareFunction {
    #[prost(string, tag = "1")]
    pub function: String,
    /// Names of the arguments that the caller gives.
    #[prost(string, repeated, tag = "2")]
    pub arguments: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConcreteFunction {
    /// Numbers of the objects that are given behind the caller's arguments.
    #[prost(int32, repeated, tag = "2")]
    pub bound: Vec<i32>,
}

/// The root of a checkpoint's objects.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckpointObjects {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<CheckpointObject>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckpointObject {
    #[prost(message, repeated, tag = "1")]
    pub children: Vec<Child>,
    #[prost(message, repeated, tag = "2")]
    pub tensors: Vec<CheckpointTensor>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckpointTensor {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub key: String,
}

/// The value under the empty key of a checkpoint's index.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BundleHeader {
    #[prost(int32, tag = "1")]
    pub shards: i32,
    /// 0 little, 1 big.
    #[prost(int32, tag = "2")]
    pub endianness: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BundleEntry {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
    #[prost(int32, tag = "3")]
    pub shard: i32,
    #[prost(int64, tag = "4")]
    pub offset: i64,
    #[prost(int64, tag = "5")]
    pub size: i64,
    #[prost(fixed32, tag = "6")]
    pub crc32c: u32,
    #[prost(message, repeated, tag = "7")]
    pub slices: Vec<Slice>,
}

/// Present where a tensor is in several parts.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Slice {}

/// `keras_metadata.pb`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KerasMetadata {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<KerasObject>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KerasObject {
    /// Its number among the objects of the SavedModel.
    #[prost(int32, tag = "2")]
    pub node: i32,
    /// JSON text.
    #[prost(string, tag = "5")]
    pub metadata: String,
}

impl NodeDef {
    fn attr(&self, name: &str) -> Option<&Attr> {
        self.attrs.get(name)?.value.as_ref()
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        match self.attr(name)? {
            Attr::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn float(&self, name: &str) -> Option<f32> {
        match self.attr(name)? {
            Attr::Float(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn bool(&self, name: &str) -> Option<bool> {
        match self.attr(name)? {
            Attr::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn dtype(&self, name: &str) -> Option<i32> {
        match self.attr(name)? {
            Attr::Type(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.attr(name)? {
            Attr::Bytes(value) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }

    pub(crate) fn floats(&self, name: &str) -> Option<&[f32]> {
        match self.attr(name)? {
            Attr::List(list) => Some(&list.floats),
            _ => None,
        }
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attr(name)? {
            Attr::List(list) => Some(&list.ints),
            _ => None,
        }
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&TensorProto> {
        match self.attr(name)? {
            Attr::Tensor(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn function(&self, name: &str) -> Option<&str> {
        match self.attr(name)? {
            Attr::Function(value) => Some(&value.name),
            _ => None,
        }
    }
}

impl Shape {
    /// The extents, if all are known.
    pub(crate) fn extents(&self) -> Option<Vec<usize>> {
        if self.unknown_rank {
            return None;
        }
        self.dims.iter().map(|dim| usize::try_from(dim.size).ok()).collect()
    }
}
