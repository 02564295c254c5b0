//! The values that operators read and write, and what can be wrong with them.

use crate::Error;
use crate::graph::{NodeId, Shape};

/// The largest number of elements that a known value may have.
pub const MOST_KNOWN: usize = 1 << 20;

/// A value between operators.
#[derive(Clone, Debug)]
pub enum Value {
    /// Floats that the device computes.
    Tensor(NodeId),
    /// Integers that the device computes, as floats: the results of `QuantizeLinear`.
    Integers(NodeId),
    /// Known when the graph is built.
    Known(Known),
}

/// The numbers of a known value.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Integers, or truth values as 0 and 1.
    Ints(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
}

/// A value that is known when the graph is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Axis sizes.
    pub dims: Vec<usize>,
    /// As many numbers as there are elements.
    pub numbers: Numbers,
}

impl Known {
    /// A list of integers.
    pub fn ints(values: Vec<i64>) -> Self {
        Self { dims: vec![values.len()], numbers: Numbers::Ints(values) }
    }
    /// The number of elements.
    pub fn elements(&self) -> usize {
        match &self.numbers {
            Numbers::Ints(values) => values.len(),
            Numbers::Floats(values) => values.len(),
        }
    }
    /// The numbers as floats.
    pub fn to_floats(&self) -> Vec<f32> {
        match &self.numbers {
            Numbers::Ints(values) => values.iter().map(|&value| value as f32).collect(),
            Numbers::Floats(values) => values.clone(),
        }
    }
    /// The elements at these places, with other axis sizes.
    pub fn pick(&self, dims: Vec<usize>, places: &[usize]) -> Self {
        let numbers = match &self.numbers {
            Numbers::Ints(values) => Numbers::Ints(places.iter().map(|&place| values[place]).collect()),
            Numbers::Floats(values) => Numbers::Floats(places.iter().map(|&place| values[place]).collect()),
        };
        Self { dims, numbers }
    }
    /// The same numbers with other axis sizes.
    pub fn with_dims(self, dims: Vec<usize>) -> Self {
        Self { dims, ..self }
    }
}

/// Why an operator cannot be added to a graph.
#[derive(Debug)]
pub enum Fault {
    /// gpunn cannot do this, or the file is wrong: the end of a sentence that begins with the operator.
    Refused(String),
    /// The value with this name has to be known when the graph is built, but the device computes it.
    MustBeKnown(String),
}

impl Fault {
    /// The operator cannot be added, with the reason.
    pub fn refuse<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self::Refused(reason.into()))
    }
}

impl From<Error> for Fault {
    /// Ops of the graph refuse only shapes that do not fit.
    fn from(error: Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(reason) => f.write_str(reason),
            Self::MustBeKnown(name) => write!(f, "`{name}` has to be a constant"),
        }
    }
}

/// The places of an array of these sizes in row-major order, each as its coordinates.
pub(super) fn coordinates(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let dims = dims.to_vec();
    let count = Shape::from(dims.as_slice()).elements();
    (0..count).map(move |mut index| {
        let mut at = vec![0; dims.len()];
        for (axis, &size) in dims.iter().enumerate().rev() {
            at[axis] = index % size;
            index /= size;
        }
        at
    })
}
