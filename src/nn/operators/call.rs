//! What an operator's function is given: its inputs and its attributes.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::config::{Attribute, Operator};
use super::value::{Fault, Known, Numbers, Value};

/// The largest absolute value of an integer that is used as a size, an axis or a position.
const LARGEST: i64 = 1 << 40;

/// An operator with the values of its inputs.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub operator: &'a Operator,
    /// `None` for an optional input that is absent.
    pub inputs: Vec<Option<Value>>,
    /// The version of ONNX's operators.
    pub opset: i64,
    /// The attributes that the function has asked for.
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Call<'a> {
    pub fn new(operator: &'a Operator, inputs: Vec<Option<Value>>, opset: i64) -> Self {
        Self { operator, inputs, opset, asked: RefCell::default() }
    }

    fn attribute(&self, name: &'static str) -> Option<&'a Attribute> {
        self.asked.borrow_mut().insert(name);
        self.operator.attributes.get(name)
    }

    /// The attributes that the operator has and its function does not know.
    pub fn unknown_attributes(&self) -> Vec<&str> {
        let asked = self.asked.borrow();
        self.operator.attributes.keys().map(String::as_str).filter(|name| !asked.contains(name)).collect()
    }

    /// An integer attribute.
    pub fn int(&self, name: &'static str, default: i64) -> Result<i64, Fault> {
        match self.attribute(name) {
            None => Ok(default),
            Some(&Attribute::Int(value)) if value.abs() <= LARGEST => Ok(value),
            Some(other) => wrong_attribute(name, "an integer", other),
        }
    }

    /// Whether an attribute that is 0 or 1 is set.
    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool, Fault> {
        Ok(self.int(name, default.into())? != 0)
    }

    /// A float attribute.
    pub fn float(&self, name: &'static str, default: f32) -> Result<f32, Fault> {
        match self.attribute(name) {
            None => Ok(default),
            Some(&Attribute::Float(value)) if !value.is_nan() => Ok(value),
            Some(&Attribute::Int(value)) => Ok(value as f32),
            Some(other) => wrong_attribute(name, "a number", other),
        }
    }

    /// A list of integers.
    pub fn ints(&self, name: &'static str) -> Result<Option<Vec<i64>>, Fault> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) if values.iter().all(|value| value.abs() <= LARGEST) => {
                Ok(Some(values.clone()))
            }
            // An empty list has no kind of its own.
            Some(Attribute::Floats(values)) if values.is_empty() => Ok(Some(Vec::new())),
            Some(other) => wrong_attribute(name, "a list of integers", other),
        }
    }

    /// A list of floats.
    pub fn floats(&self, name: &'static str) -> Result<Option<Vec<f32>>, Fault> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Floats(values)) => Ok(Some(values.clone())),
            Some(Attribute::Ints(values)) if values.is_empty() => Ok(Some(Vec::new())),
            Some(other) => wrong_attribute(name, "a list of numbers", other),
        }
    }

    /// A text.
    pub fn text(&self, name: &'static str, default: &'static str) -> Result<&'a str, Fault> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Attribute::Text(text)) => Ok(text),
            Some(other) => wrong_attribute(name, "a text", other),
        }
    }

    /// Fails if the operator has an attribute with another value than the only one that gpunn supports.
    pub fn only_int(&self, name: &'static str, only: i64) -> Result<(), Fault> {
        match self.int(name, only)? {
            value if value == only => Ok(()),
            value => Fault::refuse(format!("{name} = {value} is not supported")),
        }
    }

    /// An optional input.
    pub fn optional(&self, index: usize) -> Option<&Value> {
        self.inputs.get(index).and_then(Option::as_ref)
    }

    /// An input that must be there.
    pub fn input(&self, index: usize) -> Result<&Value, Fault> {
        self.optional(index).ok_or_else(|| Fault::Refused(format!("it has no input {index}")))
    }

    /// The inputs that are there.
    pub fn given(&self) -> impl Iterator<Item = &Value> {
        self.inputs.iter().flatten()
    }

    /// An optional input that has to be known.
    pub fn known(&self, index: usize) -> Result<Option<&Known>, Fault> {
        match self.optional(index) {
            None => Ok(None),
            Some(Value::Known(known)) => Ok(Some(known)),
            Some(_) => Err(Fault::MustBeKnown(self.operator.inputs[index].clone())),
        }
    }

    /// The integers of an optional input.
    pub fn known_ints(&self, index: usize) -> Result<Option<&[i64]>, Fault> {
        match self.known(index)?.map(|known| &known.numbers) {
            None => Ok(None),
            Some(Numbers::Ints(values)) if values.iter().all(|value| value.abs() <= LARGEST || is_open_end(*value)) => {
                Ok(Some(values))
            }
            Some(_) => Fault::refuse(format!("`{}` must hold integers, below 2^40", self.operator.inputs[index])),
        }
    }

    /// The integers of an input that newer versions have in place of an attribute.
    pub fn ints_of(&self, index: usize, attribute: &'static str) -> Result<Option<Vec<i64>>, Fault> {
        let attribute = self.ints(attribute)?;
        Ok(self.known_ints(index)?.map(<[i64]>::to_vec).or(attribute))
    }

    /// The single number of an optional input.
    pub fn known_number(&self, index: usize) -> Result<Option<f32>, Fault> {
        let Some(known) = self.known(index)? else { return Ok(None) };
        match known.to_floats()[..] {
            [value] => Ok(Some(value)),
            // ONNX allows an empty list for an absent number.
            [] => Ok(None),
            _ => Fault::refuse(format!("`{}` must be one number", self.operator.inputs[index])),
        }
    }

    /// The number of outputs that are used.
    pub fn outputs(&self) -> usize {
        self.operator.outputs.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1)
    }

    /// Fails if more than the first outputs are used.
    pub fn only_outputs(&self, count: usize) -> Result<(), Fault> {
        match self.operator.outputs.iter().skip(count).find(|name| !name.is_empty()) {
            None => Ok(()),
            Some(name) => Fault::refuse(format!("its output `{name}` is not supported")),
        }
    }
}

/// Whether a number means the end of an axis, in `Slice`: the largest integers of 32 and 64 bits.
fn is_open_end(value: i64) -> bool {
    value.unsigned_abs() >= i32::MAX as u64
}

fn wrong_attribute<T>(name: &str, what: &str, other: &Attribute) -> Result<T, Fault> {
    Fault::refuse(format!("its attribute {name} must be {what}, but is {other:?}"))
}

/// The axis that a number means in so many axes: negative numbers count from the end.
pub(super) fn axis(number: i64, rank: usize) -> Result<usize, Fault> {
    let from_start = if number < 0 { number + rank as i64 } else { number };
    usize::try_from(from_start)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| Fault::Refused(format!("there is no axis {number} in {rank} axes")))
}

/// As [`axis`], for a list, without repetitions.
pub(super) fn axes(numbers: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    let axes = numbers.iter().map(|&number| axis(number, rank)).collect::<Result<BTreeSet<_>, _>>()?;
    match axes.len() == numbers.len() {
        true => Ok(axes.into_iter().collect()),
        false => Fault::refuse(format!("the axes {numbers:?} have one twice")),
    }
}

/// A size or count from a number of a file.
pub(super) fn size(number: i64, what: &str) -> Result<usize, Fault> {
    usize::try_from(number)
        .ok()
        .filter(|&size| size <= 1 << 30)
        .ok_or_else(|| Fault::Refused(format!("{what} is {number}")))
}
