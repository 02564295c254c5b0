//! Programs of element-wise functions: an op's epilogue, or a chain of ops in one kernel, as data.

use std::fmt::Debug;
use std::sync::Arc;

use super::network::{Graph, NodeId};
use super::op::{Differentiate, Same};
use crate::Result;

/// A function of up to three numbers: what is left of an element-wise op when shapes are no concern.
pub trait Function: Same + Debug + Send + Sync {
    /// Its name, in the op table.
    fn name(&self) -> &'static str;
    /// Its name as a WGSL function.
    fn function(&self) -> &'static str;
    /// How many arguments.
    fn arity(&self) -> usize;
    /// The WGSL that defines it, as a function of its arguments and then of its parameters.
    fn wgsl(&self) -> &'static str;
    /// Floating-point operations, counting a transcendental function as one.
    fn flops(&self) -> u64;
    /// Numbers that distinguish two uses, passed to the WGSL function after its arguments.
    fn parameters(&self) -> Vec<f32>;
    /// Builds the gradients by each argument, each as large as the result; broadcasting is summed away by the caller.
    ///
    /// # Errors
    /// When there is none.
    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>>;
    /// Over slices of one length, in double precision.
    fn map_f64(&self, arguments: &[&[f64]], out: &mut [f64]);
    /// Over slices of one length, in single precision.
    fn map_f32(&self, arguments: &[&[f32]], out: &mut [f32]);
}

/// Where a function's argument comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    /// An operand of the whole program.
    Operand(usize),
    /// The result of an earlier call.
    Call(usize),
}

/// One function applied.
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

/// Calls in order; the last one's result is the program's. Without calls it is operand 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// The calls; each reads only operands and calls before it.
    pub calls: Vec<FunctionCall>,
}

impl Program {
    /// The program of one function.
    pub fn single(function: impl Function) -> Self {
        let arguments = (0..function.arity()).map(Argument::Operand).collect();
        Self { calls: vec![FunctionCall { function: Arc::new(function), arguments }] }
    }

    /// The names of the functions, in order, joined.
    pub fn label(&self) -> String {
        self.calls.iter().map(|call| call.function.name()).collect::<Vec<_>>().join("+")
    }

    /// Floating-point operations for an element.
    pub fn flops(&self) -> u64 {
        self.calls.iter().map(|call| call.function.flops()).sum()
    }

    /// How many operands it reads: one more than the largest number among its arguments.
    pub fn operands(&self) -> usize {
        let arguments = self.calls.iter().flat_map(|call| &call.arguments);
        arguments.map(|a| if let Argument::Operand(i) = a { i + 1 } else { 0 }).max().unwrap_or(1)
    }
}

/// The program that computes `first` and then `next`, whose operand `at` is `first`'s result, with the operands of both,
/// each once. An operand is a node, or nothing for the value that an epilogue is applied to.
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
