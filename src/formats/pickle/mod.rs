//! A restricted reader of Python's pickles, for the files of `torch.save`.
//!
//! A pickle is a program for a stack machine, and a whole reader of pickles runs whatever function the file names. This reader
//! knows few functions, all of them by name, and runs no code: it builds tensors, dictionaries, lists, tuples, strings and
//! numbers. Values are handles into a flat list of objects, so that deep nesting costs no stack and cycles do no harm. Strings
//! are borrowed from the file. The number of steps is limited, and with it the memory.

mod machine;

use safetensors::tensor::Dtype;

use machine::Machine;

/// Why a pickle is not read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::formats) enum Refusal {
    /// It asks for a class or function that tensors do not need.
    Global(String),
    /// It is damaged, as a clause.
    Damaged(String),
}

type Read<T> = Result<T, Refusal>;

/// A value: a small one itself, or the number of an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::formats) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 8 bytes, in little-endian order.
    Long(&'a [u8]),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Callable(Callable),
    Object(usize),
}

/// The classes and functions that this reader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::formats) enum Callable {
    OrderedDict,
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

/// What a handle stands for.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::formats) enum Object<'a> {
    List(Vec<Value<'a>>),
    Tuple(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(Box<Tensor<'a>>),
}

/// Numbers of one type that tensors share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::formats) struct Storage<'a> {
    pub dtype: Dtype,
    /// Its name in the file.
    pub key: &'a str,
    /// The first element of this part of the stored numbers. Only old files have parts.
    pub first: usize,
}

/// A view of a storage. Offset and strides count elements. Nothing is checked against the storage yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::formats) struct Tensor<'a> {
    pub storage: Storage<'a>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// What a pickle holds.
#[derive(Debug)]
pub(in crate::formats) struct Pickle<'a> {
    pub value: Value<'a>,
    objects: Vec<Object<'a>>,
    /// The number of bytes that were read.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the beginning of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Read<Self> {
        Machine::new(bytes).run()
    }

    /// The object that a value stands for. `None` for small values.
    pub fn object(&self, value: Value) -> Option<&Object<'a>> {
        match value {
            Value::Object(number) => self.objects.get(number),
            _ => None,
        }
    }

    /// The items of a dictionary. `None` for other values.
    pub fn dict(&self, value: Value) -> Option<&[(Value<'a>, Value<'a>)]> {
        match self.object(value) {
            Some(Object::Dict(items)) => Some(items),
            _ => None,
        }
    }

    /// All storages, also those that no tensor uses.
    pub fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::machine::{MAX_MARKS, MAX_STEPS};
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        match Pickle::read(bytes).expect_err("refused") {
            Refusal::Global(name) => name,
            Refusal::Damaged(clause) => clause,
        }
    }

    #[test]
    fn numbers_text_and_containers_are_read() {
        let numbers = b"\x80\x02}q\x00(X\x01\0\0\0aK\x07X\x01\0\0\0b\x8a\x01\xff";
        let list = b"X\x01\0\0\0c]q\x01(G?\xf8\0\0\0\0\0\0\x88N\x86eu.";
        let bytes = [&numbers[..], list, b"tail"].concat();
        let pickle = Pickle::read(&bytes).expect("read");
        assert_eq!(pickle.length, bytes.len() - 4);
        let dict = pickle.dict(pickle.value).expect("a dictionary");
        assert_eq!(dict[..2], [(Value::Text("a"), Value::Int(7)), (Value::Text("b"), Value::Int(-1))]);
        let Some(Object::List(list)) = pickle.object(dict[2].1) else { panic!("{dict:?}") };
        assert_eq!(list[0], Value::Float(1.5));
        assert_eq!(pickle.object(list[1]), Some(&Object::Tuple(vec![Value::Bool(true), Value::None])));
    }

    #[test]
    fn every_other_class_and_function_is_refused_by_name() {
        assert_eq!(refused(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R."), "os.system");
        assert_eq!(refused(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93."), "builtins.eval");
        assert_eq!(refused(b"\x80\x02ctorch\nComplexFloatStorage\n."), "torch.ComplexFloatStorage");
        assert_eq!(refused(b"\x80\x02ctorch\nload\n."), "torch.load");
    }

    #[test]
    fn hostile_pickles_end_in_a_clause() {
        let many = |byte: u8, count: usize| [&b"\x80\x02"[..], &vec![byte; count], b"."].concat();
        assert!(refused(&many(b']', MAX_STEPS)).contains("steps"));
        assert!(refused(&many(b'(', MAX_MARKS + 1)).contains("nested"));
        assert!(refused(b"\x80\x02B\xff\xff\xff\xff.").contains("cut short"));
        assert!(refused(b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff.").contains("cut short"));
        assert!(refused(b"\x80\x02j\xff\xff\xff\xff.").contains("before it stores"));
        assert!(refused(b"\x80\x02(.").contains("empty stack"));
        assert!(refused(b"\x80\x02)R.").contains("empty stack"));
        assert!(refused(b"\x80\x09N.").contains("protocol 9"));
        assert!(refused(b"\x80\x02)\x81.").contains("0x81"));
        // A dictionary that is copied again and again from the same list of pairs.
        let list =
            [&b"\x80\x02ccollections\nOrderedDict\nq\x00](NN\x86q\x01"[..], &b"h\x01".repeat(9999), b"eq\x02"].concat();
        let copies = [list, b"h\x00h\x02\x85R".repeat(9999), b".".to_vec()].concat();
        assert!(refused(&copies).contains("steps"));
        // A list that contains itself, and tuples a million deep.
        assert!(Pickle::read(b"\x80\x02]q\x00h\x00a.").is_ok());
        assert!(Pickle::read(&[&b"\x80\x02N"[..], &vec![0x85; 1_000_000], b"."].concat()).is_ok());
    }
}
