//! The stack machine of pickles, with only those functions that tensors need.

use std::collections::HashMap;

use safetensors::tensor::Dtype;

use super::{Callable, Object, Pickle, Read, Refusal, Storage, Tensor, Value};

/// The maximum number of opcodes and copied items. A tensor of a state dict takes about 40.
pub(super) const MAX_STEPS: usize = 1 << 21;
/// The maximum number of open marks.
pub(super) const MAX_MARKS: usize = 1000;
/// The maximum number of arguments of a call, and of axes of a tensor.
const MAX_ARGUMENTS: usize = 16;
const MAX_AXES: usize = 64;
/// The highest protocol of pickles.
const MAX_PROTOCOL: u8 = 5;

fn damaged<T>(clause: impl Into<String>) -> Read<T> {
    Err(Refusal::Damaged(clause.into()))
}

/// The stack machine.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    /// The next byte.
    at: usize,
    /// The number of opcodes and copied items.
    steps: usize,
    stack: Vec<Value<'a>>,
    /// The heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    /// A machine before its first step.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, steps: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), objects: Vec::new() }
    }

    /// Runs the steps up to the end of the pickle.
    pub fn run(mut self) -> Read<Pickle<'a>> {
        loop {
            self.spend(1)?;
            let opcode = self.byte()?;
            if opcode == b'.' {
                let value = self.pop()?;
                return Ok(Pickle { value, objects: self.objects, length: self.at });
            }
            self.step(opcode)?;
        }
    }

    /// Counts steps, so that no small file takes much time or memory.
    fn spend(&mut self, steps: usize) -> Read<()> {
        self.steps += steps;
        match self.steps <= MAX_STEPS {
            true => Ok(()),
            false => damaged(format!("its pickle has more than {MAX_STEPS} steps")),
        }
    }

    fn step(&mut self, opcode: u8) -> Read<()> {
        match opcode {
            0x80 => match self.byte()? {
                0..=MAX_PROTOCOL => Ok(()),
                other => damaged(format!("its pickle has the unknown protocol {other}")),
            },
            // A frame only says how many bytes may be read at once.
            0x95 => self.take(8).map(drop),
            b'(' if self.marks.len() == MAX_MARKS => {
                damaged(format!("its pickle is nested more than {MAX_MARKS} deep"))
            }
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.push(top)
            }
            b'q' => self.byte().and_then(|index| self.memorise(index.into())),
            b'r' => self.u32().and_then(|index| self.memorise(index)),
            0x94 => self.memorise(self.memo.len() as u32),
            b'h' => self.byte().and_then(|index| self.recall(index.into())),
            b'j' => self.u32().and_then(|index| self.recall(index)),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push_global(module, name)
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => self.push_global(module, name),
                _ => damaged("its pickle names a class by something that is not text"),
            },
            b'R' => self.call(),
            b'Q' => self.persistent(),
            // The attributes of an object, such as `_metadata` of a state dict.
            b'b' => {
                self.pop()?;
                self.top().map(drop)
            }
            b'l' | b't' | b'd' | b']' | b')' | b'}' | 0x85..=0x87 => self.container(opcode),
            b'a' | b'e' | b's' | b'u' => self.fill(opcode),
            _ => {
                let value = self.literal(opcode)?;
                self.push(value)
            }
        }
    }

    /// A value whose bytes follow its opcode.
    fn literal(&mut self, opcode: u8) -> Read<Value<'a>> {
        Ok(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i64::from(self.u32()? as i32)),
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            0x8a => self.byte().and_then(|length| self.long(length.into()))?,
            0x8b => self.u32().and_then(|length| self.long(length.into()))?,
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            0x8c => self.byte().and_then(|length| self.text(length.into()))?,
            b'X' => self.u32().and_then(|length| self.text(length.into()))?,
            0x8d => self.array().and_then(|length| self.text(u64::from_le_bytes(length)))?,
            // Python 2 wrote text as bytes.
            b'U' => self.byte().and_then(|length| self.text_or_bytes(length.into()))?,
            b'T' => self.u32().and_then(|length| self.text_or_bytes(length.into()))?,
            b'C' => self.byte().and_then(|length| self.take(length.into())).map(Value::Bytes)?,
            b'B' => self.u32().and_then(|length| self.take(length.into())).map(Value::Bytes)?,
            other => {
                let place = self.at - 1;
                return damaged(format!(
                    "its pickle has the opcode {other:#04x} at byte {place}, which tensors do not need"
                ));
            }
        })
    }

    /// Makes a list, tuple or dictionary.
    fn container(&mut self, opcode: u8) -> Read<()> {
        let object = match opcode {
            b']' => Object::List(Vec::new()),
            b'}' => Object::Dict(Vec::new()),
            b')' => Object::Tuple(Vec::new()),
            b'l' => Object::List(self.pop_mark()?),
            b't' => Object::Tuple(self.pop_mark()?),
            b'd' => Object::Dict(pairs(&self.pop_mark()?)?),
            few => {
                let mut items = Vec::new();
                for _ in 0x85..=few {
                    items.insert(0, self.pop()?);
                }
                Object::Tuple(items)
            }
        };
        self.push_object(object)
    }

    /// Adds items to the list or dictionary below them on the stack.
    fn fill(&mut self, opcode: u8) -> Read<()> {
        let items = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        let Value::Object(number) = self.top()? else { return damaged("its pickle fills a value that has no items") };
        match (self.objects.get_mut(number), opcode) {
            (Some(Object::List(list)), b'a' | b'e') => list.extend(items),
            (Some(Object::Dict(dict)), b's' | b'u') => dict.extend(pairs(&items)?),
            _ => return damaged("its pickle fills a value with items of another kind"),
        }
        Ok(())
    }

    /// Calls a known class or function.
    fn call(&mut self) -> Read<()> {
        let arguments = self.pop()?;
        let arguments = match self.sequence(arguments)? {
            few if few.len() <= MAX_ARGUMENTS => few.to_vec(),
            many => return damaged(format!("its pickle calls a function with {} arguments", many.len())),
        };
        let Value::Callable(callable) = self.pop()? else {
            return damaged("its pickle calls something that is no function");
        };
        match (callable, arguments.as_slice()) {
            (Callable::OrderedDict, []) => self.push_object(Object::Dict(Vec::new())),
            // Python 2 gave a list of pairs.
            (Callable::OrderedDict, &[list]) => {
                self.spend(self.sequence(list)?.len())?;
                let pair = |&pair: &Value<'a>| match self.sequence(pair)? {
                    &[key, value] => Ok((key, value)),
                    _ => damaged("an OrderedDict has an item that is not a pair"),
                };
                let dict = self.sequence(list)?.iter().map(pair).collect::<Read<_>>()?;
                self.push_object(Object::Dict(dict))
            }
            (Callable::Size, &[sizes]) => self.sequence(sizes).map(drop).and_then(|()| self.push(sizes)),
            (Callable::RebuildParameter, &[tensor, ..]) => self.push(tensor),
            (Callable::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                let tensor = self.tensor(storage, offset, shape, strides)?;
                self.push_object(Object::Tensor(Box::new(tensor)))
            }
            _ => damaged(format!("its pickle calls {callable:?} with {} arguments", arguments.len())),
        }
    }

    fn tensor(&self, storage: Value, offset: Value, shape: Value, strides: Value) -> Read<Tensor<'a>> {
        let Some(&Object::Storage(storage)) = self.object(storage) else { return damaged("a tensor has no storage") };
        let sizes = |list: Value| match self.sequence(list)? {
            axes if axes.len() <= MAX_AXES => axes.iter().map(|&size| count(size)).collect::<Read<Vec<_>>>(),
            axes => damaged(format!("a tensor has {} axes", axes.len())),
        };
        let tensor = Tensor { storage, offset: count(offset)?, shape: sizes(shape)?, strides: sizes(strides)? };
        match tensor.shape.len() == tensor.strides.len() {
            true => Ok(tensor),
            false => damaged("a tensor's shape and strides have different lengths"),
        }
    }

    /// Resolves a persistent identifier: the tuple `("storage", type, key, device, elements)`, with a part in old files.
    fn persistent(&mut self) -> Read<()> {
        let identifier = self.pop()?;
        let &[Value::Text("storage"), Value::Callable(Callable::Storage(dtype)), Value::Text(key), _, _, ref part @ ..] =
            self.sequence(identifier)?
        else {
            return damaged("its pickle refers to something outside of it that is not a storage of a known type");
        };
        let first = match part {
            [] | [Value::None] => 0,
            &[part] => match self.sequence(part)? {
                &[_, first, _] => count(first)?,
                _ => return damaged("a part of a storage is not described by three values"),
            },
            _ => return damaged("a storage is described by too many values"),
        };
        self.push_object(Object::Storage(Storage { dtype, key, first }))
    }

    fn push_global(&mut self, module: &str, name: &str) -> Read<()> {
        let callable = match (module, name) {
            ("collections", "OrderedDict") => Some(Callable::OrderedDict),
            ("torch", "Size") => Some(Callable::Size),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Callable::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Callable::RebuildParameter),
            ("torch", _) | ("torch.storage", "UntypedStorage") => storage_dtype(name).map(Callable::Storage),
            _ => None,
        };
        match callable {
            Some(callable) => self.push(Value::Callable(callable)),
            None => Err(Refusal::Global(format!("{module}.{name}"))),
        }
    }

    fn object(&self, value: Value) -> Option<&Object<'a>> {
        match value {
            Value::Object(number) => self.objects.get(number),
            _ => None,
        }
    }

    /// The items of a list or tuple.
    fn sequence(&self, value: Value) -> Read<&[Value<'a>]> {
        match self.object(value) {
            Some(Object::List(items) | Object::Tuple(items)) => Ok(items),
            _ => damaged("its pickle has another value where a list or tuple must be"),
        }
    }

    fn push(&mut self, value: Value<'a>) -> Read<()> {
        self.stack.push(value);
        Ok(())
    }

    fn push_object(&mut self, object: Object<'a>) -> Read<()> {
        self.objects.push(object);
        self.push(Value::Object(self.objects.len() - 1))
    }

    /// The value on top of the stack, above the last mark.
    fn top(&self) -> Read<Value<'a>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last().filter(|_| self.stack.len() > floor) {
            Some(&value) => Ok(value),
            None => damaged("its pickle takes a value from an empty stack"),
        }
    }

    fn pop(&mut self) -> Read<Value<'a>> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    /// The values above the last mark, which is removed.
    fn pop_mark(&mut self) -> Read<Vec<Value<'a>>> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => damaged("its pickle closes a mark that was not set"),
        }
    }

    fn memorise(&mut self, index: u32) -> Read<()> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Read<()> {
        match self.memo.get(&index) {
            Some(&value) => self.push(value),
            None => damaged(format!("its pickle uses the value {index} before it stores it")),
        }
    }

    fn take(&mut self, length: u64) -> Read<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(length).ok().and_then(|length| rest.get(..length)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => damaged("its pickle ends in the middle; it may have been cut short"),
        }
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    fn byte(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn text(&mut self, length: u64) -> Read<Value<'a>> {
        match std::str::from_utf8(self.take(length)?) {
            Ok(text) => Ok(Value::Text(text)),
            Err(_) => damaged("its pickle has text that is not UTF-8"),
        }
    }

    fn text_or_bytes(&mut self, length: u64) -> Read<Value<'a>> {
        let bytes = self.take(length)?;
        Ok(std::str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Text))
    }

    fn long(&mut self, length: u64) -> Read<Value<'a>> {
        let bytes = self.take(length)?;
        if bytes.len() > 8 {
            return Ok(Value::Long(bytes));
        }
        // The sign is in the last byte.
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(whole)))
    }

    /// A line of text, without its end.
    fn line(&mut self) -> Read<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let line = self.take(length as u64)?;
        self.byte()?;
        std::str::from_utf8(line).or_else(|_| damaged("its pickle names a class that is not UTF-8"))
    }
}

/// Keys and values that alternate, as pairs.
fn pairs<'a>(items: &[Value<'a>]) -> Read<Vec<(Value<'a>, Value<'a>)>> {
    match items.len() % 2 {
        0 => Ok(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()),
        _ => damaged("a dictionary has a key without a value"),
    }
}

/// A size, an offset or a stride.
fn count(value: Value) -> Read<usize> {
    match value {
        Value::Int(number) => usize::try_from(number).or_else(|_| damaged(format!("a tensor has the size {number}"))),
        _ => damaged("a tensor has a size that is not an integer"),
    }
}

/// The dtype of PyTorch's class of storages with this name.
fn storage_dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "DoubleStorage" => Dtype::F64,
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" | "UntypedStorage" => Dtype::U8,
        "BoolStorage" => Dtype::BOOL,
        _ => return None,
    })
}
