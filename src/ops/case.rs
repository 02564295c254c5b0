//! Cases of the op table: small graphs around one op, with shapes and values to test and to time.

use crate::Result;
use crate::graph::{DType, Graph, NodeId, TensorType};
use crate::random::{CounterRng, Purpose};

/// The distribution of a sample's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleFill {
    /// Uniform between two numbers.
    Uniform(f64, f64),
    /// Uniform between two numbers, but at least 0.05 away from zero, where some functions have no derivative.
    AwayFromZero(f64, f64),
    /// Integers from 0 up to and excluding this.
    Below(u32),
}

/// A tensor of a case, with a rule for its values.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Shape and element type.
    pub ty: TensorType,
    /// The distribution of its values.
    pub fill: SampleFill,
}

impl Sample {
    /// Floats between -1 and 1.
    pub fn floats(dims: &[usize]) -> Self {
        Self::between(dims, -1.0, 1.0)
    }
    /// Floats between two numbers.
    pub fn between(dims: &[usize], low: f64, high: f64) -> Self {
        Self { ty: TensorType::f32(dims), fill: SampleFill::Uniform(low, high) }
    }
    /// Unsigned integers below `limit`.
    pub fn integers(dims: &[usize], limit: u32) -> Self {
        Self { ty: TensorType::u32(dims), fill: SampleFill::Below(limit) }
    }
    /// Bytes, from 0 to 255.
    pub fn bytes(dims: &[usize]) -> Self {
        Self { ty: TensorType::u8(dims), fill: SampleFill::Below(256) }
    }

    /// The values. The same stream gives the same values. Integer types get integers.
    pub fn values(&self, stream: u32) -> Vec<f64> {
        let rng = CounterRng { seed: 7, purpose: Purpose::Init, stream, step: 0 };
        (0..self.ty.elements() as u32)
            .map(|element| match self.fill {
                SampleFill::Uniform(low, high) => {
                    f64::from((low + (high - low) * f64::from(rng.uniform(element))) as f32)
                }
                SampleFill::AwayFromZero(low, high) => {
                    let value = low + (high - low) * f64::from(rng.uniform(element));
                    f64::from((value.signum() * value.abs().max(0.05)) as f32)
                }
                SampleFill::Below(limit) => f64::from(rng.word(element) % limit),
            })
            .collect()
    }

    /// Whether gradients with respect to it are checked.
    pub fn is_differentiable(&self) -> bool {
        self.ty.dtype == DType::F32
    }
}

/// The number of terms in the sums of one result, for the value and for each gradient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summands {
    /// For the value and the states.
    pub value: usize,
    /// For the gradient with respect to each input. Inputs beyond the list have 1.
    pub gradients: Vec<usize>,
}

impl Default for Summands {
    fn default() -> Self {
        Self { value: 1, gradients: Vec::new() }
    }
}

impl Summands {
    /// The number for the gradient with respect to an input.
    pub fn of_gradient(&self, input: usize) -> usize {
        self.gradients.get(input).copied().unwrap_or(1)
    }
}

/// A function that builds a case's graph from its inputs and states.
pub type Build = Box<dyn Fn(&mut Graph, &[NodeId], &[NodeId]) -> Result<NodeId> + Send + Sync>;

/// A small graph around one op.
pub struct Case {
    /// A label that is unique among the op's cases.
    pub label: String,
    /// Its inputs.
    pub inputs: Vec<Sample>,
    /// The leaves that the op updates.
    pub states: Vec<Sample>,
    /// Builds the graph.
    pub build: Build,
    /// The inputs with respect to which gradients are checked.
    pub differentiable: Vec<usize>,
    /// The number of valid rows of the batch. `None` means all.
    pub valid: Option<u32>,
    /// Whether the case is large enough to time.
    pub timed: bool,
    /// The number of terms in the sums of one result. Rounding errors grow with it.
    pub summands: Summands,
}

impl Case {
    /// A case without states. Gradients are checked with respect to every float input.
    pub fn new(
        inputs: Vec<Sample>,
        build: impl Fn(&mut Graph, &[NodeId]) -> Result<NodeId> + Send + Sync + 'static,
    ) -> Self {
        let label = inputs.iter().map(|sample| sample.ty.to_string()).collect::<Vec<_>>().join(" ");
        let differentiable = (0..inputs.len()).filter(|&i| inputs[i].is_differentiable()).collect();
        let build: Build = Box::new(move |graph, inputs, _| build(graph, inputs));
        Self {
            label,
            inputs,
            states: Vec::new(),
            build,
            differentiable,
            valid: None,
            timed: false,
            summands: Summands::default(),
        }
    }
    /// A case that updates states. Its gradients are not checked.
    pub fn updating(
        inputs: Vec<Sample>,
        states: Vec<Sample>,
        build: impl Fn(&mut Graph, &[NodeId], &[NodeId]) -> Result<NodeId> + Send + Sync + 'static,
    ) -> Self {
        let label = states.iter().map(|sample| sample.ty.to_string()).collect::<Vec<_>>().join(" ");
        let (build, differentiable): (Build, _) = (Box::new(build), Vec::new());
        Self { label, inputs, states, build, differentiable, valid: None, timed: false, summands: Summands::default() }
    }
    /// Appends to the label.
    #[must_use]
    pub fn labelled(mut self, label: &str) -> Self {
        self.label = format!("{} {label}", self.label);
        self
    }
    /// Checks gradients only with respect to these inputs.
    #[must_use]
    pub fn differentiable(mut self, inputs: &[usize]) -> Self {
        self.differentiable = inputs.to_vec();
        self
    }
    /// Sets the number of terms in the sums of the value, and of the gradient with respect to each input in turn.
    #[must_use]
    pub fn summing<const N: usize>(mut self, value: usize, gradients: [usize; N]) -> Self {
        self.summands = Summands { value, gradients: gradients.to_vec() };
        self
    }
    /// Sets the number of terms in the sums of the value and of every gradient.
    #[must_use]
    pub fn summing_all(mut self, summands: usize) -> Self {
        self.summands = Summands { value: summands, gradients: vec![summands; self.inputs.len()] };
        self
    }
    /// Makes only this many rows of the batch valid.
    #[must_use]
    pub fn valid(mut self, rows: u32) -> Self {
        self.label = format!("{} valid {rows}", self.label);
        self.valid = Some(rows);
        self
    }
    /// Marks the case as large enough to time.
    #[must_use]
    pub fn timed(mut self) -> Self {
        self.timed = true;
        self
    }

