//! What an op is: a shape rule, a gradient, a definition on the CPU, and how it becomes GPU dispatches.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use super::kernel::{Capabilities, Constant, Dispatch, Kernel, Lowering, Slot};
use super::network::{Graph, NodeId};
use super::passes::{Neighbours, Replacement};
use super::program::Program;
use super::shape::TensorType;
use crate::Result;

/// An operand's values.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a, T> {
    /// Floats, in the precision of the executor.
    Real(&'a [T]),
    /// Unsigned integers.
    U32(&'a [u32]),
    /// Bytes.
    U8(&'a [u8]),
}

/// Where a result goes.
#[derive(Debug)]
pub enum Out<'a, T> {
    /// Floats, in the precision of the executor.
    Real(&'a mut [T]),
    /// Unsigned integers.
    U32(&'a mut [u32]),
}

/// The types around a node.
#[derive(Clone, Debug)]
pub struct Types {
    /// Of its inputs.
    pub inputs: Vec<TensorType>,
    /// Of what it updates in place.
    pub states: Vec<TensorType>,
    /// Of its value.
    pub output: TensorType,
}

impl Types {
    /// Bytes that an evaluation has to move: inputs read once, the output written once, states read and written.
    pub fn bytes(&self) -> u64 {
        let sum = |types: &[TensorType]| types.iter().map(TensorType::bytes).sum::<usize>();
        (sum(&self.inputs) + self.output.bytes() + 2 * sum(&self.states)) as u64
    }
}

/// One evaluation on the CPU. The accessors panic when an operand is of another element type than asked, which the
/// op's own shape rule has excluded.
#[derive(Debug)]
pub struct Call<'a, T> {
    /// Shapes and element types.
    pub types: &'a Types,
    /// Inputs, in the node's order.
    pub inputs: &'a [Data<'a, T>],
    /// What is updated in place.
    pub states: &'a mut [&'a mut [T]],
    /// The result; its content before is undefined.
    pub output: Out<'a, T>,
    /// The step's numbers.
    pub step: &'a Step,
}

impl<'a, T> Call<'a, T> {
    /// Input `index` as floats.
    pub fn real(&self, index: usize) -> &'a [T] {
        match self.inputs[index] {
            Data::Real(values) => values,
            _ => panic!("input {index} is not float"),
        }
    }
    /// Input `index` as unsigned integers.
    pub fn integers(&self, index: usize) -> &'a [u32] {
        match self.inputs[index] {
            Data::U32(values) => values,
            _ => panic!("input {index} is not u32"),
        }
    }
    /// The result as floats.
    pub fn out(&mut self) -> &mut [T] {
        match &mut self.output {
            Out::Real(values) => values,
            Out::U32(_) => panic!("the result is not float"),
        }
    }
    /// The result as unsigned integers.
    pub fn out_integers(&mut self) -> &mut [u32] {
        match &mut self.output {
            Out::U32(values) => values,
            Out::Real(_) => panic!("the result is not u32"),
        }
    }
    /// Axis sizes of input `index`.
    pub fn dims(&self, index: usize) -> &'a [usize] {
        self.types.inputs[index].dims()
    }
}

/// The numbers that differ from step to step. On the device they stand in a table of 256-byte rows that is uploaded
/// once an epoch and bound with a dynamic offset, so that a step itself uploads nothing. The same struct, in the same
/// order, is declared in `shaders/lib/step.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Step {
    /// CounterRng from 0 over the whole run: one key of counted randomness.
    pub number: u32,
    /// Where this batch begins in the list of rows.
    pub first: u32,
    /// Rows of the batch that are real; the others mask to nothing.
    pub valid: u32,
    /// The epoch, from 0.
    pub epoch: u32,
    /// The run's seed, low half.
    pub seed_low: u32,
    /// The run's seed, high half.
    pub seed_high: u32,
    /// The learning rate.
    pub learning_rate: f32,
    /// Momentum, or Adam's beta1.
    pub momentum: f32,
    /// Adam's 1 - beta1^t of this step.
    pub correction1: f32,
    /// Adam's 1 - beta2^t of this step.
    pub correction2: f32,
    /// 1 / valid, or 0 where nothing is valid: the factor of a mean over the batch.
    pub inverse_valid: f32,
    /// To a multiple of 16 bytes.
    pub padding: u32,
}

impl Step {
    /// Bytes between two steps in the device's table.
    pub const STRIDE: usize = 256;

    /// Step `number` of a batch with `valid` rows, with the other numbers at rest.
    pub fn new(number: u32, valid: u32, seed: u64) -> Self {
        Self {
            number,
            first: 0,
            valid,
            epoch: 0,
            seed_low: seed as u32,
            seed_high: (seed >> 32) as u32,
            learning_rate: 0.0,
            momentum: 0.0,
            correction1: 1.0,
            correction2: 1.0,
            inverse_valid: if valid == 0 { 0.0 } else { 1.0 / valid as f32 },
            padding: 0,
        }
    }
    /// The seed, whole.
    pub fn seed(&self) -> u64 {
        u64::from(self.seed_high) << 32 | u64::from(self.seed_low)
    }
}

