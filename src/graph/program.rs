//! Programs of element-wise functions as data: an op's epilogue, or a fused chain of ops.

use std::fmt::Debug;
use std::sync::Arc;

use super::network::{Graph, NodeId};
use super::op::{Differentiate, DynEq};
use crate::Result;

/// An element-wise function of up to three numbers, independent of shapes.
pub trait Function: DynEq + Debug + Send + Sync {
    /// Its name, for tables, profiles and messages.
    fn name(&self) -> &'static str;
    /// Its name as a WGSL function.
    fn function(&self) -> &'static str;
    /// The number of arguments.
    fn arity(&self) -> usize;
    /// Its WGSL definition. The WGSL function takes the arguments, then the parameters.
    fn wgsl(&self) -> &'static str;
    /// Floating-point operations. A transcendental function counts as one.
    fn flops(&self) -> u64;
    /// Parameters of this use of the function, such as a slope. The WGSL function takes them after its arguments.
    fn parameters(&self) -> Vec<f32>;
    /// Builds the gradients with respect to each argument, each with the shape of the result. The caller sums over
    /// broadcast axes.
    ///
    /// # Errors
    /// When the function has no gradient.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>>;
    /// Applies the function to slices of equal length, in double precision. The second of two arguments can be a single number.
    fn map_f64(&self, arguments: &[&[f64]], out: &mut [f64]);
    /// The same in single precision.
    fn map_f32(&self, arguments: &[&[f32]], out: &mut [f32]);
}

/// Where a function's argument comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    /// An operand of the program.
    Operand(usize),
    /// The result of an earlier call.
    Call(usize),
}

/// One call of a function.
#[derive(Clone, Debug)]
pub struct FunctionCall {
    /// The function.
    pub function: Arc<dyn Function>,
    /// Its arguments.
    pub arguments: Vec<Argument>,
}

impl PartialEq for FunctionCall {
    fn eq(&self, other: &Self) -> bool {
        self.function.same(other.function.as_ref()) && self.arguments == other.arguments
    }
}

/// A list of calls. The result of the last call is the program's result. Without calls, the result is operand 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// The calls. Each reads only operands and results of earlier calls.
    pub calls: Vec<FunctionCall>,
}

impl Program {
    /// The program that calls one function.
    pub fn single(function: impl Function) -> Self {
        let arguments = (0..function.arity()).map(Argument::Operand).collect();
        Self { calls: vec![FunctionCall { function: Arc::new(function), arguments }] }
    }

    /// The names of the functions, joined in order.
    pub fn label(&self) -> String {
        self.calls.iter().map(|call| call.function.name()).collect::<Vec<_>>().join("+")
    }

    /// Floating-point operations per element.
    pub fn flops(&self) -> u64 {
        self.calls.iter().map(|call| call.function.flops()).sum()
    }

    /// The number of operands that it reads.
    pub fn operands(&self) -> usize {
        let arguments = self.calls.iter().flat_map(|call| &call.arguments);
        arguments.map(|a| if let Argument::Operand(i) = a { i + 1 } else { 0 }).max().unwrap_or(1)
    }
}

/// The program that computes `first` and then `next`. Operand `at` of `next` is the result of `first`. The operands
/// of both are listed once each. An operand is a node, or `None` for the value that an epilogue is applied to.
pub(super) fn inline(
    first: &Program,
    first_operands: &[Option<NodeId>],
    next: &Program,
    next_operands: &[Option<NodeId>],
    at: usize,
) -> (Program, Vec<Option<NodeId>>) {
    let mut operands = first_operands.to_vec();
    let mut calls = first.calls.clone();
    let result = match calls.len() {
        0 => Argument::Operand(0),
        count => Argument::Call(count - 1),
    };
    let offset = calls.len();
    let mut place = |operand: Option<NodeId>| {
        let known = operands.iter().position(|&other| other == operand);
        Argument::Operand(known.unwrap_or_else(|| {
            operands.push(operand);
            operands.len() - 1
        }))
    };
    for call in &next.calls {
        let arguments = call.arguments.iter().map(|argument| match *argument {
            Argument::Operand(i) if i == at => result,
            Argument::Operand(i) => place(next_operands[i]),
            Argument::Call(i) => Argument::Call(offset + i),
        });
        calls.push(FunctionCall { function: call.function.clone(), arguments: arguments.collect() });
    }
    (Program { calls }, operands)
}
