//! The op of all element-wise functions. It holds one function when it is built, and a chain of several after fusion.

use std::sync::Arc;

use super::program::{Chunked, Pattern};
use super::splice::Splice;
use crate::graph::kernel::{Dispatch, Kernel, Lowering, Slot, word};
use crate::graph::{DType, Differentiate, Function, Graph, NodeId, Program, Shape, TensorType};
use crate::ops::op::in_pieces;
use crate::ops::{Call, Lower, Op, Types, expect_inputs};
use crate::{Error, Result};

/// A chain of element-wise functions. The operands are broadcast to one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The chain. Without calls, the result is the operand, broadcast.
    pub program: Program,
    /// The output's shape, if it is larger than the shape to which the operands broadcast.
    pub shape: Option<Shape>,
}

impl Map {
    /// The op of one function.
    pub fn of(function: impl Function) -> Self {
        Self { program: Program::single(function), shape: None }
    }

    fn patterns(types: &Types) -> Vec<Pattern> {
        let of = |ty| Pattern::of(ty, &types.output).expect("checked when the node was built");
        types.inputs.iter().map(of).collect()
    }

    fn evaluate<T: Chunked>(&self, call: &mut Call<T>) {
        let patterns = Self::patterns(call.types);
        let operands: Vec<_> = (0..patterns.len()).map(|i| Some((call.real(i), patterns[i]))).collect();
        self.program.run(&operands, 0, call.out());
    }
}

/// The common shape to which all of these broadcast.
fn broadcast(types: &[TensorType]) -> Result<Shape, String> {
    let rank = types.iter().map(|ty| ty.shape.rank()).max().unwrap_or(0);
    let mut dims = vec![1; rank];
    for ty in types {
        if ty.dtype != DType::F32 {
            return Err(format!("element-wise functions take floats, but an input holds {}", ty.dtype));
        }
        for (axis, &size) in ty.dims().iter().rev().enumerate() {
            let large = &mut dims[rank - 1 - axis];
            match (*large, size) {
                (1, size) => *large = size,
                (_, 1) => {}
                (large, size) if large == size => {}
                _ => return Err("their shapes differ in an axis where neither is 1".into()),
            }
        }
    }
    Ok(Shape::new(dims))
}

impl Op for Map {
    fn name(&self) -> &'static str {
        match self.program.calls.as_slice() {
            [] => "broadcast",
            [call] => call.function.name(),
            _ => "chain",
        }
    }

    fn output(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<TensorType, String> {
        expect_inputs(inputs, self.program.operands())?;
        let output = TensorType::f32(self.shape.clone().map_or_else(|| broadcast(inputs), Ok)?);
        for input in inputs {
            Pattern::of(input, &output)?;
        }
        Ok(output)
    }

    fn gradient(&self, graph: &mut Graph, at: &Differentiate) -> Result<Vec<Option<NodeId>>> {
        let gradients = match self.program.calls.as_slice() {
            [] => vec![Some(at.dy)],
            [call] => call.function.gradient(graph, at)?,
            _ => {
                let name = &graph.node(at.y).name;
                return Err(Error::Shape(format!("'{name}' is a fused chain: differentiate before fusing")));
            }
        };
        at.inputs
            .iter()
            .zip(gradients)
            .map(|(&input, gradient)| {
                let shape = graph.ty(input).shape.clone();
                gradient.map(|gradient| graph.sum_to(gradient, &shape)).transpose()
            })
            .collect()
    }

    fn reference(&self, call: &mut Call<f64>) {
        self.evaluate(call);
    }

    /// Computes in parallel pieces of fixed size, so the result does not depend on the number of threads.
    fn run(&self, call: &mut Call<f32>) {
        let patterns = Self::patterns(call.types);
        let operands: Vec<_> = (0..patterns.len()).map(|i| Some((call.real(i), patterns[i]))).collect();
        in_pieces(call.out(), 1, |start, out| self.program.run(&operands, start, out));
    }

    fn lower(&self, at: &Lower) -> Lowering {
        let patterns = Self::patterns(at.types);
        let count = at.types.output.elements();
        let fits = |p: &Pattern| match (p.len, p.inner) {
            (1, _) => true,
            (len, 1) => len % 4 == 0,
            (_, inner) => p.row == 1 && inner % 4 == 0,
        };
        let vector = count.is_multiple_of(4) && patterns.iter().all(fits);
        let values = if vector { count / 4 } else { count };
        let kernel =
            Kernel::built_in("elementwise", include_str!("../../../shaders/elementwise.wgsl"), &[at.edges(values)]);
        let splice = Splice::new(&self.program, patterns.len());
        let (kernel, words) = splice.into_chain(kernel, &patterns, count, at.in_place, vector);
        let dims = std::iter::once(word(values)).chain(words).collect();
        let inputs = (0..patterns.len()).filter(|i| at.in_place != Some(*i)).map(Slot::Input);
        let slots: Vec<Slot> = inputs.chain([Slot::Output]).collect();
        Dispatch { dims, ..at.linear(self, kernel, &slots, &[], values) }.into()
    }

    fn flops(&self, types: &Types) -> u64 {
        types.output.elements() as u64 * self.program.flops()
    }

    fn elementwise(&self) -> Option<&Program> {
        Some(&self.program)
    }

    fn with_elementwise(&self, program: Program, output: &TensorType) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { program, shape: Some(output.shape.clone()) }))
    }

    fn in_place(&self, types: &Types) -> Vec<usize> {
        (0..types.inputs.len()).filter(|&i| types.inputs[i] == types.output).collect()
    }
}

impl Graph {
    /// x broadcast to a larger shape.
    ///
    /// # Errors
    /// When x cannot be broadcast to it.
    pub fn broadcast_to(&mut self, x: NodeId, shape: impl Into<Shape>) -> Result<NodeId> {
        self.apply(Map { program: Program::default(), shape: Some(shape.into()) }, &[x])
    }
}
