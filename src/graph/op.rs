//! The interface of an op: a shape rule, a gradient, a definition on the CPU, and its GPU dispatches.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use super::kernel::{Capabilities, Constant, Dispatch, Kernel, Lowering, Slot, word};
use super::network::{Graph, NodeId};
use super::passes::{Neighbours, Replacement};
use super::program::Program;
use super::shape::TensorType;
use crate::Result;

/// The values of an operand.
#[derive(Clone, Copy, Debug)]
pub enum TensorData<'a, T> {
    /// Floats, in the executor's precision.
    Real(&'a [T]),
    /// Unsigned integers.
    U32(&'a [u32]),
    /// Bytes.
    U8(&'a [u8]),
}

/// Where an op writes its result.
#[derive(Debug)]
pub enum TensorOut<'a, T> {
    /// Floats, in the executor's precision.
    Real(&'a mut [T]),
    /// Unsigned integers.
    U32(&'a mut [u32]),
}

/// The types of a node's inputs, states and output.
#[derive(Clone, Debug)]
pub struct Types {
    /// The types of its inputs.
    pub inputs: Vec<TensorType>,
    /// The types of the states that it updates in place.
    pub states: Vec<TensorType>,
    /// The type of its value.
    pub output: TensorType,
}

impl Types {
    /// Bytes that an evaluation must move. Inputs are read once, the output is written once, states are read and
    /// written.
    pub fn bytes(&self) -> u64 {
        let sum = |types: &[TensorType]| types.iter().map(TensorType::bytes).sum::<usize>();
        (sum(&self.inputs) + self.output.bytes() + 2 * sum(&self.states)) as u64
    }
}

/// One evaluation on the CPU. The accessors panic if an operand has another element type. The op's shape rule has
/// already excluded that.
#[derive(Debug)]
pub struct Call<'a, T> {
    /// Shapes and element types.
    pub types: &'a Types,
    /// Inputs, in the node's order.
    pub inputs: &'a [TensorData<'a, T>],
    /// The states, updated in place.
    pub states: &'a mut [&'a mut [T]],
    /// The result. Its previous content is undefined.
    pub output: TensorOut<'a, T>,
    /// The values of the current step.
    pub step: &'a Step,
}

impl<'a, T> Call<'a, T> {
    /// Input `index` as floats.
    pub fn real(&self, index: usize) -> &'a [T] {
        match self.inputs[index] {
            TensorData::Real(values) => values,
            _ => panic!("input {index} is not float"),
        }
    }
    /// Input `index` as unsigned integers.
    pub fn integers(&self, index: usize) -> &'a [u32] {
        match self.inputs[index] {
            TensorData::U32(values) => values,
            _ => panic!("input {index} is not u32"),
        }
    }
    /// The result as floats.
    pub fn out(&mut self) -> &mut [T] {
        match &mut self.output {
            TensorOut::Real(values) => values,
            TensorOut::U32(_) => panic!("the result is not float"),
        }
    }
    /// The result as unsigned integers.
    pub fn out_integers(&mut self) -> &mut [u32] {
        match &mut self.output {
            TensorOut::U32(values) => values,
            TensorOut::Real(_) => panic!("the result is not u32"),
        }
    }
    /// Axis sizes of input `index`.
    pub fn dims(&self, index: usize) -> &'a [usize] {
        self.types.inputs[index].dims()
    }
}