    /// The graph. Each input and state is a leaf in its own buffer: `input0`, ..., `state0`, .... The value is the
    /// output `y`.
    ///
    /// # Errors
    /// When the op refuses the shapes.
    pub fn graph(&self) -> Result<(Graph, Vec<NodeId>, NodeId)> {
        let mut graph = Graph::new();
        let mut leaves = |kind: &str, samples: &[Sample]| -> Result<Vec<NodeId>> {
            let of = |(i, sample): (usize, &Sample)| graph.leaf(format!("{kind}{i}"), 0, sample.ty.clone());
            samples.iter().enumerate().map(of).collect()
        };
        let inputs = leaves("input", &self.inputs)?;
        let states = leaves("state", &self.states)?;
        let y = (self.build)(&mut graph, &inputs, &states)?;
        graph.output("y", y);
        Ok((graph, inputs, y))
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("label", &self.label).finish_non_exhaustive()
    }
}

/// Shapes for element-wise functions. The docs of [`unary`] describe them.
const SHAPES: [&[usize]; 6] = [&[1], &[7], &[3, 5], &[64, 36], &[2, 3, 8, 8], &[1031]];

/// Cases of a smooth function of one tensor with values between `low` and `high`: one number, a prime number of values,
/// matrices whose size is and is not a multiple of four, four axes, more values than a workgroup has invocations, and a large
/// matrix to time.
pub fn unary(
    low: f64,
    high: f64,
    function: impl Fn(&mut Graph, NodeId) -> Result<NodeId> + Copy + Send + Sync + 'static,
) -> Vec<Case> {
    filled(SampleFill::Uniform(low, high), function)
}

/// As [`unary`], for a function with a kink at 0: all values are at least 0.05 away from 0, where central differences would be
/// wrong.
///
/// For a kink elsewhere, choose ranges of [`unary`] that do not contain it, with a margin: for max(x, 1), `unary(-2.0, 0.9, f)`
/// and `unary(1.1, 3.0, f)`. The step of a central difference is 0.0001.
pub fn kinked(
    low: f64,
    high: f64,
    function: impl Fn(&mut Graph, NodeId) -> Result<NodeId> + Copy + Send + Sync + 'static,
) -> Vec<Case> {
    filled(SampleFill::AwayFromZero(low, high), function)
}

fn filled(
    fill: SampleFill,
    function: impl Fn(&mut Graph, NodeId) -> Result<NodeId> + Copy + Send + Sync + 'static,
) -> Vec<Case> {
    let of = |dims: &[usize]| {
        let sample = Sample { ty: TensorType::f32(dims), fill };
        Case::new(vec![sample], move |graph, x| function(graph, x[0]))
    };
    SHAPES.iter().map(|dims| of(dims)).chain([of(&[256, 1024]).timed()]).collect()
}

/// Cases of a function of two tensors, with every kind of broadcasting.
pub fn binary(
    function: impl Fn(&mut Graph, NodeId, NodeId) -> Result<NodeId> + Copy + Send + Sync + 'static,
) -> Vec<Case> {
    let of = |a: &[usize], b: &[usize]| {
        let inputs = vec![Sample::floats(a), Sample::floats(b)];
        Case::new(inputs, move |graph, x| function(graph, x[0], x[1]))
    };
    let pairs: [(&[usize], &[usize]); 10] = [
        (&[1], &[1]),
        (&[3, 5], &[3, 5]),
        (&[64, 36], &[36]),
        (&[7, 13], &[1, 13]),
        (&[6, 8], &[6, 1]),
        (&[2, 3, 4, 4], &[3, 1, 1]),
        (&[5, 3, 7], &[5, 1, 7]),
        (&[5], &[4, 5]),
        (&[64, 64], &[1]),
        (&[1031], &[1031]),
    ];
    pairs.iter().map(|(a, b)| of(a, b)).chain([of(&[256, 1024], &[256, 1024]).timed()]).collect()
}
