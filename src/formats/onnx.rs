//! The messages of ONNX files: the parts of `onnx.proto` (ONNX 1.23) that networks of images need. The crate `prost` reads and writes
//! protocol buffers; unknown fields are skipped when a file is read.

pub use prost::Message;

/// The element types of tensors (`TensorProto.DataType`).
pub mod element {
    /// 32-bit floats.
    pub const FLOAT: i32 = 1;
    /// Bytes.
    pub const UINT8: i32 = 2;
    /// Bytes with a sign.
    pub const INT8: i32 = 3;
    /// 16-bit integers without a sign.
    pub const UINT16: i32 = 4;
    /// 16-bit integers.
    pub const INT16: i32 = 5;
    /// 32-bit integers.
    pub const INT32: i32 = 6;
    /// 64-bit integers.
    pub const INT64: i32 = 7;
    /// Truth values.
    pub const BOOL: i32 = 9;
    /// 16-bit floats.
    pub const FLOAT16: i32 = 10;
    /// 64-bit floats.
    pub const DOUBLE: i32 = 11;
    /// 32-bit integers without a sign.
    pub const UINT32: i32 = 12;
    /// 64-bit integers without a sign.
    pub const UINT64: i32 = 13;
    /// 16-bit floats with the range of 32-bit ones.
    pub const BFLOAT16: i32 = 16;
    /// Integers from 0 to 15, two in a byte.
    pub const UINT4: i32 = 21;
    /// Integers from -8 to 7, two in a byte.
    pub const INT4: i32 = 22;
}

/// A file: a graph, and the version of the operators that it uses (`ModelProto`).
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    /// The version of the file format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// The program that wrote the file.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// The version of that program.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// The network.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    /// The versions of the sets of operators.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    /// Further data, as pairs.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Entry>,
    /// Operators that the file defines by others.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<FunctionName>,
}

/// The name of an operator that a file defines (`FunctionProto`).
#[derive(Clone, PartialEq, Message)]
pub struct FunctionName {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// The version of a set of operators (`OperatorSetIdProto`).
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    /// Empty for ONNX's own operators.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// The version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A pair of texts (`StringStringEntryProto`).
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A network (`GraphProto`).
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    /// The operators, each after those whose outputs it reads.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    /// The network's name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Tensors with known values: weights and constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    /// The same with most values zero. They are not read.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<Sparse>,
    /// The inputs.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<Value>,
    /// The outputs.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<Value>,
    /// The types of other values.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<Value>,
}

/// A tensor with most values zero (`SparseTensorProto`), of which nothing is read.
#[derive(Clone, PartialEq, Message)]
pub struct Sparse {}

/// An operator with its inputs and outputs (`NodeProto`).
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// The names of the values that it reads; empty for an optional one that is absent.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// The names of the values that it computes.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Its own name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The operator's name, such as `Conv`.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Its settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    /// Empty for ONNX's own operators.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// A setting of an operator (`AttributeProto`). Its `kind` says which field holds the value.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The value of kind 1.
    #[prost(float, tag = "2")]
    pub f: f32,
    /// The value of kind 2.
    #[prost(int64, tag = "3")]
    pub i: i64,
    /// The value of kind 3.
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    /// The value of kind 4.
    #[prost(message, optional, tag = "5")]
    pub t: Option<Tensor>,
    /// The value of kind 6.
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    /// The value of kind 7.
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    /// The kind of the value.
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

impl Attribute {
    /// An integer.
    pub fn int(name: &str, i: i64) -> Self {
        Self { name: name.into(), i, kind: 2, ..Self::default() }
    }
    /// A float.
    pub fn float(name: &str, f: f32) -> Self {
        Self { name: name.into(), f, kind: 1, ..Self::default() }
    }
    /// A text.
    pub fn text(name: &str, s: &str) -> Self {
        Self { name: name.into(), s: s.into(), kind: 3, ..Self::default() }
    }
    /// A list of integers.
    pub fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> Self {
        Self { name: name.into(), ints: values.into_iter().map(|n| n as i64).collect(), kind: 7, ..Self::default() }
    }
}

/// A tensor with its values (`TensorProto`). They are in `raw_data`, in the field for the type, or in another file.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// The shape.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// One of [`element`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Values of type float.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Values of types of at most 32 bits, except floats of 32 bits.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Values of 64-bit integers.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// The name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// The values, little-endian.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// Values of type double.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Values of integers of 32 and 64 bits without a sign.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// Where in another file the values are: `location`, `offset`, `length`.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<Entry>,
    /// 1 if the values are in another file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

impl Tensor {
    /// A tensor of floats.
    pub fn floats(name: impl Into<String>, dims: &[usize], values: &[f32]) -> Self {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::bytes(name, dims, element::FLOAT, raw_data)
    }
    /// A tensor of a type, with the bytes of its values.
    pub fn bytes(name: impl Into<String>, dims: &[usize], data_type: i32, raw_data: Vec<u8>) -> Self {
        let dims = dims.iter().map(|&size| size as i64).collect();
        Self { dims, data_type, name: name.into(), raw_data, ..Self::default() }
    }
    /// A list of integers.
    pub fn ints(name: impl Into<String>, values: &[i64]) -> Self {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::bytes(name, &[values.len()], element::INT64, raw_data)
    }
}

/// The name and type of an input or output (`ValueInfoProto`).
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The type.
    #[prost(message, optional, tag = "2")]
    pub ty: Option<Type>,
}

/// The type of a value (`TypeProto`); other types than tensors are skipped.
#[derive(Clone, PartialEq, Message)]
pub struct Type {
    /// The type of a tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor: Option<TensorType>,
}

/// The type of a tensor (`TypeProto.Tensor`).
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// One of [`element`].
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// The shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// A shape (`TensorShapeProto`).
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    /// The axes.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// The size of an axis (`TensorShapeProto.Dimension`).
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// The size.
    #[prost(oneof = "Size", tags = "1, 2")]
    pub size: Option<Size>,
}

/// A known size, or the name of one that is known when the network runs.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Size {
    /// A number.
    #[prost(int64, tag = "1")]
    Known(i64),
    /// A name, such as `batch`.
    #[prost(string, tag = "2")]
    Named(String),
}

impl Value {
    /// A tensor of floats, whose first axis is a batch of any size.
    pub fn batch_of(name: &str, image: &[usize]) -> Self {
        let known = image.iter().map(|&size| Size::Known(size as i64));
        let sizes = std::iter::once(Size::Named("batch".into())).chain(known);
        let shape = Shape { dim: sizes.map(|size| Dimension { size: Some(size) }).collect() };
        let tensor = TensorType { elem_type: element::FLOAT, shape: Some(shape) };
        Self { name: name.into(), ty: Some(Type { tensor: Some(tensor) }) }
    }
}