/// The values that change from step to step. On the device they are a table of 256-byte rows, uploaded once an epoch
/// and bound with a dynamic offset. So a step itself uploads nothing. `shaders/lib/step.wgsl` declares the same
/// struct in the same order.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Step {
    /// The number of the training step over the whole run, from 0. Random numbers use it as part of their counter.
    pub number: u32,
    /// Where this batch begins in the list of dataset rows.
    pub first: u32,
    /// The number of valid rows of the batch. The remaining rows are masked.
    pub valid: u32,
    /// The epoch, from 0.
    pub epoch: u32,
    /// The lower 32 bits of the run's seed.
    pub seed_low: u32,
    /// The upper 32 bits of the run's seed.
    pub seed_high: u32,
    /// Adam's 1 - beta1^t of this step.
    pub correction1: f32,
    /// Adam's 1 - beta2^t of this step.
    pub correction2: f32,
    /// 1 / valid, or 0 if no row is valid: the factor of a mean over the rows of this step.
    pub inverse_valid: f32,
    /// The share of the slow weights that remains when Lookahead joins them with the weights in this step. Below 0 for a
    /// step that does not join them.
    pub lookahead: f32,
    /// For mixed images: the share of a row's own label in its target. The rest is the next row's.
    pub share: f32,
    /// For mixed images: the share of a row's own image outside [`Step::hole`]. The rest is the next row's.
    pub blend: f32,
    /// For mixed images: the first row, the first column, the row after the last, and the column after the last of the rectangle
    /// that is the next row's alone.
    pub hole: [u32; 4],
    /// The rows of the batch's earlier parts, if it is computed in several steps. Random numbers are those of the row in the whole batch.
    pub row_offset: u32,
    /// The valid rows of all parts of the batch.
    pub rows: u32,
    /// 1 / rows, or 0 if no row is valid: the factor of the mean of the batch's losses.
    pub inverse_rows: f32,
    /// [`Step::FIRST_PART`] and [`Step::LAST_PART`].
    pub part: u32,
    /// The numbers of each group of parameters. Group 0 has the parameters of no other group.
    pub groups: [StepGroup; Step::GROUPS],
}

/// The numbers of a group of parameters that change from step to step.
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct StepGroup {
    /// The learning rate.
    pub rate: f32,
    /// Momentum, or Adam's beta1.
    pub momentum: f32,
    /// Pads the struct to 16 bytes, the stride of an array in a uniform buffer.
    pub padding: [f32; 2],
}

impl Step {
    /// Bytes between two steps in the device's table.
    pub const STRIDE: usize = 256;
    /// The largest number of groups of parameters.
    pub const GROUPS: usize = 8;
    /// The bit of [`Step::part`] for the first part of a batch, or the whole one.
    pub const FIRST_PART: u32 = 1;
    /// The bit of [`Step::part`] for the last part of a batch, or the whole one: then the parameters are updated.
    pub const LAST_PART: u32 = 2;

    /// Step `number` of a batch with `valid` rows. The other values are neutral.
    pub fn new(number: u32, valid: u32, seed: u64) -> Self {
        let inverse_valid = if valid == 0 { 0.0 } else { 1.0 / valid as f32 };
        Self {
            number,
            first: 0,
            valid,
            epoch: 0,
            seed_low: seed as u32,
            seed_high: (seed >> 32) as u32,
            correction1: 1.0,
            correction2: 1.0,
            inverse_valid,
            lookahead: -1.0,
            share: 1.0,
            blend: 1.0,
            hole: [0; 4],
            row_offset: 0,
            rows: valid,
            inverse_rows: inverse_valid,
            part: Self::FIRST_PART | Self::LAST_PART,
            groups: [StepGroup::default(); Self::GROUPS],
        }
    }
    /// The same step with the learning rate and the momentum of group 0.
    #[must_use]
    pub fn with_rate(mut self, rate: f32, momentum: f32) -> Self {
        self.set_group(0, rate, momentum);
        self
    }
    /// Sets the learning rate and the momentum of a group.
    pub fn set_group(&mut self, group: usize, rate: f32, momentum: f32) {
        self.groups[group] = StepGroup { rate, momentum, padding: [0.0; 2] };
    }
    /// Halves the learning rates of all groups so many times.
    pub fn halve_rates(&mut self, times: u32) {
        let factor = 0.5_f32.powi(times as i32);
        self.groups.iter_mut().for_each(|group| group.rate *= factor);
    }
    /// Whether the parameters are updated.
    pub fn updates(&self) -> bool {
        self.part & Self::LAST_PART != 0
    }
    /// Makes it a part of a batch with so many valid rows, of which `before` are in earlier parts.
    pub fn set_part(&mut self, before: u32, rows: u32) {
        (self.row_offset, self.rows) = (before, rows);
        self.inverse_rows = if rows == 0 { 0.0 } else { 1.0 / rows as f32 };
        let last = before + self.valid >= rows;
        self.part = if before == 0 { Self::FIRST_PART } else { 0 } | if last { Self::LAST_PART } else { 0 };
    }
    /// The number of a row in the whole batch.
    pub fn row(&self, row: usize) -> u32 {
        self.row_offset + row as u32
    }
    /// The 64-bit seed.
    pub fn seed(&self) -> u64 {
        u64::from(self.seed_high) << 32 | u64::from(self.seed_low)
    }
}