/// What lowering may know of the device, beside the shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct Lower<'a> {
    /// Shapes and element types.
    pub types: &'a Types,
    /// The input whose place the output has been given, where the op offered one.
    pub in_place: Option<usize>,
    /// For an op that offers places to its inputs: which of them the plan has put there. Empty: none.
    pub placed: &'a [bool],
    /// The device's class and limits.
    pub device: &'a Capabilities,
}

impl PartialEq for Types {
    fn eq(&self, other: &Self) -> bool {
        self.inputs == other.inputs && self.states == other.states && self.output == other.output
    }
}

impl Lower<'_> {
    /// Whether the last workgroup of [`Lower::linear`] runs past the end, as a constant: loads under that condition are slow
    /// on software rasterisers.
    pub fn edges(&self, count: usize) -> (&'static str, Constant) {
        let groups = self.device.fold(count.div_ceil(64));
        ("EDGES", (groups[0] as usize * groups[1] as usize * 64 != count).into())
    }
    /// A dispatch with one invocation for each of `count` things, in workgroups of 64. `slots` are the kernel's storage bindings in
    /// order, from binding 1; `dims` are the words of its uniform at binding 0. A long grid is folded: the kernel has to compute
    /// its number with `linear_group` of the library file `grid`, and to return where that is `count` or more.
    pub fn linear(&self, op: &dyn Op, kernel: Kernel, slots: &[Slot], dims: &[usize], count: usize) -> Dispatch {
        Dispatch {
            kernel,
            slots: slots.to_vec(),
            dims: dims.iter().map(|&n| n as u32).collect(),
            groups: self.device.fold(count.div_ceil(64)),
            flops: op.flops(self.types),
            bytes: self.types.bytes(),
        }
    }
}

/// What an op's gradient rule is given.
#[derive(Debug)]
pub struct Differentiate<'a> {
    /// The op's inputs.
    pub inputs: &'a [NodeId],
    /// The op's value.
    pub y: NodeId,
    /// The gradient that arrives at it, of the same shape.
    pub dy: NodeId,
}

/// Equality behind a pointer: of one type, with equal fields. Every type that is `PartialEq` has it.
pub trait Same: Any {
    /// Whether `other` is of this type and equal.
    fn same(&self, other: &dyn Any) -> bool;
}

impl<T: Any + PartialEq> Same for T {
    fn same(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }
}

/// An operation of the network. Two equal ops with the same inputs are one node after common-subexpression removal.
pub trait Op: Same + Debug + Send + Sync {
    /// The field's name for it, as in the op table.
    fn name(&self) -> &'static str;

    /// The output's type.
    ///
    /// # Errors
    /// The part of a sentence that says what does not fit; [`Graph::apply`] puts the node, the op and the shapes
    /// before it.
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String>;

    /// Builds the gradients by each input, from ops; `None` where there is none.
    ///
    /// # Errors
    /// When the op has no gradient.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Err(crate::Error::Shape(format!("{} has no gradient (at node '{}')", self.name(), graph.node(at.y).name)))
    }

    /// The definition, in double precision: the oracle of every test.
    fn reference(&self, call: &mut Call<f64>);

    /// The same in single precision, as fast as the CPU executor needs it; by rule the definition itself.
    fn run(&self, call: &mut Call<f32>);

    /// How it becomes dispatches on a GPU.
    fn lower(&self, at: &Lower) -> Lowering;

    /// Floating-point operations of one evaluation, as the field counts them.
    fn flops(&self, types: &Types) -> u64 {
        types.output.elements() as u64
    }

    /// Where the value is part of input 0 and nothing is computed: elements from that input's start.
    fn view(&self, _types: &Types) -> Option<usize> {
        None
    }

    /// Where the inputs may be computed straight into the output: elements from its start, one for each input.
    fn places_inputs(&self) -> Option<&[usize]> {
        None
    }

    /// Inputs whose place the output may take when nothing reads them later.
    fn in_place(&self, _types: &Types) -> Vec<usize> {
        Vec::new()
    }

    /// For an op that can run element-wise functions on each element before it is stored: those that it runs now, and how
    /// many inputs come before their operands. Operand 0 is the element itself.
    fn epilogue(&self) -> Option<(&Program, usize)> {
        None
    }

    /// The same op with another epilogue, where it has one.
    fn with_epilogue(&self, _epilogue: Program) -> Option<Arc<dyn Op>> {
        None
    }

    /// For an op that is nothing but element-wise functions of its inputs: those functions.
    fn elementwise(&self) -> Option<&Program> {
        None
    }

    /// The same op with other functions, whose result has this shape, where it is element-wise.
    fn with_elementwise(&self, _program: Program, _output: &TensorType) -> Option<Arc<dyn Op>> {
        None
    }

    /// An op that computes `at.node` together with one of the nodes that it reads, and what that op reads. Asked of the
    /// node's op and of the ops of what it reads.
    fn merge(&self, _at: &Neighbours) -> Option<Replacement> {
        None
    }
}