/// What an op knows when it is lowered: its types, its memory and the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Lower<'a> {
    /// Shapes and element types.
    pub types: &'a Types,
    /// The input that shares its memory with the output, if the op allows it.
    pub in_place: Option<usize>,
    /// For an op with [`Op::places_inputs`]: which inputs the plan computes directly into the output. Empty for other
    /// ops.
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
    /// order, from binding 1; `dims` are the words of its uniform at binding 0, of which the first is `count`. A long grid is
    /// folded. The library file `each` handles this: with the first line `// needs: each`, the kernel's `fn each(number: u32)` is
    /// called for every number below the count.
    pub fn linear(&self, op: &dyn Op, kernel: Kernel, slots: &[Slot], dims: &[usize], count: usize) -> Dispatch {
        Dispatch {
            kernel,
            slots: slots.to_vec(),
            dims: dims.iter().copied().map(word).collect(),
            groups: self.device.fold(count.div_ceil(64)),
            flops: op.flops(self.types),
            bytes: self.types.bytes(),
        }
    }
}

/// The nodes that an op's gradient rule works with.
#[derive(Debug)]
pub struct Differentiate<'a> {
    /// The op's inputs.
    pub inputs: &'a [NodeId],
    /// The op's value y.
    pub y: NodeId,
    /// The incoming gradient dy, with the shape of y.
    pub dy: NodeId,
}

/// Equality of trait objects: the same type and equal fields. Every type that is `PartialEq` has it.
pub trait DynEq: Any {
    /// Whether `other` has this type and is equal.
    fn same(&self, other: &dyn Any) -> bool;
}

impl<T: Any + PartialEq> DynEq for T {
    fn same(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }
}

/// An operation of the network. If two equal ops read the same inputs, common-subexpression elimination keeps one.
///
/// This is a whole op, with its kernel: it reverses the last axis. [`elementwise`](crate::ops::elementwise) has a shorter way
/// for functions of each element. The example [`own_op`](https://github.com/gpunn/gpunn/blob/main/examples/own_op.rs) also
/// checks its op on a GPU.
///
/// ```
/// use gpunn::blocking::block_on;
/// use gpunn::graph::kernel::{Kernel, Lowering, Slot};
/// use gpunn::graph::{DType, Differentiate, Graph, NodeId, TensorType};
/// use gpunn::ops::case::{Case, Sample};
/// use gpunn::ops::{Call, Lower, Op, Real, defined_by, expect_inputs, tolerance};
/// use gpunn::{Engine, Result, check};
///
/// // The library file `each` has the entry point. It calls `each` for every number below `dims.count`.
/// const KERNEL: &str = "// needs: each
/// struct Dims { count: u32, columns: u32 }
/// @group(0) @binding(1) var<storage, read> x: array<f32>;
/// @group(0) @binding(2) var<storage, read_write> y: array<f32>;
///
/// fn each(number: u32) {
///     let column = number % dims.columns;
///     y[number] = x[number - column + dims.columns - 1u - column];
/// }
/// ";
///
/// #[derive(Debug, PartialEq)]
/// struct Reversed;
///
/// impl Reversed {
///     // The definition, in both precisions.
///     fn define<T: Real>(&self, call: &mut Call<T>) {
///         let (_, columns) = call.types.output.shape.as_matrix();
///         let x = call.real(0);
///         for (y, x) in call.out().chunks_mut(columns).zip(x.chunks(columns)) {
///             y.iter_mut().zip(x.iter().rev()).for_each(|(y, &x)| *y = x);
///         }
///     }
/// }
///
/// impl Op for Reversed {
///     fn name(&self) -> &'static str {
///         "reversed"
///     }
///     fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
///         expect_inputs(inputs, 1)?;
///         match inputs[0].dtype {
///             DType::F32 => Ok(inputs[0].clone()),
///             _ => Err("it takes floats".into()),
///         }
///     }
///     fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
///         Ok(vec![Some(graph.apply(Reversed, &[at.dy])?)])
///     }
///     defined_by!(define);
///     fn lower(&self, at: &Lower) -> Lowering {
///         let ((_, columns), count) = (at.types.output.shape.as_matrix(), at.types.output.elements());
///         let kernel = Kernel::new("reversed", KERNEL, &[]);
///         at.linear(self, kernel, &[Slot::Input(0), Slot::Output], &[count, columns], count).into()
///     }
/// }
///
/// let case = |dims: &[usize]| Case::new(vec![Sample::floats(dims)], |graph, x| graph.apply(Reversed, &[x[0]]));
/// let cases = [case(&[1]), case(&[7]), case(&[3, 5]), case(&[2, 3, 64])];
/// let checks = block_on(check::check_op(&mut Engine::cpu(), "reversed", tolerance::EXACT, &cases))?;
/// assert!(checks.iter().all(check::CheckResult::passed));
/// # Ok::<(), gpunn::Error>(())
/// ```
pub trait Op: DynEq + Debug + Send + Sync {
    /// Its usual name, for tables, profiles and messages.
    fn name(&self) -> &'static str;

    /// The output's type.
    ///
    /// # Errors
    /// The end of a sentence that says what does not fit. [`Graph::apply`] puts the node, the op and the shapes
    /// before it.
    fn output(&self, inputs: &[TensorType], states: &[TensorType]) -> Result<TensorType, String>;

    /// Builds the nodes of the gradients with respect to each input. `None` for an input without a gradient.
    ///
    /// # Errors
    /// When the op has no gradient.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        Err(crate::Error::Shape(format!("{} has no gradient (at node '{}')", self.name(), graph.node(at.y).name)))
    }

    /// The definition, in double precision: the reference of every test.
    fn reference(&self, call: &mut Call<f64>);

    /// The same in single precision, for the CPU executor. Usually it is the definition itself:
    /// [`defined_by`](crate::ops::defined_by) then writes both methods.
    fn run(&self, call: &mut Call<f32>);

    /// The GPU dispatches that compute it.
    fn lower(&self, at: &Lower) -> Lowering;

    /// Floating-point operations of one evaluation, counted as usual in the literature.
    fn flops(&self, types: &Types) -> u64 {
        types.output.elements() as u64
    }

    /// If the value is a view of input 0, its offset from that input's start in elements. A view computes nothing.
    fn view(&self, _types: &Types) -> Option<usize> {
        None
    }

    /// If the inputs may be computed directly into the output: the offset of each input in the output, in elements.
    fn places_inputs(&self) -> Option<&[usize]> {
        None
    }

    /// Inputs whose memory the output may take over when no later node reads them.
    fn in_place(&self, _types: &Types) -> Vec<usize> {
        Vec::new()
    }

    /// For an op that can apply element-wise functions to each result before it stores it: its current epilogue, and
    /// the number of inputs that come before the epilogue's operands. Operand 0 is the result itself.
    fn epilogue(&self) -> Option<(&Program, usize)> {
        None
    }

    /// The same op with another epilogue, if it can have one.
    fn with_epilogue(&self, _epilogue: Program) -> Option<Arc<dyn Op>> {
        None
    }

    /// For an op that only applies element-wise functions to its inputs: those functions.
    fn elementwise(&self) -> Option<&Program> {
        None
    }

    /// For an element-wise op: the same op with other functions, whose result has the type `output`.
    fn with_elementwise(&self, _program: Program, _output: &TensorType) -> Option<Arc<dyn Op>> {
        None
    }

    /// If one op can compute `at.node` together with one of the nodes that it reads: that op and its inputs. The
    /// passes call this for the node's op and for the ops of its inputs.
    fn merge(&self, _at: &Neighbours) -> Option<Replacement> {
        None
    }
}
